/*
 * cgi_environment.h - a request as the environment of a program: the meta-variables of CGI/1.1 (RFC
 * 3875 section 4.1).
 */
#ifndef MODELS_CGI_ENVIRONMENT_H
#define MODELS_CGI_ENVIRONMENT_H

#include <coreactor/http.h>

/* The variable of a field is called this and the field's name, in capitals (section 4.1.18). */
#define CGI_FIELD "HTTP_"

/* The target as it was sent, which PATH_INFO and QUERY_STRING do not tell: servers agree on it. */
#define CGI_TARGET "REQUEST_URI"

/* Where the service is; this model's own. */
#define CGI_SERVICE "MODELS_SERVICE_PORT"

/* Makes the environment that of a script, for a request that came to `port`: nothing else remains
 * in it. False when memory is short. */
bool cgi_describe(const struct http_request *request, unsigned port, unsigned service_port);

#endif
