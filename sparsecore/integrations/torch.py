"""PyTorch: prune a module while it trains or after, then run it on sparse products.

    pruner = Pruner(net, 0.95, schedule=pr.cubic(0.95, steps)).attach(optimizer)
    ... train as usual: masks follow every optimizer step ...
    fast = pruner.finalize()            # nn.Linear and nn.Conv2d became sparse layers where that is faster
    print(pruner.report)
"""
import copy
import functools
import itertools
import time
from collections import OrderedDict

import numpy as np
import scipy.sparse as sp

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as missing:
    raise ImportError("sparsecore.integrations.torch needs PyTorch: pip install 'sparsecore[torch]'") from missing

from .. import _core, _threads, ops
from .. import pruning as pr
from ..prepared import prepare
from ..pruning.methods import default_pattern, resolve
from ..pruning.model import allocate
from ..threshold import apply_mask

__all__ = ["Pruner", "SparseConv2d", "SparseLinear", "SparseSequential", "calibrate", "load_pruned",
           "prune_with_rewinding", "shrink"]

_BATCHES = (1, 8, 64, 256)


# ---------------------------------------------------------------- what a layer sees

def calibrate(module, batches, *, include=("*",), exclude=(), gram=True, forward=None):
    """{layer name: Calibration} of the inputs of every nn.Linear and nn.Conv2d while `module` runs over `batches`.

    Inputs are summed up batch by batch; nothing is kept. A convolution's input is unfolded to (positions, in * kh * kw)
    as its weight is read; grouped convolutions are left out. forward(module, batch) runs one batch (default:
    module(batch), or of its first item where batches are tuples, as data loaders give them). The module's mode and
    gradients are as before afterwards.
    """
    layers = _layers(module, include, exclude)
    stats = {}

    def hook(name, layer, inputs):
        part = pr.calibrate(_rows(layer, inputs[0].detach()), gram=gram)
        stats[name] = stats[name].merge(part) if name in stats else part

    hooks = [layer.register_forward_pre_hook(functools.partial(_named_hook, hook, name))
             for name, layer in layers.items()]
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                if forward is not None:
                    forward(module, batch)
                else:
                    module(batch[0] if isinstance(batch, (tuple, list)) else batch)
    finally:
        module.train(was_training)
        for handle in hooks:
            handle.remove()
    return stats


def _named_hook(hook, name, layer, inputs):
    hook(name, layer, inputs)


