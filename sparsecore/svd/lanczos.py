"""Thick-restart block Lanczos iteration for singular values.

It goes by one of two recurrences (recurrences.py): on A^H A, which is cheaper, or the bidiagonalisation of A, where
squares would cost too many digits.  A full basis is rotated to its leading Ritz vectors and goes on from the block that
comes next (Wu and Simon, SIAM J. Matrix Anal. Appl. 22, 2000; Baglama and Reichel, SIAM J. Sci. Comput. 27, 2005).

A block finds at most as many copies of a repeated singular value as it is wide.  So, at convergence, a safeguard runs
the bidiagonalisation in the complement of V from fresh random vectors; what it finds above the wanted values widens the
block, and the iteration goes on.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincinv

from . import panels
from .recurrences import Bidiagonal, Squared, eigh

SAFEGUARD_STEPS = 4, 10      # at least, at most
STALLED = 30        # restarts without progress after which what is there is returned
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
        0.1.  Rounding is the floor; Ritz values in single precision let residuals seem smaller by up to 4 %.
        """
        after = s[self.k] if s.shape[0] > self.k else s[-1]
        return max(min(0.95 * self.tol * s[0], np.sqrt(0.1 * self.tol) * after), 2 * eps * s[0])

    def settled(self, history, s, r):
        """Do the values stand still?  In a cluster wider than its gaps small residuals do not say so.

        |s_i^2 - sigma^2| <= s_i r_i for some sigma, which in a cluster is not always the one meant: half of what is
        allowed (all of it ended with a PVE of 2 tol where 300 values lay within 3 %).  Else what is still to come is
        taken as the last movement times rho / (1 - rho), rho the residuals' last shrinkage.
        """
        after = s[self.k] if s.shape[0] > self.k else s[-1]
        if (s[: self.k] * r).max() <= 0.5 * self.tol * after**2 or r.max() <= 4 * np.finfo(float).eps * s[0]:
            return True
        if len(history) < 2:
            return False
        worst, (_, before, old) = history[-1][1], history[-2]
        rho = min(worst / before, 0.99)
        return np.abs(history[-1][2] - old).max() * rho / (1 - rho) <= 0.5 * self.tol * after**2


class Found(NamedTuple):
    V: np.ndarray           # panels that span the k leading right vectors
    s: np.ndarray           # k + 1 values, where there are so many
    missed: float
    spare: np.ndarray       # panels that are free now


