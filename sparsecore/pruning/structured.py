"""Structured pruning that really shrinks shapes: what Rows() and Columns() emptied is cut out of a chain of layers."""
import numpy as np

__all__ = ["shrink"]


def shrink(layers, activation=None):
    """Cut dead units out of a feed-forward chain.

    A unit between two layers goes when all its incoming weights are zero (it is then a constant, which moves into the
    next layer's bias) or when the next layer reads it with zero weights only. The first layer's inputs and the last
    one's outputs stay.

    Parameters
    ----------
    layers : list of (W, b)
        In order of evaluation; W (out, in) or a convolution's (out, in, kh, kw), b (out,) or None. A matrix after a
        convolution reads its channels flattened, each channel's positions together.
    activation : callable, or a list with one per gap
        What stands between the layers, elementwise, e.g. lambda x: np.maximum(x, 0). None: ReLU.
        Before a convolution a dead channel goes only where its constant is 0: at a padded edge others are not constant.

    Returns
    -------
    (layers, kept) : the new list, and for every layer the numbers of the outputs that stay. Inputs are untouched.

    Raises ValueError where a layer's outputs and the next one's inputs do not fit.
    """
    layers = [(np.array(W), None if b is None else np.array(b)) for W, b in layers]
    gaps = len(layers) - 1
    if activation is None or callable(activation):
        activation = [activation or _relu] * max(gaps, 0)
    if len(activation) != max(gaps, 0):
        raise ValueError(f"{len(layers)} layers have {gaps} gaps; activation has {len(activation)}")
    kept = [np.arange(len(W)) for W, _ in layers]
    # From the last gap to the first: a unit cut behind may leave nobody who reads the unit before it.
    for gap in range(gaps - 1, -1, -1):
        (W, b), (V, c) = layers[gap], layers[gap + 1]
        reads = _by_unit(V, len(W))
        silent = ~W.reshape(len(W), -1).any(axis=1)
        constant = activation[gap](np.zeros(len(W), W.dtype) if b is None else b)
        constant = np.where(silent, constant, 0).astype(W.dtype)
        unread = ~reads.any(axis=(0, 2))
        foldable = V.ndim == 2
        go = unread | (silent & (foldable | (constant == 0)))
        moved = reads[:, go].sum(axis=2) @ constant[go] if foldable else np.zeros(len(V), V.dtype)
        if moved.any():
            c = (moved if c is None else c + moved).astype(V.dtype)
        stay = ~go
        kept[gap] = np.flatnonzero(stay)
        layers[gap] = W[stay], None if b is None else b[stay]
        left = reads[:, stay]
        layers[gap + 1] = (left.reshape(len(V), -1) if V.ndim == 2 else V[:, stay]), c
    return layers, kept


def _by_unit(V, units):
    """V as (out, units, weights per unit)."""
    if V.shape[1] % max(1, units) or (V.ndim == 4 and V.shape[1] != units):
        raise ValueError(f"a layer has {units} outputs; the next one reads {V.shape[1]}")
    return V.reshape(len(V), units, -1)


def _relu(x):
    return np.maximum(x, 0)
