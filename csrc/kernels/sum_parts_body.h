/* y[i] = (y[i] + P[0][i]) + P[1][i] + ... in this order, so the bits do not depend on who computed which part. */
static void SC_PASTE(add_parts, VNAME)(const void *P_, int64_t parts, int64_t stride, int64_t n, void *y_)
{
    const ACC *P = P_;
    ACC *restrict y = y_;
    for (int64_t k = 0; k < parts; k++) {
        const ACC *restrict part = P + k * stride;
        for (int64_t i = 0; i < n; i++) y[i] += part[i];
    }
}

/* y[i] = P[0][i] + P[1][i] + ..., likewise */
static void SC_PASTE(sum_parts, VNAME)(const void *P_, int64_t parts, int64_t stride, int64_t n, void *y)
{
    const ACC *P = P_;
    if (y != P) memcpy(y, P, (size_t)n * sizeof(ACC));
    SC_PASTE(add_parts, VNAME)(P + stride, parts - 1, stride, n, y);
}
