#include "base/aside.h"

#include "base/cpus.h"

void aside_begin(struct aside *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before->signals);
    before->was_bound = cpus_unbind(&before->cpus);
}

void aside_end(const struct aside *before)
{
    if (before->was_bound)
        cpus_bind(&before->cpus);
    pthread_sigmask(SIG_SETMASK, &before->signals, NULL);
}
