# Tests of src/http, src/net and src/server/options.c.

unit_test(http_scan)
unit_test(http_parser)
unit_test(http_framing)
unit_test(http_limits)
unit_test(http_request)
unit_test(http_response WRAP realloc)
unit_test(http_constant WRAP realloc)
unit_test(http_date WRAP clock_gettime)
unit_test(net_address)

foreach(name IN ITEMS scan parser framing limits request)
    target_sources(unit_http_${name} PRIVATE unit/http_support.c)
endforeach()

# The functions that net_support.c stands in for.
set(net_wraps recv send accept4 epoll_ctl malloc realloc free clock_gettime)
foreach(name IN ITEMS connection life listener)
    unit_test(net_${name} WRAP ${net_wraps})
    target_sources(unit_net_${name} PRIVATE unit/net_support.c)
endforeach()