def _rows(layer, x):
    """The inputs as the rows that meet the weight matrix."""
    if isinstance(layer, nn.Linear):
        return x.reshape(-1, x.shape[-1]).float().numpy()
    patches = F.unfold(x.float(), layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    return patches.transpose(1, 2).reshape(-1, patches.shape[1]).numpy()


def _layers(module, include, exclude):
    """{name: layer} of what can be pruned and run as a sparse matrix."""
    found = {}
    for name, layer in module.named_modules():
        plain = isinstance(layer, nn.Linear) or (
            isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.padding_mode == "zeros"
            and not isinstance(layer.padding, str))
        if plain and _matches(name, include) and not _matches(name, exclude):
            found[name] = layer
    return found


def _matches(name, globs):
    from fnmatch import fnmatchcase

    return any(fnmatchcase(name, glob) for glob in ([globs] if isinstance(globs, str) else globs))


# ---------------------------------------------------------------- pruning

class Pruner:
    """Prunes the nn.Linear and nn.Conv2d layers of a module in place, during or after training.

    Parameters
    ----------
    module : nn.Module on the CPU
    sparsity : float
    score : f(W, stats) or a method's name, as in pr.prune; taylor and snip read the weights' .grad, movement follows it
    pattern, budget, stats, include, exclude, solver : as in pr.prune; names are those of module.named_modules()
    schedule : f(step) -> sparsity
        Default: pr.one_shot(sparsity).
    every : int
        Steps between new masks (the old ones hold in between).
    """

    def __init__(self, module, sparsity, *, score=pr.magnitude, pattern=None, budget=pr.uniform, schedule=None,
                 every=1, stats=None, include=("*",), exclude=(), solver=None):
        if not 0 <= sparsity <= 1:
            raise ValueError(f"sparsity is a share from 0 to 1; got {sparsity}")
        self.module, self.sparsity, self.score, self.budget, self.solver = module, sparsity, score, budget, solver
        self.pattern = pattern
        self.schedule = pr.one_shot(sparsity) if schedule is None else schedule
        self.every = every
        self.stats = dict(stats or {})
        self.layers = _layers(module, include, exclude)
        if not self.layers:
            raise ValueError("no nn.Linear or plain nn.Conv2d of this module matches include and exclude")
        self.masks = {}
        self.report = pr.Report()
        self.steps = 0
        self._now = 0.0
        self._moved = {name: pr.Movement() for name in self.layers} if score in ("movement", pr.movement) else {}

    def attach(self, optimizer):
        """Follow every step of this optimizer; returns self."""
        self._handle = optimizer.register_step_post_hook(lambda *_: self.step())
        return self

    def detach(self):
        """Stop following the optimizer."""
        self._handle.remove()

    def step(self):
        """One training step has been taken: new masks if the schedule says so, and masked weights back to zero."""
        self.steps += 1
        for name, state in self._moved.items():
            if self.layers[name].weight.grad is not None:
                state.update(self._matrix(name), self._gradient(name))
        wanted = self.schedule(self.steps)
        if wanted != self._now and (self.steps % self.every == 0 or wanted >= self.sparsity):
            self.update(wanted)
        else:
            self.apply()

    def update(self, sparsity):
        """New masks at this sparsity from the weights as they are, applied at once."""
        criterion = resolve(self.score, None)[1] or pr.obs
        pattern = default_pattern(self.score) if self.pattern is None else self.pattern
        matrices = {name: self._matrix(name) for name in self.layers}
        stats = {name: self._stats(name) for name in self.layers}
        shapes = {name: layer.weight.detach().numpy() for name, layer in self.layers.items()}
        shares = allocate(shapes, matrices, sparsity, criterion, None, self.budget, stats)
        for name, W in matrices.items():
            mask = pattern.mask(criterion(W, stats[name]), shares[name])
            self.masks[name] = torch.from_numpy(mask.reshape(shapes[name].shape))
        self._now = sparsity
        self.apply()

    def apply(self):
        """Zero what the masks remove; with Rows() a removed unit's bias too."""
        with torch.no_grad():
            for name, mask in self.masks.items():
                layer = self.layers[name]
                layer.weight.mul_(mask)
                if isinstance(self.pattern, pr.Rows) and layer.bias is not None:
                    layer.bias.mul_(mask.reshape(len(mask), -1).any(dim=1))

    def calibrate(self, batches, *, gram=True, forward=None):
        """Take `stats` from the module's inputs on these batches; returns self."""
        stats = calibrate(self.module, batches, gram=gram, forward=forward)
        self.stats.update({name: stats[name] for name in self.layers if name in stats})
        return self

    def prune(self):
        """One shot after training: prune to `sparsity` with score and solver, masks kept for any training after."""
        weights = {name: layer.weight.detach().numpy() for name, layer in self.layers.items()}
        stats = {name: self._stats(name) for name in self.layers}
        pruned = pr.prune(weights, self.sparsity, score=self.score, pattern=self.pattern, budget=self.budget,
                          stats=stats, solver=self.solver)
        with torch.no_grad():
            for name, W in pruned.state_dict().items():
                self.layers[name].weight.copy_(torch.from_numpy(W))
                self.masks[name] = torch.from_numpy(W != 0)
        self._now = self.sparsity
        self.apply()
        self.report = pruned.report
        return self

    def to_model(self):
        """The module's parameters and buffers as a PrunedModel, ready to save: pruned layers sparse, others dense."""
        layers, shapes, report = {}, {}, pr.Report()
        pruned = {f"{name}.weight" if name else "weight": name for name in self.layers}
        for key, tensor in self.module.state_dict().items():
            array = tensor.detach().cpu().numpy()
            shapes[key] = array.shape
            if key not in pruned:
                layers[key] = array.copy()
                continue
            W = np.ascontiguousarray(array.reshape(len(array), -1))
            layers[key] = apply_mask(W, W != 0)
            form, size = pr.smallest_format(layers[key])
            nnz = int(layers[key].nnz)
            report.append({"name": key, "shape": array.shape, "nnz": nnz, "sparsity": 1 - nnz / W.size,
                           "format": form, "bytes_before": W.nbytes, "bytes_after": size})
        return pr.PrunedModel(layers, shapes, report)

    def finalize(self, *, batches=_BATCHES, samples=None):
        """A copy of the module for inference, with sparse layers wherever one is faster than the dense layer.

        Rows() and Columns() first shrink nn.Sequential modules (see shrink). Every pruned layer is then timed, dense
        and sparse, at each of `batches` (rows of input; images for convolutions, of the size seen in `samples`, a
        batch of the module's input) and runs the faster product for the batch it gets. A layer where dense always won
        stays as it is; an nn.Sequential of sparse layers becomes a SparseSequential. `self.report` says what was
        chosen: kernels by batch ("sparse" with torch's number of threads, "serial" with one, "dense" by torch, "blas"
        dense by NumPy), and how many of them are dense: "dense fallback".
        """
        module = copy.deepcopy(self.module).eval()
        if isinstance(self.pattern, (pr.Rows, pr.Columns)) and isinstance(module, nn.Sequential):
            module = shrink(module)
        sizes = _image_sizes(module, samples)
        dense, sparse, times = {}, {}, {}
        for name in self.layers:
            dense[name] = module.get_submodule(name)
            kind = SparseLinear if isinstance(dense[name], nn.Linear) else SparseConv2d
            sparse[name] = kind.from_dense(dense[name])
            times[name] = _measure(dense[name], sparse[name], batches, sizes.get(name))
            for batch, found in times[name].items():
                sparse[name].choose(batch, min(found, key=found.get))
            module = _replace(module, name, sparse[name])
        for name, part in list(module.named_modules()):
            if type(part) is nn.Sequential and any(isinstance(layer, SparseLinear) for layer in part):
                part = SparseSequential(OrderedDict(part.named_children())).eval()
                module = _replace(module, name, part)
                _settle(part, batches)
        self.report = pr.Report()
        for name, layer in sparse.items():
            kernels = layer.kernels
            fallback = sum(kernel in ("dense", "blas") for kernel in kernels.values())
            if all(kernel == "dense" for kernel in kernels.values()):
                module = _replace(module, name, dense[name])
            size_before = dense[name].weight.numel() * dense[name].weight.element_size()
            form, size = pr.smallest_format(layer.matrix())
            entry = {"name": name, "shape": tuple(dense[name].weight.shape), "nnz": layer.nnz,
                     "sparsity": 1 - layer.nnz / dense[name].weight.numel(), "format": form,
                     "bytes_before": size_before, "bytes_after": size, "dense fallback": fallback}
            entry.update({f"kernel@{batch}": kernel for batch, kernel in kernels.items()})
            entry.update({f"speedup@{b}": t["dense"] / t[kernels[b]] for b, t in times[name].items()})
            self.report.append(entry)
        return module.requires_grad_(False)

    def _matrix(self, name):
        weight = self.layers[name].weight.detach().numpy()
        return weight.reshape(len(weight), -1)

    def _gradient(self, name):
        grad = self.layers[name].weight.grad
        return None if grad is None else grad.detach().numpy().reshape(len(grad), -1)

    def _stats(self, name):
        if self._moved:
            return self._moved[name]
        stats, grad = self.stats.get(name), self._gradient(name)
        if grad is None:
            return stats
        return grad if stats is None else stats.with_grad(grad)


def prune_with_rewinding(module, train, sparsity, *, rounds=3, rewind=None, **options):
    """Iterative magnitude pruning with rewinding (Frankle & Carbin, 2019; Renda et al., 2020).

    Each round trains, prunes to 1 - (1 - sparsity)^(round / rounds), sets the parameters back and masks them; a last
    training follows. train(module, pruner) trains in place and calls pruner.apply() after each step (or
    pruner.attach(optimizer), then pruner.detach()). rewind: the state dict to go back to; default: as given.
    options go to Pruner. Returns the Pruner.
    """
    start = copy.deepcopy(module.state_dict() if rewind is None else rewind)
    pruner = Pruner(module, sparsity, schedule=lambda step: pruner._now, **options)
    for round_ in range(1, rounds + 1):
        train(module, pruner)
        pruner.update(1 - (1 - sparsity) ** (round_ / rounds))
        module.load_state_dict(start)
        pruner.apply()
    train(module, pruner)
    pruner.apply()
    return pruner


# ---------------------------------------------------------------- sparse layers

# The last change of weights or kernels of any sparse layer: what a SparseSequential worked out before it is void.
_numbers = itertools.count()
_last_change = next(_numbers)


def _note_change():
    global _last_change
    _last_change = next(_numbers)


class _Sparse(nn.Module):
    """A weight matrix held as CSR buffers; prepared layouts are made on demand and never saved or copied."""

    def __init__(self, matrix, bias=None):
        super().__init__()
        matrix = sp.csr_array(matrix)
        self.shape = matrix.shape
        self.register_buffer("indptr", torch.from_numpy(matrix.indptr.astype(np.int32)))
        self.register_buffer("indices", torch.from_numpy(matrix.indices.astype(np.int32)))
        self.register_buffer("values", torch.from_numpy(np.array(matrix.data)))
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        self.kernels = {}
        self._made, self._nearest = {}, {}  # layouts and dense copies; the kernel of a batch

    @property
    def nnz(self):
        return self.values.numel()

    def matrix(self):
        """The weights (out, in) as a csr_array on the layer's own buffers."""
        if "csr" not in self._made:
            parts = (self.values.numpy(), self.indices.numpy(), self.indptr.numpy())
            self._made["csr"] = sp.csr_array(parts, shape=self.shape)
        return self._made["csr"]

    def _dense(self):
        if "dense" not in self._made:
            # In torch's own memory: whole cache lines, where NumPy's array may begin in the middle of one.
            self._made["dense"] = torch.from_numpy(self.matrix().toarray()).clone()
        return self._made["dense"]

    def _kernel(self, batch):
        """The product chosen at the measured batch nearest in ratio; None where nothing was measured."""
        if not self.kernels:
            return None
        chosen = self._nearest.get(batch)
        if chosen is None:
            nearest = min(self.kernels, key=lambda b: abs(np.log(b / max(1, batch))))
            chosen = self._nearest[batch] = self.kernels[nearest]
        return chosen

    def choose(self, batch, kernel):
        """Take this product ('dense', 'blas', 'sparse' or 'serial') for inputs of about this many rows."""
        self.kernels[batch] = kernel
        self._nearest = {}
        _note_change()

    def _changed(self):
        """Forget what was made of the weights."""
        self._made, self._nearest = {}, {}
        _note_change()

    def product(self, X, batch=None):
        """weights @ X + bias for a tensor X (in, columns), differentiable in X."""
        if X.requires_grad and torch.is_grad_enabled():
            return _Product.apply(X, self)
        return torch.from_numpy(self._multiply(X.detach().numpy(), self._kernel(batch or X.shape[1])))

    def _multiply(self, X, kernel=None, relu=False):
        """weights @ X + bias (in, columns) -> (out, columns), row by row in memory; relu: max(0, .) of it."""
        if X.shape[0] != self.shape[1]:
            raise ValueError(f"x has {X.shape[0]} features; the layer has {self.shape[1]} columns")
        key = X.shape[1] == 1, _parallel(kernel, self.nnz * X.shape[1]), relu
        run = self._made.get(key)
        if run is None:
            run = self._made[key] = _Run([(self, kernel, relu)], X.shape[1])
        y = None if kernel == "blas" else run(X)
        return self._plainly(X, kernel, relu) if y is None else y

    def _prepared(self, columns):
        """The weights laid out for one column, or for more."""
        key = "one" if columns == 1 else "many"
        if key not in self._made:
            self._made[key] = prepare(self.matrix(), columns=1 if columns == 1 else 64)
        return self._made[key]

    def _plainly(self, X, kernel, relu):
        """_multiply by NumPy's dense product ('blas'), or for what the prepared kernels do not take."""
        if kernel == "blas":
            y = self._dense().numpy() @ X
        else:
            threads = _threads_for(_parallel(kernel, self.nnz * X.shape[1]))
            y = ops.matmul(self._prepared(X.shape[1]), X, threads=threads)
        if self.bias is not None:
            y = y + self.bias.numpy()[:, None]
        return np.maximum(y, y.dtype.type(0)) if relu else y

    def __getstate__(self):
        return {**self.__dict__, "_made": {}, "_nearest": {}}

    def __deepcopy__(self, memo):
        clone = self.__class__.__new__(self.__class__)
        memo[id(self)] = clone
        clone.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return clone

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        self._changed()
        if self.values.device.type != "cpu":
            raise ValueError(f"sparse layers run on the CPU; got device {self.values.device}")
        return self

    def _load_from_state_dict(self, state, prefix, *rest):
        # A saved layer may hold another number of weights than this one.
        for name in ("indices", "values"):
            saved = state.get(prefix + name)
            if saved is not None:
                setattr(self, name, torch.empty_like(saved))
        super()._load_from_state_dict(state, prefix, *rest)
        self._changed()


class _Run:
    """Sparse layers one after another, with bias and ReLU, as one call: steps are (layer, kernel, does a ReLU follow).

    For one sample, calls and checks of each layer would take as long as its product with 50,000 weights.
    """

    def __init__(self, steps, columns):
        self.steps = steps
        self.chain = None  # where some layer has no layout of its own, for its type or its shape
        layouts = [layer._prepared(columns)._layout() for layer, _, _ in steps]
        biases = [None if layer.bias is None else layer.bias.numpy() for layer, _, _ in steps]
        dtype = layouts[0].dtype
        if all(layout.layout != "csr" and layout.dtype == dtype for layout in layouts) and all(
                bias is None or bias.dtype == dtype and bias.flags.c_contiguous for bias in biases):
            self.chain = _core.PreparedChain([
                (layout.shape, layout.layout, layout.block, layout.arrays, layout.nnz, bias, relu,
                 _parallel(kernel, layout.nnz * columns))
                for layout, bias, (_, kernel, relu) in zip(layouts, biases, steps)])

    def __call__(self, X):
        """For X (features, samples) an array (rows, samples); None where the prepared kernels do not take it."""
        return None if self.chain is None else self.chain(X, _threads_for(True))


def _parallel(kernel, work):
    """May a product take more than one thread: as was measured, else by its size."""
    return kernel == "sparse" or kernel != "serial" and work >= _threads.CROSSOVER


def _threads_for(parallel):
    """Never more threads than torch would take."""
    limit = torch.get_num_threads() if parallel else 1
    return 1 if limit == 1 else min(limit, _threads.resolve())


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X, layer):
        ctx.layer = layer
        return torch.from_numpy(layer._multiply(X.detach().numpy(), layer._kernel(X.shape[1])))

    @staticmethod
    def backward(ctx, grad):
        return torch.from_numpy(ops.matmul(ctx.layer.matrix().T, grad.numpy())), None


