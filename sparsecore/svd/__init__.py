"""Truncated SVD that is fast, and says how good it is.

The default solver is thick-restart block Lanczos (lanczos.py, recurrences.py); few-pass block Krylov where a pass over
A is dear; the Gram matrix and dense LAPACK where A has a small side (direct.py).  All share one certificate
(result.py): residuals are recomputed from the vectors that are returned.
"""

import numpy as np

from .. import _args, _threads
from ..ops import large
from . import direct, operators, panels, result
from .lanczos import Progress, Wanted, lanczos
from .operators import RowBlocks
from .result import SVDResult

__all__ = ["Progress", "RowBlocks", "SVDResult", "truncated_svd"]

SOLVERS = ("auto", "lanczos", "fewpass", "gram", "lapack")
# Values of a dense A that which='SM' takes, and that solver='auto' makes dense without being asked.
DENSE_LIMIT = 1 << 25
SMALL_SIDE = 96
# Lanczos runs in single precision for double input down to this tolerance, where A and the result are so large that
# this saves more than the second stage costs.
SINGLE_TOL, SINGLE_SIZE = 1e-5, 1 << 20
BEYOND_CACHE = 1 << 21
# Values of a basis that may be taken in any case.
ROOM = 1 << 21


def truncated_svd(A, k=None, *, tol=1e-3, solver="auto", which="LM", center=None, left=None, right=None, v0=None,
                  max_passes=None, seed=0, callback=None, threads=None, energy=None):
    """The k leading (or smallest) singular triplets of A, with a certificate.

    Parameters
    ----------
    A : sparse array or matrix, array_like, LinearOperator or RowBlocks, shape (m, n)
        f32, f64 and their complex kin are computed as such, half precision as f32, integers as f64.  A CSR matrix on
        `numpy.memmap` buffers is read by blocks of rows and may be larger than memory.
    k : int, 1 <= k <= min(m, n)
        May exceed the rank: the singular values beyond it come out as zeros with orthonormal vectors.
    tol : float
        Every residual is to be at most tol * s[0], and max_i |s_i^2 - sigma_i^2| at most tol * sigma_{k+1}^2.
    solver : {'auto', 'lanczos', 'fewpass', 'gram', 'lapack'}
        'auto' chooses by shape, k, tol and what a pass costs; the result says which.  'lanczos' and 'fewpass' hand
        over to 'lapack' where their basis would fill the space.  LAPACK's driver, and the eigensolver of 'gram', are
        one call each: Ctrl-C takes effect when it returns.
    which : {'LM', 'SM'}
        Largest, or smallest (dense LAPACK up to 2^25 values of A, or a sparse LU of a square A).  For 'SM' the
        residuals are held against tol times the norm of A.
    center : {None, 'rows', 'columns'}
        Subtract from every row, or column, its mean, implicitly.
    left, right : vector or matrix, optional
        The SVD is of diag(left) (A - means) diag(right), or of left (A - means) right for 2-D factors, implicitly.
    v0 : ndarray (n,) or (n, j), or SVDResult, optional
        Where to start: approximate right singular vectors.
    max_passes : int, optional
        At most about so many products of A or A^H with a block (the start and the certificate take five in any case);
        what is not converged by then is returned as it is, with its true residuals.  'gram' and 'lapack' do not count.
    seed : int
        The result depends on it and on the arguments only, not on the number of threads.
    callback : callable, optional
        Called with a Progress (passes, matvecs, s, residuals) at every check of 'lanczos' and 'fewpass'; a true return
        value stops the iteration.
    threads : int, optional
    energy : float in (0, 1], optional
        In place of k: the smallest k whose singular values hold this share of ||A||_F^2.

    Returns
    -------
    SVDResult
        Unpacks as ``U, s, Vt``.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, k out of range, NaN or infinity in A.
    OverflowError
        Singular values that the type of A does not hold.

    Examples
    --------
    >>> import numpy as np, sparsecore as sc
    >>> U, s, Vt = sc.truncated_svd(np.diag([3.0, 2.0, 1.0]), 2)
    >>> s
    array([3., 2.])
    """
    A = operators.admit(A)
    if min(A.shape) < 1:
        raise ValueError(f"A has shape {A.shape}; a singular value decomposition needs a row and a column")
    if solver not in SOLVERS:
        raise ValueError(f"solver is {solver!r}; it must be one of {', '.join(SOLVERS)}")
    if which not in ("LM", "SM"):
        raise ValueError(f"which is {which!r}; it must be 'LM' or 'SM'")
    if center not in (None, "rows", "columns"):
        raise ValueError(f"center is {center!r}; it must be None, 'rows' or 'columns'")
    if not isinstance(tol, (int, float, np.number)):
        raise TypeError(f"tol must be a number, not {type(tol).__name__}")
    if not 0 <= tol < np.inf:
        raise ValueError(f"tol is {tol}; it must be finite and not negative")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, not {type(callback).__name__}")
    if max_passes is not None:
        max_passes = _args.count(max_passes, "max_passes", 1, 2**62, "products")
    if (k is None) == (energy is None):
        raise ValueError(f"give k or energy, not {'neither' if k is None else 'both'}")
    if energy is not None and not 0 < energy <= 1:
        raise ValueError(f"energy is {energy}; it must be within (0, 1]")
    threads = _threads.resolve(threads)
    # One thread of BLAS at a time: chunks and small matrices give the same bits however many threads there are.
    with _threads.one_blas_thread():
        problem = _Problem(A, left, right, center, threads, solver, seed)
        v0 = _vectors(v0, problem.op.shape[1])
        if energy is not None:
            return problem.by_energy(energy, tol, which, v0, max_passes, callback)
        k = _args.count(k, "k", 1, min(problem.op.shape), f"A is {problem.op.shape[0]} x {problem.op.shape[1]}")
        return problem.solve(k, tol, which, v0, max_passes, callback)


