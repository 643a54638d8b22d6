"""Malformed matrices against every sparse operation: an exception that says what is wrong, or the right answer.

Matrices are drawn by number: the kind of damage, the format, the types and the place follow from the number, so a
failure names the one that shows it.  SPARSECORE_CAMPAIGN=2000 draws that many; tests/sanitize.sh runs the campaign
under AddressSanitizer and UndefinedBehaviorSanitizer.
"""

import os

import numpy as np
import pytest
import scipy.sparse as sp

import sparsecore as sc

CAMPAIGN = int(os.environ.get("SPARSECORE_CAMPAIGN", "160"))
BATCH = 20
VALUES = (np.float32, np.float64, np.complex64, np.complex128, np.float16, np.int32, bool)
INDICES = ((np.int32, np.int32), (np.int64, np.int64), (np.int64, np.int32), (np.int32, np.int64), (np.int16, np.int16),
           (np.uint64, np.uint32))


def sound(rng, fmt, m, n, values, pointers, columns):
    """The buffers of a canonical matrix with an empty row."""
    rows, cols = (m, n) if fmt == "csr" else (n, m)
    D = rng.random((rows, cols)) < 0.3
    D[rows // 2] = False
    A = sp.csr_array(D)
    data = rng.integers(1, 5, A.nnz)
    return A.indptr.astype(pointers), A.indices.astype(columns), data.astype(values)


def wrong_type(a):
    """The same numbers as floats, which no index may be."""
    return a.astype(np.float64)


def strided(a):
    return np.repeat(a, 2)[::2]


def swapped(a):
    return a.astype(a.dtype.newbyteorder())


def unaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    b = raw[1:].view(a.dtype) if a.nbytes else a.copy()
    b[...] = a
    return b


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def put(a, where, value):
    """a with one entry replaced, as far as its type can hold the value."""
    a = a.copy()
    if a.size:
        with np.errstate(all="ignore"):
            a[where % a.size] = np.array(value).astype(a.dtype)
    return a


# kind: f(rng, indptr, indices, data, columns) -> the buffers, and whether they still are a matrix
KINDS = {
    "sound": lambda g, p, i, d, n: (p, i, d),
    "indptr falls": lambda g, p, i, d, n: (put(p, g.integers(1, len(p)), 0), i, d),
    "indptr leaps": lambda g, p, i, d, n: (put(p, g.integers(1, max(2, len(p) - 1)), len(i) + 7), i, d),
    "indptr huge": lambda g, p, i, d, n: (put(p, g.integers(1, max(2, len(p) - 1)), np.iinfo(p.dtype).max), i, d),
    "indptr negative": lambda g, p, i, d, n: (put(p, g.integers(0, len(p)), -1), i, d),
    "indptr very negative": lambda g, p, i, d, n: (put(p, g.integers(1, len(p)), np.iinfo(p.dtype).min), i, d),
    "indptr not from 0": lambda g, p, i, d, n: (put(p, 0, 1), i, d),
    "indptr ends late": lambda g, p, i, d, n: (put(p, len(p) - 1, len(i) + 1), i, d),
    "indptr ends far out": lambda g, p, i, d, n: (put(p, len(p) - 1, 2**40), i, d),
    "indptr ends early": lambda g, p, i, d, n: (put(p, len(p) - 1, len(i) // 2), i, d),
    "indptr short": lambda g, p, i, d, n: (p[:-1], i, d),
    "indptr long": lambda g, p, i, d, n: (np.append(p, p[-1]), i, d),
    "indptr empty": lambda g, p, i, d, n: (p[:0], i, d),
    "indptr reversed": lambda g, p, i, d, n: (p[::-1].copy(), i, d),
    "indptr random": lambda g, p, i, d, n: (g.integers(-9, len(i) + 9, len(p)).astype(p.dtype), i, d),
    "indptr of floats": lambda g, p, i, d, n: (wrong_type(p), i, d),
    "indptr 2-D": lambda g, p, i, d, n: (p[:, None], i, d),
    "index out of range": lambda g, p, i, d, n: (p, put(i, g.integers(0, max(1, len(i))), n), d),
    "index far out": lambda g, p, i, d, n: (p, put(i, g.integers(0, max(1, len(i))), np.iinfo(i.dtype).max), d),
    "index beyond 32 bits": lambda g, p, i, d, n: (p, put(i.astype(np.int64), g.integers(0, 99), 2**32), d),
    "index negative": lambda g, p, i, d, n: (p, put(i, g.integers(0, max(1, len(i))), -1), d),
    "index very negative": lambda g, p, i, d, n: (p, put(i, len(i) - 1, np.iinfo(i.dtype).min), d),
    "indices random": lambda g, p, i, d, n: (p, g.integers(-2 * n, 3 * n + 1, len(i)).astype(i.dtype), d),
    "indices short": lambda g, p, i, d, n: (p, i[:-1], d),
    "indices long": lambda g, p, i, d, n: (p, np.append(i, i[:1]), d),
    "indices empty": lambda g, p, i, d, n: (p, i[:0], d),
    "indices of floats": lambda g, p, i, d, n: (p, wrong_type(i), d),
    "indices of booleans": lambda g, p, i, d, n: (p, i.astype(bool), d),
    "indices unsorted": lambda g, p, i, d, n: (p, i[::-1].copy() if n > i.max(initial=0) else i, d),
    "indices all equal": lambda g, p, i, d, n: (p, np.zeros_like(i), d),
    "data short": lambda g, p, i, d, n: (p, i, d[:-1]),
    "data long": lambda g, p, i, d, n: (p, i, np.append(d, d[:1])),
    "data empty": lambda g, p, i, d, n: (p, i, d[:0]),
    "data 2-D": lambda g, p, i, d, n: (p, i, d[:, None]),
    "data of strings": lambda g, p, i, d, n: (p, i, d.astype("U3")),
    "data of objects": lambda g, p, i, d, n: (p, i, d.astype(object)),
    "everything strided": lambda g, p, i, d, n: (strided(p), strided(i), strided(d)),
    "everything swapped": lambda g, p, i, d, n: (swapped(p), swapped(i), swapped(d)),
    "everything unaligned": lambda g, p, i, d, n: (unaligned(p), unaligned(i), unaligned(d)),
    "everything read-only": lambda g, p, i, d, n: (read_only(p), read_only(i), read_only(d)),
    "short and out of range": lambda g, p, i, d, n: (put(p, 1, len(i)), put(i, 0, n), d[:-1]),
}
SHAPES = ((20, 30), (30, 20), (1, 40), (40, 1), (3, 3))


def drawn(number):
    """Matrix `number` of the campaign, its name, and what `meaning` says of it."""
    rng = np.random.default_rng(number)
    kind = list(KINDS)[number % len(KINDS)]
    fmt = ("csr", "csc")[rng.integers(2)]
    m, n = SHAPES[rng.integers(len(SHAPES))]
    values = VALUES[rng.integers(len(VALUES))]
    pointers, columns = INDICES[rng.integers(len(INDICES))]
    buffers = KINDS[kind](rng, *sound(rng, fmt, m, n, values, pointers, columns), n if fmt == "csr" else m)
    family = ("array", "matrix")[rng.integers(2)]
    A = getattr(sp, f"{fmt}_{family}")((m, n))
    A.indptr, A.indices, A.data = buffers
    name = f"#{number} {kind}: {fmt} {m}x{n} {np.dtype(values)} {np.dtype(pointers)}/{np.dtype(columns)}"
    return A, name, *meaning(A, m, n)


def meaning(A, m, n):
    """The dense value of the buffers, by plain Python, or None where they are no matrix; and whether it is one by the
    letter: whole numbers of a floating type, or more room than entries, may be read or refused."""
    p, i, d = (np.asarray(x) for x in (A.indptr, A.indices, A.data))
    rows, cols = (m, n) if A.format == "csr" else (n, m)
    if p.ndim != 1 or i.ndim != 1 or d.ndim != 1 or len(p) != rows + 1 or d.dtype.kind not in "biufc":
        return None, False
    letter = p.dtype.kind in "iu" and i.dtype.kind in "iu" and p[-1] == len(i) == len(d)
    p, i = [int(x) for x in p], [int(x) for x in i]
    if p[0] != 0 or any(b < a for a, b in zip(p, p[1:], strict=False)) or p[-1] > min(len(i), len(d)):
        return None, False
    D = np.zeros((rows, cols), np.complex128)
    for r in range(rows):
        for k in range(p[r], p[r + 1]):
            if not 0 <= i[k] < cols:
                return None, False
            D[r, i[k]] = (D[r, i[k]] or d[k]) if d.dtype == bool else D[r, i[k]] + complex(d[k])
    return (D if A.format == "csr" else D.T), letter


def turned(A):
    """A.T on the same buffers, without SciPy's own check of them."""
    T = getattr(sp, type(A).__name__.replace(A.format, {"csr": "csc", "csc": "csr"}[A.format]))(A.shape[::-1])
    T.indptr, T.indices, T.data = A.indptr, A.indices, A.data
    return T


def drop_in(A, module=sc):
    """A drop-in array whose buffers (SciPy sorts in place: copies) were changed to those of A since it was made."""
    B = getattr(module, f"{A.format}_array")(A.shape)
    B.indptr, B.indices, B.data = A.indptr.copy(), A.indices.copy(), A.data.copy()
    return B


def operations(m, n):
    """name: (call, the same of the dense value).  A good matrix G of the same shape is the partner."""
    rng = np.random.default_rng(m * 100 + n)
    G = sp.csr_array((rng.random((m, n)) < 0.4) * rng.integers(1, 4, (m, n)).astype(np.float64))
    H = sp.csr_array((rng.random((n, 9)) < 0.4).astype(np.float64))
    g, h, x, X = G.toarray(), H.toarray(), np.arange(1.0, n + 1), np.ones((n, 5))
    some = np.array([0, m - 1, 0])
    columns = np.array([n - 1, 0, 0])
    return {
        "matmul vector": (lambda A: sc.matmul(A, x), lambda D: D @ x),
        "matmul panel": (lambda A: sc.matmul(A, X), lambda D: D @ X),
        "matmul panel F": (lambda A: sc.matmul(A, np.asfortranarray(X)), lambda D: D @ X),
        "matmul transposed": (lambda A: sc.matmul(turned(A), g), lambda D: D.T @ g),
        "dense matmul": (lambda A: sc.matmul(np.ones((4, m)), A), lambda D: np.ones((4, m)) @ D),
        "matmul sparse": (lambda A: sc.matmul(A, H), lambda D: D @ h),
        "matmul sparse left": (lambda A: sc.matmul(G.T, A), lambda D: g.T @ D),
        "transpose": (sc.transpose, lambda D: D.T),
        "tocsr": (sc.tocsr, lambda D: D),
        "tocsc": (sc.tocsc, lambda D: D),
        "sum_duplicates": (sc.sum_duplicates, lambda D: D),
        "todense": (sc.todense, lambda D: D),
        "todense F": (lambda A: sc.todense(A, order="F"), lambda D: D),
        "take_rows": (lambda A: sc.take_rows(A, some), lambda D: D[some]),
        "take_cols": (lambda A: sc.take_cols(A, columns), lambda D: D[:, columns]),
        "vstack": (lambda A: sc.vstack([G, A]), lambda D: np.vstack([g, D])),
        "hstack": (lambda A: sc.hstack([A, G]), lambda D: np.hstack([D, g])),
        "add": (lambda A: sc.add(A, G, alpha=2), lambda D: 2 * D + g),
        "add right": (lambda A: sc.add(G, A), lambda D: g + D),
        "multiply": (lambda A: sc.multiply(A, G), lambda D: D * g),
        "multiply dense": (lambda A: sc.multiply(A, g), lambda D: D * g),
        "multiply row": (lambda A: sc.multiply(A, x), lambda D: D * x),
        "diag_scale": (lambda A: sc.diag_scale(A, np.ones(m), x), lambda D: D * x),
        "sum 0": (lambda A: sc.sum(A, 0), lambda D: D.sum(0)),
        "sum 1": (lambda A: sc.sum(A, 1), lambda D: D.sum(1)),
        "sum": (lambda A: sc.sum(A, None), lambda D: D.sum()),
        "mean_var 0": (lambda A: sc.mean_var(A, 0)[1], lambda D: D.var(0)),
        "mean_var 1": (lambda A: sc.mean_var(A, 1)[0], lambda D: D.mean(1)),
        "norm 0": (lambda A: sc.norm(A, 0), lambda D: np.linalg.norm(D, axis=0)),
        "norm 1": (lambda A: sc.norm(A, 1, 1), lambda D: abs(D).sum(1)),
        "absmax": (lambda A: sc.absmax(A, 0), lambda D: abs(D).max(0)),
        **further(G, g, H, h, m, n),
    }


def further(G, g, H, h, m, n):
    """Operations of other rooms, as far as this build has them."""
    Y, whole, last = np.ones((n, 3)), G.astype(np.int64), np.array([n - 1, 0, 0])
    table = {
        "validate": (sc.validate, None),
        "masked_matmul": (lambda A: sc.masked_matmul(A, H, sp.csr_array(np.ones((m, 9)))), lambda D: D @ h),
        "masked_matmul mask": (lambda A: sc.masked_matmul(G, sp.csr_array(np.eye(n)), A), None),
        "matmul_topn": (lambda A: sc.matmul_topn(A, H, 9), None),
        "sddmm": (lambda A: sc.sddmm(A, np.ones((m, 3)), Y), None),
        "gram": (lambda A: sc.gram(A), lambda D: D.T @ D),
        "MatmulPlan": (lambda A: sc.MatmulPlan(A, H)(A.data, H.data), None),
        "prepare": (lambda A: sc.matmul(sc.prepare(A), np.ones((n, 4))), lambda D: D @ np.ones((n, 4))),
        "threshold": (lambda A: sc.threshold(A, 2.0), None),
        "topk": (lambda A: sc.topk(A, 2), None),
        "kth_magnitude": (lambda A: sc.kth_magnitude(A, 1), None),
        "matmul whole vector": (lambda A: sc.matmul(A, np.arange(n)), lambda D: D @ np.arange(n)),
        "dense matmul whole": (lambda A: sc.matmul(np.ones((4, m), int), A), lambda D: np.ones((4, m)) @ D),
        "masked_matmul whole": (lambda A: sc.masked_matmul(A, H.astype(int), H[[0] * m]), None),
        "nm_mask": (lambda A: sc.nm_mask(A, keep=1, group=2), None),
        "block_mask": (lambda A: sc.block_mask(A, (2, 2), 1), None),
        "Bitmask": (lambda A: sc.Bitmask.from_csr(A), None),
        "truncated_svd": (lambda A: sc.truncated_svd(A, 1), None),
        "truncated_svd lapack": (lambda A: sc.truncated_svd(A, 1, solver="lapack"), None),
        "truncated_svd gram": (lambda A: sc.truncated_svd(A, 1, solver="gram"), None),
        "truncated_svd transform": (lambda A: sc.truncated_svd(g, 1).transform(A), None),
        "accelerate": (lambda A: sc.accelerate(drop_in(A, sp))[:, last], lambda D: D[:, last]),
        "csr_array": (lambda A: sc.csr_array(drop_in(A, sp)) @ np.ones(n, int), lambda D: D @ np.ones(n)),
        "csr_array of parts": (lambda A: type(drop_in(A))((A.data, A.indices, A.indptr), A.shape), None),
        "csr_array @ vector": (lambda A: drop_in(A) @ np.arange(n), lambda D: D @ np.arange(n)),
        "csr_array @ dense": (lambda A: drop_in(A) @ g.T.astype(int), lambda D: D @ g.T),
        "csr_array @ sparse": (lambda A: drop_in(A) @ whole.T, lambda D: D @ g.T),
        "csr_array @ from the left": (lambda A: np.ones((4, m), int) @ drop_in(A), lambda D: np.ones((4, m)) @ D),
        "csr_array +": (lambda A: drop_in(A) + whole, lambda D: D + g),
        "csr_array + dense": (lambda A: drop_in(A) + whole.toarray(), None),
        "csr_array -": (lambda A: drop_in(A) - whole, lambda D: D - g),
        "csr_array *": (lambda A: drop_in(A) * whole, lambda D: D * g),
        "csr_array * dense": (lambda A: drop_in(A) * g, None),
        "csr_array tocsr": (lambda A: drop_in(A).tocsr(), lambda D: D),
        "csr_array tocsc": (lambda A: drop_in(A).tocsc(), lambda D: D),
        "csr_array toarray": (lambda A: drop_in(A).toarray(), lambda D: D),
        "csr_array sum": (lambda A: drop_in(A).sum(axis=0), None),
        "csr_array sum of all": (lambda A: drop_in(A).sum(), None),
    }
    return {name: pair for name, pair in table.items() if hasattr(sc, name.split()[0])}


def run(number):
    A, name, D, letter = drawn(number)
    keep = [np.array(part, copy=True) for part in (A.indptr, A.indices, A.data)]
    for operation, (call, of_dense) in operations(*A.shape).items():
        what = f"{operation} of {name}"
        scipys = operation.startswith(("csr_array", "accelerate"))      # which has no C for unsigned indices
        try:
            got = call(A)
        except (ValueError, TypeError, OverflowError) as error:
            assert str(error), what
            if (letter and A.data.dtype.name in ("float32", "float64", "complex128") and of_dense is not None
                    and not scipys):
                raise AssertionError(f"{what}: refused a sound matrix: {error}") from error
            continue
        except MemoryError as error:
            raise AssertionError(f"{what}: {error!r}") from error
        if of_dense is not None:
            # Rows that are not taken are not read.
            assert D is not None or operation.startswith("take"), f"{what}: accepted"
            if D is None:
                continue
            if A.data.dtype == bool and (np.count_nonzero(D) < int(A.indptr[-1]) or operation in ("gram", "add right")):
                continue        # twice True is True or 2, as SciPy takes it
            if sp.issparse(got):
                got = sc.todense(got) if got.dtype.itemsize <= 2 or scipys else got.toarray()
            np.testing.assert_allclose(np.asarray(got).astype(np.complex128), of_dense(D), rtol=2e-3, atol=2e-3,
                                       err_msg=what)
    for before, after in zip(keep, (A.indptr, A.indices, A.data), strict=True):
        np.testing.assert_array_equal(before, after, err_msg=f"{name}: the input was changed")


@pytest.mark.parametrize("first", range(0, CAMPAIGN, BATCH))
def test_malformed_matrices_are_refused_or_understood(first):
    for number in range(first, min(first + BATCH, CAMPAIGN)):
        run(number)


def shifted(indptr, first, last, by):
    """Rows first..last begin `by` entries early: rising among themselves, falling where they begin."""
    indptr = indptr.copy()
    indptr[first:last] -= by
    return indptr


LARGE = {
    "begins early": lambda p, i: (shifted(p, len(p) * 2 // 3, len(p) * 4 // 5, p[-1] // 2), i),
    "ends early": lambda p, i: (shifted(p, len(p) * 17 // 20, len(p) - 1, p[-1] // 2), i),
    "begins late": lambda p, i: (shifted(p, len(p) // 20, len(p) * 3 // 20, -p[-1] * 9 // 20), i),
    "negative": lambda p, i: (shifted(p, len(p) // 2, len(p) * 3 // 4, p[-1]), i),
    "huge": lambda p, i: (put(p, len(p) // 2, np.iinfo(p.dtype).max), i),
    "very negative": lambda p, i: (put(p, len(p) // 2, np.iinfo(p.dtype).min), i),
    "reversed": lambda p, i: (np.concatenate([p[:1], p[-2:0:-1], p[-1:]]), i),
    "index out of range": lambda p, i: (p, put(i, len(i) * 3 // 4, 2**31 - 1)),
    "index negative": lambda p, i: (p, put(i, len(i) - 1, -1)),
}


@pytest.mark.parametrize("width", [np.int32, np.int64])
@pytest.mark.parametrize("kind", LARGE)
def test_damage_of_a_matrix_of_many_parts_is_found_by_every_operation(kind, width):
    """More than 2 x 2^18 entries: parts, panels and turns of every driver, each of which sees its own rows only.  (In
    transposed products rows that "begin late" were once written behind the memory of their turn.)"""
    m, n = 3200, 400
    rng = np.random.default_rng(3)
    G = sp.csr_array((rng.random((m, n)) < 0.5).astype(np.float64))
    G.indptr, G.indices = G.indptr.astype(width), G.indices.astype(width)
    A = sp.csr_array((m, n))
    A.indptr, A.indices = LARGE[kind](G.indptr, G.indices)
    A.data = G.data
    X, Y, H = np.ones((n, 40)), np.ones((m, 40)), sp.csr_array(np.eye(n))
    calls = {
        "vector": lambda: sc.matmul(A, X[:, 0]), "panel": lambda: sc.matmul(A, X[:, :8]),
        "wide": lambda: sc.matmul(A, X), "columns": lambda: sc.matmul(A, np.asfortranarray(X)),
        "transposed vector": lambda: sc.matmul(turned(A), Y[:, 0]),
        "transposed panel": lambda: sc.matmul(turned(A), Y[:, :8]),
        "transposed wide": lambda: sc.matmul(turned(A), Y),
        "transposed columns": lambda: sc.matmul(turned(A), np.asfortranarray(Y)),
        "sparse": lambda: sc.matmul(A, H), "plan": lambda: sc.MatmulPlan(A, H), "gram": lambda: sc.gram(A),
        "topn": lambda: sc.matmul_topn(A, H, 3), "masked": lambda: sc.masked_matmul(A, H, G),
        "sddmm": lambda: sc.sddmm(A, Y, X), "prepare": lambda: sc.prepare(A), "tocsc": lambda: sc.tocsc(A),
        "todense": lambda: sc.todense(A), "add": lambda: sc.add(A, G), "add right": lambda: sc.add(G, A),
        "multiply": lambda: sc.multiply(G, A), "scale": lambda: sc.diag_scale(A, np.ones(m)),
        "sum 0": lambda: sc.sum(A, 0), "sum 1": lambda: sc.sum(A, 1), "mean_var": lambda: sc.mean_var(A, 0),
        "absmax": lambda: sc.absmax(A, 1), "vstack": lambda: sc.vstack([G, A]), "hstack": lambda: sc.hstack([A, G]),
        "take_rows": lambda: sc.take_rows(A, np.arange(m)[::-1]), "threshold": lambda: sc.threshold(A, 0.5),
        "topk": lambda: sc.topk(A, 9), "validate": lambda: sc.validate(A),
    }
    for name, call in calls.items():
        for threads in (1, 2):
            with sc.threads(threads), pytest.raises((ValueError, OverflowError)):
                call()
                pytest.fail(f"{name} on {threads} threads took a matrix whose pointers or indices are: {kind}")


def test_the_campaign_has_every_kind():
    assert len(KINDS) >= 30
    assert {drawn(k)[2] is None for k in range(len(KINDS))} == {True, False}


@pytest.mark.parametrize("call", [lambda A: sc.matmul(A, np.ones(A.shape[1])), sc.prepare, sc.gram, sc.norm,
                                  lambda A: sc.truncated_svd(A, 3), lambda A: sc.add(A, A)])
def test_numbers_out_of_range_in_other_formats_are_refused_before_scipy_converts(call):
    """SciPy's conversion of coordinates and blocks writes wherever they point: the process ended."""
    A = sp.random_array((48, 40), density=0.1, format="coo", random_state=np.random.default_rng(0))
    B = A.tobsr(blocksize=(4, 4))
    P = B.copy()
    A.coords[0][3] = 10**8
    B.indices[2] = 10**8
    P.indptr[3] = 10**8
    for broken in (A, B, P):
        with pytest.raises(ValueError, match="row|column|indptr"):
            call(broken)