class SparseLinear(_Sparse):
    """y = x W' + b with W a sparse (out_features, in_features) matrix; for inference, differentiable in x."""

    @classmethod
    def from_dense(cls, layer):
        """From an nn.Linear with zeros in its weight."""
        W = np.ascontiguousarray(layer.weight.detach().numpy())
        return cls(apply_mask(W, W != 0), layer.bias)

    def forward(self, x):
        if x.ndim == 2 and not x.requires_grad:
            kernel = self._kernel(x.shape[0])
            if kernel != "dense":
                # Features go down, samples across: what one sparse layer gives is what the next reads, untransposed.
                return torch.from_numpy(self._multiply(x.numpy().T, kernel).T)
        if x.shape[-1] != self.shape[1]:
            raise ValueError(f"x has {x.shape[-1]} features; the layer has {self.shape[1]} columns")
        rows = x.reshape(-1, x.shape[-1])
        if self._kernel(rows.shape[0]) == "dense":
            return self.dense_product(x)
        return self.product(rows.T).T.reshape(*x.shape[:-1], self.shape[0])

    def dense_product(self, x):
        """x W' + b by torch's dense product, from a dense copy of the weights."""
        made = self._made.get("linear")
        if made is None:
            made = self._made["linear"] = self._dense(), self.bias
        return F.linear(x, *made)

    def extra_repr(self):
        return f"in_features={self.shape[1]}, out_features={self.shape[0]}, nnz={self.nnz}"


