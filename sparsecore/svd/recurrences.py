"""The two recurrences that the SVD is iterated by: bases of right vectors V, and what A is within them.

Both keep V[:w] and the block V[w : w + t] that comes next, in panels of c columns, and have
    step()              takes the next block into the basis; False where the recurrence cannot go on
    ritz(...)           the leading Ritz values and vectors of the basis, with their residuals
    right(X)            the coordinates in V of the right vectors that go with X
    release()           gives up memory that only steps need, before a restart or the end
    restart(V, p, t, s) V[:p] are the leading Ritz vectors now, of values s, and t panels come next
    coupling(s)         how strongly a vector of value s in V is coupled to what is outside, in squares of values
    reach(w)            panels that a step at w panels is projected against
    norm                a lower bound of ||A||
"""

import numpy as np
from scipy.linalg import lapack

from . import panels

SINGLE = np.finfo(np.float32).eps


class Bidiagonal:
    """Block Golub-Kahan-Lanczos bidiagonalisation with one-sided full reorthogonalisation.

        A V = U B,   A^H U = V B^H + V_next S E^H       (E: the last block of columns)

    V is kept orthonormal against all of itself, U only against its last block: U inherits orthogonality (Simon and Zha,
    SIAM J. Sci. Comput. 21, 2000), so U need not be stored at all.  Residuals of Ritz triplets are ||S x|| with x the
    last block of the left vector of B: free.  Good to the rounding of the type.
    """

    def __init__(self, op, V, t, capacity, rng, threads, norm=0.0):
        self.op, self.V, self.t, self.rng, self.threads = op, V, t, rng, threads
        self.c, self.w, self.norm, self.S = op.width, 0, norm, None
        self.wide = np.complex128 if op.dtype.kind == "c" else np.float64
        self.kept = self.Q = self.Y = None
        self._clear(capacity)

    def _clear(self, capacity):
        self.B, self.M = (np.zeros((capacity * self.c,) * 2, self.wide) for _ in range(2))      # M = B B^H
        self.seen = self.p = 0      # panels that M has, and that a restart kept

    def step(self):
        V, w, t, c, rng, threads = self.V, self.w, self.t, self.c, self.rng, self.threads
        P = self.op.mul(V[w : w + t])
        here = slice(w * c, (w + t) * c)
        if not self.norm:
            self.norm = float(panels.norms(P).max())
        # Many restarts in a flat spectrum wear out the orthogonality that U inherits, so P meets `kept` again.
        around = [] if self.kept is None else [self.kept]
        if self.Q is None and self.kept is not None:
            C = panels.inner(self.kept, P, threads)
            panels.subtract(self.kept, C, P, threads)
            self.B[: w * c, here] = C
            R = panels.orthonormalise(P, around, rng, self.norm, threads, 1e-3, False)
        else:
            if self.Q is not None:
                self.B[(w - t) * c : w * c, here] = self.S.conj().T
            R = panels.join(P, self.Q, self.S, around, rng, self.norm, threads, 1e-3, False)
        self.B[here, here] = R
        self.Q, self.w = P, w + t
        Z = self.op.tmul(P, V[w + t : w + 2 * t])
        # What is known goes first: the projection then takes off mere rounding, and one is as good as two.  Without
        # this the errors of V grew by |A| / |S| in every step.
        self.S = panels.join(Z, V[w : w + t], R, [V[: w + t]], rng, self.norm, threads)
        return True

    def ritz(self, want, columns, coarse):
        """The leading left singular vectors X and values s of B, the residuals r of the wanted ones, the limit to hold
        them against, and whether single precision (coarse: half the time) still does.

        By the eigenvectors of M = B B^H, good to sqrt(eps) s_1, or by the singular value decomposition of B where that
        does not do.
        """
        w, c, seen = self.w, self.c, self.seen
        # Columns of B that are new to M reach up to the block before them, or, after a restart, all the way.
        top = self.B[max(0, seen - self.t) * c * (seen > self.p) : w * c, seen * c : w * c]
        part = slice(w * c - top.shape[0], w * c)
        self.M[part, part] += top @ top.conj().T
        self.seen = w
        found = _ritz(self.M[: w * c, : w * c], self.S, None, want, columns, np.finfo(self.op.dtype).eps, coarse)
        s, self.Y = found[1], None
        self.norm = max(self.norm, float(s[0]))
        if np.finfo(float).eps * s[0] ** 2 > 0.01 * min(want.tol, 1e-3) * s[-1] ** 2:
            X, s, Yh = np.linalg.svd(self.B[: w * c, : w * c])
            columns = found[0].shape[1]
            X, s, self.Y = X[:, :columns], s[:columns], Yh[:columns].conj().T
            return X, s, _residuals(X, self.S, want.k), want.limit(s, np.finfo(self.op.dtype).eps), found[4]
        return found

    def right(self, X):
        """Orthonormal where values vanish too."""
        if self.Y is not None:
            return self.Y
        B = self.B[: self.w * self.c, : self.w * self.c]
        return np.linalg.qr(B.conj().T @ X)[0]

    def release(self):
        self.kept = self.Q = None

    def restart(self, V, p, t, s):
        self.V, self.t, self.w, self.Q = V, t, p, None
        self._clear(V.shape[0] - t)
        # The kept left vectors are made anew by a product: cheaper than to store and rotate them.
        self.kept = self.op.mul(V[:p])
        R = panels.orthonormalise(self.kept, [], self.rng, self.norm, self.threads, 1e-3, False)
        n = p * self.c
        self.B[:n, :n], self.M[:n, :n] = R, R @ R.conj().T
        self.seen = self.p = p

    def coupling(self, s):
        return s * float(np.linalg.norm(self.S, 2))

    def reach(self, w):
        return w


