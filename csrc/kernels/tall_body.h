/* A tall matrix is held as panels of PW columns: element (i, PW p + c) at V[p * stride + PW i + c].  A row of a panel
 * is one line of 64 bytes, a panel is one stream.  Small matrices (PW p x PW q) are panels too, with stride PW PW p.
 * A tile of sums is 8 registers: HOLD rows (or columns of V) of PARTS vectors, half of what the 16 registers of AVX2
 * hold, or 12 where that was faster; all 64 sums of 8 x 8 doubles at once spilled and ran at a sixth of the speed. */
#define PW ((int64_t)(64 / sizeof(VAL)))
#define LANES ((int64_t)(TALL_BYTES / sizeof(VAL)))
#define PARTS (64 / TALL_BYTES)
#define HOLD (8 / PARTS)
typedef VAL SC_PASTE(sc_vec, VNAME) __attribute__((vector_size(TALL_BYTES), aligned(sizeof(VAL))));
#define VEC SC_PASTE(sc_vec, VNAME)

/* c += V[i0:i1, j0:j0+cols].T @ W[i0:i1] for one panel of each; `ahead` is asked for, `hop` bytes a row */
SC_INLINE void SC_PASTE(tall_dot, VNAME)(const VAL *v, const VAL *w, VEC *c, int64_t rows, const char *ahead,
                                         int64_t hop, const int cols)
{
    VEC s[12];
#pragma GCC unroll 12
    for (int t = 0; t < cols * PARTS; t++) s[t] = c[t];
    for (int64_t i = 0; i < rows; i++, v += PW, w += PW, ahead += hop) {
        __builtin_prefetch(ahead, 0, 2);
        VEC x[PARTS];
#pragma GCC unroll 4
        for (int t = 0; t < PARTS; t++) x[t] = *(const VEC *)(w + t * LANES);
#pragma GCC unroll 12
        for (int j = 0; j < cols; j++) {
            VAL y = v[j];
#pragma GCC unroll 4
            for (int t = 0; t < PARTS; t++) s[j * PARTS + t] += y * x[t];
        }
    }
#pragma GCC unroll 12
    for (int t = 0; t < cols * PARTS; t++) c[t] = s[t];
}

/* C[:, b] += V[i0:i1].T @ W[i0:i1, b] for q panels b of W and the first p (grow = 0) or p + b (grow = 1) panels of V */
static void SC_PASTE(tall_inner, VNAME)(const void *V_, int64_t p, int grow, int64_t strideV, const void *W_, int64_t q,
                                         int64_t strideW, int64_t i0, int64_t i1, void *C_, int64_t strideC)
{
    const VAL *V = V_, *W = W_;
    VAL *C = C_;
    int64_t most = p + (grow ? q - 1 : 0);
    /* On AVX2 the 16 columns of 4 bytes go by 6, 6 and 4: twelve sums, which wait less for each other than eight. */
    const int six = SC_LEVEL == 2 && PW == 16;
    for (int64_t a = 0; a < most; a++)
        for (int64_t b = grow ? SC_MAX(0, a + 1 - p) : 0; b < q; b++)
            for (int64_t j0 = 0; j0 < PW;) {
                const VAL *v = V + a * strideV + PW * i0 + j0, *w = W + b * strideW + PW * i0;
                VEC *c = (VEC *)(C + b * strideC + PW * PW * a + PW * j0);
                /* Chunks are short for the hardware's own prefetch: the next panel's is asked for, evenly over the
                 * passes through this one.  All in the first pass waited for memory, and the others left it idle. */
                int64_t each = six ? 3 : PW / HOLD, passes = q * each, pass = b * each + j0 / (six ? 6 : HOLD);
                int64_t from = (i1 - i0) * 64 * pass / passes, hop = 64 / passes;
                const char *ahead = (const char *)(v - j0 + (a + 1 < most ? strideV : 0)) + from;
                if (six && j0 < 12) SC_PASTE(tall_dot, VNAME)(v, w, c, i1 - i0, ahead, hop, 6), j0 += 6;
                else SC_PASTE(tall_dot, VNAME)(v, w, c, i1 - i0, ahead, hop, HOLD), j0 += HOLD;
            }
}