class SparseConv2d(_Sparse):
    """nn.Conv2d with a sparse weight: 1x1 convolutions multiply the input as it lies, others its unfolded patches."""

    def __init__(self, matrix, bias, kernel_size, stride, padding, dilation):
        super().__init__(matrix, bias)
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation

    @classmethod
    def from_dense(cls, layer):
        """From an nn.Conv2d with zeros in its weight: groups=1, zero padding given in numbers."""
        W = np.ascontiguousarray(layer.weight.detach().numpy().reshape(layer.out_channels, -1))
        return cls(apply_mask(W, W != 0), layer.bias, layer.kernel_size, layer.stride, layer.padding, layer.dilation)

    def forward(self, x):
        channels = self.shape[1] // (self.kernel_size[0] * self.kernel_size[1])
        if x.ndim != 4 or x.shape[1] != channels:
            raise ValueError(f"x has shape {tuple(x.shape)}; the layer reads (batch, {channels}, height, width)")
        if self._kernel(x.shape[0]) == "dense":
            W = self._dense().reshape(self.shape[0], channels, *self.kernel_size)
            return F.conv2d(x, W, self.bias, self.stride, self.padding, self.dilation)
        height, width = (
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, k, s, p, d in zip(x.shape[2:], self.kernel_size, self.stride, self.padding, self.dilation))
        if not x.shape[0]:
            return x.new_zeros(0, self.shape[0], height, width)
        if self.kernel_size == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0):
            patches = x.reshape(x.shape[0], channels, -1)
        else:
            patches = F.unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)
        y = torch.stack([self.product(image, x.shape[0]) for image in patches])
        return y.reshape(x.shape[0], self.shape[0], height, width)

    def extra_repr(self):
        return f"out_channels={self.shape[0]}, kernel_size={self.kernel_size}, nnz={self.nnz}"


