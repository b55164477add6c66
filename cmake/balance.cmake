# The mode `least` of --balance: src/net/balance.bpf.c, compiled by clang for the kernel, becomes an array of the library,
# which loads it with libbpf. Sets balance_sources, and LIBBPF_FOUND when there is all that it takes.
set(balance_sources src/net/balance_kernel_none.c)
set(LIBBPF_FOUND FALSE)
if(NOT COREACTOR_BPF)
    return()
endif()
pkg_check_modules(LIBBPF QUIET IMPORTED_TARGET libbpf>=1.0)
find_program(COREACTOR_CLANG clang DOC "clang, for the program that runs in the kernel")

# The kernel's headers include <asm/...>, which Debian keeps for each architecture.
set(balance_compile ${COREACTOR_CLANG} -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror)
if(CMAKE_C_LIBRARY_ARCHITECTURE)
    list(APPEND balance_compile -isystem /usr/include/${CMAKE_C_LIBRARY_ARCHITECTURE})
endif()
foreach(directory IN LISTS LIBBPF_INCLUDE_DIRS)
    list(APPEND balance_compile -isystem ${directory})
endforeach()
if(LIBBPF_FOUND AND COREACTOR_CLANG)
    file(WRITE ${PROJECT_BINARY_DIR}/balance_probe.c
         "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nint probe(void) { return BPF_FUNC_loop; }\n")
    execute_process(
        COMMAND ${balance_compile} -c ${PROJECT_BINARY_DIR}/balance_probe.c -o ${PROJECT_BINARY_DIR}/balance_probe.o
        RESULT_VARIABLE balance_failure OUTPUT_QUIET ERROR_QUIET)
endif()
if(NOT LIBBPF_FOUND OR NOT COREACTOR_CLANG OR balance_failure)
    set(LIBBPF_FOUND FALSE)
    message(STATUS "No libbpf, or no clang for its programs: built without --balance least")
    return()
endif()

set(balance_object ${PROJECT_BINARY_DIR}/balance.bpf.o)
set(balance_sources src/net/balance_kernel.c ${PROJECT_BINARY_DIR}/balance_object.c)
add_custom_command(
    OUTPUT ${balance_object}
    COMMAND ${balance_compile} -I${PROJECT_SOURCE_DIR}/src -MD -MF ${balance_object}.d
            -c ${PROJECT_SOURCE_DIR}/src/net/balance.bpf.c -o ${balance_object}
    DEPENDS ${PROJECT_SOURCE_DIR}/src/net/balance.bpf.c
    DEPFILE ${balance_object}.d
    COMMENT "Building the program for the kernel")
add_custom_command(
    OUTPUT ${PROJECT_BINARY_DIR}/balance_object.c
    COMMAND ${CMAKE_COMMAND} -DINPUT=${balance_object} -DOUTPUT=${PROJECT_BINARY_DIR}/balance_object.c
            -DHEADER=net/balance_object.h -DNAME=balance_object -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${balance_object} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
set_property(SOURCE src/net/balance_kernel.c APPEND PROPERTY COMPILE_DEFINITIONS "COREACTOR_LIBBPF=\"${LIBBPF_VERSION}\"")
