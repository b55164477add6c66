/*
 * admin_support.h - views whose numbers are known, for the forms of the operator's pages.
 */
#ifndef ADMIN_SUPPORT_H
#define ADMIN_SUPPORT_H

#include "server/admin_view.h"

enum { VIEW_REACTORS_MAX = 3 };

/* A view with its reactors' memory. Not to be moved. */
struct scene {
    struct reactor_sample now[VIEW_REACTORS_MAX];
    struct reactor_sample before[VIEW_REACTORS_MAX];
    struct admin_view view;
};

/* All zero, two seconds apart. */
void scene_init(struct scene *scene, unsigned reactors);

/* Sums up what the test has put into the reactors. */
void scene_sum(struct scene *scene);

/* What a form is, terminated; to be freed with g_free(). */
char *scene_write(const struct scene *scene, void (*put)(struct text *, const struct admin_view *));

#endif