class SparseSequential(nn.Sequential):
    """nn.Sequential that multiplies neighbouring sparse layers, and the ReLU, Dropout and Identity between them, in one
    call (in evaluation, for input without gradients, where none of them has a hook).

    Names, state dict and values are those of nn.Sequential, the values to the bit those of its sparse layers called one
    by one.  For one sample, calling modules and wrapping tensors takes as long as three layers of 50,000 weights do.
    """

    def forward(self, x):
        layers = list(self._modules.values())
        plan = self.__dict__.get("_plan")
        if plan is None or plan.layers != layers:
            plan = self.__dict__["_plan"] = _Plan(layers)
        if x.ndim != 2 or x.requires_grad or self.training or plan.watched():
            return super().forward(x)
        return plan.run(x)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_plan"}


class _Plan:
    """What SparseSequential does with its layers: steps are (layer, does a ReLU follow)."""

    def __init__(self, layers):
        self.layers, self.steps, self.routes = layers, [], {}
        self.passed = []  # modules that are not called
        for layer in layers:
            after = self.steps[-1] if self.steps else (None, True)
            if type(layer) in (nn.Dropout, nn.Identity):
                self.passed.append(layer)
            elif type(layer) is nn.ReLU and isinstance(after[0], (SparseLinear, nn.Linear)) and not after[1]:
                self.steps[-1] = after[0], True
                self.passed.append(layer)
            else:
                self.steps.append((layer, False))
        self.dropouts = [layer for layer in self.passed if isinstance(layer, nn.Dropout)]
        self.hooks = [nn.modules.module._global_forward_hooks, nn.modules.module._global_forward_pre_hooks]
        for layer in [layer for layer in layers if isinstance(layer, SparseLinear)] + self.passed:
            self.hooks += [layer._forward_hooks, layer._forward_pre_hooks]
        self.change = _last_change

    def watched(self):
        """Is there a hook on a module that is not called, or a Dropout in training?"""
        return any(self.hooks) or self.dropouts and any([layer.training for layer in self.dropouts])

    def route(self, batch):
        """[(a _Run of sparse layers, or None; or else (layer, kernel or None, does a ReLU follow))] for this batch; a
        _Run where it is all."""
        route, steps = [], []
        for layer, relu in self.steps:
            kernel = layer._kernel(batch) if isinstance(layer, SparseLinear) else "other"
            if kernel in (None, "sparse", "serial"):
                steps.append((layer, kernel, relu))
                continue
            if steps:
                route.append((_Run(steps, batch), None))
            steps = []
            route.append((None, (layer, kernel, relu)))
        if steps and not route:
            return _Run(steps, batch)
        return route + ([(_Run(steps, batch), None)] if steps else [])

    def run(self, x):
        if self.change != _last_change or len(self.routes) > 64:
            self.change, self.routes = _last_change, {}
        batch = x.size(0)
        route = self.routes.get(batch)
        if route is None:
            route = self.routes[batch] = self.route(batch)
        if route.__class__ is _Run:     # all layers in one call: 2 of 38 us for one sample are saved here
            y = route(x.numpy().T)
            if y is not None:
                return torch.from_numpy(y.T)
            route = [(route, None)]
        columns = None  # the value as an array (features, samples) after a sparse layer, when there is no tensor x
        for run, step in route:
            inside = columns is not None or x.ndim == 2 and not x.requires_grad and x.shape[0] == batch
            if run is not None and inside:
                y = run(x.numpy().T if columns is None else columns)
                if y is not None:
                    columns = y
                    continue
            for layer, kernel, relu in (step,) if run is None else run.steps:
                if inside and kernel in (None, "blas", "sparse", "serial"):
                    columns = layer._multiply(x.numpy().T if columns is None else columns, kernel, relu)
                    continue
                if columns is not None:
                    x, columns = torch.from_numpy(columns.T), None
                x = layer.dense_product(x) if inside and kernel == "dense" else layer(x)
                if relu:
                    x = torch.relu(x)
        return x if columns is None else torch.from_numpy(columns.T)


