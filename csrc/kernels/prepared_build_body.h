/* The layouts from a canonical matrix.  `part` is a block of rows of A: of rows of the layout, or by_columns of its
 * columns.  A fill trusts the counts, not A, which may have changed: no write goes beyond what was counted, and no
 * local column beyond its tile. */

static int64_t FN(blocks)(const sc_prepared *P) { return (P->cols + P->block_cols - 1) / P->block_cols; }

/* ---- one block of columns: CSR16 and BITMASK -------------------------------------------------------------------- */

static void FN(csr16_count)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part)
{
    (void)by_columns;
    const PTR *ptr = A->indptr;
    int64_t r0 = part * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    /* Rising within 0..nnz whatever A has become. */
    int64_t low = 0;
    for (int64_t r = r0; r < r1; r++) P->start[r] = low = SC_MIN(SC_MAX(low, ptr[r]), A->nnz);
    if (r1 == P->rows) P->start[r1] = A->nnz;
}

static int FN(csr16_fill)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, void *scratch)
{
    (void)by_columns;
    (void)scratch;
    const IDX *col = A->indices;
    int64_t r0 = part * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows), p0 = P->start[r0], p1 = P->start[r1];
    uint16_t *to = P->index;
    UIDX top = 0;
    for (int64_t p = p0; p < p1; p++) {
        to[p] = (uint16_t)col[p];
        top = SC_MAX(top, (UIDX)col[p]);
    }
    memcpy((VAL *)P->data + p0, (const VAL *)A->data + p0, (size_t)(p1 - p0) * sizeof(VAL));
    return p0 == p1 || (uint64_t)top < (uint64_t)P->cols;
}

static void FN(bitmask_count)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part)
{
    const IDX *col = A->indices;
    int64_t words = (P->cols + 15) / 16, r0 = part * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    FN(csr16_count)(A, P, by_columns, part);
    const PTR *ptr = A->indptr;
    for (int64_t r = r0; r < r1; r++) {
        uint16_t *mask = (uint16_t *)P->heads + r * words;
        for (int64_t p = SC_MAX(ptr[r], 0), end = SC_MIN(ptr[r + 1], A->nnz); p < end; p++) {
            int64_t c = col[p];
            if ((uint64_t)c < (uint64_t)P->cols) mask[c >> 4] |= (uint16_t)(1u << (c & 15));
        }
    }
}

static int FN(bitmask_fill)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, void *scratch)
{
    (void)by_columns;
    (void)scratch;
    int64_t words = (P->cols + 15) / 16, r0 = part * P->block_rows, r1 = SC_MIN(P->rows, r0 + P->block_rows);
    int64_t p0 = P->start[r0], p1 = P->start[r1];
    memcpy((VAL *)P->data + p0, (const VAL *)A->data + p0, (size_t)(p1 - p0) * sizeof(VAL));
    const uint16_t *mask = P->heads;
    for (int64_t r = r0; r < r1; r++) {
        int64_t bits = 0;
        for (int64_t k = r * words; k < (r + 1) * words; k++) bits += __builtin_popcount(mask[k]);
        if (bits != P->start[r + 1] - P->start[r]) return 0;
    }
    return 1;
}

/* ---- SLICED: start[slice] holds its number of entries until the driver sums up ----------------------------------- */

static void FN(sliced_count)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part)
{
    (void)by_columns;
    const PTR *ptr = A->indptr;
    int64_t rows = P->block_rows, r0 = part * rows, n = SC_MIN(rows, P->rows - r0);
    uint8_t *id = (uint8_t *)P->heads + r0;
    int64_t *entries = P->start + r0 / SC_SLICE;
    uint32_t key[256];          /* by falling count, equal ones by row: the count is at most 65,535 */
    for (int64_t i = 0; i < rows; i++) {
        int64_t count = i < n ? (int64_t)ptr[r0 + i + 1] - ptr[r0 + i] : 0, j = i;
        uint32_t own = (uint32_t)(65535 - SC_MIN(SC_MAX(count, 0), 65535)) << 8 | (uint32_t)i;
        for (; j > 0 && key[j - 1] > own; j--) key[j] = key[j - 1];
        key[j] = own;
    }
    for (int64_t i = 0; i < rows; i++) {
        id[i] = (uint8_t)key[i];
        if (i % SC_SLICE == 0) entries[i / SC_SLICE] = (65535 - (key[i] >> 8)) * SC_SLICE;
    }
}

