"""A whole model: prune() every matrix of it, PrunedModel for the outcome, sensitivity() for what each layer bears."""
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from ..threshold import apply_mask
from .allocation import erk, uniform
from .calibration import Calibration
from .layerwise import error, hessian
from .methods import prune_layer, resolve
from .report import Report
from .scores import magnitude, obs
from .storage import smallest_format, todense

__all__ = ["PrunedModel", "prune", "sensitivity"]


@dataclass
class PrunedModel:
    """Named layers after pruning.

    layers    {name: csr_array | ndarray | LowRank | SparsePlusLowRank}; a pruned array is 2-D (4-D ones as (out, -1))
    shapes    {name: original shape}, so that state_dict() gives 4-D arrays back
    report    one dict per layer: shape, nnz, bytes before and after, error
    metadata  plain strings and numbers that travel with the file
    """

    layers: dict
    shapes: dict = field(default_factory=dict)
    report: Report = field(default_factory=Report)
    metadata: dict = field(default_factory=dict)

    def __post_init__(self):
        self.shapes = {name: tuple(self.shapes.get(name, layer.shape)) for name, layer in self.layers.items()}
        if not isinstance(self.report, Report):
            self.report = Report(self.report)

    def state_dict(self):
        """{name: dense ndarray in its original shape}; fresh arrays."""
        return {name: todense(layer).reshape(self.shapes[name]).copy() for name, layer in self.layers.items()}

    @property
    def nbytes(self):
        """Bytes of all layers, each in its smallest format."""
        return sum(smallest_format(layer)[1] for layer in self.layers.values())

    def save(self, path, **options):
        """Write a model file; options (key, passphrase) as in sparsecore.io.save_model."""
        from sparsecore.io import save_model

        return save_model(path, self, **options)


def prune(model, sparsity, *, score=magnitude, pattern=None, budget=uniform, stats=None, include=("*",), exclude=(),
          solver=None, progress=None):
    """Prune the matrices of a model.

    Parameters
    ----------
    model : {name: ndarray} or PrunedModel
        Untouched. 2-D floating-point arrays are pruned, 4-D ones as (out, -1); others are copied.
    sparsity : float or {name: float}
        The share of zeros over all pruned layers, shared out by `budget`; or each layer's own.
    score : callable or str
        A score f(W, stats), a method's name or a solver, as `method` in prune_layer.
    pattern : default Unstructured() (within rows for Wanda)
    budget : uniform, global_, erk, lamp, owl or any f(scores, shapes, sparsity) -> {name: sparsity}
    stats : {name: Calibration}, or whatever the score wants
    include, exclude : glob patterns of names, or one of them
    solver : None, 'backsolve', 'obs', 'sparsegpt' or 'alps'
        Corrects the weights that stay; all but backsolve choose the mask themselves.
    progress : True for a tqdm bar, or a callable (done, total, name)

    Returns
    -------
    PrunedModel, each layer of its array's type.

    Raises
    ------
    ValueError, TypeError
        As prune_layer, with the layer's name; names in `sparsity` that no pruned layer has.
    """
    arrays = model.state_dict() if isinstance(model, PrunedModel) else {n: np.asarray(W) for n, W in model.items()}
    stats = {} if stats is None else stats
    matrices = _matrices(arrays, include, exclude)
    shares = allocate(arrays, matrices, sparsity, score, solver, budget, stats)
    layers, report = {}, Report()
    ticks = ticker(progress, len(matrices))
    for name, W in arrays.items():
        if name not in matrices:
            layers[name] = W.copy()
            continue
        W = matrices[name]
        W_hat = _named(name, prune_layer, W, shares[name], method=score, pattern=pattern, stats=stats.get(name),
                       solver=solver)
        layers[name] = apply_mask(W_hat, W_hat != 0)
        report.append(_entry(name, arrays[name].shape, W, W_hat, layers[name], stats.get(name)))
        ticks(name)
    return PrunedModel(layers, {name: W.shape for name, W in arrays.items()}, report)


