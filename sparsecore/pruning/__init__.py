"""Pruning: scores, patterns, budgets, schedules, layer-wise solvers and low rank, over the sparse kernels."""
from .allocation import erk, global_, lamp, owl, uniform
from .alps import alps
from .calibration import Calibration, calibrate
from .exactobs import exact_obs
from .layerwise import backsolve, error
from .lowrank import low_rank, sparse_plus_low_rank
from .methods import prune_layer
from .model import PrunedModel, prune, sensitivity
from .patterns import NM, Block, Columns, Rows, Unstructured
from .report import Report
from .rows import leverage, select_columns, select_rows
from .schedules import cubic, linear, one_shot
from .scores import Movement, activation, magnitude, movement, obs, random, snip, taylor, wanda
from .sparsegpt import sparse_gpt
from .storage import LowRank, SparsePlusLowRank, smallest_format, todense
from .structured import shrink

__all__ = [
    "Block", "Calibration", "Columns", "LowRank", "Movement", "NM", "PrunedModel", "Report", "Rows",
    "SparsePlusLowRank", "Unstructured", "activation", "alps", "backsolve", "calibrate", "cubic", "erk", "error",
    "exact_obs", "global_", "lamp", "leverage", "linear", "low_rank", "magnitude", "movement", "obs", "one_shot",
    "owl", "prune", "prune_layer", "random", "select_columns", "select_rows", "sensitivity", "shrink",
    "smallest_format", "snip", "sparse_gpt", "sparse_plus_low_rank", "taylor", "todense", "uniform", "wanda",
]
