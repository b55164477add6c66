/*
 * cpus.h - how many CPUs this process may use.
 */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

/* The CPUs of the affinity mask (sched_getaffinity(2)) or of OMP_PLACES, or fewer where the quota
 * of a control group (cgroup v2 cpu.max, v1 cpu.cfs_quota_us) allows less time than that, rounded
 * up. At least 1. */
unsigned cpus_allowed(void);

/* The CPUs that a quota of `text`, "QUOTA PERIOD" in microseconds or "max PERIOD", is worth,
 * rounded up; 0 when it sets no limit or makes no sense. */
unsigned cpus_of_quota(const char *text);

#endif
