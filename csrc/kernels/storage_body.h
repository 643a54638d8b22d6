/* words = bits of indices[p0:p1] */
static void SC_PASTE(words_of_columns, INAME)(const void *indices, int64_t p0, int64_t p1, int64_t cols,
                                              uint64_t *words)
{
    const IDX *col = indices;
    memset(words, 0, (size_t)((cols + 63) / 64) * 8);
    for (int64_t p = p0; p < p1; p++) words[col[p] / 64] |= (uint64_t)1 << (col[p] & 63);
}
