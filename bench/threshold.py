"""Magnitude thresholding of a layer of 4096 x 11008, 10 % kept of f32 if nothing else is said; adversarial inputs; 10^8
values.

Peers are the usual NumPy and torch ways to the same result.  They need not agree on ties: masks may differ only between
elements of one magnitude, CSR results are held against each other by the values that were kept.  The limit of a case
is what must be read and written at the least: one read of W for the k-th and whatever a mask tells of each element or
row, two for a global top-k to CSR, and the output.
"""

import numpy as np
import scipy.sparse as sp

import sparsecore as sc

from . import peers
from .harness import Case, everything

KEEP = 10       # one in so many
ENTRY = 8       # bytes of an entry of the f32 CSR


def adversarial(rng, normal):
    """Calls that make inputs which break sampling, pivots and buckets, from ordinary values."""
    yield "all equal", lambda: np.ones(normal.shape, np.float32)
    yield "two values", lambda: np.where(normal > 1, np.float32(2), np.float32(-1))
    yield "sorted", lambda: np.sort(normal, axis=None).reshape(normal.shape)
    yield "heavy ties", lambda: np.round(normal)
    yield "one exponent", lambda: 1 + rng.random(normal.shape, np.float32)


def same_sum(ours, theirs):
    """The magnitudes kept add up to the same, and are as many."""
    a, b = kept(ours), kept(theirs)
    return a[0] == b[0] and abs(a[1] - b[1]) <= 1e-5 * abs(a[1]) + 1e-12


def kept(result):
    if hasattr(result, "values") and callable(result.values):       # torch CSR
        values = result.values().numpy()
        return values.size, float(np.abs(values).sum(dtype=np.float64))
    if sp.issparse(result):
        return result.nnz, float(np.abs(result.data).sum(dtype=np.float64))
    return 1, float(result)


def same_mask_of(W):
    """As many True, and where two masks differ there is one magnitude only (of each row, where rows were asked for)."""
    def agree(ours, theirs):
        a, b = np.asarray(ours), np.asarray(theirs)
        if a.dtype != bool or b.dtype != bool or a.shape != b.shape or a.sum() != b.sum():
            return False
        rows, _ = differ = np.nonzero(a != b)
        ties = np.abs(W[differ]).astype(np.float64)
        same = ties == ties[np.searchsorted(rows, rows)] if ties.size else ties
        return bool(np.all(same))
    return agree


def torch_or_none(threads):
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch


def global_mask_numpy(W, k):
    flat = np.abs(W).ravel()
    mask = np.zeros(flat.size, bool)
    mask[np.argpartition(flat, flat.size - k)[flat.size - k:]] = True
    return mask.reshape(W.shape)


def global_mask_partition(W, k):
    a = np.abs(W)
    return a >= np.partition(a.ravel(), W.size - k)[W.size - k]


def rows_mask_numpy(W, k):
    mask = np.zeros(W.shape, bool)
    np.put_along_axis(mask, np.argpartition(np.abs(W), W.shape[1] - k, axis=1)[:, W.shape[1] - k:], True, axis=1)
    return mask


def two_of_four_numpy(W):
    g = np.abs(W).reshape(-1, 4)
    mask = np.zeros(g.shape, bool)
    np.put_along_axis(mask, np.argsort(g, axis=1)[:, 2:], True, axis=1)
    return mask.reshape(W.shape)


def bfloat16_or_none():
    try:
        import ml_dtypes
    except ImportError:
        return None
    return np.dtype(ml_dtypes.bfloat16)