class Squared:
    """Block Lanczos on A^H A with partial reorthogonalisation: half the work, for real types.

        A^H A V = V T + V_next S E^H,   T block tridiagonal, after a restart bordered

    T is as good as if V were orthonormal to rounding while V stays orthonormal to its square root (Simon, Linear
    Algebra Appl. 61, 1984; Math. Comp. 42, 1984).  So a step is orthogonalised against the two blocks before it, and
    every `gap` steps two blocks in a row against everything: in one reading of V for both, which is what these
    projections cost.  `gap` follows from the losses that they find.  They grow fastest along the leading Ritz vectors:
    a panel of those is projected off in every step (Parlett and Scott, Math. Comp. 33, 1979).

    Squares lose half the digits: values below s_1 sqrt(eps / tol) are left to Bidiagonal, as `fits` tells.  Single
    precision has few of them to lose: there it is residuals that decide.  Nothing is recurred for the left vectors,
    whose losses could not be mended without storing them.
    """

    def __init__(self, op, V, t, capacity, rng, threads, tol):
        self.op, self.V, self.t, self.rng, self.threads = op, V, t, rng, threads
        self.c, self.w, self.p, self.norm, self.S = op.width, 0, 0, 0.0, None
        self.eps = float(np.finfo(op.dtype).eps)
        # What V may lose, well within the square root of eps, and what steps may lose of A^H A V, unknown before the
        # first Ritz values: of no weight beside tol.
        self.tol, self.allowed, self.bound = tol, (0.3 if self.exact(tol) else 0.1) * self.eps**0.5, np.inf
        self.gap, self.since, self.held = 1, 0, False      # held: leading vectors would help
        # Leading Ritz vectors, and how many panels they were made of.
        self.leading, self.led = V[:0], 2
        self.T = np.zeros((capacity * self.c,) * 2)

    @staticmethod
    def serves(op, tol):
        """May the squares do at all?"""
        return op.dtype.kind != "c" and tol >= (8 if op.dtype == np.float32 else 1e3) * np.finfo(op.dtype).eps

    def fits(self, first, least, tol):
        """Are the squares of values from `first` down to `least` good enough for tol?"""
        if self.exact(tol):
            return self.eps * first**2 <= 0.03 * min(tol, 0.01) * least**2
        # What squares cost residuals; 8 eps s_1 is less than what products and sums in single precision cost in any
        # case (Slashdot, k = 100: 35 eps s_1 by either recurrence).
        return self.eps * first <= max(0.1 * tol, 8 * self.eps) * least

    def exact(self, tol):
        """Can the type's squares be good to tol at all?"""
        return tol >= 1e3 * self.eps

    def step(self):
        V, w, t, c, threads = self.V, self.w, self.t, self.c, self.threads
        here, local = slice(w * c, (w + t) * c), V[max(0, w - t) : w + t]
        P = self.op.mul(V[w : w + t])
        if not self.norm:
            self.norm = float(panels.norms(P).max())
        Z = self.op.tmul(P, V[w + t : w + 2 * t])
        known = C = None
        bases = [self.leading, V[w : w + t]]
        if w and w == self.p:       # all that a restart kept is coupled to the next block
            C = panels.inner(V[: w + t], Z, threads)
            panels.subtract(V[: w + t], C, Z, threads)
            T, bases, C = C.astype(np.float64), [V[: w + t]], None
            self.T[: w * c, here], self.T[here, : w * c] = T[: w * c], T[: w * c].T
            self.T[here, here] = (T[w * c :] + T[w * c :].T) / 2
        else:
            self.since += 1
            H = panels.inner(P, P, threads).astype(np.float64, copy=False)
            self.T[here, here] = H
            if w:
                self.T[(w - t) * c : w * c, here], self.T[here, (w - t) * c : w * c] = self.S.T, self.S
                H = np.hstack([self.S, H])
            known = local, H
            if w and self.since >= self.gap:
                panels.subtract(local, H.T, Z, threads)
                known, W = None, V[w : w + 2 * t] if self.gap > 1 else Z
                C = panels.inner(V[:w], W, threads)
                panels.subtract(V[:w], C, W, threads)
        Q, H = known or (None, None)
        self.S = panels.join(Z, Q, H, bases, self.rng, self.norm**2, threads, self.eps / self.allowed, None)
        if self.S is None:
            return False
        self.w = w + t
        if C is not None:
            lost = float(np.abs(C[:, : -t * c]).max(initial=0))
            return self._learn(lost, np.abs(C[:, -t * c :]).max(axis=0), np.linalg.norm(self.S, axis=0))
        return True

    def _learn(self, lost, gone, left):
        """The gap, from what the last block had lost, and what the next one, of `left` in norm, had to be rid of."""
        following, gone = float((gone / left).max()), float(gone.max())
        growth = following / max(lost, self.eps)
        self.since = 0
        if max(lost / self.allowed, gone / self.bound) > 1:
            self.gap = max(1, self.gap - 1)
        elif growth * max(following / self.allowed, growth * gone / self.bound) <= 1:
            self.gap += 1       # and even one more would do
            return True
        self.held = True
        if self.w >= 2 * self.led:
            n = self.w * self.c
            self._lead(eigh(self.T[:n, :n], self.c)[1][:, ::-1])
        return lost <= self.eps**0.5

    def _lead(self, X):
        self.leading, self.led = panels.combine(self.V[: self.w], X, self.threads), self.w

    def ritz(self, want, columns, coarse):
        """As for Bidiagonal, by the eigenvectors X of T."""
        T = self.T[: self.w * self.c, : self.w * self.c]
        found = _ritz(T, self.S, self.eps**0.5, want, columns, self.eps, coarse)
        s = found[1]
        self.norm = max(self.norm, float(s[0]))
        floor = np.finfo(float).tiny if self.exact(self.tol) else 64 * self.eps * s[0] ** 2
        self.bound = max(0.03 * self.tol * s[0] * s[min(want.k, s.shape[0]) - 1], floor)
        if self.held and self.w >= 2 * self.led:
            self._lead(found[0][:, : self.c])
        return found

    def right(self, X):
        return X

    def release(self):
        self.leading = self.V[:0]

    def restart(self, V, p, t, s):
        self.V, self.t, self.w, self.p, self.since = V, t, p, p, 0
        self.T = np.zeros(((V.shape[0] - t) * self.c,) * 2)
        self.T[np.arange(p * self.c), np.arange(p * self.c)] = s[: p * self.c] ** 2
        panels.project([V[:p]], V[p : p + t], self.threads)
        self.leading, self.led = V[:1], V.shape[0]

    def coupling(self, s):
        return float(np.linalg.norm(self.S, 2))

    def reach(self, w):
        return w / self.gap + 4


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


def _ritz(M, S, least, want, columns, eps, coarse):
    """Eigenvectors X of M, values s, the square roots of its eigenvalues, residuals r, limit, coarse.

    least: None where the residuals are ||S x||; else they are ||S x|| / s, and values below least * s_1 count as that.
    """
    columns = min(columns, M.shape[0])
    while True:
        found = eigh(M.astype(np.float32) if coarse else M, columns, coarse)
        if found is not None:
            lam, X = found
            s, X = np.sqrt(np.maximum(lam[::-1], 0)), X[:, ::-1]
            r = _residuals(X, S, want.k)
            if least is not None:
                r = r / np.maximum(s[: want.k], least * s[0])
            limit, noise = want.limit(s, eps), 64 * SINGLE * s[0]
            blurred = (r.max() <= limit and 4 * SINGLE * s[0] ** 2 > 0.03 * min(want.tol, 0.1) * s[-1] ** 2
                       or limit < noise and r.max() < 4 * noise)
            if not (coarse and blurred):
                return X, s, r, limit, coarse
        coarse = False


def _residuals(X, S, k):
    return np.linalg.norm(S @ X[X.shape[0] - S.shape[1] :, :k], axis=0)
