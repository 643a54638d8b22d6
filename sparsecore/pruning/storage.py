"""What a pruned layer is (dense, CSR, low rank, sparse plus low rank) and how many bytes its smallest format takes."""
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

__all__ = ["LowRank", "SparsePlusLowRank", "smallest_format", "todense"]


@dataclass
class LowRank:
    """W = left @ right with left (rows, rank) and right (rank, columns)."""

    left: np.ndarray
    right: np.ndarray

    def __post_init__(self):
        if self.left.ndim != 2 or self.right.ndim != 2 or self.left.shape[1] != self.right.shape[0]:
            raise ValueError(f"left has shape {self.left.shape}; right has shape {self.right.shape}")

    @property
    def shape(self):
        return self.left.shape[0], self.right.shape[1]

    @property
    def dtype(self):
        return np.result_type(self.left, self.right)

    @property
    def rank(self):
        return self.left.shape[1]

    @property
    def nbytes(self):
        return self.left.nbytes + self.right.nbytes

    def todense(self):
        return self.left @ self.right

    def __matmul__(self, other):
        return self.left @ (self.right @ other)


@dataclass
class SparsePlusLowRank:
    """W = sparse + left @ right."""

    sparse: sp.csr_array
    left: np.ndarray
    right: np.ndarray

    def __post_init__(self):
        if self.sparse.shape != (self.left.shape[0], self.right.shape[1]) or self.left.shape[1] != self.right.shape[0]:
            raise ValueError(f"sparse has shape {self.sparse.shape}; left {self.left.shape}; right {self.right.shape}")

    @property
    def shape(self):
        return self.sparse.shape

    @property
    def dtype(self):
        return np.result_type(self.sparse.dtype, self.left, self.right)

    @property
    def rank(self):
        return self.left.shape[1]

    @property
    def nbytes(self):
        return smallest_format(self.sparse)[1] + self.left.nbytes + self.right.nbytes

    def todense(self):
        return todense(self.sparse) + self.left @ self.right

    def __matmul__(self, other):
        return self.sparse @ other + self.left @ (self.right @ other)


def todense(layer):
    """A layer of any kind as an ndarray (the array itself where it already is one)."""
    if isinstance(layer, np.ndarray):
        return layer
    if isinstance(layer, (LowRank, SparsePlusLowRank)):
        return layer.todense()
    if layer.dtype.itemsize > 2:
        return layer.toarray()
    # SciPy cannot expand half-precision values.
    W = np.zeros(layer.shape, layer.dtype)
    W[np.repeat(np.arange(layer.shape[0]), np.diff(layer.indptr)), layer.indices] = layer.data
    return W


def smallest_format(layer):
    """(format, bytes) of the smallest way to store a layer: 'dense', 'csr', 'csr16', 'bitmask', 'nm' or 'low_rank'.

    With s value bytes, z nonzeros and r x c entries: dense s r c; CSR z (s + 4) and its row pointers; 16-bit CSR
    z (s + 2) where c <= 65536; bitmask z s + r c / 8; N:M z s and log2(G) bits for each of the N kept of every G = M.
    """
    if isinstance(layer, LowRank):
        return "low_rank", layer.nbytes
    if isinstance(layer, SparsePlusLowRank):
        return "sparse_plus_low_rank", layer.nbytes
    value = layer.dtype.itemsize
    if not sp.issparse(layer):
        return "dense", layer.size * value
    rows, columns = layer.shape
    nnz = int(layer.nnz)
    pointers = 4 * (rows + 1)
    sizes = {
        "dense": rows * columns * value,
        "bitmask": nnz * value + (rows * columns + 7) // 8,
        "csr": nnz * (value + 4) + pointers,
    }
    if columns <= 1 << 16:
        sizes["csr16"] = nnz * (value + 2) + pointers
    bits = _group_bits(layer)
    if bits:
        sizes["nm"] = nnz * value + (nnz * bits + 7) // 8 + 2
    name = min(sizes, key=sizes.get)
    return name, sizes[name]


def _group_bits(A):
    """log2(G) where every G of 2, 4, 8 or 16 columns hold the same number of entries, for the smallest G; else 0."""
    rows, columns = A.shape
    position = np.repeat(np.arange(rows, dtype=np.int64), np.diff(A.indptr)) * columns + A.indices
    for bits in (1, 2, 3, 4):
        groups = rows * columns >> bits
        if columns % (1 << bits) == 0 and groups and A.nnz and A.nnz % groups == 0:
            if (np.bincount(position >> bits, minlength=groups) == A.nnz // groups).all():
                return bits
    return 0
