/*
 * scan_loop.h - the loop of http_scan_function, the same for every instruction set. A template: the
 * includer defines SCAN_NAME, SCAN_TARGET (a function attribute or nothing) and CLASSIFY, the name
 * of static inline void CLASSIFY(const char *bytes, struct scan_word *word) which classifies 64
 * bytes.
 */

/* The 64 bytes from `at`, or as many as there are: bits past the end are of no meaning. */
SCAN_TARGET inline void SCAN_CONCAT(SCAN_NAME, _word)(const char *bytes, size_t at, size_t length,
                                                      struct scan_word *word)
{
    size_t left = length - at;
    if (left >= 64) {
        CLASSIFY(bytes + at, word);
    } else if (length >= 64) {
        /* Look back instead of past the end. */
        CLASSIFY(bytes + length - 64, word);
        unsigned shift = (unsigned)(64 - left);
        word->cr >>= shift;
        word->lf >>= shift;
        word->control >>= shift;
        word->not_token >>= shift;
        word->not_target >>= shift;
    } else {
        char copy[64] = {0};
        memcpy(copy, bytes + at, left);
        CLASSIFY(copy, word);
    }
}

SCAN_TARGET int SCAN_NAME(const char *bytes, size_t length, struct http_scan *scan)
{
    uint64_t cr_before = 0; /* the byte before this word was a CR: bit 0 must be an LF */
    uint64_t lf_before = 0; /* the LF bits of the last word, in its top two bits */
    if (length > HTTP_HEAD_MAX)
        length = HTTP_HEAD_MAX;
    for (size_t at = 0, index = 0; at < length; at += 64, index++) {
        struct scan_word word;
        SCAN_CONCAT(SCAN_NAME, _word)(bytes, at, length, &word);
        size_t left = length - at;
        uint64_t present = left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
        /* Two LFs two bytes apart are CRLFCRLF, once every LF has been proved to follow a CR. */
        uint64_t end = word.lf & (word.lf << 2 | lf_before >> 62) & present;
        if (end)
            present = end ^ (end - 1); /* up to the first end */
        uint64_t unpaired = word.lf ^ (word.cr << 1 | cr_before);
        uint64_t forbidden = word.control & ~(word.cr | word.lf);
        if ((unpaired | forbidden) & present)
            return HTTP_SCAN_MALFORMED;
        scan->line_end[index] = word.cr;
        scan->not_token[index] = word.not_token;
        scan->not_target[index] = word.not_target;
        if (end)
            return (int)at + __builtin_ctzll(end) + 1;
        cr_before = word.cr >> 63;
        lf_before = word.lf;
    }
    return 0;
}
