/* Masks of the k largest of several arrays together, in one read of them.
 *
 * A sample brackets the k-th magnitude.  The one pass writes 0 and 1 where an element is outside the bracket, and
 * inside a code that tells in which of some 250 equal steps of it; the counts of the codes tell in which step the k-th
 * lies.  A second pass, over the mask only, leaves the elements of that one step, a few in 10^5, for an exact choice.
 * Where the bracket missed, or one magnitude is so frequent that a step holds too many, the k-th is found first and the
 * mask written in a second read. */
#include "select.h"

#include <stdlib.h>

#define SAMPLES (64 << 10)
#define MORE_SAMPLES (200 << 10)      /* of more than MANY values, that the one step holds few */
#define MANY ((int64_t)1 << 27)
#define STEPS 252
#define ROOM 12000                    /* elements of one step */
#define KEYS_BYTES (600 << 10)        /* the sample and what comes of it; more with more samples */
#define MORE_KEYS_BYTES (940 << 10)
#define FAR_VALUES (8 << 20)          /* from so many on the mask is not kept in a cache */

struct undecided { int64_t which, at; uint64_t key; };

struct grading {
    uint8_t *const *mask;       /* of the arrays as they are in the pieces */
    uint64_t lo, hi, *top;      /* top: of each thread, as bins */
    int shift, far, code;
    int64_t (*bins)[256];
    int32_t *places;            /* ROOM of each thread */
    struct undecided *found;
    _Atomic int64_t count, *tied;       /* tied[k]: how many of the code were taken before part k; -1: not known yet */
    int64_t ties;
};

static uint8_t *mask_of(const struct grading *g, const struct sc_pieces *p, int64_t which, int64_t r, int64_t c)
{
    return g->mask[which] + r * p->W[which].cols + c;
}

static int grade_part(void *self, int slot, const struct sc_pieces *p, int64_t which, const struct sc_part *q,
                      int64_t number)
{
    (void)number;
    struct grading *g = self;
    sc_panel panel = sc_panel_of(&p->W[which], (size_t)2 << p->width, q, 0);
    for (int64_t r = q->r0; r < q->r1; r++)
        sc_kernels()->select->grade[p->width](panel.data + (r - q->r0) * panel.stride, q->c1 - q->c0, g->lo, g->hi,
                                              g->shift, mask_of(g, p, which, r, q->c0), g->far, g->bins[slot],
                                              &g->top[slot]);
    return SC_OK;
}

/* Decides all but the elements of the one step, which are collected. */
static int collect_part(void *self, int slot, const struct sc_pieces *p, int64_t which, const struct sc_part *q,
                        int64_t number)
{
    (void)number;
    struct grading *g = self;
    const sc_dense *W = &p->W[which];
    size_t size = (size_t)2 << p->width;
    int32_t *places = g->places + slot * (int64_t)ROOM;
    for (int64_t r = q->r0; r < q->r1; r++) {
        int64_t n = sc_kernels()->select->settle(mask_of(g, p, which, r, q->c0), q->c1 - q->c0, (uint8_t)g->code,
                                                 (uint8_t)(g->code + 1), places, ROOM);
        int64_t at = n ? atomic_fetch_add(&g->count, n) : 0;
        if (at + n > ROOM) return SC_CHANGED;       /* they were counted before */
        for (int64_t i = 0; i < n; i++) {
            char key[8];
            sc_kernels()->select->keys[p->width](sc_at(W, r, q->c0 + places[i], size), 1, key);
            g->found[at + i] = (struct undecided){which, r * W->cols + q->c0 + places[i], sc_key_at(p->width, key, 0)};
        }
    }
    return SC_OK;
}

