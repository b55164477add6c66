/*
 * stop.h - how a model ends.
 */
#ifndef MODELS_STOP_H
#define MODELS_STOP_H

/* From now on SIGTERM and SIGINT end the process with status 0, whatever its threads do: nothing
 * here has to be saved. SIGPIPE is ignored. Before threads are started. */
void stop_on_signal(void);

#endif