static int FN(sliced_fill)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, void *scratch)
{
    (void)by_columns;
    (void)scratch;
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    int64_t rows = P->block_rows, r0 = part * rows, n = SC_MIN(rows, P->rows - r0);
    const uint8_t *id = (const uint8_t *)P->heads + r0;
    UIDX top = 0;
    for (int64_t i = 0; i < rows; i++) {
        int64_t to = P->start[(r0 + i) / SC_SLICE] + i % SC_SLICE, to_end = P->start[(r0 + i) / SC_SLICE + 1];
        int64_t p = id[i] < n ? ptr[r0 + id[i]] : 0, end = id[i] < n ? ptr[r0 + id[i] + 1] : 0;
        if (p < 0 || end > A->nnz || (end - p) * SC_SLICE > to_end - (to - i % SC_SLICE)) return 0;
        for (; p < end; p++, to += SC_SLICE) {
            ((uint16_t *)P->index)[to] = (uint16_t)col[p];
            ((VAL *)P->data)[to] = val[p];
            top = SC_MAX(top, (UIDX)col[p]);
        }
        for (; to < to_end; to += SC_SLICE) {
            ((uint16_t *)P->index)[to] = (uint16_t)P->cols;
            ((VAL *)P->data)[to] = 0;
        }
    }
    return (uint64_t)top < (uint64_t)P->cols;
}

/* ---- LISTED: start[2 part] and start[2 part + 1] hold the sizes of a part until the driver sums up --------------- */

/* The row masks of all columns in a group of four rows from r on; where asked for, dense[4 column + row] are its
 * values.  0 where a column lies outside. */
static int FN(group_masks)(const sc_csr *A, int64_t r, int64_t cols, uint8_t *masks, VAL *dense)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    memset(masks, 0, (size_t)cols);
    for (int i = 0; i < 4 && r + i < A->rows; i++)
        for (int64_t p = SC_MAX(ptr[r + i], 0), end = SC_MIN(ptr[r + i + 1], A->nnz); p < end; p++) {
            uint64_t c = (uint64_t)(UIDX)col[p];
            if (c >= (uint64_t)cols) return 0;
            masks[c] |= (uint8_t)(1 << i);
            if (dense) dense[4 * c + i] = val[p];
        }
    return 1;
}

static void FN(listed_count)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part)
{
    (void)by_columns;
    int64_t columns = 0, values = 0;
    uint8_t masks[65536];
    for (int64_t g = part * P->block_rows / 4; g < (part + 1) * P->block_rows / 4; g++) {
        uint16_t *eights = (uint16_t *)P->heads + g * 16;
        int64_t count[16] = {0};
        FN(group_masks)(A, g * 4, P->cols, masks, NULL);
        for (int64_t c = 0; c < P->cols; c++) count[masks[c]]++;
        for (unsigned m = 1; m < 16; m++) {
            int64_t n = (count[m] + SC_EIGHT - 1) / SC_EIGHT;
            eights[m] = (uint16_t)n;
            columns += n * SC_EIGHT;
            values += n * SC_EIGHT * __builtin_popcount(m);
        }
    }
    P->start[2 * part] = columns;
    P->start[2 * part + 1] = values;
}

/* scratch: dense | masks */
static int FN(listed_fill)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, void *scratch)
{
    (void)by_columns;
    VAL *dense = scratch;
    uint8_t *masks = (uint8_t *)(dense + 4 * P->cols);
    uint16_t *index = (uint16_t *)P->index + P->start[2 * part];
    VAL *data = (VAL *)P->data + P->start[2 * part + 1];
    /* The rows of a mask, the last one again up to four: four stores without a branch. */
    uint8_t row[16][4], slot[16][4];
    for (int m = 1; m < 16; m++) {
        int n = 0;
        for (int i = 0; i < 4; i++)
            if (m >> i & 1) row[m][n++] = (uint8_t)i;
        for (int j = 0; j < 4; j++) {
            slot[m][j] = (uint8_t)(SC_EIGHT * SC_MIN(j, n - 1));
            row[m][j] = row[m][SC_MIN(j, n - 1)];
        }
    }
    for (int64_t g = part * P->block_rows / 4; g < (part + 1) * P->block_rows / 4; g++) {
        const uint16_t *eights = (const uint16_t *)P->heads + g * 16;
        uint16_t *list[16];
        VAL *values[16];
        int64_t count[16] = {0}, room[16] = {0};
        for (int m = 1; m < 16; m++) {
            int64_t rows = __builtin_popcount((unsigned)m);
            room[m] = (int64_t)eights[m] * SC_EIGHT;
            list[m] = index;
            values[m] = data;
            for (int64_t k = SC_MAX(room[m] - SC_EIGHT, 0); k < room[m]; k++) index[k] = (uint16_t)P->cols;
            if (room[m]) memset(data + (room[m] - SC_EIGHT) * rows, 0, (size_t)(SC_EIGHT * rows) * sizeof(VAL));
            index += room[m];
            data += room[m] * rows;
        }
        if (!FN(group_masks)(A, g * 4, P->cols, masks, dense)) return 0;
        for (int64_t c = 0; c < P->cols; c++) {
            int m = masks[c];
            if (!m) continue;
            int64_t k = count[m]++;
            if (k >= room[m]) return 0;
            list[m][k] = (uint16_t)c;
            VAL *to = values[m] + k % SC_EIGHT;
            for (int j = 0; j < 4; j++) to[slot[m][j]] = dense[4 * c + row[m][j]];
            if (k % SC_EIGHT == SC_EIGHT - 1) values[m] += SC_EIGHT * __builtin_popcount((unsigned)m);
        }
        /* Fewer than were counted: the last eight of a list must be the one that was filled up. */
        for (int m = 1; m < 16; m++)
            if (count[m] + SC_EIGHT <= room[m]) return 0;
    }
    return 1;
}

