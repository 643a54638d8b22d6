"""Magnitude thresholding of a layer of 4096 x 11008 f32, 10 % kept: the issue's figures, and adversarial inputs.

Peers are the usual NumPy and torch ways to the same result; they need not agree on ties, so results are held against
each other by the values that were kept.
"""

import numpy as np
import scipy.sparse as sp

import sparsecore as sc

from . import peers
from .harness import Case

KEEP = 10       # one in so many


def adversarial(rng, shape):
    """Inputs that break sampling, pivots and buckets; the first is the ordinary one."""
    normal = rng.standard_normal(shape, np.float32)
    yield "normal", normal
    yield "all equal", np.ones(shape, np.float32)
    yield "two values", np.where(normal > 1, np.float32(2), np.float32(-1))
    yield "sorted", np.sort(normal, axis=None).reshape(shape)
    yield "heavy ties", np.round(normal)
    yield "one exponent", 1 + rng.random(shape, np.float32)


def same_sum(ours, theirs):
    """The magnitudes kept add up to the same, and are as many."""
    a, b = kept(ours), kept(theirs)
    return a[0] == b[0] and abs(a[1] - b[1]) <= 1e-5 * abs(a[1]) + 1e-12


def kept(result):
    if isinstance(result, tuple):       # (mask, W)
        mask, W = result
        mask = np.asarray(mask)
        return int(mask.sum()), float(np.abs(W[mask]).sum(dtype=np.float64))
    if hasattr(result, "values") and callable(result.values):       # torch CSR
        values = result.values().numpy()
        return values.size, float(np.abs(values).sum(dtype=np.float64))
    if sp.issparse(result):
        return result.nnz, float(np.abs(result.data).sum(dtype=np.float64))
    return 1, float(result)


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


def cases(smoke=False, threads=2):
    peers.set_threads(threads)
    torch = torch_or_none(threads)
    rng = np.random.default_rng(0)
    shape = (128, 352) if smoke else (4096, 11008)
    k, row = shape[0] * shape[1] // KEEP, shape[1] // KEEP
    tau = np.float32(1.6448536)
    inputs = list(adversarial(rng, shape))
    W = inputs[0][1]
    T = torch.from_numpy(W) if torch else None
    read = W.nbytes
    name = "4096 x 11008"

    def case(op, contenders, **more):
        usable = {n: c for n, c in contenders.items() if torch or not n.startswith("torch")}
        return Case("threshold", op, more.pop("matrix", name), usable, agree=same_sum, **{"bytes": read, **more})

    def torch_kth():
        return torch.kthvalue(T.abs().view(-1), T.numel() - k + 1).values.item()

    def torch_topk_mask():
        mask = torch.zeros(T.numel(), dtype=torch.bool)
        mask[torch.topk(T.abs().view(-1), k, sorted=False).indices] = True
        return mask.view(shape).numpy(), W

    def torch_rows():
        mask = torch.zeros(shape, dtype=torch.bool)
        return mask.scatter_(1, torch.topk(T.abs(), row, dim=1, sorted=False).indices, True).numpy(), W

    def torch_two_of_four():
        g = T.abs().view(-1, 4)
        mask = torch.zeros_like(g, dtype=torch.bool)
        return mask.scatter_(1, torch.topk(g, 2, dim=1, sorted=False).indices, True).view(shape).numpy(), W

    yield case("k-th magnitude", {
        "sparsecore": lambda: sc.kth_magnitude(W, k),
        "numpy.partition": lambda: np.partition(np.abs(W).ravel(), W.size - k)[W.size - k],
        "torch.kthvalue": torch_kth})
    yield case("top-k mask", {
        "sparsecore": lambda: (sc.topk_mask(W, k), W),
        "numpy.argpartition": lambda: (global_mask_numpy(W, k), W),
        "numpy.partition": lambda: (global_mask_partition(W, k), W),
        "torch.topk": torch_topk_mask})
    yield case("top-k to CSR", {
        "sparsecore": lambda: sc.topk(W, k),
        "numpy + scipy": lambda: sp.csr_array(np.where(global_mask_partition(W, k), W, 0)),
        "torch": lambda: torch.where(T.abs() >= torch_kth(), T, 0).to_sparse_csr()})
    yield case("top-k mask by row", {
        "sparsecore": lambda: (sc.topk_mask(W, row, axis=1), W),
        "numpy.argpartition": lambda: (rows_mask_numpy(W, row), W),
        "torch.topk": torch_rows})
    yield case("top-k to CSR by row", {
        "sparsecore": lambda: sc.topk(W, row, axis=1),
        "numpy + scipy": lambda: sp.csr_array(np.where(rows_mask_numpy(W, row), W, 0)),
        "torch": lambda: torch.where(torch.from_numpy(torch_rows()[0]), T, 0).to_sparse_csr()})
    yield case("threshold to CSR", {
        "sparsecore": lambda: sc.threshold(W, tau),
        "numpy + scipy": lambda: sp.csr_array(np.where(np.abs(W) >= tau, W, 0)),
        "torch": lambda: torch.where(T.abs() >= float(tau), T, 0).to_sparse_csr()})
    D = np.where(np.abs(W) >= tau, W, np.float32(0))
    TD = torch.from_numpy(D) if torch else None
    yield case("dense to CSR", {
        "sparsecore": lambda: sc.from_dense(D),
        "scipy": lambda: sp.csr_array(D),
        "torch": lambda: TD.to_sparse_csr()})
    yield case("2:4 mask", {
        "sparsecore": lambda: (sc.nm_mask(W, keep=2, group=4), W),
        "numpy": lambda: (two_of_four_numpy(W), W),
        "torch": torch_two_of_four})
    for matrix, V in inputs[1:]:
        yield case("k-th magnitude", {
            "sparsecore": lambda V=V: sc.kth_magnitude(V, k),
            "numpy.partition": lambda V=V: np.partition(np.abs(V).ravel(), V.size - k)[V.size - k]}, matrix=matrix)
        yield case("top-k mask", {
            "sparsecore": lambda V=V: (sc.topk_mask(V, k), V),
            "numpy.argpartition": lambda V=V: (global_mask_numpy(V, k), V)}, matrix=matrix)
    large = rng.standard_normal(10**5 if smoke else 10**8, np.float32)
    yield case("k-th magnitude", {
        "sparsecore": lambda: sc.kth_magnitude(large, large.size // KEEP),
        "numpy.partition": lambda: np.partition(np.abs(large), -(large.size // KEEP))[-(large.size // KEEP)]},
        matrix="10^8 values", bytes=large.nbytes)
    multiply = rng.standard_normal((shape[1], 32), np.float32)
    N = sc.NM.from_dense(W, keep=2, group=4)
    half = N.tocsr()
    B = sc.Bitmask.from_csr(half)
    for n in (None, 32):
        X = multiply[:, 0].copy() if n is None else multiply
        op = "SpMV" if n is None else f"SpMM {n}"
        for kind, S in (("2:4", N), ("bitmask", B)):
            yield Case("threshold", f"{op} {kind} storage", name, {
                "sparsecore": lambda S=S, X=X: sc.matmul(S, X),
                "scipy": lambda X=X: half @ X}, bytes=S.nbytes)