def _vectors(v0, n):
    """v0 as an array of 1 or 2 dimensions, checked whether the solver takes it or not."""
    if v0 is None:
        return None
    v0 = v0.Vt.conj().T if isinstance(v0, SVDResult) else np.asarray(v0)
    if v0.ndim not in (1, 2):
        raise ValueError(f"v0 must have 1 or 2 dimensions; it has {v0.ndim}")
    operators.value_type(v0.dtype, "v0")
    if v0.shape[0] != n:
        raise ValueError(f"v0 has {v0.shape[0]} rows; A has {n} columns")
    if not np.isfinite(v0).all():
        raise ValueError("v0 has NaN or infinite values")
    return v0


class _Problem:
    """One matrix, with what is applied to it, ready to be solved for a k."""

    def __init__(self, A, left, right, center, threads, solver, seed):
        kinds = [operators.value_type(A.dtype if A.dtype is not None else np.float64)]
        for D in (left, right):
            if D is not None and np.dtype(getattr(D, "dtype", None) or np.asarray(D).dtype).kind == "c":
                kinds.append(np.dtype(np.complex64))
        dtype = np.result_type(*kinds)
        self.threads, self.solver, self.seed = threads, solver, seed
        op = operators.operator(A, dtype, threads, keep_transpose=solver not in ("gram", "lapack"))
        left = operators.side(left, A.shape[0], "left", dtype, threads)
        right = operators.side(right, A.shape[1], "right", dtype, threads)
        centre = operators.means(op, center) if center else None
        scaled = left is not None or right is not None
        self.means = centre[1].conj().astype(dtype) if center == "columns" and not scaled else None
        self.op = operators.Scaled(op, left, right, centre) if scaled or center else op
        self.largest, self.exponent = self._range()
        if self.exponent:
            if self.op is op:
                self.op = operators.Scaled(op)
            self.op.squeeze = dtype.type(2.0**-self.exponent)
        self.square = None
        if op.values() is not None and not scaled:
            self.square = operators.sum_of_squares(op.values(), 2.0**-self.exponent)
            if centre is not None:
                # The means are a projection of A: what they take with them leaves the sum of squares.
                a, b = (operators.sum_of_squares([c], 2.0 ** (-self.exponent * own)) for own, c in zip(
                    (center == "rows", center == "columns"), centre))
                self.square = max(0.0, self.square - a * b)

    def _range(self):
        """The largest magnitude in A, and the power of two to divide by where squares could leave the type's range.

        Of a matrix whose values are not at hand: of a product with random vectors.
        """
        values = self.op.values()
        if values is None:
            rng = np.random.default_rng(self.seed)
            values = [self.op.mul(panels.random((1, self.op.shape[1], self.op.width), rng, self.op.dtype)).ravel()]
        largest = 0.0
        for a in values:
            # Of real values without a copy of their magnitudes; NaN passes through all three.
            top = 0.0 if not a.size else float(np.abs(a).max() if a.dtype.kind == "c" else max(a.max(), -a.min()))
            if not np.isfinite(top):
                raise ValueError("A has NaN or infinite values")
            largest = max(largest, top)
        exponent, single = int(np.frexp(largest)[1]), np.finfo(self.op.dtype).bits == 32
        most = 120 if single else 1000      # of subnormal values the inverse would be too large for the type
        return largest, max(-most, min(most, exponent)) if abs(exponent) > (24 if single else 200) else 0

    # ---- the choice of a solver ------------------------------------------------------------------------------------

    def choose(self, k, tol):
        """The solver that a model of its time favours."""
        if self.op.dear:
            return "fewpass"
        cost = self.costs(k, tol)
        return min(cost, key=cost.get)

    def costs(self, k, tol):
        """Seconds that the solvers take, with rates measured on two Zen 3 cores (AVX2)."""
        op, (m, n) = self.op, self.op.shape
        small, big = min(m, n), max(m, n)
        dense, entries = isinstance(op, operators.Dense), op.entries
        rate = (6e10 if self._begins_in_single(k, tol) else 3e10) if dense else 4e9
        # Columns that the basis grows to: found on graphs, TF-IDF and planted spectra at tol = 1e-2 and 1e-8.
        basis = min(small, (2.6 + 0.35 * np.log10(1 / max(tol, 1e-15))) * k + 60)
        # Calls, products, orthogonalisation, Ritz values.
        cost = {"lanczos": 2e-3 + 1.5e-4 * basis / op.width + 4 * entries * basis / rate
                + 2 * small * basis**2 / 3e10 + 2 * direct.eigen_cost(basis, basis)}
        if small * big <= DENSE_LIMIT or small <= SMALL_SIDE:
            cost["lapack"] = 1e-3 + 5e-8 * m * n + (6.0 * big * small**2 + 16.0 * small**3) / 4e10
        single = np.finfo(op.dtype).bits == 32
        if small <= 8192 and tol >= (1e-3 if single else 1e-8):
            product = (2.0 * big * small**2 / 4e10 if dense
                       else entries / big * entries / 2.5e8 + 3e-8 * entries + 4e-9 * small**2)
            if not dense and isinstance(op, operators.Scaled):
                product = 4.0 * entries * small / rate
            cost["gram"] = 3.5e-3 + product + direct.eigen_cost(small, k + 1) + 2 * direct.eigen_cost(k, k)
        if small <= SMALL_SIDE or (k > small // 4 and "lapack" in cost):
            cost.pop("lanczos")
        return cost

    def _work(self, k):
        """Values that a product with k columns touches."""
        return self.op.entries + sum(self.op.shape) * k

    def _begins_in_single(self, k, tol, solver="lanczos"):
        # Single precision has panels twice as wide too: the safeguard of 'fewpass' then takes fewer passes.
        large = solver == "fewpass" or self._work(k) >= SINGLE_SIZE
        return self.op.dtype == np.float64 and not self.op.dear and tol >= SINGLE_TOL and large

    def _start(self, v0, panels_wanted, work, rng):
        """Panels of the first block of V of `work`, from v0 and random vectors."""
        c = work.width
        shape = panels_wanted, work.shape[1], c
        # Uniform, where the safeguard's bound needs normal ones: a quarter of the time.
        random = (panels.random(shape, rng, work.dtype) if work.dtype.kind == "c"
                  else rng.random(shape, work.dtype) - work.dtype.type(0.5))
        if v0 is None:
            return random
        v0 = (v0[:, None] if v0.ndim == 1 else v0).astype(work.dtype)
        room = panels_wanted * c
        if v0.shape[1] > room:
            v0 = v0 @ rng.standard_normal((v0.shape[1], room)).astype(v0.dtype)
        start = panels.pack(v0)
        if isinstance(work, operators.Transposed):
            start = work.tmul(start)
        for j in range(v0.shape[1]):
            random[j // c, :, j % c] = start[j // c, :, j % c]
        return random

    # ---- solving ---------------------------------------------------------------------------------------------------

    def solve(self, k, tol, which="LM", v0=None, max_passes=None, callback=None):
        op = self.op
        if self.largest == 0:
            return self._zero(k, which)
        if which == "SM":
            return self._smallest(k, tol, max_passes, callback)
        solver = self.solver
        if solver == "auto":
            solver = self.choose(k, tol)
            if solver == "lanczos" and v0 is not None and v0.ndim == 2 and 2 * v0.shape[1] >= k:
                solver = "fewpass"      # whose block takes all of v0
        want = Wanted(k, tol, np.inf if max_passes is None else max_passes, callback)
        if solver == "gram":
            U, s, V, missed = self._gram(k)
            r = result.recompute(op, U, s, V)
            eps = np.finfo(op.dtype).eps
            if self.solver == "gram" or r.max() <= 2 * want.limit(np.append(s, missed), eps):
                if missed:      # an eigenvalue, good to the rounding of the first one
                    missed = float(np.sqrt(missed**2 + 16 * eps * float(s[0]) ** 2))
                return self._result(U, s, V, k, tol, missed, solver, residuals=r)
            solver = "lanczos"
        if solver in ("lanczos", "fewpass"):
            found = self._iterate(solver, want, v0)
            if found is not None:
                return self._result(*found[:3], k, tol, found[3], solver, residuals=found[4])
        U, s, V, missed, _ = direct.by_lapack(op, k, which)
        return self._result(U, s, V, k, tol, missed, "lapack")

    def _gram(self, k):
        op, rng = self.op, np.random.default_rng(self.seed)
        work = op if op.shape[0] >= op.shape[1] else operators.Transposed(op)
        V, following = direct.by_gram(work, k)
        U, s, V = result.square(work, V, k, self._scale(), rng)
        if work is not op:
            U, s, V = result.square(op, U, k, self._scale(), rng)
        return U, s, V, following

    def _scale(self):
        """A lower bound of the norm of the operator at hand."""
        return self.largest * 2.0**-self.exponent

    def _iterate(self, solver, want, v0):
        """U, s, V, missed and, if known, the residuals, found by Lanczos; None where the basis would fill the space."""
        op = self.op
        tall = op.shape[0] >= op.shape[1]
        # One product at the end is the certificate's, one or two before it make the vectors orthonormal.
        want = want._replace(max_passes=want.max_passes - (2 if tall else 3))
        if self._begins_in_single(want.k, want.tol, solver):
            # Half the traffic and twice the arithmetic; what it finds is put right in double.
            size = 2.0 ** int(np.frexp(self._scale())[1])
            found = self._lanczos(op.single(1 / size), solver, want, v0, True)
            if found is not None:
                after = float(found.s[-1]) * size
                U, s, V, missed = self._squared(found, want.k, size)
                r = result.recompute(op, U, s, V)
                # The rounding of single precision is not in the residuals that the iteration sees.
                if (r.max() <= 1.1 * want.limit(np.append(s, after), np.finfo(op.dtype).eps) or np.isinf(missed)
                        or want.max_passes < np.inf):
                    return U, s, V, missed, r
        op.settle()
        found = self._lanczos(op, solver, want, v0, False)
        return None if found is None else (*self._squared(found, want.k, 1.0), None)

    def _squared(self, found, k, size):
        """Triplets of what Lanczos found, of the operator divided by `size`; and `missed`."""
        op, rng = self.op, np.random.default_rng(self.seed)
        V, spare = found.V, found.spare
        if V.dtype != op.dtype:
            wide, spare = panels.carve(spare, V.shape[0] * V.shape[2] // op.width, V.shape[1], op.dtype)
            V = panels.widen(V, op.dtype, self.threads, wide)
        if op.shape[0] < op.shape[1]:
            V = op.tmul(V)
        return *result.square(op, V, k, float(found.s[0]) * size, rng, spare), found.missed * size

    def _lanczos(self, op, solver, want, v0, give_up):
        if op is None:
            return None
        k, rng = want.k, np.random.default_rng(self.seed)
        work = op if op.shape[0] >= op.shape[1] else operators.Transposed(op)
        c = op.width
        keep = -(-(k + c) // c)
        if solver == "fewpass":
            t = -(-(k + 10) // c)
            least = most = keep + 2 * t
        else:
            # A dense matrix beyond the cache is read once for a whole block.
            t = max(1, min(32 // c if op.dense and op.entries > BEYOND_CACHE else 1, keep // 2))
            least = max(-(-(2 * k + 2 * c) // c), keep + 2 * t)
            # A restart costs several steps: small matrices, whose basis takes no memory to speak of, do without.
            most = max(-(-3 * k // c) + 6 * t, min(32 * t, ROOM // (work.shape[1] * c)))
        capacity = min(most, work.shape[1] // c - t - 3)
        if capacity < least:
            return None
        found = lanczos(work, want, self._start(v0, t, work, rng), capacity, rng, self.threads, give_up)
        if op is not self.op:
            self.op.passes, self.op.matvecs = op.passes, op.matvecs
        return found

    def _smallest(self, k, tol, max_passes, callback):
        op = self.op
        m, n = op.shape
        if m * n <= DENSE_LIMIT:
            U, s, V, following, norm = direct.by_lapack(op, k, "SM")
            return self._result(U, s, V, k, tol, following, "lapack", norm)
        if not (isinstance(op, operators.Sparse) and m == n):
            raise ValueError(f"which='SM' takes matrices of at most {DENSE_LIMIT} values, or square sparse ones; A is "
                             f"{m} x {n}")
        inverse = _Problem.__new__(_Problem)
        inverse.__dict__.update(self.__dict__, op=direct.Inverse(op), exponent=0, largest=1.0, square=None)
        want = Wanted(k, tol, np.inf if max_passes is None else max_passes, callback)
        found = inverse._iterate("lanczos", want, None)
        if found is None:
            raise ValueError(f"which='SM': k is {k}; for a sparse A of {n} columns it must be below {n // 4}")
        # A^-1 = V S^-1 U^H: the vectors change sides, and the order turns round.
        U, s, V, missed, _ = found
        U, V = (panels.pack(panels.unpack(X, k)[:, ::-1]) for X in (V, U))
        probe = panels.random((1, n, op.width), np.random.default_rng(self.seed), op.dtype)
        norm = float(panels.norms(op.mul(probe)).max()) / np.sqrt(n)
        return self._result(U, 1 / s[::-1], V, k, tol, 1 / missed, "inverse", norm)

    def _zero(self, k, which):
        m, n = self.op.shape
        real = np.finfo(self.op.dtype).dtype
        zeros = np.zeros(k, real)
        return SVDResult(np.eye(m, k, dtype=self.op.dtype), zeros, np.eye(k, n, dtype=self.op.dtype), zeros.copy(),
                         np.ones(k, bool), 0.0, self.op.passes, self.op.matvecs, "lapack", 1.0, self.means)

    def _result(self, U, s, V, k, tol, missed, solver, norm=None, residuals=None):
        """The certificate, and panels as ordinary arrays with signs fixed."""
        op, real = self.op, np.finfo(self.op.dtype).dtype
        residuals = result.recompute(op, U, s, V) if residuals is None else residuals
        size = 2.0**self.exponent
        if not float(s[0]) * size <= float(np.finfo(real).max):
            raise OverflowError(f"the singular values of A are larger than {real} holds; scale A down")
        turn = result.turns(panels.top(V, self.threads))
        # One side after the other: panels of one and the array of the other are never all there at once.
        right = large.empty((k, op.shape[1]), op.dtype)
        panels.copy_out(V, right.T, self.threads, turn.conj())
        del V
        if right.dtype.kind == "c":
            np.conj(right, out=right)
        left = large.empty((op.shape[0], k), op.dtype)
        panels.copy_out(U, left, self.threads, turn.conj())
        share = float(np.sum(np.square(s, dtype=np.float64)) / self.square) if self.square else np.nan
        return SVDResult(left, (s * size).astype(real), right, (residuals * size).astype(real),
                         residuals <= max(tol, 0) * (s[0] if norm is None else norm), float(missed) * size, op.passes,
                         op.matvecs, solver, min(share, 1.0), self.means)

    def by_energy(self, energy, tol, which, v0, max_passes, callback):
        """The smallest k whose singular values hold `energy` of ||A||_F^2, by doubling k."""
        if which != "LM":
            raise ValueError("energy goes with which='LM'")
        if self.square is None and self.largest:
            raise ValueError("energy needs the values of A at hand, no LinearOperator, row blocks or factors: give k")
        small = min(self.op.shape)
        k = min(small, 16)
        while True:
            found = self.solve(k, tol, "LM", v0, max_passes, callback)
            held = np.cumsum(np.square(found.s.astype(np.float64) * 2.0**-self.exponent))
            goal = energy * (self.square or 0.0)
            enough = np.flatnonzero(held >= goal * (1 - 1e-12))
            if enough.size or k == small:
                return self._cut(found, int(enough[0]) + 1 if enough.size else small)
            k = min(small, 2 * k)

    def _cut(self, found, k):
        if k == found.s.shape[0]:
            return found
        share = float(np.sum(np.square(found.s[:k].astype(np.float64) * 2.0**-self.exponent)) / (self.square or 1.0))
        return SVDResult(np.ascontiguousarray(found.U[:, :k]), found.s[:k], found.Vt[:k], found.residuals[:k],
                         found.converged[:k], max(found.missed, float(found.s[k])), found.passes, found.matvecs,
                         found.solver, min(share, 1.0) if self.square else 1.0, self.means)
