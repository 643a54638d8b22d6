"""Pruning: scores, patterns, budgets, schedules, layer-wise solvers and low rank, over the sparse kernels."""
from .model import PrunedModel
from .report import Report
from .storage import LowRank, SparsePlusLowRank, smallest_format, todense

__all__ = ["LowRank", "PrunedModel", "Report", "SparsePlusLowRank", "smallest_format", "todense"]
