"""Dense references, a few lines each: what every kernel is held against."""

import hashlib

import numpy as np
import scipy.sparse as sp

THREADS = (1, 2, 3, 4, 7, 8)


def random_sparse(rng, m, n, density=0.1, dtype=np.float64, fmt="csr", index=np.int32):
    """A random canonical matrix with some empty rows, an explicit zero and negative values."""
    A = rng.standard_normal((m, n))
    if np.dtype(dtype).kind == "c":
        A = A + 1j * rng.standard_normal((m, n))
    A[rng.random((m, n)) >= density] = 0
    if m > 2:
        A[m // 2] = 0
    A = sp.coo_array(A).asformat(fmt)
    if A.nnz:
        A.data[0] = 0
    A.data = A.data.astype(dtype)
    A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
    return A


def sha(*arrays):
    """One digest of the bytes of arrays or of the parts of sparse matrices."""
    h = hashlib.sha256()
    for a in arrays:
        for part in ((a.indptr, a.indices, a.data) if sp.issparse(a) else (a,)):
            h.update(np.ascontiguousarray(part).tobytes())
    return h.hexdigest()


def tolerance(dtype, terms=64):
    """Relative rounding allowed for sums of about `terms` products."""
    dtype = np.dtype(dtype)
    eps = 2.0**-7 if dtype.name == "bfloat16" else np.finfo(dtype).eps
    return float(eps) * 4 * terms
