/*
 * cgi_script.h - the program that the model `cgi` executes for a request: a script of CGI/1.1 (RFC
 * 3875), of the kind that writes the whole answer itself (section 5, "non-parsed header").
 */
#ifndef MODELS_CGI_SCRIPT_H
#define MODELS_CGI_SCRIPT_H

#include <coreactor/http.h>

/* The name of the script, as its program is called: argv[0]. */
#define CGI_SCRIPT "nph-models"

/* Makes the environment that of a script, for a request that came to `port`: nothing else remains
 * in it. False when memory is short. */
bool cgi_describe(const struct http_request *request, unsigned port, unsigned service_port);

/* The script itself: answers the request of its environment, whose body it reads from its standard
 * input; that is the client's connection, as is its standard output. */
void cgi_script(void);

#endif
