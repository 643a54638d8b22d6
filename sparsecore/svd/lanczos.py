"""Thick-restart block Golub-Kahan-Lanczos bidiagonalisation with one-sided reorthogonalisation.

    A V = U B,   A^H U = V B^H + V_next S E^H       (E: the last block of columns)

V is kept orthonormal against all of itself, U only against its last block: U inherits orthogonality (Simon and Zha,
SIAM J. Sci. Comput. 21, 2000).  A full basis is rotated to its leading Ritz vectors and goes on from V_next (Baglama
and Reichel, SIAM J. Sci. Comput. 27, 2005).  Residuals of Ritz triplets are ||S x|| with x the last block of the left
vector of B: free.

A block finds at most as many copies of a repeated singular value as it is wide.  So, at convergence, a safeguard runs
the same recurrence in the complement of V from fresh random vectors; what it finds above the wanted values widens the
block, and the iteration goes on.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.special import gammaincinv

from . import panels
from .panels import WIDTH

SAFEGUARD_STEPS = 4, 10      # at least, at most
FAILURE = 1e-6      # probability with which the bound `missed` may fail


class Progress(NamedTuple):
    """What a callback sees at every check: counts, and the Ritz values with their residuals."""

    passes: int
    matvecs: int
    s: np.ndarray
    residuals: np.ndarray


class Wanted(NamedTuple):
    """When to stop: k triplets to tol, or max_passes products, or callback(Progress) true."""

    k: int
    tol: float
    max_passes: float
    callback: object

    def limit(self, s, eps):
        """Residuals that meet both promises: r <= tol s_1, and the values: r^2 <= 0.1 tol s_{k+1}^2.

        The second keeps max |s_i^2 - sigma_i^2| below tol sigma_{k+1}^2: found to hold by experiment with the factor
        0.1.  Rounding is the floor.
        """
        after = s[self.k] if s.shape[0] > self.k else s[-1]
        return max(min(self.tol * s[0], np.sqrt(0.1 * self.tol) * after), 2 * eps * s[0])

    def settled(self, history, s):
        """Do the values stand still?  In a cluster wider than its gaps small residuals do not say so.

        What is still to come is taken as the last movement times rho / (1 - rho), rho the residuals' last shrinkage.
        """
        worst = history[-1][1]
        if worst <= 0.05:
            return True
        if len(history) < 2:
            return False
        _, before, old = history[-2]
        rho = min(worst / before, 0.99)
        after = s[self.k] if s.shape[0] > self.k else s[-1]
        return np.abs(history[-1][2] - old).max() * rho / (1 - rho) <= self.tol * after**2


class Found(NamedTuple):
    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    missed: float


def lanczos(op, want, start, capacity, rng, threads):
    """The leading want.k triplets of op (rows >= columns), as panels.

    start: panels of the first block of V (its number of panels is the block size); capacity: panels of a basis.
    The bases take (m + n) * 8 * capacity values.
    """
    m, n = op.shape
    dtype, eps = op.dtype, np.finfo(op.dtype).eps
    k, t = want.k, start.shape[0]
    keep = -(-(k + WIDTH) // WIDTH)
    V = panels.empty(capacity + t, n, dtype)
    U = panels.empty(capacity, m, dtype)
    wide = np.complex128 if dtype.kind == "c" else np.float64
    B = np.zeros((capacity * WIDTH, capacity * WIDTH), wide)

    V[:t] = start
    panels.orthonormalise(V[:t], [], rng, 1.0, threads)
    P = op.mul(V[:t], U[:t])
    scale = float(panels.norms(P).max())
    R = panels.orthonormalise(P, [], rng, scale, threads, 1e-3)
    B[: t * WIDTH, : t * WIDTH] = R
    w = t                       # panels of the basis
    restarted = False           # many restarts in a flat spectrum wear out what U inherits: then it is kept up too
    history, next_check = [], keep + t
    while True:
        Z = op.tmul(U[w - t : w], V[w : w + t])
        panels.project([V[:w]], Z, threads)
        S = panels.orthonormalise(Z, [V[:w]], rng, scale, threads)
        spent = op.passes + 3 >= want.max_passes
        full = w + t > capacity
        if full or spent or w >= next_check:
            X, s, Yh, r = _ritz(B[: w * WIDTH, : w * WIDTH], S, k, full or spent or want.tol < 1e-6)
            scale = max(scale, float(s[0]))
            stop = want.callback is not None and want.callback(Progress(op.passes, op.matvecs, s[:k], r))
            worst = float(r.max()) / want.limit(s, eps)
            history.append((op.passes, worst, s[:k] ** 2))
            missed = np.inf
            done = spent or stop or (worst <= 1 and want.settled(history, s))
            if done:
                if Yh is None:
                    X, s, Yh, r = _ritz(B[: w * WIDTH, : w * WIDTH], S, k, True)
                extra = None
                if not (spent or stop):
                    missed, extra = _safeguard(op, V[:w], U[:w], V[w : w + t], S, s, want, rng, scale,
                                               threads)
                wider = t + (0 if extra is None else extra.shape[0])
                # Nothing more to find, or no room in the space for a wider block: then `missed` says so.
                if extra is None or (min(keep, w) + 4 * wider + 3) * WIDTH > n:
                    q = -(-k // WIDTH)
                    return Found(panels.rotate(U[:w], X[:, : q * WIDTH], threads), s[:k],
                                 panels.rotate(V[:w], Yh[: q * WIDTH].conj().T, threads), missed)
                full = True
            next_check = w + t * _steps_to_go(history)
        if full:
            if Yh is None:
                X, s, Yh, r = _ritz(B[: w * WIDTH, : w * WIDTH], S, k, True)
            p = min(keep, w)
            F = S @ X[(w - t) * WIDTH : w * WIDTH, : p * WIDTH]
            after = V[w : w + t].copy()
            panels.rotate(V[:w], Yh[: p * WIDTH].conj().T, threads)
            panels.rotate(U[:w], X[:, : p * WIDTH], threads)
            if done:                     # the safeguard's find joins the block; it does not couple to what is kept
                after = np.concatenate([after, extra])
                F = np.concatenate([F, np.zeros((extra.shape[0] * WIDTH, F.shape[1]), F.dtype)])
                t = after.shape[0]
                if p + 3 * t > capacity or V.shape[0] < capacity + t:
                    capacity = max(capacity, p + 3 * t)
                    V, U = _grown(V, capacity + t, p), _grown(U, capacity, p)
                    B = np.zeros((capacity * WIDTH,) * 2, wide)
            V[p : p + t] = after
            restarted = True
            B[:] = 0
            B[np.arange(p * WIDTH), np.arange(p * WIDTH)] = s[: p * WIDTH]
            next_check, base, w = p + 2 * t, 0, p
        else:
            F, base = S, w - t
        P = op.mul(V[w : w + t], U[w : w + t])
        panels.subtract(U[base:w], F.conj().T, P, threads)
        if restarted:
            panels.project([U[:w]], P, threads)
        R = panels.orthonormalise(P, [U[:w]], rng, scale, threads, 1e-3)
        B[base * WIDTH : w * WIDTH, w * WIDTH : (w + t) * WIDTH] = F.conj().T
        B[w * WIDTH : (w + t) * WIDTH, w * WIDTH : (w + t) * WIDTH] = R
        w += t


def _grown(V, capacity, p):
    W = panels.empty(capacity, V.shape[1], V.dtype)
    W[:p] = V[:p]
    return W


def _ritz(B, S, k, fully):
    """X, s, Yh of B and the residuals of the first k; not fully: leading values by B B^H, and no Yh."""
    last = B.shape[0] - S.shape[1]
    if fully:
        X, s, Yh = np.linalg.svd(B)
    else:
        size = B.shape[0]
        lam, X = eigh(B @ B.conj().T, subset_by_index=[max(0, size - k - 1), size - 1], overwrite_a=True,
                      check_finite=False)
        s, X, Yh = np.sqrt(np.maximum(lam[::-1], 0)), X[:, ::-1], None
    r = np.linalg.norm(S @ X[last:, :k], axis=0)
    return X, s, Yh, r


def _steps_to_go(history):
    """Block steps until the next check: half of what the last two checks foretell."""
    if len(history) < 2:
        return 2
    (p0, a, _), (p1, b, _) = history[-2:]
    rate = np.log(max(a, 1e-300) / max(b, 1e-300)) / (p1 - p0) * 2      # a step is two passes
    return int(np.clip(0.5 * np.log(max(b, 1.0)) / max(rate, 1e-9), 1, 8))


def _safeguard(op, V, U, after, last, s, want, rng, scale, threads):
    """(bound on what was missed, None), or (inf, panels of vectors that belong in the block).

    Golub-Kahan-Lanczos from random G orthogonal to V, in the complement of V.  With theta the largest Ritz value after
    q blocks: a singular value sigma of the complement with theta < sigma would need
        cosh((2q - 2) x) sinh(x) < ||G|| / ||g||,   cosh(x) = sigma / theta,
    g the component of G on its vector, ||g||^2 chi-squared with as many degrees of freedom as G has columns.
    """
    n = V.shape[1]
    room = min(SAFEGUARD_STEPS[1], (n - (V.shape[0] + after.shape[0]) * WIDTH) // WIDTH - 1)
    k = want.k
    following = float(s[k]) if s.shape[0] > k else 0.0
    if room < 1:
        return max(following, float(s[-1])), None
    G = panels.empty(room, n, V.dtype)
    G[:1] = panels.random((1, n, WIDTH), rng, V.dtype)
    T = np.zeros((room * WIDTH,) * 2, np.complex128 if V.dtype.kind == "c" else np.float64)
    panels.project([V], G[:1], threads)
    panels.orthonormalise(G[:1], [V], rng, 1.0, threads)
    S, Q = None, None
    for q in range(1, room + 1):
        here, there = slice((q - 1) * WIDTH, q * WIDTH), slice((q - 2) * WIDTH, (q - 1) * WIDTH)
        P = op.mul(G[q - 1 : q])
        if q > 1:
            panels.subtract(Q, S.conj().T, P, threads)
            T[there, here] = S.conj().T
        R = panels.orthonormalise(P, [U], rng, scale, threads, 1e-3)
        T[here, here] = R
        Q = P
        if q == room:
            break
        Z = op.tmul(Q, G[q : q + 1])
        bases = [V, G[:q]]
        panels.project(bases, Z, threads)
        S = panels.orthonormalise(Z, bases, rng, scale, threads)
        if q >= SAFEGUARD_STEPS[0]:
            X, theta, _ = np.linalg.svd(T[: q * WIDTH, : q * WIDTH])
            # Decided: the largest value, even with what its residual leaves open, is none of the wanted.
            if theta[0] ** 2 + np.linalg.norm(S @ X[here, 0]) ** 2 <= s[k - 1] ** 2:
                break
    G = G[:q]
    _, theta, Yh = np.linalg.svd(T[: q * WIDTH, : q * WIDTH])
    above = theta**2 > s[k - 1] ** 2 + 0.5 * want.tol * following**2 + 100 * np.finfo(V.dtype).eps * s[0] ** 2
    if above[0]:
        more = -(-int(above.sum()) // WIDTH)
        extra = panels.rotate(G, Yh[: more * WIDTH].conj().T, threads).copy()
        panels.project([V, after], extra, threads)
        panels.orthonormalise(extra, [V, after], rng, 1.0, threads)
        return np.inf, extra
    degrees = 2 if V.dtype.kind == "c" else 1
    longest = degrees * n + 7 * np.sqrt(2 * degrees * n)
    ratio = np.sqrt(longest / (2 * gammaincinv(degrees * WIDTH / 2, FAILURE)))
    x = brentq(lambda x: np.cosh((2 * q - 2) * x) * np.sinh(x) - ratio, 0, np.arcsinh(ratio) + 1e-9)
    # Beside the complement, what is in V but not wanted: it is coupled to the complement by S.
    tau, coupled = float(theta[0]) * np.cosh(x), following * float(np.linalg.norm(last, 2))
    both = np.array([[following**2, coupled], [coupled, tau**2]])
    return float(np.sqrt(np.linalg.eigvalsh(both)[-1])), None
