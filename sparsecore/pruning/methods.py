"""prune_layer: one matrix, one method, one pattern."""
import numpy as np

from . import scores as criteria
from .alps import alps
from .exactobs import exact_obs
from .layerwise import backsolve
from .patterns import Unstructured
from .sparsegpt import sparse_gpt

__all__ = ["prune_layer"]

SCORES = {name: getattr(criteria, name)
          for name in ("magnitude", "random", "wanda", "activation", "obs", "taylor", "snip", "movement")}
SOLVERS = {"obs": exact_obs, "sparsegpt": sparse_gpt, "alps": alps}


def prune_layer(W, sparsity, *, method="magnitude", pattern=None, stats=None, solver=None):
    """Prune one matrix; the result is dense, of W's type, with exactly round(sparsity * W.size) weights gone.

    Parameters
    ----------
    W : ndarray (out, features)
    sparsity : float
        The share of zeros, from 0 to 1. N:M patterns fix their own.
    method : str or callable
        A score ('magnitude', 'random', 'wanda', 'activation', 'taylor', 'snip', 'movement', or any f(W, stats)): kept
        weights stay as they are. Or a solver that also corrects them: 'obs' (ExactOBS), 'sparsegpt', 'alps', or any
        f(W, sparsity, stats, pattern=...).
    pattern : Unstructured, NM, Block, Rows or Columns
        Default: the whole layer; within rows for 'wanda', as it is defined.
    stats : Calibration, or what the score needs
    solver : 'backsolve', optional
        After a score: the least-squares weights on its mask.

    Raises
    ------
    ValueError, TypeError
        W not a real matrix or not finite, sparsity outside [0, 1], stats missing or of another width, unknown method.
    """
    W = np.asarray(W)
    if W.ndim != 2:
        raise ValueError(f"W must be (out, features); it has shape {W.shape}")
    if W.dtype.kind != "f" and W.dtype.name != "bfloat16":
        raise TypeError(f"W must be floating point; it has dtype {W.dtype}")
    if not np.isfinite(W).all():
        row, column = np.argwhere(~np.isfinite(W))[0]
        raise ValueError(f"W has a value that is not finite at ({row}, {column})")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is a share from 0 to 1; got {sparsity}")
    solve, score = resolve(method, solver)
    pattern = default_pattern(method) if pattern is None else pattern
    if solve is None:
        return np.where(pattern.mask(score(W, stats), sparsity), W, W.dtype.type(0))
    present = W != 0
    if np.array_equal(pattern.mask(present.astype(np.float32), sparsity) & present, present):
        return W.copy()  # sparse enough already: the error is zero, and pruning twice changes nothing
    if solve is backsolve:
        return backsolve(W, pattern.mask(score(W, stats), sparsity), stats)
    return solve(W, sparsity, stats, pattern=pattern)


def resolve(method, solver=None):
    """(solver or None, score or None) from names or functions."""
    if solver not in (None, "backsolve", backsolve):
        if solver not in SOLVERS and solver not in SOLVERS.values():
            raise ValueError(f"solver {solver!r} is not one of backsolve, {', '.join(SOLVERS)}")
        return SOLVERS.get(solver, solver), None
    if method in SOLVERS.values():
        return method, None
    if callable(method):
        score = method
    elif method in SOLVERS and solver is None:
        return SOLVERS[method], None
    elif method in SCORES:
        score = SCORES[method]
    else:
        raise ValueError(f"method {method!r} is not one of {', '.join(sorted({*SCORES, *SOLVERS}))}")
    return (backsolve if solver else None), score


def default_pattern(method):
    """Wanda is defined within rows, everything else over the layer."""
    return Unstructured("row" if method in ("wanda", criteria.wanda) else "layer")
