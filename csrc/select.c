/* The k-th largest magnitude, exactly, in about one read.
 *
 * A fixed sample brackets the answer: lo < |w| < hi holds the k-th with near certainty and few others.  One pass counts
 * what is above and keeps what is strictly inside; the answer is picked among those.  Where the bracket missed, or too
 * many lie inside, histograms narrow the range by 11 bits a pass: slower, never wrong. */
#include "select.h"

#include <math.h>

#include "team.h"

#define SIGMAS 3.0
#define RUN 16                  /* neighbours sampled together: a cache line of f32 */
#define BINS 2048
#define POOL_BYTES (800 << 10)  /* candidates, for each thread; less beside a buffer for gathered rows */
#define POOL_BYTES_BESIDE (128 << 10)
#define MOST_SAMPLES (240 << 10)

int sc_key_width(enum sc_val val)
{
    switch (val) {
    case SC_F16: case SC_BF16: return 0;
    case SC_F32: case SC_C64: return 1;
    case SC_F64: case SC_C128: return 2;
    default: return -1;
    }
}

uint64_t sc_key_inf(enum sc_val val)
{
    switch (val) {
    case SC_F16: return 0x7c00;
    case SC_BF16: return 0x7f80;
    case SC_F32: case SC_C64: return 0x7f800000;
    default: return 0x7ff0000000000000;
    }
}

/* ---- moduli ------------------------------------------------------------------------------- */

static void hypot_of(int wide, const void *z, int64_t n, void *moduli)
{
    for (int64_t i = 0; i < n; i++)
        if (wide) ((double *)moduli)[i] = hypot(((const double *)z)[2 * i], ((const double *)z)[2 * i + 1]);
        else ((float *)moduli)[i] = hypotf(((const float *)z)[2 * i], ((const float *)z)[2 * i + 1]);
}

static sc_modulus_fn *modulus = hypot_of;
void sc_set_modulus(sc_modulus_fn *other) { modulus = other; }

sc_panel sc_moduli_of(const sc_dense *W, const struct sc_part *q, char *pack)
{
    enum { RUN_BYTES = 8192 };
    char run[RUN_BYTES];
    int wide = W->val == SC_C128;
    int64_t size = 8 << wide, n = q->c1 - q->c0, most = RUN_BYTES / size;
    for (int64_t r = q->r0; r < q->r1; r++)
        for (int64_t c = 0; c < n; c += most) {
            const char *z = sc_at(W, r, q->c0 + c, (size_t)size);
            int64_t m = SC_MIN(most, n - c);
            for (int64_t i = 0; i < m && W->col_stride != 1; i++)
                memcpy(run + i * size, z + i * W->col_stride * size, (size_t)size);
            modulus(wide, W->col_stride == 1 ? z : run, m, pack + ((r - q->r0) * n + c) * size / 2);
        }
    return (sc_panel){pack, n * size / 2};
}

static uint64_t key_last(int width) { return width == 0 ? 0x7fff : width == 1 ? 0x7fffffff : 0x7fffffffffffffff; }