def _measure(dense, sparse, batches, size):
    """{batch: {"dense", "sparse" (on all threads) and "serial": seconds}} of one layer."""
    times = {}
    generator = torch.Generator().manual_seed(0)
    for batch in batches:
        if isinstance(dense, nn.Linear):
            # As this layer's input arrives from a sparse layer before it: features down, samples across.
            x = torch.rand(dense.in_features, batch, generator=generator).T
        elif size is not None:
            x = torch.rand(batch, dense.in_channels, *size, generator=generator)
        else:
            return {}
        x = x.to(dense.weight.dtype)
        runs = {"dense": functools.partial(dense, x.contiguous())}
        runs.update({kind: functools.partial(_run_as, sparse, sparse, kind, batch, x) for kind in _other_kinds(batch)})
        times[batch] = _race(runs)
    return times


def _settle(chain, batches):
    """Choose again between dense and sparse where a layer is called within a SparseSequential: the way from array to
    tensor and back is not paid there between sparse layers."""
    layers = [layer for layer in chain if isinstance(layer, SparseLinear) and layer.kernels]
    if not layers or not isinstance(chain[0], SparseLinear):
        return
    generator = torch.Generator().manual_seed(0)
    for batch in batches:
        x = torch.rand(batch, chain[0].shape[1], generator=generator).to(chain[0].values.dtype)
        # All layers in one call or all dense first: from one by one, a first step the other way may only seem to lose.
        alone = [layer.kernels[batch] for layer in layers]
        whole = {"alone": alone, **{kind: [kind] * len(layers) for kind in ("dense", *_other_kinds(batch))}}
        times = _race({name: functools.partial(_run_all_as, chain, layers, kinds, batch, x)
                       for name, kinds in whole.items()})
        for layer, kind in zip(layers, whole[min(times, key=times.get)], strict=True):
            layer.choose(batch, kind)
        for layer in layers:
            now = layer.kernels[batch]
            times = _race({kind: functools.partial(_run_as, chain, layer, kind, batch, x)
                           for kind in ("dense", *_other_kinds(batch))})
            best = min(times, key=times.get)
            layer.choose(batch, best if times[best] < 0.97 * times[now] else now)


