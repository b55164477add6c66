/*
 * scan_simd.h - CLASSIFY with byte vectors. A template: the includer defines VECTOR (the type),
 * LANES (its bytes), V(op) and VSI(op) (an intrinsic's name for this width, VSI for the
 * _si128/_si256 ones), LOAD, TABLE (its 16 bytes in each 128-bit half), MASK (the top bits), and
 * the names that scan_loop.h wants.
 *
 * tchar is looked up by nibbles: the low nibble selects the set of high nibbles with which it makes
 * a tchar, one bit each for the rows 2 to 7 of the ASCII table; the high nibble selects its own
 * bit.
 */

SCAN_TARGET inline void CLASSIFY(const char *bytes, struct scan_word *word)
{
    /* Bit r - 2 of entry n: is the character in row r, column n of the ASCII table a tchar? */
    const VECTOR columns = TABLE(0x3a, 0x3f, 0x3e, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3e, 0x3e, 0x3d,
                                 0x15, 0x34, 0x15, 0x3d, 0x1c);
    const VECTOR rows = TABLE(0, 0, 1, 2, 4, 8, 16, 32, 0, 0, 0, 0, 0, 0, 0, 0);
    *word = (struct scan_word){0};
    for (int lane = 0; lane < 64; lane += LANES) {
        VECTOR v = LOAD(bytes + lane);
        VECTOR low = VSI(and)(v, V(set1_epi8)(0x0f));
        VECTOR high = VSI(and)(V(srli_epi16)(v, 4), V(set1_epi8)(0x0f));
        VECTOR token = VSI(and)(V(shuffle_epi8)(columns, low), V(shuffle_epi8)(rows, high));
        VECTOR cr = V(cmpeq_epi8)(v, V(set1_epi8)('\r'));
        VECTOR lf = V(cmpeq_epi8)(v, V(set1_epi8)('\n'));
        VECTOR below_space = V(cmpeq_epi8)(V(min_epu8)(v, V(set1_epi8)(0x1f)), v);
        VECTOR control = VSI(or)(VSI(andnot)(V(cmpeq_epi8)(v, V(set1_epi8)('\t')), below_space),
                                 V(cmpeq_epi8)(v, V(set1_epi8)(0x7f)));
        /* Signed: below '!' are control characters, space and everything from 0x80. */
        VECTOR not_target = VSI(or)(V(cmpgt_epi8)(V(set1_epi8)('!'), v),
                                    VSI(or)(V(cmpeq_epi8)(v, V(set1_epi8)('#')), control));
        word->cr |= (uint64_t)MASK(cr) << lane;
        word->lf |= (uint64_t)MASK(lf) << lane;
        word->control |= (uint64_t)MASK(control) << lane;
        word->not_target |= (uint64_t)MASK(not_target) << lane;
        word->not_token |= (uint64_t)MASK(V(cmpeq_epi8)(token, VSI(setzero)())) << lane;
    }
}
