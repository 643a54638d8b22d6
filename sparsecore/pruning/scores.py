"""Scores: f(W, stats) -> one number >= 0 per weight; what scores least goes first.

W is (out, features). stats is the layer's Calibration where the criterion looks at its inputs or gradients, and may
be None for the others. A score is a plain function: any function of this form works everywhere a score is asked for.
"""
import numpy as np

from .calibration import Calibration

__all__ = ["Movement", "activation", "magnitude", "movement", "obs", "random", "snip", "taylor", "wanda"]


def magnitude(W, stats=None):
    """|w|."""
    return np.abs(W)


def random(W, stats=None, *, seed=0):
    """Uniform numbers that depend on the shape of W and on the seed alone: the baseline to beat."""
    return np.random.default_rng([seed, *W.shape]).random(W.shape)


def wanda(W, stats):
    """|w_ij| * ||X_j||_2, meant to be compared within each row (Sun et al., 'A simple and effective pruning approach
    for large language models', 2023)."""
    return np.abs(W) * _inputs(W, stats, "wanda").col_norm.astype(_float(W))


def activation(W, stats):
    """||X_j||_2 of the feature a weight reads, whatever the weight."""
    norms = _inputs(W, stats, "activation").col_norm.astype(_float(W))
    return np.broadcast_to(norms, W.shape).copy()


def obs(W, stats):
    """w^2 / [H^-1]_jj: the loss of removing one weight and correcting the rest of its row (Hassibi & Stork, 1993)."""
    from .layerwise import inverse_diagonal

    _inputs(W, stats, "obs")
    return np.asarray(W, dtype=np.float64) ** 2 / inverse_diagonal(stats)


def taylor(W, stats):
    """|w * g|: the first-order change of the loss when the weight goes (Molchanov et al., 2017)."""
    return np.abs(W * _gradient(W, stats, "taylor"))


def snip(W, stats):
    """|g * w| divided by its sum over the layer (Lee et al., 'SNIP', 2019)."""
    scores = np.abs(np.asarray(W, dtype=np.float64) * _gradient(W, stats, "snip"))
    total = scores.sum()
    return scores / total if total > 0 else scores


def movement(W, stats):
    """The Movement accumulated for this layer, shifted to start at 0: weights that grew stay (Sanh et al., 2020)."""
    if not isinstance(stats, Movement):
        raise ValueError("score 'movement' needs stats: the Movement that followed this layer's updates")
    if stats.total is None or stats.total.shape != W.shape:
        seen = None if stats.total is None else stats.total.shape
        raise ValueError(f"W has shape {W.shape}; its Movement has followed {seen}")
    return stats.total - stats.total.min()


class Movement:
    """Accumulates S -= rate * w * g over training steps: positive where the weight moves away from zero."""

    def __init__(self):
        self.total = None

    def update(self, W, grad, rate=1.0):
        """Take in one step's weights and gradients, both of the layer's shape; returns self."""
        W, grad = (np.asarray(a, dtype=np.float64).reshape(len(a), -1) for a in (W, grad))
        if W.shape != grad.shape:
            raise ValueError(f"W has shape {W.shape}; its gradient has {grad.shape}")
        step = -rate * W * grad
        self.total = step if self.total is None else self.total + step
        return self


def _float(W):
    return np.result_type(W.dtype, np.float32)


def _inputs(W, stats, who):
    if not isinstance(stats, Calibration):
        raise ValueError(f"method '{who}' needs stats: the Calibration of this layer's inputs (see calibrate)")
    if stats.features != W.shape[1]:
        raise ValueError(f"W has {W.shape[1]} columns; stats has {stats.features} features")
    return stats


def _gradient(W, stats, who):
    grad = stats if isinstance(stats, np.ndarray) else getattr(stats, "grad", None)
    if grad is None:
        raise ValueError(f"method '{who}' needs stats with gradients: Calibration.with_grad(dLoss/dW) or an array")
    grad = grad.reshape(grad.shape[0], -1)
    if grad.shape != W.shape:
        raise ValueError(f"W has shape {W.shape}; its gradient has {grad.shape}")
    return grad