/* s += (sign = 1) or -= (sign = -1) V[i:i+HOLD] @ C for one panel of V and of C; `rows` of them are there */
SC_INLINE void SC_PASTE(tall_tile, VNAME)(VEC *s, const VAL *v, const VEC *c, const int rows, const int sign)
{
#pragma GCC unroll 2
    for (int j = 0; j < PW; j++, v++, c += PARTS)
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            VAL y = v[r * PW];
#pragma GCC unroll 4
            for (int t = 0; t < PARTS; t++) s[r * PARTS + t] += sign < 0 ? -(y * c[t]) : y * c[t];
        }
}

/* W[i0:i1] -= V[i0:i1] @ C */
static void SC_PASTE(tall_subtract, VNAME)(const void *V_, int64_t p, int64_t strideV, const void *C_, int64_t q,
                                            int64_t strideW, int64_t i0, int64_t i1, void *W_)
{
    const VAL *V = V_, *C = C_;
    VAL *W = W_;
    for (int64_t a = 0; a < p; a++)
        for (int64_t b = 0; b < q; b++) {
            const VAL *v = V + a * strideV + PW * i0;
            const VEC *c = (const VEC *)(C + b * PW * PW * p + PW * PW * a);
            VAL *w = W + b * strideW + PW * i0;
            int64_t i = i0, hop = 64 / q;
            const char *ahead = (const char *)(v + (a + 1 < p ? strideV : 0)) + (i1 - i0) * hop * b;
            for (; i + HOLD <= i1; i += HOLD, v += HOLD * PW, w += HOLD * PW) {
                VEC s[8], *to = (VEC *)w;
                for (int r = 0; r < HOLD; r++, ahead += hop) __builtin_prefetch(ahead, 0, 2);
#pragma GCC unroll 8
                for (int t = 0; t < 8; t++) s[t] = to[t];
                SC_PASTE(tall_tile, VNAME)(s, v, c, HOLD, -1);
#pragma GCC unroll 8
                for (int t = 0; t < 8; t++) to[t] = s[t];
            }
            for (; i < i1; i++, v += PW, w += PW) SC_PASTE(tall_tile, VNAME)((VEC *)w, v, c, 1, -1);
        }
}

/* T[0:i1-i0, 0:PW q] = V[i0:i1] @ Q, T row-major with PW q columns.  Meanwhile the next rows of the panels are asked
 * for, evenly: a run of rows is too short for the hardware's own prefetch.  Q's panels go by GROUP, which L1 holds. */
#define GROUP 16
#define TALL (SC_LEVEL >= 512 ? 8 : 12 / PARTS)
static void SC_PASTE(tall_rotate, VNAME)(const void *V_, int64_t p, int64_t strideV, const void *Q_, int64_t q,
                                          int64_t i0, int64_t i1, void *T_)
{
    const VAL *V = V_, *Q = Q_;
    VAL *T = T_;
    if (p == 0) memset(T, 0, (size_t)((i1 - i0) * q) * 64);
    for (int64_t a0 = 0; a0 < p; a0 += GROUP) {
        int64_t a1 = SC_MIN(p, a0 + GROUP);
        for (int64_t b = 0; b < q; b++) {
            const VEC *c = (const VEC *)(Q + b * PW * PW * p + PW * PW * a0);
            VAL *to = T + PW * b;
            int64_t i = i0, ahead0 = a0 + (a1 - a0) * b / q, ahead1 = a0 + (a1 - a0) * (b + 1) / q;
            for (; i + TALL <= i1; i += TALL, to += TALL * PW * q) {
                VEC s[12] = {0};
                for (int64_t a = ahead0; a < ahead1; a++)
                    for (int r = 0; r < TALL; r++)
                        __builtin_prefetch(V + a * strideV + PW * (i + (i1 - i0) + r), 0, 2);
                if (a0)
                    for (int r = 0; r < TALL; r++) memcpy(s + r * PARTS, to + r * PW * q, 64);
                for (int64_t a = a0; a < a1; a++)
                    SC_PASTE(tall_tile, VNAME)(s, V + a * strideV + PW * i, c + (a - a0) * PW * PARTS, TALL, 1);
                for (int r = 0; r < TALL; r++) memcpy(to + r * PW * q, s + r * PARTS, 64);
            }
            for (; i < i1; i++, to += PW * q) {
                VEC s[PARTS] = {0};
                if (a0) memcpy(s, to, 64);
                for (int64_t a = a0; a < a1; a++)
                    SC_PASTE(tall_tile, VNAME)(s, V + a * strideV + PW * i, c + (a - a0) * PW * PARTS, 1, 1);
                memcpy(to, s, 64);
            }
        }
    }
}
#undef GROUP
#undef TALL