def sensitivity(model, stats=None, levels=(0.5, 0.6, 0.7, 0.8, 0.9), *, score=magnitude, pattern=None, solver=None,
                include=("*",), exclude=(), evaluate=None, progress=None):
    """What pruning each layer alone costs: a Report with one entry per layer and level.

    levels are sparsities; evaluate, where given, is called with a state dict {name: array} in which one layer is pruned
    and its number is reported as 'accuracy'. Other arguments as in prune.
    """
    arrays = model.state_dict() if isinstance(model, PrunedModel) else {n: np.asarray(W) for n, W in model.items()}
    stats = {} if stats is None else stats
    matrices = _matrices(arrays, include, exclude)
    ticks = ticker(progress, len(matrices) * len(levels))
    table = Report()
    for name, W in matrices.items():
        for level in levels:
            W_hat = _named(name, prune_layer, W, level, method=score, pattern=pattern, stats=stats.get(name),
                           solver=solver)
            loss, relative = _errors(W, W_hat, stats.get(name))
            zeros = W_hat.size - int(np.count_nonzero(W_hat))
            entry = {"name": name, "sparsity": float(level), "zeros": zeros, "error": loss, "relative_error": relative}
            if evaluate is not None:
                entry["accuracy"] = float(evaluate({**arrays, name: W_hat.reshape(arrays[name].shape)}))
            table.append(entry)
            ticks(name)
    return table


def _matrices(arrays, include, exclude):
    """{name: 2-D view} of what is to be pruned."""
    include, exclude = ([globs] if isinstance(globs, str) else globs for globs in (include, exclude))
    return {
        name: W.reshape(W.shape[0], -1)
        for name, W in arrays.items()
        if W.ndim in (2, 4) and W.size and (W.dtype.kind == "f" or W.dtype.name == "bfloat16")
        and any(fnmatchcase(name, glob) for glob in include)
        and not any(fnmatchcase(name, glob) for glob in exclude)
    }


def allocate(arrays, matrices, sparsity, score, solver, budget, stats):
    """{name: sparsity} for every matrix."""
    if isinstance(sparsity, dict):
        unknown = [name for name in sparsity if name not in matrices]
        if unknown:
            raise ValueError(f"sparsity names {unknown}; the pruned layers are {list(matrices)}")
        return {name: sparsity.get(name, 0.0) for name in matrices}
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is a share from 0 to 1; got {sparsity}")
    scores = {}
    if budget is not uniform and budget is not erk:
        # A solver has no scores of its own; what it removes first is what OBS does.
        criterion = resolve(score, solver)[1] or obs
        scores = {name: _named(name, criterion, W, stats.get(name)) for name, W in matrices.items()}
    return budget(scores, {name: arrays[name].shape for name in matrices}, sparsity)


def _named(name, function, *args, **options):
    """Call, with the layer's name before the message of a ValueError or TypeError."""
    try:
        return function(*args, **options)
    except (ValueError, TypeError) as problem:
        raise type(problem)(f"layer {name!r}: {problem}") from problem


def _entry(name, shape, W, W_hat, layer, stats):
    form, size = smallest_format(layer)
    loss, relative = _errors(W, W_hat, stats)
    return {"name": name, "shape": tuple(shape), "nnz": int(layer.nnz), "sparsity": 1 - layer.nnz / W.size,
            "format": form, "bytes_before": W.nbytes, "bytes_after": size, "error": loss, "relative_error": relative}


def _errors(W, W_hat, stats):
    """E and E / tr(W H W'); by weights alone where there is no X'X."""
    stats = stats if isinstance(stats, Calibration) and stats.gram is not None else None
    if stats is None:
        total = error(W, np.zeros_like(W))
        loss = error(W, W_hat)
    else:
        H = hessian(W, stats)
        lost, full = W.astype(np.float64) - W_hat, W.astype(np.float64)
        loss = float(np.einsum("ij,ij->", lost @ H, lost))
        total = float(np.einsum("ij,ij->", full @ H, full))
    return loss, loss / total if total > 0 else 0.0


def ticker(progress, total):
    """A function of a name that reports one more step done, to a callable or a tqdm bar."""
    if not progress:
        return lambda name: None
    if callable(progress):
        done = 0

        def tick(name):
            nonlocal done
            done += 1
            progress(done, total, name)

        return tick
    try:
        from tqdm import tqdm
    except ImportError as missing:
        raise ImportError("progress=True needs tqdm: pip install 'sparsecore[progress]'") from missing
    bar = tqdm(total=total, unit="layer")

    def advance(name):
        bar.set_postfix_str(name)
        bar.update()
        if bar.n >= total:
            bar.close()

    return advance
