"""Truncated SVD against its peers, each at the first setting of its ladder that reaches the same true accuracy.

    python -m bench.svd [slashdot|tfidf|dense ...] [--target pve|residual] [--repeat 3] [--budget 60] [--out FILE]

Accuracy is judged from the outside: PVE = max |s_i^2 - sigma_i^2| / sigma_{k+1}^2 against reference values, residual =
max(||A' u - s v||, ||A v - s u||) / s_1.  Runs are interleaved; wall and processor seconds are medians.  A
peer that misses the target with every setting, or within the budget, is reported as such.
"""

import argparse
import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import sparsecore as sc

from .harness import Case, everything

DATA = Path(os.environ.get("SPARSECORE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def slashdot():
    """Social graph, 82,168 square, k = 100; reference as published with dashSVD."""
    A = sp.load_npz(DATA / "matrices" / "soc-Slashdot0902.npz").tocsr().astype(np.float64)
    return A, 100, np.load(DATA / "matrices" / "soc-Slashdot0902_singular_values_ref.npy").ravel()


def tfidf():
    """TF-IDF of the movie reviews, k = 100; reference from the smaller Gram matrix."""
    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer

    reviews = pd.read_csv(DATA / "text" / "movie_reviews_2000.csv.gz")["review"]
    A = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(reviews).tocsr()
    return A, 100, np.sqrt(np.linalg.eigvalsh((A @ A.T).toarray())[:-102:-1])


def dense(n=4096, k=400):
    """4096 x 4096 with singular values i^-0.5, k = 400."""
    rng = np.random.default_rng(0)
    s = np.arange(1, n + 1) ** -0.5
    X, Y = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    return (X * s) @ Y, k, s


def planted():
    """A small dense spectrum, for the smoke run."""
    return dense(200, 10)


def medium():
    """Dense 1,000 x 1,000, k = 10: few vectors, where single-vector Lanczos has the least to do."""
    return dense(1000, 10)


def small():
    """1,000 x 600, 2 % full: a small sparse matrix."""
    A = sp.random_array((1000, 600), density=0.02, random_state=np.random.default_rng(0), format="csr")
    return A, 10, np.linalg.svd(A.toarray(), compute_uv=False)


def documents(rows=20000, words=30000):
    """20,000 synthetic documents: Zipf words, 100 topics, TF-IDF; reference from ARPACK to machine precision."""
    rng = np.random.default_rng(0)
    zipf = 1 / np.arange(1, words + 1)
    zipf /= zipf.sum()
    topics = [rng.permutation(words)[:2000] for _ in range(100)]
    r, c = [], []
    for i in range(rows):
        own = rng.choice(topics[rng.integers(100)], 60)
        c.append(np.r_[rng.choice(words, 60, p=zipf), own])
        r.append(np.full(c[-1].size, i))
    A = sp.csr_array((np.ones(rows * 120), (np.concatenate(r), np.concatenate(c))), shape=(rows, words))
    A.sum_duplicates()
    A.data = 1 + np.log(A.data)
    A = (A @ sp.diags_array(np.log(rows / np.maximum(1, np.bincount(A.indices, minlength=words))) + 1)).tocsr()
    A = (sp.diags_array(1 / np.sqrt(np.asarray(A.multiply(A).sum(axis=1)).ravel())) @ A).tocsr()
    return A, 100, np.sort(spl.svds(A, 101, tol=0, random_state=rng, return_singular_vectors=False))[::-1]


def randomized(A, k, iterations):
    from sklearn.utils.extmath import randomized_svd

    return randomized_svd(A, k, n_iter=iterations, power_iteration_normalizer="QR", random_state=0)


def arpack(A, k, tol):
    return spl.svds(A, k, tol=tol, solver="arpack", random_state=np.random.default_rng(0))


def propack(A, k, tol):
    return spl.svds(A, k, tol=tol, solver="propack", random_state=np.random.default_rng(0))


def lowrank(A, k, iterations):
    import torch

    if sp.issparse(A):
        T = torch.sparse_csr_tensor(*(torch.from_numpy(a.astype(np.int64)) for a in (A.indptr, A.indices)),
                                    torch.from_numpy(A.data), A.shape)
    else:
        T = torch.from_numpy(A)
    torch.manual_seed(0)
    U, s, V = torch.svd_lowrank(T, q=k + 10, niter=iterations)
    return U[:, :k].numpy(), s[:k].numpy(), V[:, :k].numpy().T


def ours(A, k, tol):
    return tuple(sc.truncated_svd(A, k, tol=tol))


CASES = {"slashdot": slashdot, "tfidf": tfidf, "dense": dense, "documents": documents, "planted": planted,
         "medium": medium, "small": small}
PAUSE = 0.03      # seconds in which the pools of threads of whoever ran before fall asleep
ITERATIONS = (4, 7, 12, 20, 40)
PEERS = {"pve": {"sparsecore": (ours, (1e-2,)), "arpack": (arpack, (1.0, 0.3, 1e-1, 1e-2, 1e-4)),
                 "propack": (propack, (1.0, 0.3, 1e-1, 1e-2, 1e-4)), "sklearn": (randomized, ITERATIONS),
                 "torch": (lowrank, ITERATIONS)},
         "residual": {"sparsecore": (ours, (1e-8,)), "arpack": (arpack, (1e-6, 1e-8, 0)),
                      "propack": (propack, (1e-6, 1e-8, 1e-10)), "sklearn": (randomized, (40, 80)),
                      "torch": (lowrank, (40, 80))}}
GOAL = {"pve": 1e-2, "residual": 1e-8}


def measure(A, k, sigma, result):
    U, s, Vt = (np.asarray(x) for x in result)
    order = np.argsort(s)[::-1]
    U, s, Vt = U[:, order], s[order], Vt[order]
    return {"pve": np.abs(s**2 - sigma[:k] ** 2).max() / sigma[k] ** 2,
            "residual": max(np.linalg.norm(A.T @ U - Vt.T * s, axis=0).max(),
                            np.linalg.norm(A @ Vt.T - U * s, axis=0).max()) / s[0]}


def clock(run, *arguments):
    wall, cpu = time.perf_counter(), time.process_time()
    result = run(*arguments)
    return result, time.perf_counter() - wall, time.process_time() - cpu


def first_setting(run, ladder, target, A, k, sigma, budget=60.0):
    """The first setting of a ladder that reaches the target, judged against the reference; None if none does."""
    spent = 0.0
    for setting in ladder:
        try:
            result, wall, _ = clock(run, A, k, setting)
        except Exception:       # a peer that is not installed or fails is left out
            continue
        if measure(A, k, sigma, result)[target] <= GOAL[target]:
            return setting
        spent += wall
        if spent > budget:
            break
    return None


def cases(smoke=False, threads=2, wanted=everything):
    """For python -m bench: every contender at its first setting that is accurate enough, and held to it again."""

    for make, name in ((planted, "planted k=10"),) if smoke else (
            (slashdot, "slashdot k=100"), (tfidf, "tfidf k=100"), (dense, "dense k=400")):
        targets = {target: f"SVD {target} {goal:g}" for target, goal in GOAL.items()}
        targets = {target: op for target, op in targets.items() if wanted(op, name)}
        if not targets:
            continue
        A, k, sigma = make()
        for target, op in targets.items():
            contenders = {}
            for peer, (run, ladder) in PEERS[target].items():
                setting = first_setting(run, ladder, target, A, k, sigma, 20.0)
                if setting is not None:
                    contenders[peer] = (lambda run=run, A=A, k=k, setting=setting: run(A, k, setting))
            if "sparsecore" not in contenders:
                raise AssertionError(f"{make.__name__}: sparsecore misses {target} {GOAL[target]:g}")
            yield Case("svd", op, name, contenders,
                       agree=lambda ours, theirs, A=A, k=k, sigma=sigma, target=target: all(
                           measure(A, k, sigma, found)[target] <= GOAL[target] for found in (ours, theirs)))


def ladder(name, run, settings, target, A, k, sigma, budget):
    """Every setting in turn until one reaches the target: what it took and reached."""
    spent, tried = 0.0, []
    for setting in settings:
        try:
            result, wall, cpu = clock(run, A, k, setting)
        except Exception as error:      # a peer that fails is reported, not fatal
            tried.append({"setting": setting, "error": f"{type(error).__name__}: {error}"[:120]})
            continue
        tried.append({"setting": setting, "wall": wall, "cpu": cpu, **measure(A, k, sigma, result)})
        print(f"  {name:10} {setting!s:6} {wall:8.3f} s wall {cpu:8.3f} s processor  pve {tried[-1]['pve']:.1e}  "
              f"residual {tried[-1]['residual']:.1e}", flush=True)
        spent += wall
        if tried[-1][target] <= GOAL[target]:
            tried[-1]["reached"] = True
            break
        if spent > budget:
            tried.append({"setting": setting, "error": f"given up after {spent:.0f} s"})
            break
    return tried


def compare(case, target, repeat, budget, only=None):
    """All contenders at their first sufficient setting, in turns; walls are medians."""
    A, k, sigma = CASES[case]()
    print(f"{case}: {A.shape[0]} x {A.shape[1]}, k = {k}, {target} <= {GOAL[target]:g}", flush=True)
    table, walls = {}, {}
    for peer, (run, settings) in PEERS[target].items():
        if only and peer not in only:
            continue
        table[peer] = ladder(peer, run, settings, target, A, k, sigma, budget)
        if table[peer][-1].get("reached"):
            walls[peer] = []
        elif peer == "sparsecore":
            raise AssertionError(f"{case}: sparsecore misses {target} {GOAL[target]:g}")
    for turn in range(repeat):
        for peer in list(walls)[turn % len(walls):] + list(walls)[:turn % len(walls)]:
            time.sleep(PAUSE)
            walls[peer].append(clock(PEERS[target][peer][0], A, k, table[peer][-1]["setting"])[1])
    rows = {}
    for peer, tried in table.items():
        last = tried[-1]
        rows[peer] = dict(last, tried=len(tried))
        if walls.get(peer):
            rows[peer]["wall"] = float(np.median(walls[peer]))
    return rows


def variants(case, repeat):
    """Ours in single precision, centred, and its bits on 1, 2, 3 and 8 threads."""
    A, k, sigma = CASES[case]()
    narrow = A.astype(np.float32)
    calls = {f"{name} tol {tol:g}": (lambda B=B, tol=tol, options=options: sc.truncated_svd(B, k, tol=tol, **options))
             for tol in (1e-2, 1e-6) for name, B, options in
             [("f64", A, {}), ("f32", narrow, {}), ("f64 centred", A, {"center": "columns"})]}
    walls = {name: [] for name in calls}
    for turn in range(repeat + 1):
        for name, call in calls.items():
            wall = clock(call)[1]
            if turn:
                walls[name].append(wall)
    rows = {name: {"wall": float(np.median(w)), "reached": True, "setting": "", "pve": np.nan, "residual": np.nan}
            for name, w in walls.items()}
    digests = {hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in sc.truncated_svd(
        A, k, tol=1e-2, threads=t))).hexdigest() for t in (1, 2, 3, 8)}
    rows["same bits on 1, 2, 3, 8 threads"] = {"wall": float(len(digests) == 1), "reached": True, "setting": "",
                                                "pve": np.nan, "residual": np.nan}
    return rows


