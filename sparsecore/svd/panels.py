"""Tall matrices in panels of w columns: arrays of shape (panels, rows, w), w = 16 for float32, else 8.

A block of w vectors is then one contiguous stream, for the sparse product as for the update against a basis, and a row
of it one line of 64 bytes (real types).  Real types run in C; complex ones through BLAS by fixed chunks of rows (the
caller holds BLAS to one thread).  Small matrices are ordinary 2-D arrays here.
"""

import functools

import numpy as np

from .. import _core
from ..ops import large

CHUNK = 4096
SERIAL = 1 << 18


def _team(threads, work):
    """One thread for so few multiply-adds that starting a team would cost more."""
    return threads if work >= SERIAL else 1


def width(dtype):
    """Columns of a panel."""
    return 16 if np.dtype(dtype) == np.float32 else 8


def empty(panels, rows, dtype):
    return large.empty((panels, rows, width(dtype)), dtype)


def carve(spare, panels, rows, dtype):
    """(panels, what is left): in the memory of spare panels where it suffices, whose pages need no clearing."""
    size = panels * rows * width(dtype) * np.dtype(dtype).itemsize
    if spare is None or spare.nbytes < size:
        return empty(panels, rows, dtype), spare
    flat = spare.reshape(-1).view(np.uint8)
    return flat[:size].view(dtype).reshape(panels, rows, width(dtype)), flat[size:]


