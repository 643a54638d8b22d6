"""One adapter per peer: its best settings, warm, in its own data structures (conversion is not timed).

Each function returns {peer name: call}; a peer that is not installed is absent.
"""

import importlib
from functools import cache

import numpy as np
import scipy.sparse as sp


@cache
def module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def set_threads(threads):
    if module("torch"):
        module("torch").set_num_threads(threads)
    if module("graphblas"):
        gb = module("graphblas")
        gb.ss.config["nthreads"] = threads
    if module("sparse_dot_mkl"):
        module("sparse_dot_mkl").mkl_set_num_threads(threads)


def torch_csr(A):
    torch = module("torch")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(torch.from_numpy(A.indptr), torch.from_numpy(A.indices),
                                       torch.from_numpy(A.data), size=A.shape)


def graphblas_matrix(A):
    gb = module("graphblas")
    gb.init("suitesparse", blocking=True) if not getattr(gb, "backend", None) else None
    return gb.io.from_scipy_sparse(A)


def sparse_dense(A, X, transposed=False):
    """A @ X or A.T @ X for a CSR A and a vector or row-major panel X."""
    out = {"scipy": (lambda T=A.T: T @ X) if transposed else (lambda: A @ X)}
    if module("sparse_dot_mkl"):
        dot = module("sparse_dot_mkl").dot_product_mkl
        # MKL's transposed product reads a CSC view; MKL on an explicit transposed CSR would be another matrix.
        m = sp.csc_matrix(A.T) if transposed else sp.csr_matrix(A)
        out["mkl"] = lambda: dot(m, X)
    if module("torch"):
        torch = module("torch")
        T, x = torch_csr(A), torch.from_numpy(X)
        if transposed:
            TT = T.t()
            out["torch"] = lambda: (TT @ x).numpy()
        else:
            out["torch"] = lambda: (T @ x).numpy()
    if module("graphblas"):
        gb = module("graphblas")
        G = graphblas_matrix(A)
        if X.ndim == 1:
            v = gb.Vector.from_dense(X)
            if transposed:
                out["graphblas"] = lambda: G.T.mxv(v, gb.semiring.plus_times).new().to_dense(fill_value=0)
            else:
                out["graphblas"] = lambda: G.mxv(v, gb.semiring.plus_times).new().to_dense(fill_value=0)
        else:
            M = gb.Matrix.from_dense(X)
            if transposed:
                out["graphblas"] = lambda: G.T.mxm(M, gb.semiring.plus_times).new().to_dense(fill_value=0)
            else:
                out["graphblas"] = lambda: G.mxm(M, gb.semiring.plus_times).new().to_dense(fill_value=0)
    return out


def sparse_sparse(A, B):
    """A @ B for two CSR, sorted or not as each peer likes; results as scipy matrices where that costs no copy."""
    out = {"scipy": lambda: A @ B}
    if module("sparse_dot_mkl"):
        dot = module("sparse_dot_mkl").dot_product_mkl
        a, b = sp.csr_matrix(A), sp.csr_matrix(B)
        out["mkl"] = lambda: dot(a, b)
    if module("torch"):
        a_, b_ = torch_csr(A), torch_csr(B)
        out["torch"] = lambda: a_ @ b_
    if module("graphblas"):
        gb = module("graphblas")
        g, h = graphblas_matrix(A), graphblas_matrix(B)
        out["graphblas"] = lambda: g.mxm(h, gb.semiring.plus_times).new()
    return out


def to_scipy(result):
    """A peer's sparse result as a scipy.sparse array, for the check."""
    if sp.issparse(result):
        return sp.csr_array(result)
    if module("torch") and isinstance(result, module("torch").Tensor):
        return sp.csr_array((result.values().numpy(), result.col_indices().numpy(), result.crow_indices().numpy()),
                            shape=tuple(result.shape))
    return sp.csr_array(module("graphblas").io.to_scipy_sparse(result, format="csr"))


def gemm(W, X):
    """Dense W @ X: the limit a pruned layer must beat."""
    out = {"numpy": lambda: W @ X}
    if module("torch"):
        torch = module("torch")
        w, x = torch.from_numpy(W), torch.from_numpy(np.ascontiguousarray(X))
        out["torch"] = lambda: (w @ x).numpy()
    if module("sparse_dot_mkl"):
        dot = module("sparse_dot_mkl").dot_product_mkl
        out["mkl"] = lambda: dot(W, X)
    return out
