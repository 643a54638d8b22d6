/* Selection in one read: a rule makes bits of each part while it is fetched, a sink writes from the bits while the part
 * is still in the second-level cache.  Where a part's entries go, and which of its ties are taken, follows from the
 * counts of the parts before it: each part waits for the sum of its predecessor, adds its own, and passes it on. */
#include "select.h"
#include "team.h"

struct sc_cuts sc_cuts_of(const sc_dense *W, size_t size, int64_t multiple)
{
    int in_place = W->col_stride == 1 || W->cols <= 1;
    int64_t most = (in_place ? SC_PART_BYTES : SC_PACK_BYTES) / (int64_t)size;
    int64_t step = 64 * multiple, wide = SC_MAX(step, most / step * step);
    struct sc_cuts c = {.rows = W->rows, .cols = W->cols};
    c.width = SC_MIN(W->cols, wide);
    c.across = c.width ? (W->cols + c.width - 1) / c.width : 1;
    c.height = c.across > 1 ? 1 : SC_MAX(1, SC_MIN(most / SC_MAX(c.width, 1), in_place ? 2048 : 16));
    c.n = c.across > 1 ? c.rows * c.across : (c.rows + c.height - 1) / c.height;
    return c;
}

struct sc_part sc_part_of(const struct sc_cuts *c, int64_t k)
{
    if (c->across > 1) {
        int64_t r = k / c->across, c0 = k % c->across * c->width;
        return (struct sc_part){r, r + 1, c0, SC_MIN(c0 + c->width, c->cols)};
    }
    return (struct sc_part){k * c->height, SC_MIN((k + 1) * c->height, c->rows), 0, c->cols};
}

sc_panel sc_panel_of(const sc_dense *W, size_t size, const struct sc_part *q, char *pack)
{
    int64_t n = q->c1 - q->c0;
    if (W->col_stride == 1 || W->cols <= 1)
        return (sc_panel){sc_at(W, q->r0, q->c0, size), W->row_stride * (int64_t)size};
    /* Columns outside: where columns are contiguous, the rows of a panel share cache lines. */
    for (int64_t c = 0; c < n; c++) {
        const char *x = sc_at(W, q->r0, q->c0 + c, size);
        for (int64_t r = 0; r < q->r1 - q->r0; r++)
            memcpy(pack + (r * n + c) * (int64_t)size, x + r * W->row_stride * (int64_t)size, size);
    }
    return (sc_panel){pack, n * (int64_t)size};
}

/* ---- one part ----------------------------------------------------------------------------------- */

struct job {
    const sc_dense *W;
    size_t size;
    int width, log_size;          /* of keys; of values */
    int moduli;                   /* of which there are keys */
    uint64_t inf;
    const struct sc_rule *rule;
    const struct sc_sink *sink;
    struct sc_cuts cuts;
    int64_t line;                 /* words of a row of a part */
    _Atomic int64_t *taken, *tied;        /* before part k; -1: not known yet */
};

struct scratch {
    uint64_t *larger, *same;
    char *pack, *buffer;
    int64_t room;
    struct sc_guess guess;
};