def pack(X):
    """A tall (rows, columns) array as panels, zero-padded to whole ones."""
    rows, columns = X.shape
    w = width(X.dtype)
    P = np.zeros((-(-columns // w), rows, w), X.dtype)
    for p in range(P.shape[0]):
        part = X[:, p * w : (p + 1) * w]
        P[p, :, : part.shape[1]] = part
    return P


def unpack(P, columns=None):
    """Panels as a C-ordered (rows, columns) array."""
    columns = P.shape[0] * P.shape[2] if columns is None else columns
    if P.shape[0] == 1 and columns == P.shape[2]:
        return P[0]
    return np.ascontiguousarray(P.transpose(1, 0, 2).reshape(P.shape[1], -1)[:, :columns])


def widen(P, dtype, threads, out=None):
    """Panels in double precision, `dtype`; of f64 half as wide as of f32.  P itself where it is such."""
    if P.dtype == dtype:
        return P
    if P.dtype.kind == "c":
        return P.astype(dtype)
    out = empty(P.shape[0] * P.shape[2] // width(dtype), P.shape[1], dtype) if out is None else out
    _core.panels_widen(P, out, _team(threads, P.size))
    return out


@functools.cache
def _eye(n):
    """To copy: np.eye takes as long as a product with a small matrix."""
    return np.eye(n)


def _small(C, dtype):
    """A small (w p, w q) matrix in panels."""
    return np.ascontiguousarray(C.reshape(C.shape[0], -1, width(dtype)).transpose(1, 0, 2), dtype=dtype)


def _chunks(V):
    for i in range(0, V.shape[1], CHUNK):
        yield slice(i, i + CHUNK)


def inner(V, W, threads):
    """V^H W, of shape (w panels of V, w panels of W)."""
    w = V.shape[2]
    p, q = V.shape[0] * w, W.shape[0] * w
    if V.dtype.kind != "c":
        C = np.empty((W.shape[0], p, w), V.dtype)
        same = V is W
        _core.panels_inner(V, W, C, same, _team(threads, V.size * q))
        if C.shape[0] == 1:
            return C[0]
        C = C.transpose(1, 0, 2).reshape(p, q)
        return np.triu(C) + np.triu(C, 1).T if same else C
    C = np.zeros((p, q), V.dtype)
    for i in _chunks(V):
        C += unpack(V[:, i]).conj().T @ unpack(W[:, i])
    return C


def subtract(V, C, W, threads):
    """W -= V C, in place."""
    if V.dtype.kind != "c":
        _core.panels_subtract(V, _small(C, V.dtype), W, _team(threads, V.size * W.shape[0] * W.shape[2]))
        return
    for i in _chunks(V):
        W[:, i] -= pack(unpack(V[:, i]) @ C)


def outer(a, b, X, Y, threads):
    """Y -= a (b^H X), in place, for vectors a and b."""
    if Y.dtype.kind != "c":
        _core.panels_outer(a, b, X, Y, _team(threads, X.size + Y.size))
        return
    C = sum(b[i].conj() @ X[:, i] for i in _chunks(X))
    for i in _chunks(Y):
        Y[:, i] -= a[i, None] * C[:, None]


def rotate(V, Q, threads):
    """The first panels of V become V Q, in place; returns that part of V."""
    rows, w = V.shape[1:]
    q = Q.shape[1] // w
    if V.dtype.kind != "c":
        team = _team(threads, V.size * Q.shape[1])
        _core.panels_rotate(V, _small(Q, V.dtype), V, Q.shape[1], (w, rows * w, 1), team)
    else:
        for i in _chunks(V):
            V[:q, i] = pack(unpack(V[:, i]) @ Q)
    return V[:q]


def combine(V, Q, threads):
    """V Q in panels of their own, for real types."""
    rows, w = V.shape[1:]
    out = empty(Q.shape[1] // w, rows, V.dtype)
    _core.panels_rotate(V, _small(Q, V.dtype), out, Q.shape[1], (w, rows * w, 1), _team(threads, V.size * Q.shape[1]))
    return out


def copy_out(P, out, threads, factor):
    """out = the first columns of P diag(factor), factor of double or complex type; out any (rows, columns) array."""
    rows, w = P.shape[1:]
    if P.dtype.kind != "c" and out.flags.aligned:
        row, column = (stride // out.itemsize for stride in out.strides)
        _core.panels_copy(P, factor, out, out.shape[1], (row, w * column, column), _team(threads, P.size))
        return
    for p in range(P.shape[0]):
        part = out[:, p * w : (p + 1) * w]
        part[:] = P[p, :, : part.shape[1]] * factor[p * w : p * w + part.shape[1]].astype(P.dtype)


def top(P, threads):
    """The entry of largest magnitude in every column, the first of equals, as double or complex."""
    if P.dtype.kind != "c":
        out = np.empty(P.shape[0] * P.shape[2])
        _core.panels_top(P, out, _team(threads, P.size))
        return out
    return np.array([p[np.argmax(np.abs(p[:, c])), c] for p in P for c in range(P.shape[2])], np.complex128)


def residual(V, Z, s, threads):
    """||Z - V diag(s)|| column by column, summed in double; Z is overwritten where it is complex."""
    if V.dtype.kind != "c":
        out = np.empty(s.shape[0])
        _core.panels_residual(V, Z, s, out, _team(threads, V.size))
        return out
    Z -= V * s.astype(V.real.dtype).reshape(V.shape[0], 1, V.shape[2])
    return norms(Z)


def norms(W):
    """Euclidean norms of the columns, summed in double by fixed chunks."""
    if W.dtype.kind != "c":
        return residual(W, W, np.zeros(W.shape[0] * W.shape[2]), 1)
    total = np.zeros((W.shape[0], W.shape[2]))
    for i in _chunks(W):
        part = W[:, i]
        total += np.einsum("pic,pic->pc", part.real, part.real, dtype=np.float64)
        total += np.einsum("pic,pic->pc", part.imag, part.imag, dtype=np.float64)
    return np.sqrt(total.ravel())


def random(shape, rng, dtype):
    """Standard normal panels."""
    if dtype == np.float32:
        return rng.standard_normal(shape, np.float32)
    X = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        X = X + 1j * rng.standard_normal(shape)
    return X.astype(dtype, copy=False)


def orthonormalise(W, bases, rng, scale, threads, slack=1e-2, fill=True):
    """W = Q R in place of W: Q orthonormal; returns R.

    By Cholesky of the Gram matrix in C or, where W is nearly dependent or complex, by the scaled Gram matrix and its
    eigenvectors (SVQB; Stathopoulos and Wu, SIAM J. Sci. Comput. 23, 2002), repeated until orthonormal.  W must come
    orthogonal to the bases up to rounding at `scale` (the norm of A).  Where it has shrunk below slack * scale the
    result is orthogonalised against the bases once more; directions that are nothing but rounding are replaced by
    random ones orthogonal to the bases, or by zeros (fill=False), which R ignores.
    """
    if W.dtype.kind == "c":
        return _by_roots(W, bases, rng, scale, threads, slack, fill, np.eye(W.shape[0] * W.shape[2], dtype=complex))
    s = W.shape[0] * W.shape[2]
    R, lowest, team = _eye(s).copy(), 64 * s * np.finfo(W.dtype).eps * scale, _team(threads, W.size * s)
    least = _core.panels_orthonormalise(W, lowest, R, team)
    if least >= slack * scale or (least and not any(V.shape[0] for V in bases)):
        return R
    if least:
        project(bases, W, threads)
        again = np.empty((s, s))
        if _core.panels_orthonormalise(W, 0.5, again, team):
            return again @ R
    return _by_roots(W, bases, rng, scale, threads, slack, fill, R)


def join(W, Q, S, bases, rng, scale, threads, slack=1e-2, fill=True):
    """W -= Q S^H (Q None: not), W -= V V^H W for every basis V, and W = Q R as `orthonormalise` does; returns R.

    A step of a recurrence; for real types in one call.  fill=None: None is returned where Cholesky does not do.
    """
    if W.dtype.kind == "c":
        if Q is not None:
            subtract(Q, S.conj().T, W, threads)
        project(bases, W, threads)
        return orthonormalise(W, bases, rng, scale, threads, slack, fill)
    s = W.shape[0] * W.shape[2]
    R = _eye(s).copy()
    if _core.panels_join(Q, S, bases, W, 64 * s * np.finfo(W.dtype).eps * scale, slack * scale, R, threads):
        return R
    return None if fill is None else _by_roots(W, bases, rng, scale, threads, slack, fill, R)


def _by_roots(W, bases, rng, scale, threads, slack, fill, R):
    """What orthonormalise does where Cholesky cannot; R: what has been taken out of W."""
    eps, w, wide, s = np.finfo(W.dtype).eps, W.shape[2], R.dtype, R.shape[0]
    for attempt in range(8):
        G = inner(W, W, threads).astype(wide)
        d = np.sqrt(np.abs(np.diag(G).real))
        # What column j stands for in the W that came is its norm times the norm of its row of R.
        size = np.linalg.norm(R, axis=1)
        dead = d * size <= 4 * eps * scale
        gone = dead if not fill else np.zeros(s, bool)
        if attempt and np.abs(G - np.diag(1.0 - gone)).max() <= 32 * eps and not (dead & (size > 0) & ~gone).any():
            break
        if dead.any():
            R[dead] = 0
            for j in np.flatnonzero(dead):
                W[j // w, :, j % w] = random(W.shape[1], rng, W.dtype) if fill else 0
            project(bases, W, threads)
            G = inner(W, W, threads).astype(wide)
            d = np.sqrt(np.abs(np.diag(G).real))
        d[d == 0] = 1
        lam, E, root = _roots(G, d, eps)
        rotate(W, (E / root) / d[:, None], threads)
        R = (root[:, None] * E.conj().T) * d @ R
        # What a projection has left but little of lies in the bases again, once it is of length 1.
        cancelled = root.min() * d.min() < (0.5 if attempt else slack * scale)
        if dead.any() or cancelled:
            project(bases, W, threads)
        elif attempt == 0 and lam.min() > 0.05:
            break
    return R


def _roots(G, d, eps):
    """Eigenvalues and -vectors of the Gram matrix with columns scaled by 1 / d, and roots of the usable ones."""
    lam, E = np.linalg.eigh(G / d[:, None] / d)
    return lam, E, np.sqrt(np.maximum(lam, 16 * G.shape[0] * eps))


def symmetric(W, threads):
    """T, R with W T orthonormal, W = (W T) R, by one Gram matrix; None where its condition does not allow that."""
    eps = np.finfo(W.dtype).eps
    G = inner(W, W, threads).astype(np.complex128 if W.dtype.kind == "c" else np.float64)
    d = np.sqrt(np.abs(np.diag(G).real))
    if not d.min() > 16 * eps * d.max():
        return None
    lam, E, root = _roots(G, d, eps)
    if lam.min() < 0.3:
        return None
    return (E / root) / d[:, None], (root[:, None] * E.conj().T) * d


def project(bases, W, threads):
    """W -= V V^H W for every basis V."""
    for V in bases:
        if V.shape[0]:
            subtract(V, inner(V, W, threads), W, threads)
