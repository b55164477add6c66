#include "server/trace.h"

#include <errno.h>
#include <execinfo.h>
#include <glib.h>
#include <stdlib.h>

enum { OWN_FRAMES = 2 }; /* the handler, and the kernel's way back from it */

static _Thread_local struct trace *own;

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;
static struct sigaction action_before;

static void on_signal(int number)
{
    (void)number;
    struct trace *trace = own;
    int saved = errno;
    if (trace && atomic_load(&trace->state) == TRACE_ASKED) {
        struct activity present = watch_activity(trace->watch);
        enum trace_state state = TRACE_READY;
        if (activity_is_same(&present, &trace->asked)) {
            trace->count = backtrace(trace->frames, TRACE_FRAMES_MAX);
            state = TRACE_TAKEN;
        }
        atomic_store(&trace->state, state);
    }
    errno = saved;
}

static void install(void)
{
    /* The first call loads a library, for which a signal handler is no place. */
    void *frame;
    backtrace(&frame, 1);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(SIGURG, &action, &action_before);
}

void trace_open(void)
{
    pthread_mutex_lock(&users_lock);
    if (users++ == 0)
        install();
    pthread_mutex_unlock(&users_lock);
}

void trace_close(void)
{
    pthread_mutex_lock(&users_lock);
    if (--users == 0)
        sigaction(SIGURG, &action_before, NULL);
    pthread_mutex_unlock(&users_lock);
}

void trace_join(struct trace *trace, const struct watch *watch)
{
    sigset_t set;
    trace->watch = watch;
    trace->thread = pthread_self();
    own = trace;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &set, &trace->mask_before);
    atomic_store(&trace->state, TRACE_READY);
}

void trace_leave(struct trace *trace)
{
    own = NULL;
    atomic_store(&trace->state, TRACE_ABSENT);
    /* Only this one: a drain may have unblocked others meanwhile (signals_release()). */
    if (sigismember(&trace->mask_before, SIGURG)) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGURG);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
    }
}

void trace_ask(struct trace *trace, const struct activity *activity)
{
    /* One that was asked and has not answered yet may still look at `asked`. */
    if (atomic_load(&trace->state) != TRACE_READY)
        return;
    trace->asked = *activity;
    enum trace_state state = TRACE_READY;
    if (atomic_compare_exchange_strong(&trace->state, &state, TRACE_ASKED))
        pthread_kill(trace->thread, SIGURG);
}

bool trace_is_taken(const struct trace *trace)
{
    return atomic_load(&trace->state) == TRACE_TAKEN;
}

void trace_log(struct trace *trace)
{
    enum trace_state state = TRACE_TAKEN;
    char **names = backtrace_symbols(trace->frames, trace->count);
    for (int i = OWN_FRAMES; names && i < trace->count; i++)
        g_message("  #%d %s", i - OWN_FRAMES, names[i]);
    free(names);
    /* Unless it has left. */
    atomic_compare_exchange_strong(&trace->state, &state, TRACE_READY);
}
