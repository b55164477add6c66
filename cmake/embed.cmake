# cmake -DINPUT=FILE -DOUTPUT=FILE.c -DHEADER=HEADER -DNAME=NAME -P embed.cmake: a C file that defines the bytes of a
# file as NAME and their number as NAME_size, as HEADER declares them.
file(READ ${INPUT} bytes HEX)
string(LENGTH ${bytes} digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" bytes ${bytes})
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes ${bytes})
file(WRITE ${OUTPUT} "#include \"${HEADER}\"

#include <stdalign.h>

alignas(8) const unsigned char ${NAME}[] = {
${bytes}};
const size_t ${NAME}_size = ${size};
")
