"""Budgets: f(scores, shapes, sparsity) -> {name: sparsity}; how one sparsity is shared out over layers.

scores {name: array} and shapes {name: shape} name the same layers. Every budget but uniform meets the total exactly:
the counts of zeros add up to round(sparsity * all weights).
"""
import math

import numpy as np

from ..threshold import topk_mask

__all__ = ["erk", "global_", "lamp", "owl", "uniform"]


def uniform(scores, shapes, sparsity):
    """The same sparsity everywhere."""
    return {name: sparsity for name in shapes}


def global_(scores, shapes, sparsity):
    """All weights compared with one another; equal scores keep the first layer's."""
    names = list(shapes)
    flat = [np.asarray(scores[name], dtype=np.float64).ravel() for name in names]
    total = sum(part.size for part in flat)
    if not total:
        return {name: sparsity for name in names}
    mask = topk_mask(np.concatenate(flat), total - round(sparsity * total))
    cuts = np.cumsum([part.size for part in flat])[:-1]
    return {name: 1 - int(np.count_nonzero(part)) / part.size if part.size else sparsity
            for name, part in zip(names, np.split(mask, cuts))}


def lamp(scores, shapes, sparsity):
    """Each weight's square over the sum of squares of those not smaller in its layer, then compared with all others
    (Lee et al., 'Layer-adaptive sparsity for the magnitude-based pruning', 2021). The largest of a layer has 1: no
    layer empties before all others have."""
    return global_({name: _lamp(scores[name]) for name in shapes}, shapes, sparsity)


def _lamp(scores):
    square = np.sort(np.asarray(scores, dtype=np.float64).ravel()) ** 2
    at_least = np.cumsum(square[::-1])[::-1]
    return np.divide(square, at_least, out=np.zeros_like(square), where=at_least > 0)


def erk(scores, shapes, sparsity):
    """Density in proportion to sum(dims) / prod(dims), capped at 1 (Evci et al., 'Rigging the lottery', 2020)."""
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    raw = {name: sum(shape) / max(1, math.prod(shape)) for name, shape in shapes.items()}
    return _meet(sizes, sparsity, raw)


def owl(scores, shapes, sparsity, *, threshold=5.0, spread=0.08):
    """Density raised by up to `spread` where many scores exceed `threshold` times the layer's mean, and lowered where
    few do (Yin et al., 'Outlier weighed layerwise sparsity', 2023); centred on the mean weighted by parameter count,
    so that the total is met. Give it Wanda scores."""
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    share = {name: _outliers(scores[name], threshold) for name in shapes}
    low, high = min(share.values(), default=0), max(share.values(), default=0)
    if high > low:
        share = {name: 2 * spread * (value - low) / (high - low) for name, value in share.items()}
    else:
        share = dict.fromkeys(share, 0.0)
    centre = sum(share[n] * sizes[n] for n in sizes) / max(1, sum(sizes.values()))
    return _round(sizes, sparsity, {n: min(1.0, max(0.0, 1 - sparsity + share[n] - centre)) for n in sizes})


def _outliers(scores, threshold):
    scores = np.asarray(scores, dtype=np.float64)
    return np.count_nonzero(scores > threshold * scores.mean()) / scores.size if scores.size else 0.0


def _meet(sizes, sparsity, raw):
    """Densities eps * raw, capped at 1, with eps such that the total is met."""
    keep = (1 - sparsity) * sum(sizes.values())
    full = set()
    while True:
        free = [n for n in sizes if n not in full]
        weight = sum(raw[n] * sizes[n] for n in free)
        eps = (keep - sum(sizes[n] for n in full)) / weight if weight else 0.0
        over = {n for n in free if eps * raw[n] > 1}
        if not over:
            return _round(sizes, sparsity, {n: 1.0 if n in full else max(0.0, eps * raw[n]) for n in sizes})
        full |= over


def _round(sizes, sparsity, density):
    """Whole counts near density * size whose zeros add up to round(sparsity * total): largest remainders first."""
    total = sum(sizes.values())
    left = total - round(sparsity * total)
    keep = {n: min(sizes[n], math.floor(density[n] * sizes[n])) for n in sizes}
    left -= sum(keep.values())
    order = sorted(sizes, key=lambda n: keep[n] - density[n] * sizes[n])
    step = 1 if left > 0 else -1
    while left:
        room = [n for n in order if (keep[n] < sizes[n] if left > 0 else keep[n] > 0)]
        share = max(1, abs(left) // len(room))
        for n in room:
            change = step * min(share, abs(left), sizes[n] - keep[n] if left > 0 else keep[n])
            keep[n] += change
            left -= change
            if not left:
                break
    return {n: 1 - keep[n] / sizes[n] if sizes[n] else sparsity for n in sizes}
