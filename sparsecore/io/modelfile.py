"""Model files: one safetensors container, every layer in its smallest encoding, bit-exact, no pickle.

The container's metadata entry "sparsecore" is JSON: for every layer what it was in memory (array, csr, csc, low rank),
its shape and types, and the encoding of its tensors. A dense layer keeps its own name, so any safetensors reader sees
it; the parts of another are called `layer::part`. A safetensors file without that entry loads as dense layers.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from ..pruning import LowRank, PrunedModel, SparsePlusLowRank
from . import encode, sealed
from .atomic import atomic_path

__all__ = ["Contents", "LayerInfo", "ModelFileError", "load_model", "read_model", "save_model"]

VERSION = 1
_COMPOSED = {"low_rank": LowRank, "sparse_plus_low_rank": SparsePlusLowRank}


class ModelFileError(ValueError):
    """The file is not a model file, or is damaged; the message names it."""


@dataclass(frozen=True)
class LayerInfo:
    """What `inspect` shows of a layer: nbytes is the size in the file, dense_nbytes that of the full array."""

    name: str
    shape: tuple
    dtype: str
    nnz: int
    format: str
    nbytes: int
    dense_nbytes: int


@dataclass(frozen=True)
class Contents:
    """Everything in a model file: layers as they were, original shapes, report, free metadata, sizes."""

    layers: dict
    shapes: dict
    report: list
    metadata: dict
    info: list


def save_model(path, model, *, key=None, passphrase=None, metadata=None):
    """Write `model` to `path`: a safetensors file, sealed if `key` (32 bytes) or `passphrase` is given.

    model: a PrunedModel, or {name: array}, where an array is a NumPy array of any shape, a scipy.sparse matrix, or a
    LowRank or SparsePlusLowRank. metadata: a JSON-able dict kept with it, added to the model's own. The file appears
    whole or not at all.
    TypeError for values that a file cannot hold, ValueError for names that collide, OSError from the disk.
    """
    layers = getattr(model, "layers", model)
    tensors, table = {}, {}
    for name, layer in layers.items():
        table[str(name)] = _put(tensors, str(name), layer)
    head = {
        "version": VERSION,
        "layers": table,
        "shapes": {str(name): list(shape) for name, shape in getattr(model, "shapes", {}).items()},
        "report": list(getattr(model, "report", ())),
        "metadata": {**getattr(model, "metadata", {}), **(metadata or {})},
    }
    header = {"sparsecore": json.dumps(head, default=_json_scalar)}
    safetensors = _safetensors()
    if key is None and passphrase is None:
        with atomic_path(path) as temporary:
            safetensors.numpy.save_file(tensors, temporary, metadata=header)
    else:
        payload = safetensors.numpy.save(tensors, metadata=header)
        sealed.write_sealed(path, payload, key=key, passphrase=passphrase)


def load_model(path, *, key=None, passphrase=None):
    """The PrunedModel in the file `path`; its metadata is the attribute `metadata`.

    ModelFileError (a ValueError) for a file that is damaged or something else, DecryptionError for a sealed file that
    does not open with `key` or `passphrase`, or a plain one where a sealed one was asked for.
    """
    contents = read_model(path, key=key, passphrase=passphrase)
    return PrunedModel(contents.layers, contents.shapes, contents.report, contents.metadata)


def read_model(path, *, key=None, passphrase=None):
    """The Contents of the file `path`; errors as for `load_model`."""
    path = Path(path)
    if key is not None or passphrase is not None:
        raw = sealed.read_sealed(path, key=key, passphrase=passphrase)
    else:
        raw = path.read_bytes()
        if raw.startswith(sealed.MAGIC):
            raise ModelFileError(f"{path} is sealed: a key or a passphrase is needed")
    try:
        return _contents(raw)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, MemoryError, OverflowError,
            RecursionError) as error:
        raise ModelFileError(f"{path} is not a model file, or is damaged: {error}") from error


def _put(tensors, name, layer):
    """Add the tensors of one layer; return its entry in the table."""
    if isinstance(layer, tuple(_COMPOSED.values())):
        kind = next(kind for kind, made in _COMPOSED.items() if type(layer) is made)
        return {"kind": kind, "parts": {f.name: _put(tensors, f"{name}::{f.name}", getattr(layer, f.name))
                                        for f in fields(layer)}}
    if sp.issparse(layer):
        kind = "csc" if layer.format == "csc" else "csr"
        if layer.format not in ("csr", "csc"):
            layer = layer.tocsr()
        layer.check_format(full_check=True)
        m, n = layer.shape
        rows = encode.csr((n, m) if kind == "csc" else (m, n), layer.data, layer.indices, layer.indptr)
        format, parts = encode.encode_sparse(rows)
        entry = {"kind": kind, "shape": list(layer.shape), "dtype": layer.dtype.name, "index": rows.indices.dtype.name,
                 "matrix": isinstance(layer, sp.spmatrix)}
    else:
        layer = np.asarray(layer)
        format, parts = encode.encode_dense(layer)
        entry = {"kind": "array", "shape": list(layer.shape), "dtype": layer.dtype.name}
    entry["format"] = format
    for part, tensor in parts.items():
        key = name if format == "dense" else f"{name}::{part}"
        if key in tensors:
            raise ValueError(f"two tensors would be called {key!r}: rename the layer {name!r}")
        if tensor.dtype == np.complex128:
            tensor = np.ascontiguousarray(tensor).reshape(-1).view(np.float64)
        tensors[key] = np.ascontiguousarray(tensor).reshape(tensor.shape)
    return entry


def _contents(raw):
    safetensors = _safetensors()
    try:
        flat = safetensors.deserialize(raw)
    except safetensors.SafetensorError as error:
        raise ValueError(str(error)) from error
    tensors = {name: _tensor(entry) for name, entry in flat}
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    head = json.loads(header.get("__metadata__", {}).get("sparsecore", "null"))
    if head is None:
        head = {"version": VERSION, "shapes": {}, "report": [], "metadata": {}, "layers": {
            name: {"kind": "array", "shape": list(t.shape), "dtype": t.dtype.name, "format": "dense"}
            for name, t in tensors.items()}}
    if head["version"] != VERSION:
        raise ValueError(f"format version {head['version']}; this library reads version {VERSION}")
    layers, info = {}, []
    for name, entry in head["layers"].items():
        layers[name], facts = _get(tensors, name, entry)
        info.append(LayerInfo(name, *facts))
    shapes = {name: tuple(shape) for name, shape in head["shapes"].items()}
    for name, shape in shapes.items():
        if math.prod(shape) != math.prod(layers[name].shape):
            raise ValueError(f"layer {name!r} has shape {layers[name].shape}; the header says {shape}")
    return Contents(layers, shapes, head["report"], head["metadata"], info)


def _get(tensors, name, entry):
    """One layer and (shape, dtype, nnz, format, bytes in the file, bytes if dense)."""
    if entry["kind"] in _COMPOSED:
        found = {part: _get(tensors, f"{name}::{part}", inner) for part, inner in entry["parts"].items()}
        layer = _COMPOSED[entry["kind"]](**{part: made for part, (made, _) in found.items()})
        nnz, nbytes = (sum(facts[i] for _, facts in found.values()) for i in (2, 4))
        dense = math.prod(layer.shape) * layer.dtype.itemsize
        return layer, (layer.shape, layer.dtype.name, nnz, entry["kind"], nbytes, dense)
    format, dtype, shape = entry["format"], entry["dtype"], tuple(int(n) for n in entry["shape"])
    if any(n < 0 for n in shape):
        raise ValueError(f"layer {name!r} has shape {shape}")
    parts = {part: tensors[name if format == "dense" else f"{name}::{part}"] for part in encode.FORMATS[format]}
    if entry["kind"] == "array":
        layer = encode.decode_dense(format, parts, shape, dtype)
        nnz = parts["values"].size if format != "dense" else np.count_nonzero(layer)
    elif entry["kind"] in ("csr", "csc"):
        m, n = shape
        rows = encode.decode_sparse(format, parts, (n, m) if entry["kind"] == "csc" else (m, n), dtype, entry["index"])
        made = getattr(sp, f"{entry['kind']}_{'matrix' if entry['matrix'] else 'array'}")
        layer, nnz = encode.csr(shape, rows.data, rows.indices, rows.indptr, made), rows.nnz
    else:
        raise ValueError(f"layer {name!r} is of unknown kind {entry['kind']!r}")
    nbytes = sum(part.nbytes for part in parts.values())
    return layer, (shape, dtype, int(nnz), format, nbytes, math.prod(shape) * encode.named_dtype(dtype).itemsize)


_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool", "C64": "complex64",
          "I8": "int8", "U8": "uint8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32",
          "I64": "int64", "U64": "uint64"}


def _tensor(entry):
    if entry["dtype"] not in _NAMES:
        raise ValueError(f"tensors of type {entry['dtype']} are not supported")
    return np.frombuffer(entry["data"], encode.named_dtype(_NAMES[entry["dtype"]])).reshape(entry["shape"])


def _json_scalar(value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"metadata of type {type(value).__name__} does not fit in a model file")


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("model files need safetensors: pip install 'sparsecore[io]'") from error
    return safetensors
