# Tests of src/http, src/net, src/handlers and src/server/options.c.

foreach(name IN ITEMS scan parser framing limits request uri page corpus)
    unit_test(http_${name})
    target_sources(unit_http_${name} PRIVATE unit/http_support.c)
endforeach()
target_sources(unit_http_page PRIVATE ../src/handlers/page.c)
target_sources(unit_http_corpus PRIVATE fuzz/fuzz_parser.c)
target_compile_definitions(unit_http_corpus PRIVATE
                           CORPUS="${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/parser")

unit_test(http_router)
unit_test(http_router_tree WRAP malloc realloc)
foreach(name IN ITEMS router router_tree)
    target_sources(unit_http_${name} PRIVATE unit/http_support.c unit/router_support.c)
endforeach()
unit_test(http_target)
target_sources(unit_http_target PRIVATE fuzz/fuzz_target.c)
target_compile_definitions(unit_http_target PRIVATE
                           CORPUS="${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/target")

unit_test(http_response WRAP realloc)
unit_test(http_constant WRAP realloc)
unit_test(http_date WRAP clock_gettime)

# net_support.c stands in for these.
foreach(name IN ITEMS connection life drain listener)
    unit_test(net_${name} WRAP recv send accept4 epoll_ctl malloc realloc free clock_gettime)
    target_sources(unit_net_${name} PRIVATE unit/net_support.c)
endforeach()
unit_test(net_address)
unit_test(net_access_line)
unit_test(net_access_log WRAP write)
unit_test(net_access_output WRAP write)
unit_test(net_clients WRAP calloc getrandom)

unit_test(options)
target_sources(unit_options PRIVATE ../src/server/options.c)
