/* Fortified headers take a longjmp(3) to another stack for one into a function that has returned.
 */
#undef _FORTIFY_SOURCE

#include "fiber.h"

#include <setjmp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* Far more than the handlers need; only the pages that are touched exist. */
enum { STACK_BYTES = 64 * 1024 };

/* Lies at the upper end of its stack. A context is made once for each stack, with makecontext(3);
 * all later switches are _longjmp(3)s, because swapcontext(3) sets the signal mask with a system
 * call each time: to a coroutine and back took 0.8 us so, and takes 0.07 us. */
struct fiber {
    jmp_buf at; /* where it waits */
    void (*run)(void *arg);
    void *arg;
    struct fiber *next; /* of the idle ones */
};

static _Thread_local struct {
    struct fiber *running;
    struct fiber *idle; /* whose functions have returned */
    jmp_buf loop;       /* where the loop waits for the running one */
} here;

struct fiber *fiber_self(void)
{
    return here.running;
}

void fiber_wait(void)
{
    if (_setjmp(here.running->at) == 0)
        _longjmp(here.loop, 1);
}

void fiber_go_on(struct fiber *fiber)
{
    here.running = fiber;
    if (_setjmp(here.loop) == 0)
        _longjmp(fiber->at, 1);
}

/* The outermost function on every stack. */
static void live(void)
{
    struct fiber *self = here.running;
    for (;;) {
        self->run(self->arg);
        self->next = here.idle;
        here.idle = self;
        fiber_wait();
    }
}

/* Under the stack lies a page that cannot be touched, so that one that overflows ends the program
 * instead of writing into another. */
static struct fiber *new_fiber(void)
{
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE;
    /* cppcheck-suppress invalidFunctionArg ; mmap(2) asks for -1 when there is no file */
    char *room = mmap(NULL, guard + STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    if (mprotect(room, guard, PROT_NONE) < 0) {
        munmap(room, guard + STACK_BYTES);
        return NULL;
    }
    return (struct fiber *)(void *)(room + guard + STACK_BYTES) - 1;
}

/* Enters a stack for the first time. */
static void begin(struct fiber *fiber)
{
    ucontext_t context;
    /* cppcheck-suppress getcontextCalled ; POSIX threads are another model */
    getcontext(&context);
    context.uc_stack.ss_sp = (char *)(fiber + 1) - STACK_BYTES;
    context.uc_stack.ss_size = STACK_BYTES - sizeof(*fiber);
    /* cppcheck-suppress makecontextCalled */
    makecontext(&context, live, 0);
    here.running = fiber;
    if (_setjmp(here.loop) == 0)
        setcontext(&context);
}

bool fiber_start(void (*run)(void *arg), void *arg)
{
    struct fiber *fiber = here.idle;
    bool fresh = !fiber;
    if (fresh && !(fiber = new_fiber()))
        return false;
    fiber->run = run;
    fiber->arg = arg;
    if (fresh) {
        begin(fiber);
    } else {
        here.idle = fiber->next;
        fiber_go_on(fiber);
    }
    return true;
}