/* c[l] += sum of b[i] X[i, l] over rows i0 to i1 of one panel */
static void SC_PASTE(tall_weigh, VNAME)(const void *b_, const void *X_, int64_t i0, int64_t i1, void *c_)
{
    const VAL *b = b_, *X = X_;
    VEC s[PARTS], *c = c_;
    for (int t = 0; t < PARTS; t++) s[t] = c[t];
    for (int64_t i = i0; i < i1; i++)
        for (int t = 0; t < PARTS; t++) s[t] += b[i] * *(const VEC *)(X + i * PW + t * LANES);
    for (int t = 0; t < PARTS; t++) c[t] = s[t];
}

/* Y[i, l] -= a[i] c[l] for rows i0 to i1 of one panel */
static void SC_PASTE(tall_spread, VNAME)(const void *a_, const void *c_, int64_t i0, int64_t i1, void *Y_)
{
    const VAL *a = a_;
    const VEC *c = c_;
    VAL *Y = Y_;
    for (int64_t i = i0; i < i1; i++)
        for (int t = 0; t < PARTS; t++) {
            VEC *y = (VEC *)(Y + i * PW + t * LANES);
            *y -= a[i] * c[t];
        }
}

/* sums[c] += squared lengths of the columns of Z - V diag(s), rows i0 to i1 of one panel of each */
static void SC_PASTE(tall_residual, VNAME)(const void *V_, const void *Z_, const double *s, int64_t i0, int64_t i1,
                                           double *sums)
{
    const VAL *V = V_, *Z = Z_;
    double total[64 / sizeof(VAL)] = {0};
    for (int64_t i = i0; i < i1; i++)
        for (int64_t c = 0; c < PW; c++) {
            double d = (double)Z[i * PW + c] - (double)V[i * PW + c] * s[c];
            total[c] += d * d;
        }
    for (int64_t c = 0; c < PW; c++) sums[c] += total[c];
}

/* top[c] = the entry of largest magnitude in column c of a panel of n rows, the first of equals */
static void SC_PASTE(tall_top, VNAME)(const void *V_, int64_t n, double *top)
{
    const VAL *V = V_;
    VAL best[64 / sizeof(VAL)], most[64 / sizeof(VAL)];
    for (int64_t c = 0; c < PW; c++) best[c] = most[c] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < PW; c++) {
            VAL v = V[i * PW + c], a = v < 0 ? -v : v;
            best[c] = a > most[c] ? v : best[c];
            most[c] = a > most[c] ? a : most[c];
        }
    for (int64_t c = 0; c < PW; c++) top[c] = best[c];
}

/* to[0:rows, 0:columns] = from diag(factor), rows of `from` ld apart; factor NULL: ones */
static void SC_PASTE(tall_move, VNAME)(void *to_, int64_t row, int64_t column, const void *from_, int64_t ld,
                                       int64_t rows, int64_t columns, const double *factor)
{
    VAL *to = to_;
    const VAL *from = from_;
    if (column == 1 && !factor) {
        for (int64_t i = 0; i < rows; i++) memcpy(to + i * row, from + i * ld, (size_t)columns * sizeof(VAL));
        return;
    }
    if (column == 1) {
        for (int64_t i = 0; i < rows; i++)
            for (int64_t l = 0; l < columns; l++) to[i * row + l] = from[i * ld + l] * (VAL)factor[l];
        return;
    }
    for (int64_t l = 0; l < columns; l++) {
        VAL f = factor ? (VAL)factor[l] : 1;
        for (int64_t i = 0; i < rows; i++) to[i * row + l * column] = from[i * ld + l] * f;
    }
}
#undef PW
#undef LANES
#undef PARTS
#undef HOLD
#undef VEC