def markdown(record):
    lines = ["| case | target | contender | setting | seconds | times ours | PVE | residual |", "|---" * 8 + "|"]
    for key, rows in record.items():
        if key.endswith("variants"):
            name = key.replace(" ", " | ", 1)
            lines += [f"| {name} | {variant} | | {row['wall']:.4f} | | | |" for variant, row in rows.items()]
            continue
        own = rows.get("sparsecore", {}).get("wall")
        for peer, row in rows.items():
            if not row.get("reached"):
                lines.append(f"| {key.replace(' ', ' | ', 1)} | {peer} | | {row.get('error', 'misses')} | | "
                             f"{row.get('pve', np.nan):.1e} | {row.get('residual', np.nan):.1e} |")
                continue
            lines.append(f"| {key.replace(' ', ' | ', 1)} | {peer} | {row['setting']} | {row['wall']:.4f} | "
                         f"{row['wall'] / own if own else np.nan:.2f} | {row['pve']:.1e} | {row['residual']:.1e} |")
    return "\n".join(lines) + "\n"


def store(path, key, rows):
    """Adds rows to a JSON file and writes the table beside it."""
    path = Path(path)
    record = json.loads(path.read_text()) if path.exists() else {}
    record[key] = json.loads(json.dumps(rows, default=float))
    path.write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(record))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["slashdot", "tfidf", "dense"], help=", ".join(CASES))
    parser.add_argument("--target", choices=GOAL, default="pve")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--budget", type=float, default=60, help="seconds after which a peer's ladder is given up")
    parser.add_argument("--peers", nargs="*", help="only these")
    parser.add_argument("--variants", action="store_true", help="ours alone: f32, centred, bits by threads")
    parser.add_argument("--out", help="JSON file to add the results to; a table is written beside it")
    options = parser.parse_args()
    for name in options.cases:
        if options.variants:
            rows = variants(name, options.repeat)
            for variant, row in rows.items():
                print(f"  {name} {variant}: {row['wall']:.3f}", flush=True)
            if options.out:
                store(options.out, f"{name} variants", rows)
            continue
        rows = compare(name, options.target, options.repeat, options.budget, options.peers)
        own = rows.get("sparsecore", {}).get("wall", float("nan"))
        for peer, row in rows.items():
            if row.get("reached"):
                print(f"  {peer:10} {row['wall']:8.4f} s wall, {row['wall'] / own:6.2f} of ours", flush=True)
        if options.out:
            store(options.out, f"{name} {options.target}", rows)


if __name__ == "__main__":
    main()
