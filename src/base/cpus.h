/*
 * cpus.h - how many CPUs this process may use.
 */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include <sched.h>
#include <stdbool.h>

/* The CPUs of the affinity mask (sched_getaffinity(2)) or of OMP_PLACES, or fewer where the quota
 * of a control group (cgroup v2 cpu.max, v1 cpu.cfs_quota_us) allows less time than that, rounded
 * up. At least 1. */
unsigned cpus_allowed(void);

/* Lets the calling thread, and those that it starts from now on, run on all CPUs of OMP_PLACES:
 * with OMP_PROC_BIND it is bound to the first place, which is right for a member of the team only.
 * True: it was bound, as `*before` says, and cpus_bind() is to follow. */
bool cpus_unbind(cpu_set_t *before);
void cpus_bind(const cpu_set_t *before);

/* The CPUs that a quota of `text`, "QUOTA PERIOD" in microseconds or "max PERIOD", is worth,
 * rounded up; 0 when it sets no limit or makes no sense. */
unsigned cpus_of_quota(const char *text);

#endif
