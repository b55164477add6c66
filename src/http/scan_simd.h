/*
 * scan_simd.h - CLASSIFY with byte vectors. A template: the includer defines VECTOR (the type),
 * LANES (its bytes), V(op) and VSI(op) (an intrinsic's name for this width, VSI for the
 * _si128/_si256 ones), LOAD, TABLE (its 16 bytes in each 128-bit half), MASK (the top bits), and
 * the names that scan_loop.h wants. All but those of scan_loop.h are undefined at the end.
 *
 * Bytes are looked up by nibbles: entry n of `columns` has a bit for each row (high nibble) of the
 * ASCII table in which column n is of interest, and entry r of `rows` has the bit of row r. Bits 0
 * to 5 are tchar in the rows 2 to 7, bit 6 is a control character other than HTAB in row 0, bit 7
 * one in row 1.
 */

SCAN_TARGET inline void CLASSIFY(const char *bytes, struct scan_word *word)
{
    const VECTOR columns =
        TABLE((char)0xfa, (char)0xff, (char)0xfe, (char)0xff, (char)0xff, (char)0xff, (char)0xff,
              (char)0xff, (char)0xfe, (char)0xbe, (char)0xfd, (char)0xd5, (char)0xf4, (char)0xd5,
              (char)0xfd, (char)0xdc);
    const VECTOR rows = TABLE(0x40, (char)0x80, 1, 2, 4, 8, 16, 32, 0, 0, 0, 0, 0, 0, 0, 0);
    const VECTOR low_nibble = V(set1_epi8)(0x0f);
    *word = (struct scan_word){0};
    for (int lane = 0; lane < 64; lane += LANES) {
        VECTOR v = LOAD(bytes + lane);
        VECTOR column = V(shuffle_epi8)(columns, VSI(and)(v, low_nibble));
        VECTOR row = V(shuffle_epi8)(rows, VSI(and)(V(srli_epi16)(v, 4), low_nibble));
        VECTOR class = VSI(and)(column, row);
        VECTOR not_token = V(cmpeq_epi8)(VSI(and)(class, V(set1_epi8)(0x3f)), VSI(setzero)());
        VECTOR del = V(cmpeq_epi8)(v, V(set1_epi8)(0x7f));
        /* Bits 6 and 7 both end up in the top bit. */
        VECTOR control = VSI(or)(VSI(or)(class, V(slli_epi16)(class, 1)), del);
        word->cr |= (uint64_t)MASK(V(cmpeq_epi8)(v, V(set1_epi8)('\r'))) << lane;
        word->control |= (uint64_t)MASK(control) << lane;
        word->not_token |= (uint64_t)MASK(not_token) << lane;
    }
}

#undef VECTOR
#undef LANES
#undef V
#undef VSI
#undef LOAD
#undef TABLE
#undef MASK