/* ---- BLOCKED: counts in heads[tile][1], in row order until they are sorted -------------------------------------- */

static void FN(blocked_count)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    int64_t rows = P->block_rows, blocks = FN(blocks)(P);
    uint8_t *heads = P->heads;
    if (by_columns) {
        int shift = __builtin_ctzll((unsigned long long)rows);
        int64_t p1 = SC_MIN(ptr[SC_MIN(A->rows, (part + 1) * P->block_cols)], A->nnz);
        for (int64_t p = SC_MAX(ptr[part * P->block_cols], 0); p < p1; p++) {
            int64_t c = col[p];
            if ((uint64_t)c < (uint64_t)P->rows)
                heads[((c >> shift) * blocks + part) * 2 * rows + rows + (c & (rows - 1))]++;
        }
        return;
    }
    for (int64_t r = part * rows; r < SC_MIN(A->rows, (part + 1) * rows); r++) {
        uint8_t *count = heads + part * blocks * 2 * rows + rows + (r - part * rows);
        int64_t p = SC_MAX(ptr[r], 0), end = SC_MIN(ptr[r + 1], A->nnz);
        for (int64_t limit = P->block_cols; p < end && limit < P->cols + P->block_cols; limit += P->block_cols) {
            int64_t first = p;
            while (p < end && col[p] < limit) p++;
            *count = (uint8_t)(p - first);
            count += 2 * rows;
        }
    }
}

static int FN(blocked_fill)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, void *scratch)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    int64_t rows = P->block_rows, blocks = FN(blocks)(P);
    const uint8_t *heads = P->heads;
    uint8_t *index = P->index;
    VAL *data = P->data;
    if (by_columns) {
        int64_t *to = scratch;
        for (int64_t rb = 0; rb * rows < P->rows; rb++) {
            const uint8_t *id = heads + (rb * blocks + part) * 2 * rows;
            int64_t q = P->start[rb * blocks + part];
            for (int64_t i = 0; i < rows; q += id[rows + i], i++) to[rb * rows + id[i]] = q;
        }
        for (int64_t r = part * P->block_cols; r < SC_MIN(A->rows, (part + 1) * P->block_cols); r++)
            for (int64_t p = ptr[r]; p < ptr[r + 1]; p++) {
                if (p < 0 || p >= A->nnz || (uint64_t)col[p] >= (uint64_t)P->rows) return 0;
                int64_t q = to[col[p]]++;
                if (q >= P->nnz) return 0;
                index[q] = (uint8_t)(r - part * P->block_cols);
                data[q] = val[p];
            }
        return 1;
    }
    int64_t from[256], r0 = part * rows;
    for (int64_t i = 0; i < rows; i++) from[i] = r0 + i < A->rows ? ptr[r0 + i] : 0;
    for (int64_t kb = 0; kb < blocks; kb++) {
        const uint8_t *id = heads + (part * blocks + kb) * 2 * rows, *count = id + rows;
        int64_t q = P->start[part * blocks + kb], k0 = kb * P->block_cols;
        for (int64_t i = 0; i < rows && count[i]; i++) {
            int64_t p = from[id[i]], n = count[i];
            if (p < 0 || p + n > A->nnz) return 0;
            UIDX top = 0;
            for (int64_t j = 0; j < n; j++) {
                UIDX local = (UIDX)col[p + j] - (UIDX)k0;
                index[q + j] = (uint8_t)local;
                top = SC_MAX(top, local);
            }
            if (top >= (UIDX)SC_MIN(P->block_cols, P->cols - k0)) return 0;
            memcpy(data + q, val + p, (size_t)n * sizeof(VAL));
            q += n;
            from[id[i]] += n;
        }
    }
    return 1;
}

