"""Thick-restart block Golub-Kahan-Lanczos bidiagonalisation with one-sided reorthogonalisation.

    A V = U B,   A^H U = V B^H + V_next S E^H       (E: the last block of columns)

V is kept orthonormal against all of itself, U only against its last block: U inherits orthogonality (Simon and Zha,
SIAM J. Sci. Comput. 21, 2000), so U need not be stored at all.  A full basis is rotated to its leading Ritz vectors and
goes on from V_next (Baglama and Reichel, SIAM J. Sci. Comput. 27, 2005).  Residuals of Ritz triplets are ||S x|| with x
the last block of the left vector of B: free.

A block finds at most as many copies of a repeated singular value as it is wide.  So, at convergence, a safeguard runs
the same recurrence in the complement of V from fresh random vectors; what it finds above the wanted values widens the
block, and the iteration goes on.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import brentq
from scipy.special import gammaincinv

from . import panels

SAFEGUARD_STEPS = 4, 10      # at least, at most
SINGLE = np.finfo(np.float32).eps
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

    def settled(self, history, s, r):
        """Do the values stand still?  In a cluster wider than its gaps small residuals do not say so.

        |s_i^2 - sigma^2| <= s_i r_i for some sigma.  Else what is still to come is taken as the last movement times
        rho / (1 - rho), rho the residuals' last shrinkage.
        """
        after = s[self.k] if s.shape[0] > self.k else s[-1]
        if (s[: self.k] * r).max() <= self.tol * after**2 or r.max() <= 4 * np.finfo(float).eps * s[0]:
            return True
        if len(history) < 2:
            return False
        worst, (_, before, old) = history[-1][1], history[-2]
        rho = min(worst / before, 0.99)
        return np.abs(history[-1][2] - old).max() * rho / (1 - rho) <= 0.5 * self.tol * after**2


class Found(NamedTuple):
    V: np.ndarray           # panels that span the k leading right vectors
    s: np.ndarray
    missed: float
    spare: np.ndarray       # panels that are free now


def lanczos(op, want, start, capacity, rng, threads, give_up=False):
    """The leading want.k right vectors of op (rows >= columns), as panels.

    start: panels of the first block of V (its number of panels is the block size); capacity: panels of a basis.
    The basis takes n * capacity panel rows; of U only the last block is there, and after a restart the kept vectors,
    which are made anew by a product: cheaper to make than to store and rotate.
    give_up: return None where what is wanted is finer than the type's rounding.
    """
    n, c = op.shape[1], op.width
    dtype, eps = op.dtype, np.finfo(op.dtype).eps
    k, t = want.k, start.shape[0]
    keep = -(-(k + c) // c)
    wide = np.complex128 if dtype.kind == "c" else np.float64
    V = panels.empty(capacity + t, n, dtype)
    B, M = (np.zeros((capacity * c, capacity * c), wide) for _ in range(2))     # M = B B^H
    V[:t] = start
    panels.orthonormalise(V[:t], [], rng, 1.0, threads)
    kept = Q = S = None
    # Panels of the basis, how many of them M has, how many a restart kept; a lower bound of the norm.
    w, seen, p, scale = 0, 0, 0, 0.0
    coarse, single = dtype.kind != "c", dtype == np.float32     # Ritz values in single precision, while that does
    history, next_check = [], keep + t * max(1, round(_check_cost(op, keep + t, t, coarse) / 2))
    while True:
        P = op.mul(V[w : w + t])
        here = slice(w * c, (w + t) * c)
        if not scale:
            scale = float(panels.norms(P).max())
        # Many restarts in a flat spectrum wear out the orthogonality that U inherits, so P meets `kept` again.
        around = [] if kept is None else [kept]
        if Q is None and kept is not None:
            C = panels.inner(kept, P, threads)
            panels.subtract(kept, C, P, threads)
            B[: w * c, here] = C
            R = panels.orthonormalise(P, around, rng, scale, threads, 1e-3, False)
        else:
            if Q is not None:
                B[(w - t) * c : w * c, here] = S.conj().T
            R = panels.join(P, Q, S, around, rng, scale, threads, 1e-3, False)
        B[here, here] = R
        Q, w = P, w + t
        Z = op.tmul(Q, V[w : w + t])
        # What is known goes first: the projection then takes off mere rounding, and one is as good as two.  Without
        # this the errors of V grew by |A| / |S| in every step.
        S = panels.join(Z, V[w - t : w], R, [V[:w]], rng, scale, threads)
        spent = op.passes + 2 >= want.max_passes
        full = w + t > capacity
        if not (full or spent or w >= next_check):
            continue
        # Columns of B that are new to M reach up to the block before them, or, after a restart, all the way.
        top = B[max(0, seen - t) * c * (seen > p) : w * c, seen * c : w * c]
        M[w * c - top.shape[0] : w * c, w * c - top.shape[0] : w * c] += top @ top.conj().T
        T, seen = B[: w * c, : w * c], w
        columns = keep * c if full else (k // c + 1) * c
        # A restart needs X as good as the type: U is A V made orthonormal, and A^H U stays within V and the next block
        # only if X spans an invariant subspace of B B^H (from single precision residuals ended at 1e-6 s_1).
        X, s, r, limit, so_far = _ritz(M[: w * c, : w * c], S, want, columns, eps, coarse and (single or not full))
        coarse = so_far if single or not full else coarse
        Y = None
        scale = max(scale, float(s[0]))
        stop = want.callback is not None and want.callback(Progress(op.passes, op.matvecs, s[:k], r))
        worst = float(r.max()) / limit
        if give_up and limit < 16 * eps * s[0] and (r.max() < 64 * eps * s[0] or full):
            return None         # what is wanted lies below the rounding of this type
        history.append((op.passes, worst, s[:k] ** 2))
        done = spent or stop or (worst <= 1 and want.settled(history, s, r))
        if done and np.finfo(wide).eps * s[0] ** 2 > 0.01 * min(want.tol, 1e-3) * s[-1] ** 2:
            X, s, Y, r = _ritz_finely(T, S, k, X.shape[1])
            done = spent or stop or r.max() <= want.limit(s, eps)
        if not (done or full):
            next_check = w + t * _steps_to_go(history, _check_cost(op, w, t, coarse), max(4, w // (4 * t)), t * c / k)
            continue
        missed, extra = np.inf, None
        Y = _right(T, X) if Y is None else Y
        p = Y.shape[1] // c
        look, room = done and not (spent or stop), min(SAFEGUARD_STEPS[1], n // c - w - t - 1)
        G = _outside(V[:w], rng, threads) if look and room > 0 else None
        last, after, kept, P, Z = V[w - t : w].copy(), V[w : w + t].copy(), None, None, None
        panels.rotate(V[:w], Y[:, : p * c], threads)
        if look:
            if G is not None:       # where the basis was, if it was large enough
                first, G = G, V[p : p + room] if V.shape[0] >= p + room else panels.empty(room, n, dtype)
                G[:1] = first
            missed, extra = _safeguard(op, G, [last, V[:p]], after, S, s, want, rng, scale, threads)
        if done:
            wider = t + (0 if extra is None else extra.shape[0])
            # Nothing more to find, or no room in the space for a wider block: then `missed` says so.
            if extra is None or (p + 4 * wider + 3) * c > n:
                q = -(-k // c)
                return Found(V[:q], s[:k], missed, V[q:])
        if extra is not None:           # the safeguard's find joins the block
            after = np.concatenate([after, extra])
            t = after.shape[0]
            if p + 3 * t > capacity or V.shape[0] < capacity + t:
                capacity = max(capacity, p + 3 * t)
                V = _grown(V, capacity + t, p)
        V[p : p + t] = after
        kept = op.mul(V[:p])
        B, M = (np.zeros((capacity * c,) * 2, wide) for _ in range(2))
        B[: p * c, : p * c] = panels.orthonormalise(kept, [], rng, scale, threads, 1e-3, False)
        M[: p * c, : p * c] = B[: p * c, : p * c] @ B[: p * c, : p * c].conj().T
        Q, w, seen, next_check = None, p, p, p + 2 * t


def _grown(V, capacity, p):
    W = panels.empty(capacity, V.shape[1], V.dtype)
    W[:p] = V[:p]
    return W


def eigh(M, columns, coarse=False):
    """The leading eigenvalues, ascending, and eigenvectors of a Hermitian matrix.

    coarse: of one in single precision, and None where LAPACK fails."""
    n = M.shape[0]
    if M.dtype.kind != "c":
        name = "ssy" if coarse else "dsy"
        if 5 * columns < n:
            # Few of many: half the time of all of them by divide and conquer for a tenth, level at a fifth.
            lam, X, _, _, failed = getattr(lapack, name + "evr")(M, range="I", il=n - columns + 1, iu=n, lower=1)
            lam = lam[:columns]
        else:
            lam, X, failed = getattr(lapack, name + "evd")(M, lower=1)
        if not failed and lam.shape[0] == X.shape[1]:
            return lam[-columns:].astype(np.float64), X[:, -columns:].astype(np.float64)
        if coarse:
            return None
    lam, X = np.linalg.eigh(M)
    return lam[-columns:], X[:, -columns:]


def _ritz(M, S, want, columns, eps, coarse):
    """What a basis holds: the leading left singular vectors X and values s of B, the residuals r of the wanted ones,
    the limit to hold them against, and whether single precision (coarse: half the time) still does.

    By the eigenvectors of M = B B^H, good to sqrt(eps) s_1.
    """
    columns = min(columns, M.shape[0])
    while True:
        found = eigh(M.astype(np.float32) if coarse else M, columns, coarse)
        if found is not None:
            lam, X = found
            s, X = np.sqrt(np.maximum(lam[::-1], 0)), X[:, ::-1]
            r = _residuals(X, S, want.k)
            limit, noise = want.limit(s, eps), 64 * SINGLE * s[0]
            blurred = (r.max() <= limit and 4 * SINGLE * s[0] ** 2 > 0.03 * min(want.tol, 0.1) * s[-1] ** 2
                       or limit < noise and r.max() < 4 * noise)
            if not (coarse and blurred):
                return X, s, r, limit, coarse
        coarse = False


def _ritz_finely(B, S, k, columns):
    """X, s, the right vectors Y and the residuals, by the singular value decomposition of B."""
    X, s, Yh = np.linalg.svd(B)
    X = X[:, :columns]
    return X, s[:columns], Yh[:columns].conj().T, _residuals(X, S, k)


def _residuals(X, S, k):
    return np.linalg.norm(S @ X[X.shape[0] - S.shape[1] :, :k], axis=0)


def _right(B, X):
    """The right vectors of B that go with the left ones, in the same order, orthonormal where values vanish too."""
    return np.linalg.qr(B.conj().T @ X)[0]


def _check_cost(op, w, t, coarse):
    """What Ritz values of w panels cost, in steps of t panels: a sparse product gathers, a step makes some 20 calls,
    LAPACK's eigenvectors go by the square of the size below 500.  Rates of two Zen 3 cores."""
    n, c = op.shape[1], op.width
    step = t * c * ((4 if op.dense else 30) * op.entries + 4 * n * w * c) / (1e11 if c == 16 else 5e10) + 3e-4
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


def _safeguard(op, G, bases, after, last, s, want, rng, scale, threads):
    """(bound on what was missed, None), or (inf, panels of vectors that belong in the block).

    Golub-Kahan-Lanczos from random G orthogonal to V, in the complement of V.  A^H A leads from there into the last
    block of V only (A^H U = V B^H + V_next S E^H), so it is enough to project against that block, and against the
    wanted Ritz vectors, along which rounding would grow: a third of all of V.  bases: these two, in this order.

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
    # Beside the complement, what is in V but not wanted: it is coupled to the complement by S.
    tau, coupled = theta * np.cosh(x), following * float(np.linalg.norm(last, 2))
    both = np.array([[following**2, coupled], [coupled, tau**2]])
    return float(np.sqrt(np.linalg.eigvalsh(both)[-1])), None
