/*
 * service_support.h - a worker that serves a directory by files_handler(), whose jobs wait when the
 * test says so. For programs with net_support.c that are linked with --wrap for
 * file_content_load, file_content_compress and listing_make, too.
 */
#ifndef TESTS_SERVICE_SUPPORT_H
#define TESTS_SERVICE_SUPPORT_H

#include "net_support.h"

#include "handlers/file_service.h"
#include "handlers/files.h"

/* Where the pools' threads stop: after a file was loaded, before anything else is made. */
struct gate {
    bool closed;
    unsigned calls;   /* so far */
    unsigned waiting; /* just now */
};

extern struct gate loads; /* from disks, not on the reactor's thread */
extern struct gate makings;
extern struct gate listings;

void gate_set(struct gate *gate, bool closed);
unsigned gate_calls(const struct gate *gate);
unsigned gate_waiting(const struct gate *gate);

extern bool all_is_cold;   /* nothing is loaded without waiting */
extern size_t page_length; /* of a listing; 0: the real one */

struct scene {
    struct net net;
    struct files *files;
    struct file_shelf *shelf;
};

/* All paths are files_handler()'s. The same files may be served several times. */
void scene_open(struct scene *scene, struct files *files);
void scene_close(struct scene *scene);

/* Turns until so many wait at the gate. */
void gate_await(struct scene *scene, const struct gate *gate, unsigned waiting);

/* Turns until the condition holds. */
void turn_until(struct scene *scene, bool (*condition)(const struct scene *scene));
bool is_idle(const struct scene *scene);     /* no job is left */
bool is_deserted(const struct scene *scene); /* no client is */

/* A client that has sent a GET with these fields; and its next answer, without what is in all of
 * them, to be freed. A form that is made says "made of " and the beginning of its file. */
void begin_get(struct client *client, struct scene *scene, const char *target, const char *fields);
char *take_answer(struct client *client, struct scene *scene);

/* Both on a connection of its own. */
char *get(struct scene *scene, const char *target, const char *fields);

void expect_status(const char *answer, int status);
void expect_body(const char *answer, const char *body);

#endif
