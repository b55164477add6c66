# Tests of src/http, src/net, src/handlers and src/server/options.c.

foreach(name IN ITEMS scan parser framing limits request uri corpus trailers body body_limits
        body_corpus accept conditions ranges date_parse)
    unit_test(http_${name})
    target_sources(unit_http_${name} PRIVATE unit/http_support.c)
endforeach()
unit_test(http_page)
target_sources(unit_http_page PRIVATE unit/exchange_support.c ../src/handlers/page.c)
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
unit_test(http_files_corpus)
target_sources(unit_http_files_corpus PRIVATE fuzz/fuzz_files.c)
target_compile_definitions(unit_http_files_corpus PRIVATE
                           CORPUS="${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/files")
foreach(name IN ITEMS body body_limits body_corpus)
    target_sources(unit_http_${name} PRIVATE unit/body_support.c)
endforeach()
target_sources(unit_http_body_corpus PRIVATE fuzz/fuzz_body.c)
target_include_directories(unit_http_body_corpus PRIVATE unit)
target_compile_definitions(unit_http_body_corpus PRIVATE
                           CORPUS="${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/body")

unit_test(http_conformance)
unit_test(http_response WRAP realloc)
target_sources(unit_http_response PRIVATE unit/exchange_support.c unit/memory_support.c)
unit_test(http_lines WRAP realloc)
target_sources(unit_http_lines PRIVATE unit/exchange_support.c unit/memory_support.c)
unit_test(http_twin WRAP realloc)
target_sources(unit_http_twin PRIVATE unit/exchange_support.c unit/memory_support.c)
unit_test(http_constant WRAP realloc)
target_sources(unit_http_constant PRIVATE unit/memory_support.c)
unit_test(http_date WRAP clock_gettime)
unit_test(http_decode WRAP malloc)
target_sources(unit_http_decode PRIVATE unit/exchange_support.c)

# net_support.c stands in for these.
foreach(name IN ITEMS connection life drain handoff listener later cancel deadline room backlog places body
        body_ends stream echo file breaks)
    unit_test(net_${name}
              WRAP recv send sendmsg accept4 epoll_ctl malloc calloc realloc free clock_gettime)
    target_sources(unit_net_${name} PRIVATE unit/net_support.c unit/exchange_support.c)
endforeach()
# The same with answers from sources.
foreach(name IN ITEMS metrics source source_ends slices)
    unit_test(net_${name} WRAP recv send sendmsg sendfile accept4 epoll_ctl malloc calloc realloc free
              clock_gettime)
    target_sources(unit_net_${name} PRIVATE unit/net_support.c unit/exchange_support.c
                   unit/source_support.c)
endforeach()
target_link_options(unit_net_metrics PRIVATE -Wl,--wrap=connection_update_deadline)
foreach(name IN ITEMS later cancel)
    target_sources(unit_net_${name} PRIVATE unit/later_support.c)
endforeach()
foreach(name IN ITEMS listener backlog places breaks)
    target_sources(unit_net_${name} PRIVATE unit/tcp_support.c)
endforeach()
foreach(name IN ITEMS offload offload_ends)
    unit_test(${name}
              WRAP recv send sendmsg accept4 epoll_ctl malloc calloc realloc free clock_gettime)
    target_sources(unit_${name} PRIVATE unit/net_support.c unit/exchange_support.c
                   unit/offload_support.c)
endforeach()
unit_test(net_corpus WRAP clock_gettime)
target_sources(unit_net_corpus PRIVATE fuzz/fuzz_connection.c fuzz/connection_handlers.c
               fuzz/connection_reader.c)
target_include_directories(unit_net_corpus PRIVATE fuzz)
target_compile_definitions(unit_net_corpus PRIVATE
                           CORPUS="${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/connection")
unit_test(net_address)
unit_test(net_access_line)
unit_test(net_access_log WRAP write)
unit_test(net_access_output WRAP write)
unit_test(net_clients WRAP calloc getrandom)
unit_test(balance WRAP aligned_alloc calloc)
if(LIBBPF_FOUND)
    unit_test(balance_kernel)
    target_sources(unit_balance_kernel PRIVATE unit/listeners_support.c unit/segment_support.c)
    unit_test(balance_kernel_faults
              WRAP bpf_object__open_mem bpf_map__set_initial_value bpf_map__set_max_entries bpf_map__reuse_fd
                   bpf_object__load bpf_map_update_elem setsockopt mmap munmap)
    target_sources(unit_balance_kernel_faults PRIVATE unit/listeners_support.c)
endif()

foreach(name IN ITEMS options options_files options_manual)
    unit_test(${name})
    target_sources(unit_${name} PRIVATE ../src/server/options.c ../src/server/options_manual.c
                   ../src/server/options_table.c)
endforeach()
foreach(name IN ITEMS options options_files)
    target_sources(unit_${name} PRIVATE unit/options_support.c)
endforeach()

foreach(name IN ITEMS http_corpus http_body_corpus http_target http_files_corpus net_corpus)
    target_sources(unit_${name} PRIVATE unit/corpus_support.c)
endforeach()
