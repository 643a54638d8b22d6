/* data[0:], indices[0:] = x[i], base + i for every bit i; at most `room` are written; returns the number of bits.
 * Full vectors are stored where the room allows: what lies behind the cursor is overwritten by later bits. */
static int64_t SC_PASTE(SC_PASTE(compact, INAME), SIZE)(const uint64_t *bits, int64_t n, const void *x_, int64_t base,
                                                        void *data_, void *indices_, int64_t room)
{
    const VAL *x = x_;
    VAL *data = data_;
    IDX *indices = indices_;
    int64_t at = 0;
    for (int64_t w = 0; w * 64 < n; w++) {
        uint64_t word = bits[w];
        if (at + __builtin_popcountll(word) > room) return room + 1;
        for (; word; word &= word - 1, at++) {
            int64_t i = w * 64 + __builtin_ctzll(word);
            if (data) data[at] = x[i];
            if (indices) indices[at] = (IDX)(base + i);
        }
    }
    return at;
}
