#include "server/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

/* What a file of one line says, terminated; "" when it cannot be read. */
static void read_line(const char *path, char line[LINE_MAX_BYTES])
{
    size_t length = 0;
    FILE *file = fopen(path, "re");
    if (file) {
        length = fread(line, 1, LINE_MAX_BYTES - 1, file);
        fclose(file);
    }
    line[length] = '\0';
}

/* Pages: the whole, then what is resident. */
static void read_memory(struct process_facts *facts)
{
    char line[LINE_MAX_BYTES];
    char *end;
    read_line("/proc/self/statm", line);
    int64_t whole = strtoll(line, &end, 10);
    int64_t resident = strtoll(end, NULL, 10);
    if (whole <= 0 || resident <= 0)
        return;
    facts->virtual_bytes = whole * sysconf(_SC_PAGESIZE);
    facts->resident_bytes = resident * sysconf(_SC_PAGESIZE);
}

/* Since Linux 6.2 the directory's size is their number; before, they have to be counted. */
static int64_t count_descriptors(void)
{
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        return status.st_size;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return -1;
    int64_t count = -1; /* without the directory's own */
    /* cppcheck-suppress readdirCalled ; no other thread has this stream */
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

/* Field 22 of its line: in clock ticks since the machine was started. The name before may hold
 * anything. */
static int64_t read_beginning(void)
{
    char line[LINE_MAX_BYTES];
    read_line("/proc/self/stat", line);
    const char *at = strrchr(line, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    int64_t ticks = at ? strtoll(at, NULL, 10) : 0;
    if (ticks <= 0)
        return -1;
    int64_t since_boot_ms = ticks * 1000 / sysconf(_SC_CLK_TCK);
    return clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME) + since_boot_ms;
}

struct process_facts process_read(void)
{
    struct process_facts facts = {-1, -1, -1, -1, -1, -1};
    struct rlimit limit;
    struct timespec cpu;
    read_memory(&facts);
    facts.open_descriptors = count_descriptors();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        facts.most_descriptors = (int64_t)limit.rlim_cur;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        facts.cpu_us = cpu.tv_sec * INT64_C(1000000) + cpu.tv_nsec / 1000;
    facts.began_ms = read_beginning();
    return facts;
}
