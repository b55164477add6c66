/*
 * admin_style.h - the style of the operator's page.
 */
#ifndef SERVER_ADMIN_STYLE_H
#define SERVER_ADMIN_STYLE_H

extern const char admin_style[];

#endif
