"""Tall matrices in panels of 8 columns: arrays of shape (panels, rows, 8).

A block of 8 vectors is then one contiguous stream, for the sparse product as for the update against a basis.  Real
types run in C; complex ones through BLAS by fixed chunks of rows (the caller holds BLAS to one thread).  Small matrices
are ordinary 2-D arrays here.
"""

import numpy as np

from .. import _core

WIDTH = 8
CHUNK = 4096
SERIAL = 1 << 20


def _team(threads, work):
    """One thread for so few multiply-adds that starting a team would cost more."""
    return threads if work >= SERIAL else 1


def empty(panels, rows, dtype):
    return np.empty((panels, rows, WIDTH), dtype)


def pack(X):
    """A tall (rows, columns) array as panels, zero-padded to whole ones."""
    rows, columns = X.shape
    P = np.zeros((-(-columns // WIDTH), rows, WIDTH), X.dtype)
    for p in range(P.shape[0]):
        part = X[:, p * WIDTH : (p + 1) * WIDTH]
        P[p, :, : part.shape[1]] = part
    return P


def unpack(P, columns=None):
    """Panels as a C-ordered (rows, columns) array."""
    columns = P.shape[0] * WIDTH if columns is None else columns
    if P.shape[0] == 1 and columns == WIDTH:
        return P[0]
    return np.ascontiguousarray(P.transpose(1, 0, 2).reshape(P.shape[1], -1)[:, :columns])


def _small(C, dtype):
    """A small (8p, 8q) matrix in panels."""
    return np.ascontiguousarray(C.reshape(C.shape[0], -1, WIDTH).transpose(1, 0, 2), dtype=dtype)


def _chunks(V):
    for i in range(0, V.shape[1], CHUNK):
        yield slice(i, i + CHUNK)


def inner(V, W, threads):
    """V^H W, of shape (8 panels of V, 8 panels of W)."""
    p, q = V.shape[0] * WIDTH, W.shape[0] * WIDTH
    if V.dtype.kind != "c":
        C = np.empty((W.shape[0], p, WIDTH), V.dtype)
        _core.panels_inner(V, W, C, _team(threads, V.size * q))
        return C.transpose(1, 0, 2).reshape(p, q)
    C = np.zeros((p, q), V.dtype)
    for i in _chunks(V):
        C += unpack(V[:, i]).conj().T @ unpack(W[:, i])
    return C


def subtract(V, C, W, threads):
    """W -= V C, in place."""
    if V.dtype.kind != "c":
        _core.panels_subtract(V, _small(C, V.dtype), W, _team(threads, V.size * W.shape[0] * WIDTH))
        return
    for i in _chunks(V):
        W[:, i] -= pack(unpack(V[:, i]) @ C)


def rotate(V, Q, threads):
    """The first panels of V become V Q, in place; returns that part of V."""
    q = Q.shape[1] // WIDTH
    rows = V.shape[1]
    if V.dtype.kind != "c":
        team = _team(threads, V.size * Q.shape[1])
        _core.panels_rotate(V, _small(Q, V.dtype), V, Q.shape[1], (WIDTH, rows * WIDTH, 1), team)
    else:
        for i in _chunks(V):
            V[:q, i] = pack(unpack(V[:, i]) @ Q)
    return V[:q]


def copy_out(P, out):
    """out[:, :] = the first columns of P; out any (rows, columns) array."""
    for p in range(P.shape[0]):
        part = out[:, p * WIDTH : (p + 1) * WIDTH]
        part[:] = P[p, :, : part.shape[1]]


def norms(W):
    """Euclidean norms of the columns, summed in double by fixed chunks."""
    total = np.zeros((W.shape[0], WIDTH))
    for i in _chunks(W):
        part = W[:, i]
        if part.dtype.kind == "c":
            total += np.einsum("pic,pic->pc", part.real, part.real, dtype=np.float64)
            total += np.einsum("pic,pic->pc", part.imag, part.imag, dtype=np.float64)
        else:
            total += np.einsum("pic,pic->pc", part, part, dtype=np.float64)
    return np.sqrt(total.ravel())


def random(shape, rng, dtype):
    """Standard normal panels, the same values for every precision up to rounding."""
    X = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        X = X + 1j * rng.standard_normal(shape)
    return X.astype(dtype, copy=False)


def orthonormalise(W, bases, rng, scale, threads, slack=1e-2):
    """W = Q R in place of W: Q orthonormal; returns R.

    By the scaled Gram matrix and its eigenvectors (SVQB; Stathopoulos and Wu, SIAM J. Sci. Comput. 23, 2002), repeated
    until orthonormal.  W must come orthogonal to the bases up to rounding at `scale` (the norm of A).  Where it has
    shrunk below slack * scale the result is orthogonalised against the bases once more; directions that are nothing
    but rounding are replaced by random ones orthogonal to the bases, which R ignores.
    """
    eps = np.finfo(W.dtype).eps
    wide = np.complex128 if W.dtype.kind == "c" else np.float64
    s = W.shape[0] * WIDTH
    R = np.eye(s, dtype=wide)
    for attempt in range(8):
        G = inner(W, W, threads).astype(wide)
        d = np.sqrt(np.abs(np.diag(G).real))
        if attempt and np.abs(G - np.eye(s)).max() <= 32 * eps:
            break
        # What column j stands for in the W that came is its norm times the norm of its row of R.
        dead = d * np.linalg.norm(R, axis=1) <= 4 * eps * scale
        if dead.any():
            R[dead] = 0
            for j in np.flatnonzero(dead):
                W[j // WIDTH, :, j % WIDTH] = random(W.shape[1], rng, W.dtype)
            project(bases, W, threads)
            G = inner(W, W, threads).astype(wide)
            d = np.sqrt(np.abs(np.diag(G).real))
        d[d == 0] = 1
        lam, E = np.linalg.eigh(G / d[:, None] / d)
        usable = np.maximum(lam, 16 * s * eps)
        root = np.sqrt(usable)
        rotate(W, (E / root) / d[:, None], threads)
        R = (root[:, None] * E.conj().T) * d @ R
        cancelled = attempt == 0 and root.min() * d.min() < slack * scale
        if dead.any() or cancelled:
            project(bases, W, threads)
        elif attempt == 0 and lam.min() > 0.05:
            break
    return R


def project(bases, W, threads):
    """W -= V V^H W for every basis V."""
    for V in bases:
        if V.shape[0]:
            subtract(V, inner(V, W, threads), W, threads)