static uint64_t mix(uint64_t z)
{
    z = (z + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- the decision ------------------------------------------------------------------------- */

enum { FOUND, INSIDE, ABOVE, BELOW };

/* Where is the k-th, given the counts of a pass over everything with the bracket lo, hi? */
static int decide(const struct sc_bracket *b, int64_t k, uint64_t lo, uint64_t hi, struct sc_found *f)
{
    if (k <= b->over_hi) return ABOVE;
    if (k <= b->from_hi) { *f = (struct sc_found){hi, b->over_hi, b->from_hi - b->over_hi}; return FOUND; }
    if (k <= b->over_lo) return INSIDE;
    if (k <= b->from_lo) { *f = (struct sc_found){lo, b->over_lo, b->from_lo - b->over_lo}; return FOUND; }
    return BELOW;
}

/* The ranks of the sample that bracket the k-th of n by SIGMAS standard deviations; 0: above all, m + 1: below all. */
static void sample_ranks(int64_t k, int64_t n, int64_t m, int64_t *up, int64_t *down)
{
    double p = (double)k / (double)n, mean = p * (double)m, s = SIGMAS * sqrt(mean * (1 - p)) + 2;
    *up = mean - s < 1 ? 0 : (int64_t)(mean - s);
    *down = mean + s >= (double)m ? m + 1 : (int64_t)(mean + s) + 1;
}

/* ---- one array in cache, serial ------------------------------------------------------------- */

#define SMALL 768    /* picked at once */
#define MARGIN 64    /* of a buffer, left free for whole vectors */

/* The closed range a..b that holds the k-th becomes the bin that does; true when it holds few enough, or one key. */
static int narrow(uint64_t *a, uint64_t *b, int64_t k, int64_t *above, int64_t few, int64_t *bins, int shift,
                  int64_t *inside)
{
    int64_t bin = (int64_t)((*b - *a) >> shift);
    while (bin > 0 && *above + bins[bin] < k) *above += bins[bin--];
    *a += (uint64_t)bin << shift;
    uint64_t top = *a + (((uint64_t)1 << shift) - 1);
    *b = SC_MIN(*b, top);
    *inside = bins[bin];
    return shift == 0 || *inside <= few;
}

static int range_shift(uint64_t a, uint64_t b)
{
    int shift = 0;
    while (((b - a) >> shift) >= BINS) shift++;
    return shift;
}

/* The open range of a..b, within the keys: of the last key, a NaN, it matters only that there is one. */
static void open_range(uint64_t a, uint64_t b, uint64_t last, uint64_t *lo, uint64_t *hi)
{
    *lo = a > 0 ? a - 1 : 0;
    *hi = SC_MIN(b, last - 1) + 1;
}

/* lo, hi: keys of a sample that hold the k-th between them with near certainty. */
static void sample_bracket(int width, const char *x, int64_t n, int64_t k, char *buffer, int64_t room, uint64_t *lo,
                           uint64_t *hi)
{
    const struct sc_select_kernels *s = sc_kernels()->select;
    int64_t m = SC_MIN(n > 65536 ? 4096 : 512, room), up, down, a, e;
    s->sample[width](x, n, m, buffer);
    sample_ranks(k, n, m, &up, &down);
    *hi = up ? s->pick[width](buffer, m, up, &a, &e) : key_last(width);
    *lo = down <= m ? s->pick[width](buffer, m, down, &a, &e) : 0;
}

/* The k-th of n is among the b->kept keys in buffer.  A wide guess is narrowed to what rows alike would need. */
static int pick_inside(int width, int64_t n, int64_t k, const struct sc_bracket *b, struct sc_guess *guess,
                       void *buffer, struct sc_found *f)
{
    const struct sc_select_kernels *s = sc_kernels()->select;
    int64_t rank = k - b->from_hi, a, e;
    f->key = s->pick[width](buffer, b->kept, rank, &f->above, &f->equal);
    f->above += b->from_hi;
    if (guess) {
        double p = (double)k / (double)n;
        int64_t reach = (int64_t)(1.7 * SIGMAS * sqrt((double)n * p * (1 - p))) + 4;
        if (b->kept > 3 * reach) {
            if (rank > reach) guess->hi = s->pick[width](buffer, b->kept, rank - reach, &a, &e);
            if (rank + reach <= b->kept) guess->lo = s->pick[width](buffer, b->kept, rank + reach, &a, &e);
        }
    }
    return SC_OK;
}

int sc_kth_serial(int width, const void *x, int64_t n, int64_t k, struct sc_guess *guess, void *buffer, int64_t room,
                  struct sc_found *f, uint64_t *top)
{
    const struct sc_select_kernels *s = sc_kernels()->select;
    uint64_t lo, hi, last = key_last(width);
    if (n <= SC_MIN(SMALL, room)) {
        s->keys[width](x, n, buffer);
        for (int64_t i = 0; i < n; i++) *top = SC_MAX(*top, sc_key_at(width, buffer, i));
        f->key = s->pick[width](buffer, n, k, &f->above, &f->equal);
        return SC_OK;
    }
    if (guess && guess->known) {
        struct sc_bracket b = {0};
        s->bracket[width](x, n, guess->lo, guess->hi, buffer, room, &b);
        *top = SC_MAX(*top, b.top);
        int where = decide(&b, k, guess->lo, guess->hi, f);
        if (where == FOUND) return SC_OK;
        if (where == INSIDE && b.kept <= room) return pick_inside(width, n, k, &b, guess, buffer, f);
    }
    sample_bracket(width, x, n, k, buffer, room, &lo, &hi);
    if (guess) *guess = (struct sc_guess){1, lo, hi};
    for (int round = 0;; round++) {
        struct sc_bracket b = {0};
        s->bracket[width](x, n, lo, hi, buffer, room, &b);
        *top = SC_MAX(*top, b.top);
        int where = decide(&b, k, lo, hi, f);
        if (where == FOUND) return SC_OK;
        if (where == INSIDE && b.kept <= room) return pick_inside(width, n, k, &b, guess, buffer, f);
        if (round == 2) return SC_CHANGED;
        uint64_t from = where == ABOVE ? hi + 1 : where == BELOW ? 0 : lo + 1;
        uint64_t to = where == ABOVE ? last : where == BELOW ? lo - 1 : hi - 1;
        int64_t above = where == ABOVE ? 0 : where == BELOW ? b.from_lo : b.from_hi, inside, bins[BINS];
        for (int done = 0; !done;) {
            int shift = range_shift(from, to);
            memset(bins, 0, sizeof bins);
            s->histogram[width](x, n, from, to, shift, bins);
            done = narrow(&from, &to, k, &above, room - MARGIN, bins, shift, &inside);
        }
        if (from == to) { *f = (struct sc_found){from, above, inside}; return SC_OK; }
        open_range(from, to, last, &lo, &hi);
    }
}

/* ---- many arrays, parallel -------------------------------------------------------------------- */

/* Order does not matter to the k-th: a contiguous array of any order is one long row. */
static sc_dense flat(sc_dense W)
{
    if (W.row_stride == 1 && W.col_stride != 1) {
        sc_dense T = {W.cols, W.rows, W.col_stride, W.row_stride, W.data, W.val};
        W = T;
    }
    if (W.col_stride == 1 && (W.rows == 1 || W.row_stride == W.cols)) {
        W.cols *= W.rows;
        W.row_stride = W.cols;
        W.rows = 1;
    }
    return W;
}

int sc_pieces_open(struct sc_pieces *p, const sc_dense *W, int64_t n, int any_order)
{
    *p = (struct sc_pieces){.width = n ? sc_key_width(W[0].val) : -1};
    if (p->width < 0) return SC_BAD_TYPE;
    p->W = sc_alloc(n, sizeof *p->W);
    p->cuts = sc_alloc(n, sizeof *p->cuts);
    p->first = sc_alloc(n, sizeof *p->first);
    p->begin = sc_alloc(n, sizeof *p->begin);
    if (!p->W || !p->cuts || !p->first || !p->begin) return SC_NO_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        if (W[i].val != W[0].val) return SC_BAD_TYPE;
        if (W[i].rows == 0 || W[i].cols == 0) continue;
        sc_dense *own = &p->W[p->n];
        *own = any_order ? flat(W[i]) : W[i];
        p->cuts[p->n] = sc_cuts_of(own, (size_t)2 << p->width, 1);
        p->gather |= sc_is_complex(own->val) || (own->col_stride != 1 && own->cols > 1);
        p->first[p->n] = p->parts;
        p->begin[p->n] = p->values;
        p->parts += p->cuts[p->n].n;
        p->values += W[i].rows * W[i].cols;
        p->n++;
    }
    return SC_OK;
}

void sc_pieces_close(struct sc_pieces *p)
{
    sc_free(p->W);
    sc_free(p->cuts);
    sc_free(p->first);
    sc_free(p->begin);
}

static void locate(const int64_t *first, int64_t n, int64_t i, int64_t *which, int64_t *local)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        int64_t mid = (lo + hi + 1) / 2;
        if (first[mid] <= i) lo = mid; else hi = mid - 1;
    }
    *which = lo;
    *local = i - first[lo];
}

