#include "base/cpus.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned cpus_of_quota(const char *text)
{
    char *end;
    long long quota_us = strtoll(text, &end, 10);
    long long period_us = strtoll(end, NULL, 10);
    if (quota_us <= 0 || period_us <= 0)
        return 0;
    long long cpus = (quota_us - 1) / period_us + 1;
    return cpus < 1 << 20 ? (unsigned)cpus : 0;
}

static bool read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(line, size, file) != NULL;
    fclose(file);
    if (ok)
        line[strcspn(line, "\n")] = '\0';
    return ok;
}

/* Whether a list such as "cpu,cpuacct" (their order is the kernel's) names the controller. */
static bool lists(const char *controllers, const char *controller)
{
    size_t length = strlen(controller);
    for (;;) {
        size_t next = strcspn(controllers, ",");
        if (next == length && memcmp(controllers, controller, length) == 0)
            return true;
        if (!controllers[next])
            return false;
        controllers += next + 1;
    }
}

/* Where /proc/self/cgroup says that this process is, for the controller "" (v2) or "cpu" (v1). */
static bool cgroup_path(const char *controller, char *path, size_t size)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return false;
    char line[512];
    bool found = false;
    while (!found && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *where = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!where)
            continue;
        *where++ = '\0';
        found = lists(controllers + 1, controller) && snprintf(path, size, "%s", where) < (int)size;
    }
    fclose(file);
    return found;
}

static unsigned quota_v2(const char *group)
{
    char path[320];
    char line[64];
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
    return read_line(path, line, sizeof(line)) ? cpus_of_quota(line) : 0;
}

static unsigned quota_v1(const char *group)
{
    char path[320];
    char quota[32];
    char period[32];
    char both[72];
    snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", group);
    if (!read_line(path, quota, sizeof(quota)))
        return 0;
    snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", group);
    if (!read_line(path, period, sizeof(period)))
        return 0;
    snprintf(both, sizeof(both), "%s %s", quota, period);
    return cpus_of_quota(both);
}

/* A limit may be set on any group above as well; the tightest one counts. Where a container sees
 * the host's path but has only its own group mounted, that is the root. */
static unsigned tightest_quota(const char *controller, unsigned (*quota_of)(const char *group))
{
    char group[256];
    if (!cgroup_path(controller, group, sizeof(group)))
        return 0;
    unsigned least = 0;
    for (;;) {
        unsigned cpus = quota_of(group);
        if (cpus && (!least || cpus < least))
            least = cpus;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

static unsigned affinity(void)
{
    /* With OMP_PLACES or OMP_PROC_BIND, OpenMP has bound this thread to the first place before
     * main(), and its mask says nothing about the process. */
    unsigned in_places = 0;
    for (int place = 0; place < omp_get_num_places(); place++)
        in_places += (unsigned)omp_get_place_num_procs(place);
    if (in_places)
        return in_places;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    /* More CPUs than the set has bits for. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

unsigned cpus_allowed(void)
{
    unsigned cpus = affinity();
    unsigned quota = tightest_quota("", quota_v2);
    if (!quota)
        quota = tightest_quota("cpu", quota_v1);
    if (quota && quota < cpus)
        cpus = quota;
    return cpus ? cpus : 1;
}

/* --- threads beside the team --- */

/* Adds the CPUs of a place; false when memory is short. */
static bool add_place(cpu_set_t *set, int place)
{
    int count = omp_get_place_num_procs(place);
    int *cpus = calloc((size_t)count + 1, sizeof(*cpus));
    if (!cpus)
        return false;
    omp_get_place_proc_ids(place, cpus);
    for (int i = 0; i < count; i++)
        CPU_SET((size_t)cpus[i], set);
    free(cpus);
    return true;
}

bool cpus_unbind(cpu_set_t *before)
{
    int places = omp_get_num_places();
    cpu_set_t all;
    CPU_ZERO(&all);
    for (int place = 0; place < places; place++) {
        if (!add_place(&all, place))
            return false;
    }
    return places && sched_getaffinity(0, sizeof(*before), before) == 0 &&
           sched_setaffinity(0, sizeof(all), &all) == 0;
}

void cpus_bind(const cpu_set_t *before)
{
    sched_setaffinity(0, sizeof(*before), before);
}
