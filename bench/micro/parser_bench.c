/*
 * parser_bench.c - what parsing one request head costs: a short one, a browser's, one with 40
 * fields.
 *
 *   parser_bench [COUNT]   prints a line for each: name, bytes, ns per request (median of rounds)
 *   parser_bench NAME COUNT   only parses that one COUNT times; bench/micro/run counts its
 * instructions
 */
#include "http/parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 15, DEFAULT_COUNT = 200000 };

static const char article[] = "GET / HTTP/1.1\r\n"
                              "Host: 127.0.0.1:18470\r\n"
                              "Accept-Language: en-US,en;q=0.5\r\n"
                              "Connection: keep-alive\r\n\r\n";

static const char browser[] =
    "GET /articles/2019/reactors?page=2&sort=newest HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: "
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://www.example.com/articles/\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Priority: u=0, i\r\n\r\n";

/* 40 fields of the size that proxies add. */
static char *make_forty(void)
{
    enum { FIELDS = 40, FIELD_MAX = 96 };
    char *head = malloc(FIELDS * FIELD_MAX + 64);
    if (!head)
        exit(EXIT_FAILURE);
    int at = sprintf(head, "GET /api/v1/items/42 HTTP/1.1\r\nHost: api.example.com\r\n");
    for (int i = 1; i < FIELDS; i++)
        at += sprintf(head + at,
                      "X-Forwarded-Detail-%02d: value number %d; of=forty; kind=text\r\n", i, i);
    sprintf(head + at, "\r\n");
    return head;
}

static void parse_many(const char *head, size_t length, long count)
{
    struct http_request request;
    for (long i = 0; i < count; i++) {
        if (http_parse_request(head, length, &http_limits_default, &request) != (int)length) {
            fprintf(stderr, "parser_bench: a request of the benchmark was refused\n");
            exit(EXIT_FAILURE);
        }
    }
}

static double ns_per_request(const char *head, long count)
{
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    parse_many(head, strlen(head), count);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    return ns / (double)count;
}

static int compare(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return (*left > *right) - (*left < *right);
}

int main(int argc, char **argv)
{
    char *forty = make_forty();
    const struct {
        const char *name;
        const char *head;
    } cases[] = {{"article", article}, {"browser", browser}, {"forty", forty}};
    long count = argc > 1 ? strtol(argv[argc - 1], NULL, 10) : DEFAULT_COUNT;
    if (argc > 3 || count < 1) {
        fprintf(stderr, "usage: %s [NAME] [COUNT]\n", argv[0]);
        return EXIT_FAILURE;
    }
    bool found = argc < 3;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double rounds[ROUNDS];
        if (argc == 3) {
            if (strcmp(argv[1], cases[i].name) == 0) {
                parse_many(cases[i].head, strlen(cases[i].head), count);
                found = true;
            }
            continue;
        }
        for (int round = 0; round < ROUNDS; round++)
            rounds[round] = ns_per_request(cases[i].head, count);
        qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
        printf("%-8s %5zu bytes  %7.1f ns/request  (%s)\n", cases[i].name, strlen(cases[i].head),
               rounds[ROUNDS / 2], http_parser_scanner());
    }
    free(forty);
    if (!found)
        fprintf(stderr, "parser_bench: no case is called '%s'\n", argv[1]);
    return found ? EXIT_SUCCESS : EXIT_FAILURE;
}