struct everywhere {
    const struct sc_pieces *p;
    sc_piece_fn *work;
    void *self;
    int64_t first;
    int status;
};

static void piece(void *everywhere, int64_t k, int thread)
{
    struct everywhere *e = everywhere;
    const struct sc_pieces *p = e->p;
    int64_t which, local;
    locate(p->first, p->n, e->first + k, &which, &local);
    struct sc_part q = sc_part_of(&p->cuts[which], local);
    sc_report(&e->status, e->work(e->self, thread, p, which, &q, e->first + k));
}

int sc_everywhere(const struct sc_pieces *p, sc_piece_fn *work, void *self, int threads)
{
    for (int64_t from = 0; from < p->parts; from += SC_POLL_PARTS) {
        int64_t to = SC_MIN(p->parts, from + SC_POLL_PARTS);
        struct everywhere e = {p, work, self, from, SC_OK};
        sc_team(to - from, 1, threads, piece, &e);
        if (e.status != SC_OK) return e.status;
        if (to < p->parts && sc_poll() != SC_OK) return SC_INTERRUPTED;
    }
    return SC_OK;
}

struct pass {
    int width;
    uint64_t lo, hi;
    int shift;
    char *packs, *pool, *nests;      /* nests: the candidates of one part of a thread, before they go to the pool */
    int64_t nest_bytes;
    int64_t all;              /* keys that the pool holds */
    _Atomic int64_t kept;     /* that it should hold */
    int64_t *bins;
    struct sc_bracket *b;
};