/* ---- PATTERNED -------------------------------------------------------------------------------------------------- */

/* The next tile of a part as masks[group][column] and, if asked for, dense[group][column][4].  The rows of A in the
 * part are read on from `from`. */
static int FN(patterned_tile)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, int64_t other,
                              int64_t *from, uint8_t *masks, VAL *dense)
{
    const PTR *ptr = A->indptr;
    const IDX *col = A->indices;
    const VAL *val = A->data;
    int64_t rows = P->block_rows, cols = P->block_cols;
    int64_t own = by_columns ? cols : rows, across = by_columns ? rows : cols;
    int64_t r0 = part * own, c0 = other * across, m = SC_MIN(own, A->rows - r0), c1 = SC_MIN(c0 + across, A->cols);
    memset(masks, 0, (size_t)(rows / 4 * cols));
    for (int64_t o = 0; o < m; o++) {
        int64_t p = from[o], end = ptr[r0 + o + 1];
        if (p < 0 || end > A->nnz) return 0;
        for (; p < end && col[p] < c1; p++) {
            int64_t l = col[p] - c0;
            if (l < 0) return 0;
            int64_t i = by_columns ? l : o, at = (i >> 2) * cols + (by_columns ? o : l);
            masks[at] |= (uint8_t)(1 << (i & 3));
            if (dense) dense[4 * at + (i & 3)] = val[p];
        }
        from[o] = p;
    }
    return 1;
}

static void FN(patterned_begin)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, int64_t *from)
{
    int64_t own = by_columns ? P->block_cols : P->block_rows, r0 = part * own;
    for (int64_t o = 0; o < SC_MIN(own, A->rows - r0); o++) from[o] = ((const PTR *)A->indptr)[r0 + o];
}

/* Counted as it is filled: a part keeps its entries where A has them, so it knows its place from the start.
 * scratch: int64 from[256] | dense | masks */
static int FN(patterned_fill)(const sc_csr *A, const sc_prepared *P, int by_columns, int64_t part, void *scratch)
{
    int64_t *from = scratch, groups = P->block_rows / 4, cols = P->block_cols, blocks = FN(blocks)(P);
    int64_t others = by_columns ? (P->rows + P->block_rows - 1) / P->block_rows : blocks;
    int64_t own = by_columns ? cols : P->block_rows, r0 = part * own, r1 = SC_MIN(A->rows, r0 + own);
    int64_t first = ((const PTR *)A->indptr)[r0], end = ((const PTR *)A->indptr)[r1], listed = first;
    if (first < 0 || end > P->nnz) return 0;
    VAL *dense = (VAL *)(from + 256), values[4 * 256];
    uint8_t *masks = (uint8_t *)(dense + groups * cols * 4);
    FN(patterned_begin)(A, P, by_columns, part, from);
    for (int64_t other = 0; other < others; other++) {
        int64_t tile = by_columns ? other * blocks + part : part * blocks + other;
        uint8_t *count = (uint8_t *)P->heads + tile * groups * 16;
        P->start[2 * tile] = listed;
        P->start[2 * tile + 1] = first;
        if (!FN(patterned_tile)(A, P, by_columns, part, other, from, masks, dense)) return 0;
        for (int64_t g = 0; g < groups; g++, count += 16) {
            const uint8_t *mask = masks + g * cols;
            for (int64_t k = 0; k < cols; k++) count[mask[k]]++;
            count[0] = 0;
            int at[16], n = 0, q = 0;
            at[0] = 256;            /* empty columns: sorted out of the way */
            for (int m = 1; m < 16; n += count[m], m++) at[m] = n;
            uint8_t order[512];
            for (int64_t k = 0; k < cols; k++) order[at[mask[k]]++] = (uint8_t)k;
            /* Four stores without a branch; the pointer keeps those that the mask has. */
            for (int k = 0; k < n; k++) {
                const VAL *d = dense + (g * cols + order[k]) * 4;
                int m = mask[order[k]];
                values[q] = d[0]; q += m & 1;
                values[q] = d[1]; q += m >> 1 & 1;
                values[q] = d[2]; q += m >> 2 & 1;
                values[q] = d[3]; q += m >> 3;
            }
            if (first + q > end) return 0;
            memcpy((uint8_t *)P->index + listed, order, (size_t)n);
            memcpy((VAL *)P->data + first, values, (size_t)q * sizeof(VAL));
            listed += n;
            first += q;
        }
    }
    return first == end;
}
