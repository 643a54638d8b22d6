"""Patterns: which sets of weights may be kept. mask(scores, sparsity) -> bool array, True where a weight stays.

Every pattern maximises the kept score within its own groups; equal scores keep the lowest index.
"""
from dataclasses import dataclass

import numpy as np

from ..threshold import block_mask, nm_mask, topk_mask

__all__ = ["NM", "Block", "Columns", "Rows", "Unstructured"]


def kept(size, sparsity):
    """How many of `size` stay when exactly round(sparsity * size) go."""
    return size - round(sparsity * size)


@dataclass(frozen=True)
class Unstructured:
    """Any set of weights; compared over the whole layer, or within each row (row counts then differ by at most 1)."""

    scope: str = "layer"

    def __post_init__(self):
        if self.scope not in ("layer", "row"):
            raise ValueError(f"scope must be 'layer' or 'row'; got {self.scope!r}")

    def mask(self, scores, sparsity):
        keep = kept(scores.size, sparsity)
        if self.scope == "layer" or scores.size == 0:
            return topk_mask(scores, keep)
        rows = scores.shape[0]
        base, extra = divmod(keep, rows)
        mask = topk_mask(scores, base, axis=1)
        if extra:
            # The leftover entries go to the rows whose next best entry scores most.
            wider = topk_mask(scores, base + 1, axis=1)
            lucky = topk_mask(scores[wider & ~mask], extra)
            mask[lucky] = wider[lucky]
        return mask


@dataclass(frozen=True)
class NM:
    """Exactly `keep` of every `group` consecutive weights of a row stay; this fixes the sparsity, whatever is asked."""

    keep: int = 2
    group: int = 4

    def __post_init__(self):
        if not 0 <= self.keep <= self.group or self.group < 1:
            raise ValueError(f"keep must be from 0 to group; got keep={self.keep}, group={self.group}")

    def mask(self, scores, sparsity=None):
        return nm_mask(scores, keep=self.keep, group=self.group)


@dataclass(frozen=True)
class Block:
    """Whole blocks of `shape` (rows, columns) stay or go, by the sum of their scores; edge blocks may be smaller."""

    shape: tuple

    def __post_init__(self):
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise ValueError(f"a block is (rows, columns), both at least 1; got {self.shape}")

    def mask(self, scores, sparsity):
        (m, d), (r, c) = scores.shape, self.shape
        blocks = -(-m // r) * -(-d // c)
        return block_mask(scores, self.shape, kept(blocks, sparsity))


@dataclass(frozen=True)
class Rows:
    """Whole rows (output units) stay or go, by the sum of their scores."""

    def mask(self, scores, sparsity):
        sums = scores.sum(axis=1, dtype=np.float64)
        return np.repeat(topk_mask(sums, kept(sums.size, sparsity))[:, None], scores.shape[1], axis=1)


@dataclass(frozen=True)
class Columns:
    """Whole columns (input features) stay or go, by the sum of their scores."""

    def mask(self, scores, sparsity):
        sums = scores.sum(axis=0, dtype=np.float64)
        return np.repeat(topk_mask(sums, kept(sums.size, sparsity))[None, :], scores.shape[0], axis=0)
