/* The k-th largest of v[0:n], 1 <= k <= n; v is rearranged (Hoare's selection). */
static VAL SC_PASTE(kth_largest, VNAME)(VAL *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n - 1;
    k--;
    while (lo < hi) {
        VAL a = v[lo], b = v[lo + (hi - lo) / 2], c = v[hi];
        VAL pivot = SC_MAX(SC_MIN(a, b), SC_MIN(SC_MAX(a, b), c));
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] > pivot) i++;
            while (v[j] < pivot) j--;
            if (i <= j) {
                VAL t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k <= j) hi = j;
        else if (k >= i) lo = i;
        else break;
    }
    return v[k];
}

/* The same for small k and v in any order: most values fall below the k best so far. */
static VAL SC_PASTE(kth_best, VNAME)(const VAL *v, int64_t n, int64_t k, VAL *best)
{
    for (int64_t i = 0; i < n; i++) {
        VAL x = v[i];
        int64_t j = SC_MIN(i, k - 1);
        if (i >= k && x <= best[j]) continue;
        for (; j > 0 && best[j - 1] < x; j--) best[j] = best[j - 1];
        best[j] = x;
    }
    return best[k - 1];
}

/* Keeps the `top` largest of n > top candidates, in their order; returns the smallest that was kept. */
static VAL SC_PASTE(thin, VNAME)(int32_t *col, VAL *val, int64_t n, int64_t top, VAL *pick)
{
    VAL bar;
    if (top <= 32) {
        bar = SC_PASTE(kth_best, VNAME)(val, n, top, pick);
    } else {
        memcpy(pick, val, (size_t)n * sizeof(VAL));
        bar = SC_PASTE(kth_largest, VNAME)(pick, n, top);
    }
    int64_t above = 0, kept = 0;
    for (int64_t i = 0; i < n; i++) above += val[i] > bar;
    for (int64_t i = 0, ties = top - above; i < n; i++) {
        int keep = val[i] > bar || (val[i] == bar && ties-- > 0);
        col[kept] = col[i];
        val[kept] = val[i];
        kept += keep;
    }
    return bar;
}