static sc_panel panel_of(const struct pass *pass, int slot, const struct sc_pieces *p, int64_t which,
                         const struct sc_part *q)
{
    const sc_dense *W = &p->W[which];
    char *pack = pass->packs + (p->gather ? slot * SC_PACK_BYTES : 0);
    return sc_is_complex(W->val) ? sc_moduli_of(W, q, pack) : sc_panel_of(W, (size_t)2 << p->width, q, pack);
}

static int bracket_part(void *self, int slot, const struct sc_pieces *p, int64_t which, const struct sc_part *q,
                        int64_t number)
{
    (void)number;
    struct pass *pass = self;
    struct sc_bracket *b = &pass->b[slot];
    size_t size = (size_t)2 << pass->width;
    char *nest = pass->nests + slot * pass->nest_bytes;
    sc_panel panel = panel_of(pass, slot, p, which, q);
    int64_t n = q->c1 - q->c0, most = SC_PART_BYTES / (int64_t)size;
    for (int64_t r = 0; r < q->r1 - q->r0; r++)
        for (int64_t i = 0; i < n; i += most) {
            b->kept = 0;
            sc_kernels()->select->bracket[pass->width](panel.data + r * panel.stride + i * (int64_t)size,
                                                       SC_MIN(most, n - i), pass->lo, pass->hi, nest,
                                                       pass->nest_bytes / (int64_t)size, b);
            if (b->kept == 0) continue;
            int64_t at = atomic_fetch_add(&pass->kept, b->kept);
            if (at < pass->all)
                memcpy(pass->pool + (size_t)at * size, nest, (size_t)SC_MIN(b->kept, pass->all - at) * size);
        }
    return SC_OK;
}

static int histogram_part(void *self, int slot, const struct sc_pieces *p, int64_t which, const struct sc_part *q,
                          int64_t number)
{
    (void)number;
    struct pass *pass = self;
    sc_panel panel = panel_of(pass, slot, p, which, q);
    for (int64_t r = 0; r < q->r1 - q->r0; r++)
        sc_kernels()->select->histogram[pass->width](panel.data + r * panel.stride, q->c1 - q->c0, pass->lo, pass->hi,
                                                     pass->shift, pass->bins + slot * BINS);
    return SC_OK;
}

/* Runs of neighbours at places spread evenly, each shifted by a fixed pseudo-random amount.  A run is a cache line or
 * two that nobody has asked for: they are asked for eight runs ahead. */
static int64_t take_sample(const struct sc_pieces *p, int64_t runs, char *out)
{
    enum { AHEAD = 8 };
    struct { const sc_dense *W; struct sc_part q; } run[AHEAD];
    const struct sc_select_kernels *s = sc_kernels()->select;
    int64_t m = 0, step = p->values / runs, size = (int64_t)2 << p->width;
    for (int64_t i = 0; i < runs + AHEAD; i++) {
        int slot = i % AHEAD;
        if (i >= AHEAD) {
            const sc_dense *W = run[slot].W;
            char pack[16 * RUN];
            sc_panel x = sc_is_complex(W->val) ? sc_moduli_of(W, &run[slot].q, pack)
                                               : sc_panel_of(W, (size_t)size, &run[slot].q, pack);
            int64_t n = run[slot].q.c1 - run[slot].q.c0;
            s->keys[p->width](x.data, n, out + m * size);
            m += n;
        }
        if (i >= runs) continue;
        int64_t at = i * step + (int64_t)(((unsigned __int128)mix((uint64_t)i) * (uint64_t)step) >> 64), which, local;
        locate(p->begin, p->n, at, &which, &local);
        const sc_dense *W = run[slot].W = &p->W[which];
        int64_t r = local / W->cols, n = SC_MIN(RUN, W->cols), c = SC_MIN(local % W->cols, W->cols - n);
        run[slot].q = (struct sc_part){r, r + 1, c, c + n};
        size_t stored = sc_val_size(W->val);
        __builtin_prefetch(sc_at(W, r, c, stored));
        __builtin_prefetch(sc_at(W, r, c + n - 1, stored));
    }
    return m;
}

