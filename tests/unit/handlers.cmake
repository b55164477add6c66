# Tests of src/handlers.
foreach(name IN ITEMS file_root file_root_faults)
    unit_test(${name} WRAP syscall)
    target_sources(unit_${name} PRIVATE unit/file_root_support.c)
endforeach()
unit_test(file_watch WRAP epoll_ctl inotify_add_watch inotify_init1)

# The test decodes what was made, so it needs what compress.c was built with and brotli's other half.
unit_test(compress)
foreach(name IN LISTS compress_libraries)
    target_compile_definitions(unit_compress PRIVATE COREACTOR_${name})
    target_link_libraries(unit_compress PRIVATE PkgConfig::${name})
endforeach()
if(BROTLI IN_LIST compress_libraries)
    pkg_check_modules(BROTLI_DECODER REQUIRED QUIET IMPORTED_TARGET libbrotlidec)
    target_link_libraries(unit_compress PRIVATE PkgConfig::BROTLI_DECODER)
endif()
unit_test(file_path)
target_sources(unit_file_path PRIVATE unit/http_support.c)
unit_test(file_policy)
unit_test(listing WRAP malloc realloc readdir fdopendir fstatat)
target_sources(unit_listing PRIVATE unit/listing_support.c)
unit_test(media_types)

unit_test(file_cache WRAP calloc getrandom)
foreach(name IN ITEMS answer content forms)
    unit_test(file_${name} WRAP preadv2 statx clock_gettime malloc calloc realloc)
    target_sources(unit_file_${name} PRIVATE unit/file_faults.c unit/tree_support.c)
endforeach()
target_link_options(unit_file_answer PRIVATE -Wl,--wrap=http_request_header_list)
target_sources(unit_file_answer PRIVATE unit/exchange_support.c)
unit_test(file_coding)
unit_test(file_body WRAP preadv2 pread fstatfs recv send sendmsg accept4 epoll_ctl malloc calloc realloc free
          clock_gettime)
target_sources(unit_file_body PRIVATE unit/net_support.c unit/exchange_support.c unit/tree_support.c)

# The whole file server on one worker. Valgrind does not know openat2(2), without which nothing can be had at once.
foreach(name IN ITEMS service tree)
    unit_test(file_${name} NO_VALGRIND
              WRAP file_content_load file_content_compress listing_make recv send sendmsg accept4
                   epoll_ctl malloc calloc realloc free clock_gettime)
    target_sources(unit_file_${name} PRIVATE unit/service_support.c unit/net_support.c
                   unit/exchange_support.c unit/tree_support.c)
endforeach()
target_link_options(unit_file_tree PRIVATE -Wl,--wrap=syscall)