def _other_kinds(batch):
    kinds = ["sparse", "serial"] if _threads_for(True) > 1 else ["sparse"]
    if batch == 1 and _numpy_threads() <= torch.get_num_threads():
        kinds.append("blas")  # read at 70 GB/s from the cache where torch's product with one row read 45 (Zen 3)
    return kinds


def _numpy_threads():
    """The threads of NumPy's BLAS; infinite where threadpoolctl is not there to say it."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return float("inf")
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if "numpy" in pool["filepath"]]
    return max((pool["num_threads"] for pool in own or pools), default=float("inf"))


def _run_as(module, layer, kind, batch, x):
    if layer.kernels.get(batch) != kind:
        layer.choose(batch, kind)
    return module(x)


def _run_all_as(module, layers, kinds, batch, x):
    for layer, kind in zip(layers, kinds, strict=True):
        if layer.kernels[batch] != kind:
            layer.choose(batch, kind)
    return module(x)


def _race(runs):
    """{name: seconds}, the lower quartile of interleaved turns: medians on a busy machine are of what else runs, and
    least times hide threads that often wait for a processor."""
    seconds = {name: [] for name in runs}
    with torch.no_grad():
        started = time.perf_counter()
        for turn in range(200):
            for name, run in runs.items():
                # Five in a row: alone, a layer finds its weights where it left them.
                for _ in range(5):
                    begin = time.perf_counter()
                    run()
                    seconds[name].append(time.perf_counter() - begin)
            # Ten turns, but not within one burst of somebody else's work; three where they are long.
            spent = time.perf_counter() - started
            if turn >= 9 and spent > 0.05 or turn >= 2 and spent > 0.3:
                break
    return {name: float(np.percentile(found, 25)) for name, found in seconds.items()}


def _image_sizes(module, samples):
    """{convolution: (height, width) of its input} when `module` runs on samples."""
    sizes = {}
    if samples is None:
        return sizes
    hooks = [layer.register_forward_pre_hook(
        functools.partial(_named_hook, lambda n, _, inputs: sizes.__setitem__(n, tuple(inputs[0].shape[2:])), name))
        for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        module(samples)
    for handle in hooks:
        handle.remove()
    return sizes


def _replace(module, name, layer):
    """`module` with the named submodule replaced; an empty name means the module itself."""
    if not name:
        return layer
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, layer)
    return module


# ---------------------------------------------------------------- structured pruning and files

_ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Hardtanh,
                nn.ReLU6, nn.Identity, nn.Dropout)
_POOLING = (nn.MaxPool2d, nn.AvgPool2d)


def shrink(module):
    """A copy of an nn.Sequential without the units whose weights are all zero, or whom the next layer never reads.

    Works through Linear and plain Conv2d layers with elementwise activations, pooling and Flatten between them; a
    chain ends at anything else. Names of layers stay. Outputs are the same to rounding.
    """
    module = copy.deepcopy(module).eval()
    chain, between = [], []

    def cut():
        if len(chain) > 1:
            _shrink_chain(chain, between)
        chain.clear()
        between.clear()

    for layer in module:
        plain = isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
        after_images = bool(chain) and isinstance(chain[-1], nn.Conv2d)
        if plain:
            flat = after_images and any(isinstance(between_, nn.Flatten) for between_ in between[-1])
            if after_images and flat != isinstance(layer, nn.Linear):
                cut()
            chain.append(layer)
            between.append([])
        elif chain and (isinstance(layer, _ELEMENTWISE) or after_images and _keeps_channels(layer)):
            between[-1].append(layer)
        else:
            cut()
    cut()
    return module


def _keeps_channels(layer):
    """Pooling that maps constants to themselves, or the flattening of (batch, channels, height, width)."""
    if isinstance(layer, nn.Flatten):
        return layer.start_dim == 1 and layer.end_dim == -1
    return isinstance(layer, _POOLING) and layer.padding in (0, (0, 0))


def _shrink_chain(chain, between):
    def activation(layers):
        def apply(b):
            x = torch.from_numpy(b)
            for layer in layers:
                x = layer(x) if isinstance(layer, _ELEMENTWISE) else x
            return x.numpy()

        return apply

    pairs = [(layer.weight.detach().numpy(), None if layer.bias is None else layer.bias.detach().numpy())
             for layer in chain]
    with torch.no_grad():
        small, _ = pr.shrink(pairs, [activation(layers) for layers in between[:-1]])
    for layer, (W, b) in zip(chain, small):
        layer.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(W)), requires_grad=False)
        if b is not None:
            layer.bias = nn.Parameter(torch.from_numpy(b), requires_grad=False)
        if isinstance(layer, nn.Linear):
            layer.out_features, layer.in_features = W.shape
        else:
            layer.out_channels, layer.in_channels = W.shape[:2]


def load_pruned(module, model):
    """Put the arrays of a PrunedModel (see Pruner.to_model and sc.io.load_model) into a module of the same names."""
    state = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in model.state_dict().items()}
    module.load_state_dict(state)
    return module