/* One pass with the bracket of `pass`; the sum over threads in b. */
static int count(const struct sc_pieces *p, struct pass *pass, int threads, struct sc_bracket *b)
{
    memset(pass->b, 0, (size_t)threads * sizeof *pass->b);
    memset(b, 0, sizeof *b);
    pass->kept = 0;
    int status = sc_everywhere(p, bracket_part, pass, threads);
    for (int t = 0; t < threads; t++) {
        b->over_hi += pass->b[t].over_hi;
        b->from_hi += pass->b[t].from_hi;
        b->over_lo += pass->b[t].over_lo;
        b->from_lo += pass->b[t].from_lo;
        b->top = SC_MAX(b->top, pass->b[t].top);
    }
    b->kept = pass->kept;
    return status == SC_OK && b->top > sc_key_inf(p->W[0].val) ? SC_IS_NAN : status;
}

/* What the m keys at the head of `keys`, a sample of n with room for `room`, say of the k-th of those n; lo and hi stay
 * where the sample says nothing. */
static int range_from(int width, char *keys, int64_t m, int64_t room, int64_t k, int64_t n, struct sc_range *range)
{
    char *rest = keys + (size_t)m * ((size_t)2 << width);
    struct sc_found found;
    uint64_t top = 0;
    int64_t up, down, equal = 0;
    int status = SC_OK;
    sample_ranks(k, n, m, &up, &down);
    if (up) {
        status = sc_kth_serial(width, keys, m, up, 0, rest, room - m, &found, &top);
        range->hi = found.key;
        equal = found.equal;
    }
    if (status == SC_OK && down <= m) {
        status = sc_kth_serial(width, keys, m, down, 0, rest, room - m, &found, &top);
        range->lo = found.key;
        equal = SC_MAX(equal, found.equal);
    }
    range->share = (double)equal / (double)m;
    return status;
}

int sc_range_of_sample(const struct sc_pieces *p, int64_t k, int64_t m, char *keys, int64_t room,
                       struct sc_range *range)
{
    m = SC_MIN(m, SC_MIN(p->values / 8, room * 7 / 8));
    *range = (struct sc_range){0, key_last(p->width), 0};
    return range_from(p->width, keys, take_sample(p, SC_MAX(1, m / RUN), keys), room, k, p->values, range);
}

/* Histograms until few lie in the closed range from..to that holds the k-th, or it is one key (f->equal > 0); `above`
 * lie above it. */
static int narrow_by_passes(const struct sc_pieces *p, struct pass *pass, int threads, uint64_t from, uint64_t to,
                            int64_t above, int64_t k, struct sc_found *f)
{
    for (int64_t inside, done = 0; !done;) {
        pass->lo = from;
        pass->hi = to;
        pass->shift = range_shift(from, to);
        memset(pass->bins, 0, (size_t)threads * BINS * sizeof *pass->bins);
        int status = sc_everywhere(p, histogram_part, pass, threads);
        if (status != SC_OK) return status;
        int64_t total = 0;
        for (int64_t i = 0; i < BINS; i++) {
            for (int t = 1; t < threads; t++) pass->bins[i] += pass->bins[t * BINS + i];
            total += pass->bins[i];
        }
        if (above >= k || above + total < k) return SC_CHANGED;
        done = narrow(&from, &to, k, &above, pass->all / 2, pass->bins, pass->shift, &inside);
        *f = (struct sc_found){from, above, from == to ? inside : 0};
    }
    open_range(from, to, key_last(pass->width), &pass->lo, &pass->hi);
    return SC_OK;
}