/* larger, same: bits of one row of n values; adds to *above, *equal */
static int bits_of_row(const struct job *j, struct scratch *s, const char *x, int64_t r, int64_t c0, int64_t n,
                       uint64_t *larger, uint64_t *same, int64_t *above, int64_t *equal)
{
    const struct sc_kernels *kernels = sc_kernels();
    const struct sc_rule *rule = j->rule;
    uint64_t top = 0;
    switch (rule->kind) {
    case SC_AT_LEAST:
    case SC_NONZERO:
        *above += kernels->select->at_least[j->width](x, n, rule->kind == SC_NONZERO ? 1 : rule->key, larger, &top);
        return rule->kind == SC_AT_LEAST && top > j->inf ? SC_IS_NAN : SC_OK;
    case SC_RANKED:
        kernels->select->ranked[j->width](x, n, rule->key, larger, same, above, equal);
        return SC_OK;
    case SC_MASKED:
        *above += kernels->threshold->bits_of_bytes(rule->mask + r * j->W->cols + c0, n, larger);
        return SC_OK;
    case SC_GROUPS:
        kernels->threshold->groups[j->width](x, n, rule->keep, rule->group, larger, &top);
        for (int64_t w = 0; w * 64 < n; w++) *above += __builtin_popcountll(larger[w]);
        return top > j->inf ? SC_IS_NAN : SC_OK;
    case SC_ROWS: {
        struct sc_found f;
        int64_t a = 0, e = 0;
        if (rule->keep == 0) {
            *above += kernels->select->at_least[j->width](x, n, j->inf + 1, larger, &top);
            return top > j->inf ? SC_IS_NAN : SC_OK;
        }
        int status = sc_kth_serial(j->width, x, n, rule->keep, &s->guess, s->buffer, s->room, &f, &top);
        if (status != SC_OK || top > j->inf) return status != SC_OK ? status : SC_IS_NAN;
        kernels->select->ranked[j->width](x, n, f.key, larger, same, &a, &e);
        if (a > rule->keep || a + e < rule->keep) return SC_CHANGED;
        kernels->threshold->take_first(larger, same, (n + 63) / 64, rule->keep - a);
        *above += rule->keep;
        return SC_OK;
    }
    }
    return SC_BAD_TYPE;
}

static int do_part(const struct job *j, struct scratch *s, int64_t k)
{
    const struct sc_threshold_kernels *kernels = sc_kernels()->threshold;
    const struct sc_sink *sink = j->sink;
    struct sc_part q = sc_part_of(&j->cuts, k);
    sc_panel panel = {0, 0};
    if (j->moduli) panel = sc_moduli_of(j->W, &q, s->pack);
    else if (j->rule->kind != SC_MASKED || sink->data) panel = sc_panel_of(j->W, j->size, &q, s->pack);
    int64_t n = q.c1 - q.c0, words = (n + 63) / 64, above = 0, equal = 0, cols = j->cuts.cols;
    int status = SC_OK;
    for (int64_t r = q.r0; r < q.r1; r++) {
        int64_t i = r - q.r0;
        int found = bits_of_row(j, s, panel.data + i * panel.stride, r, q.c0, n, s->larger + i * j->line,
                                s->same + i * j->line, &above, &equal);
        if (found != SC_OK) status = found;
    }
    int64_t tied = sc_await(&j->tied[k]), at = sc_await(&j->taken[k]);
    int64_t quota = SC_MIN(equal, SC_MAX(0, j->rule->ties - tied));
    j->tied[k + 1] = tied + quota;
    j->taken[k + 1] = at + above + quota;
    if (status != SC_OK) return status;

    int64_t end = at + above + quota;
    int entire = end <= sink->room;
    for (int64_t r = q.r0; r < q.r1; r++) {
        int64_t i = r - q.r0;
        uint64_t *bits = s->larger + i * j->line;
        if (quota) quota -= kernels->take_first(bits, s->same + i * j->line, words, quota);
        if (sink->mask) kernels->bytes_of_bits(bits, n, sink->mask + r * cols + q.c0);
        if (sink->words) memcpy(sink->words + r * ((cols + 63) / 64) + q.c0 / 64, bits, (size_t)words * 8);
        if (!sink->indptr) continue;
        if (entire && sink->data) {
            char *indices = sink->indices;
            at += kernels->compact[sink->wide && indices][j->log_size](
                bits, n, panel.data + i * panel.stride, q.c0, (char *)sink->data + (size_t)at * j->size,
                indices ? indices + at * (sink->wide ? 8 : 4) : 0, end - at);
        } else {
            for (int64_t w = 0; w < words; w++) at += __builtin_popcountll(bits[w]);
        }
        if (q.c1 == cols) {
            if (sink->wide) ((int64_t *)sink->indptr)[r + 1] = at; else ((int32_t *)sink->indptr)[r + 1] = (int32_t)at;
        }
    }
    return SC_OK;
}

/* ---- all parts ---------------------------------------------------------------------------------- */

struct wave {
    const struct job *job;
    struct scratch *scratch;      /* of every thread */
    int64_t first;
    int status;
};