def lanczos(op, want, start, capacity, rng, threads, give_up=False):
    """The leading want.k right vectors of op (rows >= columns), as panels.

    start: panels of the first block of V (its number of panels is the block size); capacity: panels of a basis.
    The basis takes n * capacity panel rows.
    give_up: return None where what is wanted is finer than the type's rounding.
    """
    n, c = op.shape[1], op.width
    dtype, eps = op.dtype, np.finfo(op.dtype).eps
    k, t = want.k, start.shape[0]
    keep = -(-(k + c) // c)
    V = panels.empty(capacity + t, n, dtype)
    V[:t] = start
    panels.orthonormalise(V[:t], [], rng, 1.0, threads)
    if Squared.serves(op, want.tol):
        basis = Squared(op, V, t, capacity, rng, threads, want.tol)
    else:
        basis = Bidiagonal(op, V, t, capacity, rng, threads)
    hopeless = False        # the squares are at their rounding
    coarse, single = dtype.kind != "c", dtype == np.float32     # Ritz values in single precision, while that does
    first = keep + t * max(1, round(_check_cost(op, basis.reach(keep + t), keep + t, t, coarse) / 2))
    history, next_check = [], first
    best, restarts = np.inf, 0          # of the residuals, and since then
    while True:
        if hopeless or not basis.step():
            hopeless, t = False, start.shape[0]
            V[:t] = start
            panels.orthonormalise(V[:t], [], rng, 1.0, threads)
            basis, history, next_check = Bidiagonal(op, V, t, capacity, rng, threads), [], first
            best, restarts = np.inf, 0
            continue
        w, t = basis.w, basis.t
        spent = op.passes + 2 >= want.max_passes
        full = w + t > capacity
        if not (full or spent or w >= next_check):
            continue
        columns = keep * c if full else (k // c + 1) * c
        # A restart needs X as good as the type: V[:p] and the next block must be all that A^H A V reaches (from single
        # precision residuals ended at 1e-6 s_1).
        X, s, r, limit, so_far = basis.ritz(want, columns, coarse and (single or not full))
        coarse = so_far if single or not full else coarse
        stop = want.callback is not None and want.callback(Progress(op.passes, op.matvecs, s[:k], r))
        worst = float(r.max()) / limit
        if give_up and limit < 16 * eps * s[0] and (r.max() < 64 * eps * s[0] or full):
            return None         # what is wanted lies below the rounding of this type
        history.append((op.passes, worst, s[:k] ** 2))
        restarts += full
        if worst < 0.99 * best:
            best, restarts = worst, 0
        spent = spent or restarts > STALLED
        done = spent or stop or (worst <= 1 and want.settled(history, s, r))
        if isinstance(basis, Squared) and not (basis.exact(want.tol) or spent or stop):
            # What these squares have cost Bidiagonal could not mend; values still grow.
            hopeless = not basis.fits(s[0], (1 if done or full else 2) * s[min(k, s.shape[0]) - 1], want.tol)
            if hopeless:
                continue
        if not (done or full):
            check = _check_cost(op, basis.reach(w), w, t, coarse)
            next_check = w + t * _steps_to_go(history, check, max(4, w // (4 * t)), t * c / k)
            continue
        squares_fail = (isinstance(basis, Squared) and basis.exact(want.tol)
                        and not basis.fits(s[0], s[-1], want.tol))
        done = done and (not squares_fail or spent or stop)
        missed, extra = np.inf, None
        Y = basis.right(X)
        p = Y.shape[1] // c
        look, room = done and not (spent or stop), min(SAFEGUARD_STEPS[1], n // c - w - t - 1)
        G = _outside(V[:w], rng, threads) if look and room > 0 else None
        last, after = V[w - t : w].copy(), V[w : w + t].copy()
        basis.release()
        panels.rotate(V[:w], Y[:, : p * c], threads)
        if look:
            if G is not None:       # where the basis was, if it was large enough
                block, G = G, V[p : p + room] if V.shape[0] >= p + room else panels.empty(room, n, dtype)
                G[:1] = block
            missed, extra = _safeguard(op, G, [last, V[:p]], after, basis, s, want)
        if done:
            wider = t + (0 if extra is None else extra.shape[0])
            # Nothing more to find, or no room in the space for a wider block: then `missed` says so.
            if extra is None or (p + 4 * wider + 3) * c > n:
                q = -(-k // c)
                return Found(V[:q], s[: k + 1], missed, V[q:])
        if extra is not None:           # the safeguard's find joins the block
            after = np.concatenate([after, extra])
            t = after.shape[0]
            if p + 3 * t > capacity or V.shape[0] < capacity + t:
                capacity = max(capacity, p + 3 * t)
                V = _grown(V, capacity + t, p)
        V[p : p + t] = after
        if squares_fail:
            basis = Bidiagonal(op, V, t, capacity, rng, threads, basis.norm)
            best, restarts = np.inf, 0
        basis.restart(V, p, t, s)
        next_check = p + 2 * t


def _grown(V, capacity, p):
    W = panels.empty(capacity, V.shape[1], V.dtype)
    W[:p] = V[:p]
    return W


def _check_cost(op, reach, w, t, coarse):
    """What Ritz values of w panels cost, in steps of t panels that meet `reach` ones.

    A sparse product gathers, a step makes some 20 calls, LAPACK's eigenvectors go by the square of the size below 500.
    Rates of two Zen 3 cores."""
    n, c = op.shape[1], op.width
    step = t * c * ((4 if op.dense else 30) * op.entries + 4 * n * reach * c) / (1e11 if c == 16 else 5e10) + 3e-4
    return (9e-8 if coarse else 1.6e-7) * (w * c) ** 2 * (1 + w * c / 1500) / step


def _steps_to_go(history, check, most, share):
    """Block steps until the next check, at most `most`, from what the last two foretell.

    check: what a check costs, in steps.  Where it costs much, going a step too far is cheaper than another one.
    share: columns of a step / k, by which the residuals of a first check shrink: by its exponential, as found.
    """
    least = -int(-check // 2)
    if len(history) < 2:
        # In two steps at least: over a single one the values of a cluster seem to stand still.
        return int(np.clip(0.85 * np.log(max(history[-1][1], 1.0)) / share, max(2, least), max(4, least)))
    (p0, a, _), (p1, b, _) = history[-2:]
    rate = np.log(max(a, 1e-300) / max(b, 1e-300)) / (p1 - p0) * 2      # a step is two passes
    if rate <= 0:               # a value that was not there before
        return max(1, least)
    near = 0.5 if check < 0.25 else 0.85
    return int(np.clip(near * np.log(max(b, 1.0)) / max(rate, 1e-9), max(1, least), max(most, least)))


def _outside(V, rng, threads):
    """The safeguard's first block, random and orthogonal to V."""
    G = panels.random((1, *V.shape[1:]), rng, V.dtype)
    panels.project([V], G, threads)
    panels.orthonormalise(G, [V], rng, 1.0, threads)
    return G


def _safeguard(op, G, bases, after, basis, s, want):
    """(bound on what was missed, None), or (inf, panels of vectors that belong in the block).

    Golub-Kahan-Lanczos from random G orthogonal to V, in the complement of V.  A^H A leads from there into the last
    block of V only, so it is enough to project against that block, and against the wanted Ritz vectors, along which
    rounding would grow: a third of all of V.  bases: these two, in this order.

    With theta the largest Ritz value after q blocks: a singular value sigma of the complement with theta < sigma would
    need
        cosh((2q - 2) x) sinh(x) < ||G|| / ||g||,   cosh(x) = sigma / theta,
    g the component of G on its vector, ||g||^2 chi-squared with as many degrees of freedom as G has columns.
    """
    k = want.k
    following = float(s[k]) if s.shape[0] > k else 0.0
    if G is None:
        return max(following, float(s[-1])), None
    room, n, c = G.shape
    rng, threads, scale = basis.rng, basis.threads, basis.norm
    V = bases[1]
    T = np.zeros((room * c,) * 2, np.complex128 if V.dtype.kind == "c" else np.float64)
    S, Q = None, None
    for q in range(1, room + 1):
        here, there = slice((q - 1) * c, q * c), slice((q - 2) * c, (q - 1) * c)
        P = op.mul(G[q - 1 : q])
        if q > 1:
            T[there, here] = S.conj().T
        R = panels.join(P, Q, S, [], rng, scale, threads, 1e-3, False)
        T[here, here] = R
        Q = P
        if q < room:
            Z = op.tmul(Q, G[q : q + 1])
            S = panels.join(Z, G[q - 1 : q], R, [*bases, G[:q]], rng, scale, threads)
            if q < SAFEGUARD_STEPS[0]:
                continue
        lam, X = eigh(T[: q * c, : q * c] @ T[: q * c, : q * c].conj().T, 1)
        # Decided: the largest value, even with what its residual leaves open, is none of the wanted.
        if q == room or lam[-1] + np.linalg.norm(S @ X[here, -1]) ** 2 <= s[k - 1] ** 2:
            break
    G, T = G[:q], T[: q * c, : q * c]
    theta = float(np.sqrt(max(0.0, lam[-1])))
    most = s[k - 1] ** 2 + 0.5 * want.tol * following**2 + 100 * np.finfo(V.dtype).eps * s[0] ** 2
    if theta**2 > most:
        _, values, Yh = np.linalg.svd(T)
        more = max(1, -(-int((values**2 > most).sum()) // c))
        extra = panels.rotate(G, Yh[: more * c].conj().T, threads).copy()
        panels.project([V, after], extra, threads)
        panels.orthonormalise(extra, [V, after], rng, 1.0, threads)
        return np.inf, extra
    degrees = 2 if V.dtype.kind == "c" else 1
    longest = degrees * n + 7 * np.sqrt(2 * degrees * n)
    ratio = np.sqrt(longest / (2 * gammaincinv(degrees * c / 2, FAILURE)))
    x = brentq(lambda x: np.cosh((2 * q - 2) * x) * np.sinh(x) - ratio, 0, np.arcsinh(ratio) + 1e-9)
    # Beside the complement, what is in V but not wanted: it is coupled to the complement.
    tau, coupled = theta * np.cosh(x), basis.coupling(following)
    both = np.array([[following**2, coupled], [coupled, tau**2]])
    return float(np.sqrt(np.linalg.eigvalsh(both)[-1])), None