def cases(smoke=False, threads=2, wanted=everything):
    peers.set_threads(threads)
    torch = torch_or_none(threads)
    rng = np.random.default_rng(0)
    shape = (128, 352) if smoke else (4096, 11008)
    size, row = shape[0] * shape[1], shape[1] // KEEP
    k = size // KEEP
    tau = np.float32(1.6448536)
    W = rng.standard_normal(shape, np.float32)
    T = torch.from_numpy(W) if torch else None
    name = "4096 x 11008"

    def case(op, matrix, contenders, nbytes, agree=same_sum):
        usable = {n: c for n, c in contenders.items() if torch or not n.startswith("torch")}
        return Case("threshold", op, matrix, usable, agree=agree, bytes=nbytes)

    def torch_kth(T, k):
        return T.abs().view(-1).kthvalue(T.numel() - k + 1).values.item()

    def torch_topk_mask(T, k):
        mask = torch.zeros(T.numel(), dtype=torch.bool)
        mask[torch.topk(T.abs().view(-1), k, sorted=False).indices] = True
        return mask.view(T.shape).numpy()

    def torch_rows():
        mask = torch.zeros(shape, dtype=torch.bool)
        return mask.scatter_(1, torch.topk(T.abs(), row, dim=1, sorted=False).indices, True).numpy()

    def torch_two_of_four():
        g = T.abs().view(-1, 4)
        mask = torch.zeros_like(g, dtype=torch.bool)
        return mask.scatter_(1, torch.topk(g, 2, dim=1, sorted=False).indices, True).view(shape).numpy()

    def kth(matrix, V, k, T=None):
        contenders = {"sparsecore": lambda: sc.kth_magnitude(V, k)}
        if V.dtype.kind in "fc":
            contenders["numpy.partition"] = lambda: np.partition(np.abs(V).ravel(), V.size - k)[V.size - k]
        if T is not None:
            contenders["torch.kthvalue"] = lambda: torch_kth(T, k)
        return case("k-th magnitude", matrix, contenders, V.nbytes)

    def mask(matrix, V, k, T=None):
        contenders = {"sparsecore": lambda: sc.topk_mask(V, k)}
        if V.dtype.kind in "fc":
            contenders["numpy.argpartition"] = lambda: global_mask_numpy(V, k)
            contenders["numpy.partition"] = lambda: global_mask_partition(V, k)
        if T is not None:
            contenders["torch.topk"] = lambda: torch_topk_mask(T, k)
        return case("top-k mask", matrix, contenders, V.nbytes + V.size, same_mask_of(V))

    yield kth(name, W, k, T)
    yield mask(name, W, k, T)
    for share, of in ((10, name), (1, f"{name} 1 %"), (50, f"{name} 50 %")):
        k_of = size * share // 100
        yield case("top-k to CSR", of, {
            "sparsecore": lambda k=k_of: sc.topk(W, k),
            "numpy + scipy": lambda k=k_of: sp.csr_array(np.where(global_mask_partition(W, k), W, 0)),
            **({"torch": lambda k=k_of: torch.where(T.abs() >= torch_kth(T, k), T, 0).to_sparse_csr()}
               if share == 10 else {})},
            2 * W.nbytes + ENTRY * k_of)
    yield case("top-k mask by row", name, {
        "sparsecore": lambda: sc.topk_mask(W, row, axis=1),
        "numpy.argpartition": lambda: rows_mask_numpy(W, row),
        "torch.topk": torch_rows}, W.nbytes + size, same_mask_of(W))
    yield case("top-k to CSR by row", name, {
        "sparsecore": lambda: sc.topk(W, row, axis=1),
        "numpy + scipy": lambda: sp.csr_array(np.where(rows_mask_numpy(W, row), W, 0)),
        "torch": lambda: torch.where(torch.from_numpy(torch_rows()), T, 0).to_sparse_csr()}, W.nbytes + ENTRY * k)
    yield case("threshold to CSR", name, {
        "sparsecore": lambda: sc.threshold(W, tau),
        "numpy + scipy": lambda: sp.csr_array(np.where(np.abs(W) >= tau, W, 0)),
        "torch": lambda: torch.where(T.abs() >= float(tau), T, 0).to_sparse_csr()}, W.nbytes + ENTRY * k)
    D = np.where(np.abs(W) >= tau, W, np.float32(0))
    TD = torch.from_numpy(D) if torch else None
    yield case("dense to CSR", name, {
        "sparsecore": lambda: sc.from_dense(D),
        "scipy": lambda: sp.csr_array(D),
        "torch": lambda: TD.to_sparse_csr()}, W.nbytes + ENTRY * k)
    yield case("2:4 mask", name, {
        "sparsecore": lambda: sc.nm_mask(W, keep=2, group=4),
        "numpy": lambda: two_of_four_numpy(W),
        "torch": torch_two_of_four}, W.nbytes + size, same_mask_of(W))
    def either(matrix):
        return wanted("k-th magnitude", matrix) or wanted("top-k mask", matrix)

    for matrix, make in adversarial(rng, W):
        if not either(matrix):
            continue
        V = make()
        yield kth(matrix, V, k)
        yield mask(matrix, V, k)
    if either(f"{name} complex64"):
        V = np.empty(shape, np.complex64)
        V.real, V.imag = W, W[::-1]
        yield kth(f"{name} complex64", V, k)
        yield mask(f"{name} complex64", V, k)
        del V
    for kind in ("float64", "float16", "bfloat16"):
        dtype = np.dtype(kind) if kind != "bfloat16" else bfloat16_or_none()
        if dtype is None or (kind == "bfloat16" and not torch):      # no peer without torch
            continue
        if not either(f"{name} {kind}"):
            continue
        TV = T.to(getattr(torch, kind)) if torch else None
        V = W.astype(kind) if kind != "bfloat16" else TV.view(torch.int16).numpy().view(dtype)
        # torch took 4 to 10 times as long as NumPy wherever both have the type: seconds for a round.
        yield kth(f"{name} {kind}", V, k, TV if kind == "bfloat16" else None)
        yield mask(f"{name} {kind}", V, k, TV if kind == "bfloat16" else None)
    if either("10^8 values"):
        large = rng.standard_normal((1, 10**5 if smoke else 10**8), np.float32)
        yield kth("10^8 values", large, large.size // KEEP)
        yield mask("10^8 values", large, large.size // KEEP)
    square = "4096 x 4096"
    if any(wanted(f"{op} {kind} storage", square) for op in ("SpMV", "SpMM 32") for kind in ("2:4", "bitmask")):
        yield from storage(rng, (128, 352) if smoke else (4096, 4096), square, torch)


def storage(rng, shape, name, torch):
    """Products of half-dense storage read directly, against CSR and against the dense product."""
    W = rng.standard_normal(shape, np.float32)
    multiply = rng.standard_normal((shape[1], 32), np.float32)
    for kind in ("2:4", "bitmask"):
        S = sc.NM.from_dense(W, keep=2, group=4) if kind == "2:4" else sc.Bitmask.from_csr(sc.topk(W, W.size // 2))
        A = S.tocsr()
        D = A.toarray()
        for n in (None, 32):
            X = multiply[:, 0].copy() if n is None else multiply
            contenders = {"sparsecore": lambda S=S, X=X: sc.matmul(S, X), "scipy": lambda A=A, X=X: A @ X,
                          "dense numpy": lambda D=D, X=X: D @ X}
            if torch:
                TD, TX = torch.from_numpy(D), torch.from_numpy(X)
                contenders["dense torch"] = lambda TD=TD, TX=TX: (TD @ TX).numpy()
            contenders["sparsecore CSR"] = lambda A=A, X=X: sc.matmul(A, X)
            yield Case("threshold", f"{'SpMV' if n is None else f'SpMM {n}'} {kind} storage", name, contenders,
                       bytes=S.nbytes, flops=2.0 * S.nnz * (n or 1), gemm="gemm_f32", baselines=("sparsecore CSR",))
