/* How many of n values, `stride` apart, are not zero?  NaN is not; -0.0 is zero. */
static int64_t SC_PASTE(count_dense, VNAME)(const void *row, int64_t stride, int64_t n)
{
    const VAL *w = row;
    int64_t found = 0;
    if (stride == 1)
        for (int64_t c = 0; c < n; c++) found += LOAD(w[c]) != 0;
    else
        for (int64_t c = 0; c < n; c++) found += LOAD(w[c * stride]) != 0;
    return found;
}
