/*
 * team.h - whether the machine will give us the threads we want, asked before OpenMP needs them.
 */
#ifndef SERVER_TEAM_H
#define SERVER_TEAM_H

/* 0 when a team of `threads` can be had, or the errno of pthread_create(3), negated. libgomp ends
 * the process in its own words when it cannot make a thread; this is how we get to say it in ours.
 */
int team_probe(unsigned threads);

#endif