static void part_of_wave(void *wave, int64_t k, int thread)
{
    struct wave *w = wave;
    sc_report(&w->status, do_part(w->job, &w->scratch[thread], w->first + k));
}

static int log2_size(size_t size)
{
    for (int i = 0; i < 5; i++)
        if (size == (size_t)1 << i) return i;
    return -1;
}

int sc_select(const sc_dense *W, size_t size, const struct sc_rule *rule, const struct sc_sink *sink, int threads,
              int64_t *count, int64_t *tied)
{
    struct job j = {.W = W, .size = size, .width = sc_key_width(W->val), .log_size = log2_size(size),
                    .inf = sc_key_inf(W->val), .rule = rule, .sink = sink};
    *count = *tied = 0;
    j.moduli = rule->kind != SC_MASKED && sc_is_complex(W->val);
    if (j.moduli) j.size = size / 2;
    if (j.log_size < 0 || (j.width < 0 && rule->kind != SC_MASKED)) return SC_BAD_TYPE;
    if (j.moduli && sink->data) return SC_BAD_TYPE;        /* a mask of them, then what it selects */
    j.cuts = sc_cuts_of(W, j.size, rule->kind == SC_GROUPS ? rule->group : 1);
    if (rule->kind == SC_ROWS && j.cuts.across > 1)
        j.cuts = (struct sc_cuts){W->rows, W->cols, 1, W->cols, 1, W->rows};
    int in_place = !j.moduli && (W->col_stride == 1 || W->cols <= 1);
    j.line = (j.cuts.width + 63) / 64;
    int64_t bits = SC_MAX(1, j.cuts.height * j.line), room = SC_PART_BYTES * 2 / (int64_t)j.size;
    int64_t pack = in_place ? 64 : j.cuts.height * j.cuts.width * (int64_t)j.size;
    if (sink->indptr) {
        if (sink->wide) *(int64_t *)sink->indptr = 0; else *(int32_t *)sink->indptr = 0;
    }
    j.taken = sc_alloc(j.cuts.n + 1, sizeof *j.taken);
    j.tied = sc_alloc(j.cuts.n + 1, sizeof *j.tied);
    struct scratch *s = sc_calloc(threads, sizeof *s);
    uint64_t *words = sc_alloc(2 * bits * threads, sizeof *words);
    char *packs = sc_alloc(threads, (size_t)pack);
    char *buffers = sc_alloc(threads, rule->kind == SC_ROWS ? SC_PART_BYTES * 2 : 64);
    int status = j.taken && j.tied && s && words && packs && buffers ? SC_OK : SC_NO_MEMORY;
    if (status == SC_OK) {
        for (int64_t k = 0; k <= j.cuts.n; k++) j.taken[k] = j.tied[k] = k ? -1 : 0;
        for (int t = 0; t < threads; t++)
            s[t] = (struct scratch){words + 2 * bits * t, words + (2 * t + 1) * bits, packs + pack * t,
                                    buffers + (rule->kind == SC_ROWS ? SC_PART_BYTES * 2 : 64) * (int64_t)t, room,
                                    {0, 0, 0}};
    }
    int64_t wave = in_place ? SC_POLL_PARTS : SC_POLL_PARTS / 32;      /* columns are read far more slowly */
    for (int64_t from = 0; from < j.cuts.n && status == SC_OK; from += wave) {
        int64_t to = SC_MIN(j.cuts.n, from + wave);
        struct wave w = {&j, s, from, SC_OK};
        /* A team gives parts out in rising order, so a part's predecessor has always begun: no deadlock. */
        sc_team(to - from, 1, threads, part_of_wave, &w);
        status = w.status;
        if (status == SC_OK && to < j.cuts.n) status = sc_poll();
    }
    if (status == SC_OK) {
        *count = j.taken[j.cuts.n];
        *tied = j.tied[j.cuts.n];
    }
    sc_free(j.taken);
    sc_free(j.tied);
    sc_free(s);
    sc_free(words);
    sc_free(packs);
    sc_free(buffers);
    return status;
}