/* The code stands for one magnitude, of which the first `ties` are taken. */
static int settle_part(void *self, int slot, const struct sc_pieces *p, int64_t which, const struct sc_part *q,
                       int64_t number)
{
    (void)slot;
    struct grading *g = self;
    const struct sc_select_kernels *s = sc_kernels()->select;
    int64_t n = q->c1 - q->c0, equal = 0, before = 0;
    for (int64_t r = q->r0; r < q->r1; r++)
        equal += s->count_code(mask_of(g, p, which, r, q->c0), n, (uint8_t)g->code);
    if (g->ties < g->bins[0][g->code]) before = sc_await(&g->tied[number]);
    int64_t quota = SC_MIN(equal, SC_MAX(0, g->ties - before));
    g->tied[number + 1] = before + quota;
    for (int64_t r = q->r0; r < q->r1; r++) {
        uint8_t *mask = mask_of(g, p, which, r, q->c0);
        for (int64_t c = 0; c < n && quota > 0 && quota < equal; c++) {
            if (mask[c] != g->code) continue;
            mask[c] = 1;
            quota--;
            equal--;
        }
        s->settle(mask, n, (uint8_t)g->code, (uint8_t)(g->code + (quota == 0)), 0, 0);
    }
    return SC_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct undecided *x = a, *y = b;
    if (x->which != y->which) return x->which < y->which ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Takes the `wanted` largest of what was collected, ties in order. */
static int take_collected(const struct sc_pieces *p, struct grading *g, int64_t wanted, uint64_t *keys)
{
    int64_t above, equal, n = g->count;
    if (wanted > n) return SC_CHANGED;
    qsort(g->found, (size_t)n, sizeof *g->found, by_place);
    for (int64_t i = 0; i < n; i++) keys[i] = g->found[i].key;
    uint64_t key = sc_kernels()->select->pick[2](keys, n, wanted, &above, &equal);
    int64_t ties = wanted - above;
    for (int64_t i = 0; i < n; i++) {
        const struct undecided *u = &g->found[i];
        if (u->key > key || (u->key == key && ties-- > 0)) *mask_of(g, p, u->which, 0, u->at) = 1;
    }
    return SC_OK;
}

/* Codes for the range of a sample; 0 where a step would hold too many, or that range is too wide for
 * the kernel. */
static int choose_steps(const struct sc_pieces *p, const struct sc_range *range, struct grading *g)
{
    uint64_t last = ((uint64_t)1 << (8 * (2 << p->width) - 1)) - 1;
    g->lo = range->lo;
    g->shift = 0;
    while (((range->hi - range->lo) >> g->shift) >= STEPS) g->shift++;
    uint64_t steps = ((range->hi - range->lo) >> g->shift) + 1;
    g->hi = range->lo + (steps << g->shift) - 1;
    if (g->hi > last) g->hi = last;
    if (sc_key_inf(p->W[0].val) + ((uint64_t)1 << g->shift) - g->lo > last) return 0;
    return g->shift == 0 || range->share * (double)p->values < ROOM / 2;
}

/* *done: the masks are written. */
static int in_one_read(const struct sc_pieces *p, int64_t k, int threads, struct grading *g, char *keys, int64_t bytes,
                       int *done)
{
    struct sc_range range;
    int status = sc_range_of_sample(p, k, p->values > MANY ? MORE_SAMPLES : SAMPLES, keys,
                                    bytes / ((int64_t)2 << p->width), &range);
    if (status != SC_OK || !choose_steps(p, &range, g)) return status;
    status = sc_everywhere(p, grade_part, g, threads);
    int64_t *bins = g->bins[0];
    for (int t = 1; t < threads; t++) {
        for (int code = 0; code < 256; code++) bins[code] += g->bins[t][code];
        g->top[0] = SC_MAX(g->top[0], g->top[t]);
    }
    if (status == SC_OK && g->top[0] > sc_key_inf(p->W[0].val)) status = SC_IS_NAN;
    if (status != SC_OK) return status;
    int64_t above = bins[1];
    g->code = 255;
    while (g->code >= 2 && above + bins[g->code] < k) above += bins[g->code--];
    if (k <= bins[1] || g->code < 2 || (g->shift && bins[g->code] > ROOM)) return SC_OK;
    g->ties = k - above;
    if (g->shift == 0) {
        status = sc_everywhere(p, settle_part, g, threads);
    } else {
        status = sc_everywhere(p, collect_part, g, threads);
        if (status == SC_OK) status = take_collected(p, g, g->ties, (uint64_t *)keys);
    }
    *done = 1;
    return status;
}

static int in_two_reads(const sc_dense *W, int64_t n, int64_t k, uint8_t *const *mask, int threads)
{
    uint64_t key;
    int64_t above, equal, count, tied;
    int status = sc_kth_key(W, n, k, threads, &key, &above, &equal);
    struct sc_rule rule = {.kind = SC_RANKED, .key = key, .ties = k - above};
    for (int64_t i = 0; i < n && status == SC_OK; i++) {
        struct sc_sink sink = {.mask = mask[i]};
        if (W[i].rows == 0 || W[i].cols == 0) continue;
        status = sc_select(&W[i], sc_val_size(W[i].val), &rule, &sink, threads, &count, &tied);
        rule.ties -= tied;
    }
    return status;
}

int sc_topk_masks(const sc_dense *W, int64_t n, int64_t k, uint8_t *const *mask, int threads)
{
    struct sc_pieces p;
    int status = sc_pieces_open(&p, W, n, 0), done = 0;
    if (status == SC_OK && (k < 1 || k > p.values)) status = SC_BAD_SHAPE;
    if (status != SC_OK || p.values < SAMPLES || p.gather) {
        sc_pieces_close(&p);
        return status == SC_OK ? in_two_reads(W, n, k, mask, threads) : status;
    }
    struct grading g = {.far = p.values >= FAR_VALUES};
    uint8_t **masks = sc_alloc(n, sizeof *masks);       /* without those of empty arrays */
    for (int64_t i = 0, at = 0; i < n && masks; i++)
        if (W[i].rows && W[i].cols) masks[at++] = mask[i];
    g.mask = masks;
    g.top = sc_calloc(threads, sizeof *g.top);
    g.bins = sc_calloc(threads, sizeof *g.bins);
    g.tied = sc_alloc(p.parts + 1, sizeof *g.tied);
    g.found = sc_alloc(ROOM, sizeof *g.found);
    g.places = sc_alloc(threads * (int64_t)ROOM, sizeof *g.places);
    int64_t bytes = p.values > MANY ? MORE_KEYS_BYTES : KEYS_BYTES;
    char *keys = sc_alloc(bytes, 1);
    if (!masks || !g.top || !g.bins || !g.tied || !g.found || !g.places || !keys) status = SC_NO_MEMORY;
    if (status == SC_OK) {
        for (int64_t i = 0; i <= p.parts; i++) g.tied[i] = i ? -1 : 0;
        status = in_one_read(&p, k, threads, &g, keys, bytes, &done);
    }
    sc_pieces_close(&p);
    sc_free(masks);
    sc_free(g.top);
    sc_free(g.bins);
    sc_free(g.tied);
    sc_free(g.found);
    sc_free(g.places);
    sc_free(keys);
    return status == SC_OK && !done ? in_two_reads(W, n, k, mask, threads) : status;
}