static int kth(const struct sc_pieces *p, int64_t k, int threads, struct pass *pass, struct sc_found *f)
{
    size_t size = (size_t)2 << p->width;
    uint64_t last = key_last(p->width), top = 0;
    int status;
    pass->hi = last;
    if (p->values > SMALL) {
        /* Enough samples for about half a pool of candidates. */
        double share = (double)k / (double)p->values;
        double want = 2 * SIGMAS * (double)p->values * sqrt(share * (1 - share)) / (0.5 * (double)pass->all);
        int64_t m = (int64_t)SC_MIN(want * want, (double)MOST_SAMPLES);
        struct sc_range range;
        status = sc_range_of_sample(p, k, SC_MAX(m, 16384), pass->pool, pass->all, &range);
        if (status != SC_OK) return status;
        pass->lo = range.lo;
        pass->hi = range.hi;
    }
    *f = (struct sc_found){0, 0, 0};
    for (int round = 0; round < 3; round++) {
        struct sc_bracket b;
        status = count(p, pass, threads, &b);
        if (status != SC_OK) return status;
        uint64_t lo = pass->lo, hi = pass->hi;
        int where = decide(&b, k, lo, hi, f);
        if (where == FOUND) return SC_OK;
        if (where == INSIDE && b.kept <= pass->all - 1024) {
            status = sc_kth_serial(p->width, pass->pool, b.kept, k - b.from_hi, 0, pass->pool + (size_t)b.kept * size,
                                   pass->all - b.kept, f, &top);
            f->above += b.from_hi;
            return status;
        }
        if (where == INSIDE && round == 0) {
            /* Too many: those that found room are a sample of those inside. */
            struct sc_range range = {lo, hi, 0};
            status = range_from(pass->width, pass->pool, pass->all * 7 / 8, pass->all, k - b.from_hi,
                                b.over_lo - b.from_hi, &range);
            pass->lo = range.lo;
            pass->hi = range.hi;
        } else if (where == ABOVE) {
            status = narrow_by_passes(p, pass, threads, hi + 1, last, 0, k, f);
        } else if (where == BELOW) {
            status = narrow_by_passes(p, pass, threads, 0, lo - 1, b.from_lo, k, f);
        } else {
            status = narrow_by_passes(p, pass, threads, lo + 1, hi - 1, b.from_hi, k, f);
        }
        if (status != SC_OK || f->equal) return status;
    }
    return SC_CHANGED;
}

int sc_kth_key(const sc_dense *W, int64_t n, int64_t k, int threads, uint64_t *key, int64_t *above, int64_t *equal)
{
    struct sc_pieces p;
    int status = sc_pieces_open(&p, W, n, 1);
    if (status == SC_OK && (k < 1 || k > p.values)) status = SC_BAD_SHAPE;
    int64_t size = (int64_t)2 << SC_MAX(p.width, 0), bytes = p.values * size;
    /* Fresh scratch costs page faults: small arrays take little, others what earlier results gave back. */
    int64_t pool = SC_MIN(p.gather ? POOL_BYTES_BESIDE : POOL_BYTES, SC_MAX(16384, bytes / 128 * 64));
    int64_t nest = SC_MIN(SC_PART_BYTES, bytes / 64 * 64 + 64) + 1024, pack = p.gather ? SC_PACK_BYTES : 64;
    int64_t *bins = sc_alloc((int64_t)threads * BINS, sizeof *bins);
    struct sc_bracket *counts = sc_alloc(threads, sizeof *counts);
    char *room = sc_keep_alloc((size_t)(threads * (pool + nest + pack)));
    if (status == SC_OK && (!bins || !counts || !room)) status = SC_NO_MEMORY;
    struct sc_found f = {0, 0, 0};
    struct pass pass = {.width = p.width, .bins = bins, .b = counts, .nest_bytes = nest, .all = pool * threads / size};
    if (status == SC_OK) {
        pass.pool = room;
        pass.nests = room + threads * pool;
        pass.packs = room + threads * (pool + nest);
        status = kth(&p, k, threads, &pass, &f);
    }
    *key = f.key;
    *above = f.above;
    *equal = f.equal;
    sc_pieces_close(&p);
    sc_free(bins);
    sc_free(counts);
    sc_keep_free(room);
    return status;
}
