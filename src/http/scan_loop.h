/*
 * scan_loop.h - the loop of http_scan_function, the same for every instruction set. A template: the
 * includer defines SCAN_NAME, SCAN_TARGET (storage class and function attributes) and CLASSIFY, the
 * name of static inline void CLASSIFY(const char *bytes, struct scan_word *word) which classifies
 * 64 bytes. They are undefined at the end, for the next inclusion.
 */

/* The `left` bytes, fewer than 64, at the end of `length`. The bits past them are 0. */
SCAN_TARGET inline void SCAN_CONCAT(SCAN_NAME, _rest)(const char *bytes, size_t length, size_t left,
                                                      struct scan_word *word)
{
    if (length >= 64) {
        /* Look back instead of past the end. */
        CLASSIFY(bytes + length - 64, word);
        word->cr >>= 64 - left;
        word->control >>= 64 - left;
        word->not_token >>= 64 - left;
    } else {
        char copy[64];
        memset(copy, ' ', sizeof(copy));
        memcpy(copy, bytes, left);
        CLASSIFY(copy, word);
    }
}

SCAN_TARGET int SCAN_NAME(const char *bytes, size_t length, struct http_scan *scan)
{
    uint64_t cr_before = 0; /* the CRs of the word before this one */
    if (length > HTTP_HEAD_MAX)
        length = HTTP_HEAD_MAX;
    for (size_t at = 0; at < length; at += 64) {
        struct scan_word word;
        if (length - at >= 64)
            CLASSIFY(bytes + at, &word);
        else
            SCAN_CONCAT(SCAN_NAME, _rest)(bytes, length, length - at, &word);
        uint64_t after_cr = word.cr << 1 | cr_before >> 63;
        uint64_t forbidden = word.control & ~(word.cr | after_cr);
        /* The CR of an empty line is two bytes after that of the line before. */
        uint64_t end = word.cr & (word.cr << 2 | cr_before >> 62);
        scan->words[at / 64] = (struct http_marks){word.cr, word.not_token};
        if (end) {
            uint64_t head = end ^ (end - 1); /* up to the first end */
            size_t head_length = at + (size_t)__builtin_ctzll(end) + 2;
            if (forbidden & head)
                return HTTP_SCAN_MALFORMED;
            return head_length <= length ? (int)head_length : 0;
        }
        if (forbidden)
            return HTTP_SCAN_MALFORMED;
        cr_before = word.cr;
    }
    return 0;
}

#undef SCAN_NAME
#undef SCAN_TARGET
#undef CLASSIFY
