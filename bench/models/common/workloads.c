#include "workloads.h"

#include <inttypes.h>
#include <stdio.h>

static const char page[] =
    "<!doctype html><html lang=\"en\"><title>coreactor</title><p>One reactor per core.</p>";
_Static_assert(sizeof(page) - 1 == 83, "as long as the page of the other benchmarks");

int workload_fast(struct http_request *request, struct http_response *response, void *arg)
{
    (void)request, (void)arg;
    return http_respond_constant(response, 200, "text/html; charset=utf-8", page, sizeof(page) - 1);
}

/* FNV-1a over the bytes 0 to 255, again and again. Each step needs the last one's product, so what
 * it takes is the latency of a multiplication, whatever the compiler and the language. */
static uint64_t hash_steps(void)
{
    enum { STEPS = 1000000 };
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (unsigned i = 0; i < STEPS; i++)
        hash = (hash ^ (i & 0xff)) * UINT64_C(0x100000001b3);
    return hash;
}

int workload_work(struct http_request *request, struct http_response *response, void *arg)
{
    char text[32];
    (void)request, (void)arg;
    int length = snprintf(text, sizeof(text), "%016" PRIx64 "\n", hash_steps());
    return http_respond(response, 200, "text/plain", text, (size_t)length);
}

static int respond_waited(struct http_response *response, int error)
{
    static const char text[] = "waited\n";
    return error ? 502 : http_respond(response, 200, "text/plain", text, sizeof(text) - 1);
}

int workload_wait(struct http_request *request, struct http_response *response, void *arg)
{
    workload_ask ask = *(workload_ask *)arg;
    int error = ask(request, response);
    return error == HTTP_PENDING ? HTTP_PENDING : respond_waited(response, error);
}

void workload_finish(struct http_response *response, int error)
{
    http_response_finish(response, respond_waited(response, error));
}
