/* A tall matrix is held as panels of 8 columns: element (i, 8 p + c) at V[p * stride + 8 i + c].  A row of a panel is
 * one vector, a panel is one stream.  Small matrices (8 p x 8 q) are panels too, with stride 64 p.
 * The compiler splits VEC where the registers are narrower. */
typedef VAL SC_PASTE(sc_vec, VNAME) __attribute__((vector_size(8 * sizeof(VAL)), aligned(sizeof(VAL))));
#define VEC SC_PASTE(sc_vec, VNAME)

/* C += V[i0:i1].T @ W[i0:i1]: p x q panels */
static void SC_PASTE(tall_inner, VNAME)(const void *V_, int64_t p, int64_t strideV, const void *W_, int64_t q,
                                         int64_t strideW, int64_t i0, int64_t i1, void *C_)
{
    const VAL *V = V_, *W = W_;
    VAL *C = C_;
    for (int64_t a = 0; a < p; a++)
        for (int64_t b = 0; b < q; b++) {
            const VAL *v = V + a * strideV + 8 * i0, *w = W + b * strideW + 8 * i0;
            VEC *c = (VEC *)(C + b * 64 * p + 64 * a);
            VEC c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3], c4 = c[4], c5 = c[5], c6 = c[6], c7 = c[7];
            for (int64_t i = i0; i < i1; i++, v += 8, w += 8) {
                VEC x = *(const VEC *)w;
                c0 += v[0] * x; c1 += v[1] * x; c2 += v[2] * x; c3 += v[3] * x;
                c4 += v[4] * x; c5 += v[5] * x; c6 += v[6] * x; c7 += v[7] * x;
            }
            c[0] = c0; c[1] = c1; c[2] = c2; c[3] = c3; c[4] = c4; c[5] = c5; c[6] = c6; c[7] = c7;
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
            const VAL *v = V + a * strideV + 8 * i0;
            const VEC *c = (const VEC *)(C + b * 64 * p + 64 * a);
            const VEC c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3], c4 = c[4], c5 = c[5], c6 = c[6], c7 = c[7];
            VAL *w = W + b * strideW + 8 * i0;
            for (int64_t i = i0; i < i1; i++, v += 8, w += 8) {
                VEC x = *(VEC *)w, y = v[1] * c1;
                x -= v[0] * c0; y += v[3] * c3; x -= v[2] * c2; y += v[5] * c5;
                x -= v[4] * c4; y += v[7] * c7; x -= v[6] * c6;
                *(VEC *)w = x - y;
            }
        }
}

/* T[0:i1-i0, 0:8q] = V[i0:i1] @ Q, T row-major with 8 q columns */
static void SC_PASTE(tall_rotate, VNAME)(const void *V_, int64_t p, int64_t strideV, const void *Q_, int64_t q,
                                          int64_t i0, int64_t i1, void *T_)
{
    const VAL *V = V_, *Q = Q_;
    VAL *T = T_;
    for (int64_t b = 0; b < q; b++) {
        int64_t i = i0;
        for (; i + 8 <= i1; i += 8) {
            const VEC *c = (const VEC *)(Q + b * 64 * p);
            VEC t0 = {0}, t1 = t0, t2 = t0, t3 = t0, t4 = t0, t5 = t0, t6 = t0, t7 = t0;
            for (int64_t a = 0; a < p; a++) {
                const VAL *v = V + a * strideV + 8 * i;
                for (int j = 0; j < 8; j++, v++, c++) {
                    VEC x = *c;
                    t0 += v[0] * x; t1 += v[8] * x; t2 += v[16] * x; t3 += v[24] * x;
                    t4 += v[32] * x; t5 += v[40] * x; t6 += v[48] * x; t7 += v[56] * x;
                }
            }
            VAL *t = T + (i - i0) * 8 * q + 8 * b;
            *(VEC *)t = t0; *(VEC *)(t + 8 * q) = t1; *(VEC *)(t + 16 * q) = t2; *(VEC *)(t + 24 * q) = t3;
            *(VEC *)(t + 32 * q) = t4; *(VEC *)(t + 40 * q) = t5; *(VEC *)(t + 48 * q) = t6; *(VEC *)(t + 56 * q) = t7;
        }
        for (; i < i1; i++) {
            const VEC *c = (const VEC *)(Q + b * 64 * p);
            VEC t = {0};
            for (int64_t a = 0; a < p; a++)
                for (int j = 0; j < 8; j++, c++) t += V[a * strideV + 8 * i + j] * *c;
            *(VEC *)(T + (i - i0) * 8 * q + 8 * b) = t;
        }
    }
}
#undef VEC
