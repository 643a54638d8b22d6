"""Tables of what pruning costs and gains.  python -m bench.pruning_tables PART ... [--data FOLDER] [--out FOLDER]

    nets       test accuracy of the two MNIST networks, one-shot, every method at 50/70/80/90 %
    errors     median layer error over hidden layers with real activations, every method at 50/60/70/80 % and 2:4
    train      Fashion-MNIST MLP 784-1024-1024-10: trains the dense network (kept in build/)
    fashion    gradual pruning of it to 95 %: accuracy, saved bytes, speed of inference against torch's dense layers
    crossover  the same network at 60 %: is it faster than dense at batch 1, 8, 64, 256
    solvers    SparseGPT and ALPS on a 4096 x 4096 layer, in seconds and in products of the machine's GEMM rate

Each part writes PART.json and PART.md into bench/results. Calibration uses the 5,000 MNIST images that are not in the
test set, and Fashion-MNIST's training images; accuracies are of the 10,000 test images.
"""
import argparse
import gzip
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import sparsecore.pruning as pr
from sparsecore._config import config

from .machine import cpu_name

ROOT = Path(__file__).resolve().parents[1]
BATCH = 256
METHODS = {
    "random": {"score": "random"},
    "magnitude": {"score": "magnitude"},
    "magnitude, LAMP": {"score": "magnitude", "budget": pr.lamp},
    "wanda": {"score": "wanda", "pattern": pr.Unstructured()},
    "wanda, rows": {"score": "wanda"},
    "wanda, OWL": {"score": "wanda", "budget": pr.owl},
    "obs score": {"score": pr.obs},
    "magnitude + backsolve": {"score": "magnitude", "solver": "backsolve"},
    "wanda + backsolve": {"score": "wanda", "solver": "backsolve"},
    "SparseGPT": {"score": "sparsegpt"},
    "SparseGPT, LAMP": {"score": "sparsegpt", "budget": pr.lamp},
    "SparseGPT, ERK": {"score": "sparsegpt", "budget": pr.erk},
    "ALPS": {"score": "alps"},
    "ALPS, LAMP": {"score": "alps", "budget": pr.lamp},
    "ALPS, ERK": {"score": "alps", "budget": pr.erk},
}
ONE_OF_EACH = ("random", "magnitude", "magnitude, LAMP", "wanda", "magnitude + backsolve", "SparseGPT",
               "SparseGPT, LAMP", "ALPS, LAMP")


# ---------------------------------------------------------------- data and networks

def idx(path, offset):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def mnist(data):
    """(calibration images, test images, test labels), images (n, 784) in [0, 1]."""
    folder = data / "images/mnist"
    test = idx(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784) / np.float32(255)
    labels = idx(folder / "t10k-labels-idx1-ubyte.gz", 8)
    with gzip.open(folder / "mnist_5k.csv.gz", "rt") as file:
        rows = np.array([line.split(",") for line in file if line[0].isdigit()], dtype=np.float32)
    return rows[:, :-1] / np.float32(255), test, labels


def fashion(data, part):
    folder = data / "images/fashion-mnist"
    x = idx(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 784) / np.float32(255)
    return x, idx(folder / f"{part}-labels-idx1-ubyte.gz", 8).astype(np.int64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Mlp:
    """784-50-100-10 with sigmoids; weights (out, in)."""

    def __init__(self, data):
        net = np.load(data / "models/mnist_nets/mlp_784_50_100_10.npz")
        self.weights = {f"fc{i}": np.ascontiguousarray(net[f"W{i}"].T) for i in (1, 2, 3)}
        self.bias = [net[f"b{i}"] for i in (1, 2, 3)]

    def inputs(self, x, weights):
        yield x
        for name, b in zip(("fc1", "fc2"), self.bias):
            x = sigmoid(x @ weights[name].T + b)
            yield x

    def predict(self, x, weights):
        *_, x = self.inputs(x, weights)
        return (x @ weights["fc3"].T + self.bias[2]).argmax(axis=1)


class Convnet:
    """conv 30x1x5x5, ReLU, pooling 2x2, 4320-100-10 with ReLU; matrices (out, in)."""

    def __init__(self, data):
        net = np.load(data / "models/mnist_nets/simple_convnet.npz")
        self.weights = {"conv": net["W1"].astype(np.float32)}
        self.weights.update({f"fc{i - 1}": np.ascontiguousarray(net[f"W{i}"].T, dtype=np.float32) for i in (2, 3)})
        self.bias = [net[f"b{i}"].astype(np.float32) for i in (1, 2, 3)]

    def inputs(self, x, weights):
        n = len(x)
        windows = np.lib.stride_tricks.sliding_window_view(x.reshape(-1, 28, 28), (5, 5), axis=(1, 2))
        patches = windows.reshape(n * 576, 25)
        yield patches
        maps = np.maximum(patches @ weights["conv"].reshape(30, 25).T + self.bias[0], 0)
        pooled = maps.reshape(n, 12, 2, 12, 2, 30).max(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(n, -1)
        yield pooled
        yield np.maximum(pooled @ weights["fc1"].T + self.bias[1], 0)

    def predict(self, x, weights):
        found = []
        for part in np.array_split(x, 20):
            *_, hidden = self.inputs(part, weights)
            found.append((hidden @ weights["fc2"].T + self.bias[2]).argmax(axis=1))
        return np.concatenate(found)


def calibrated(net, x):
    stats = {}
    for part in np.array_split(x, 10):
        for name, inputs in zip(net.weights, net.inputs(part, net.weights)):
            new = pr.calibrate(inputs)
            stats[name] = stats[name].merge(new) if name in stats else new
    return stats


# ---------------------------------------------------------------- parts

def nets(args):
    """Stops after args.seconds; what is done is kept in build/ and a later run goes on."""
    calibration, test, labels = mnist(args.data)
    path = kept_at("nets.json")
    accuracies = json.loads(path.read_text()) if path.exists() else {}
    begin = time.perf_counter()
    networks = {"MLP 784-50-100-10": Mlp(args.data), "convnet": Convnet(args.data)}
    for title, net in networks.items():
        rows = accuracies.setdefault(title, {})
        rows.setdefault("dense", [float(np.mean(net.predict(test, net.weights) == labels))] * len(args.levels))
        # The convnet's matrix 4,320 wide makes some cells dearer than what they tell: it gets one of each kind.
        todo = [m for m in METHODS if m not in rows and (title != "convnet" or m in ONE_OF_EACH)]
        stats = calibrated(net, calibration) if todo else None
        for method in todo:
            if time.perf_counter() - begin > args.seconds:
                print("stopped for time: run again to go on")
                break
            found = []
            for level in args.levels:
                pruned = pr.prune(net.weights, level, stats=stats, **METHODS[method]).state_dict()
                found.append(float(np.mean(net.predict(test, pruned) == labels)))
            rows[method] = found
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(accuracies))
            print(title, method, found, flush=True)
    result, at = {}, args.levels.index(0.8)
    for title, rows in accuracies.items():
        best = max((m for m in rows if m != "dense"), key=lambda m: rows[m][at])
        result[title] = {"accuracy": rows, "best at 80 %": best,
                         "points lost": 100 * (rows["dense"][at] - rows[best][at])}
    lines = []
    for title, found in result.items():
        lines += [f"### {title}: test accuracy after one-shot pruning", "",
                  "| method | " + " | ".join(f"{100 * s:.0f} %" for s in args.levels) + " |",
                  "|---|" + "---|" * len(args.levels)]
        lines += [f"| {m} | " + " | ".join(f"{100 * a:.2f}" for a in row) + " |"
                  for m, row in found["accuracy"].items()]
        lines += ["", f"Best at 80 %: {found['best at 80 %']}, {found['points lost']:.2f} points below dense.", ""]
    return result, lines


def errors(args):
    """Every method compares over the whole layer (within groups for 2:4), so that only criterion and solver differ."""
    calibration, _, _ = mnist(args.data)
    layers = {}
    for title, net in (("mlp", Mlp(args.data)), ("convnet", Convnet(args.data))):
        stats = calibrated(net, calibration)
        hidden = list(net.weights)[:-1]
        layers.update({f"{title}.{n}": (net.weights[n].reshape(len(net.weights[n]), -1), stats[n]) for n in hidden})
    trained = dense_network(args)
    if trained is not None:
        import torch

        from sparsecore.integrations.torch import calibrate

        x, _ = fashion(args.data, "train")
        stats = calibrate(trained, torch.split(torch.from_numpy(x[:20000]), 4000), exclude="4")
        layers.update({f"fashion.{n}": (trained.get_submodule(n).weight.detach().numpy(), s)
                       for n, s in stats.items()})
    cases = [(f"{100 * s:.0f} %", s, pr.Unstructured()) for s in (0.5, 0.6, 0.7, 0.8)] + [("2:4", 0.5, pr.NM(2, 4))]
    methods = ("random", "magnitude", "wanda", "sparsegpt", "alps")
    result = {"layers": list(layers), "errors": {}}
    for title, sparsity, pattern in cases:
        result["errors"][title] = {}
        for method in methods:
            found = {}
            for name, (W, stats) in layers.items():
                W_hat = pr.prune_layer(W, sparsity, method=method, pattern=pattern, stats=stats)
                found[name] = pr.error(W, W_hat, stats) / pr.error(W, np.zeros_like(W), stats)
            found["median"] = float(np.median(list(found.values())))
            result["errors"][title][method] = found
        medians = [result["errors"][title][m]["median"] for m in methods]
        result["errors"][title]["in order"] = all(a > b for a, b in zip(medians, medians[1:]))
        print(title, medians, flush=True)
    lines = [f"Median relative layer error over {len(layers)} hidden layers ({', '.join(layers)}):", "",
             "| sparsity | " + " | ".join(methods) + " | in order |", "|---|" + "---|" * (len(methods) + 1)]
    for title, row in result["errors"].items():
        lines.append(f"| {title} | " + " | ".join(f"{row[m]['median']:.3g}" for m in methods)
                     + f" | {'yes' if row['in order'] else 'no'} |")
    return result, lines


def network():
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


def kept_at(name):
    return ROOT / "build/bench" / name


def dense_network(args):
    """The network that `train` left, or None."""
    path = kept_at("fashion_dense.pt")
    if not path.exists():
        return None
    import torch

    net = network()
    net.load_state_dict(torch.load(path, weights_only=True)["net"])
    return net.eval()


def fit(net, args, epochs, path, pruner=None, teacher=None):
    """Adam with a cosine rate from 1e-3. Stops after args.seconds, keeps its state in `path`, and goes on from there.

    With a teacher network 0.7 of the loss is the divergence from its outputs, both softened by a temperature of 3
    (Hinton, Vinyals & Dean, 'Distilling the knowledge in a neural network', 2015)."""
    import torch

    x, y = (torch.from_numpy(a) for a in fashion(args.data, "train"))
    per_epoch = len(x) // BATCH
    total = epochs * per_epoch
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    done = 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        done = state["step"]
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
    if pruner is not None:
        pruner.steps = done
        pruner.attach(optimizer)
        if done:
            pruner.update(pruner.schedule(done))
    order = soft = None
    if teacher is not None and done < total:
        with torch.no_grad():
            soft = torch.softmax(teacher(x) / 3, dim=1)
    begin = time.perf_counter()
    while done < total and time.perf_counter() - begin < args.seconds:
        epoch, batch = divmod(done, per_epoch)
        if batch == 0 or order is None:
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch))
        chosen = order[batch * BATCH:(batch + 1) * BATCH]
        optimizer.zero_grad()
        out = net(x[chosen])
        loss = torch.nn.functional.cross_entropy(out, y[chosen])
        if soft is not None:
            far = torch.nn.functional.kl_div(torch.log_softmax(out / 3, 1), soft[chosen], reduction="batchmean")
            loss = 0.3 * loss + 0.7 * 9 * far
        loss.backward()
        optimizer.step()
        schedule.step()
        done += 1
    if pruner is not None:
        pruner.detach()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
                "step": done}, path)
    print(f"step {done} of {total}, {time.perf_counter() - begin:.0f} s, {100 * accuracy(net, args.data):.2f} %",
          flush=True)
    if done < total:
        raise SystemExit("stopped for time: run again to go on")


def accuracy(net, data):
    import torch

    x, y = fashion(data, "t10k")
    with torch.no_grad():
        return float(np.mean(net(torch.from_numpy(x)).argmax(dim=1).numpy() == y))


def train(args):
    net = network()
    fit(net, args, args.epochs, kept_at("fashion_dense.pt"))
    found = accuracy(net, args.data)
    return {"accuracy": found, "epochs": args.epochs}, [f"Dense Fashion-MNIST MLP: {100 * found:.2f} %"]


def gradual(args, sparsity, teacher=None):
    """(dense network, pruner after gradual pruning), trained once and then read from build/."""
    from sparsecore.integrations.torch import Pruner

    dense, net = dense_network(args), dense_network(args)
    if dense is None:
        raise SystemExit("no dense network: run the part 'train' first")
    steps = 60000 // BATCH * args.further
    pruner = Pruner(net, sparsity, schedule=pr.cubic(sparsity, int(0.4 * steps)), every=20, budget=pr.erk)
    fit(net, args, args.further, kept_at(f"fashion_{round(100 * sparsity)}.pt"), pruner, teacher)
    return dense, pruner


def speeds(dense, fast, batches, data):
    """{batch: {network: {"median", "least"} seconds}} of interleaved turns of ten batches of test images each, on the
    same threads; seconds are those of a turn over ten, since images differ in their zeros."""
    import torch

    images, found = torch.from_numpy(fashion(data, "t10k")[0]), {}
    with torch.no_grad():
        for batch in batches:
            inputs = images[:10 * batch].split(batch)
            # The dense network gets every chance: also without the module's Python, from one traced graph.
            frozen = torch.jit.freeze(torch.jit.trace(dense, inputs[0]))
            runs = {"dense": dense, "dense, traced": frozen, "ours": fast}
            seconds = {name: [] for name in runs}
            for net in runs.values():
                for x in inputs[:5]:
                    net(x)
            start = time.perf_counter()
            while time.perf_counter() - start < 1.5:
                for name, net in runs.items():
                    # Ten in a row: a network that runs alone finds its weights where it left them.
                    begin = time.perf_counter()
                    for x in inputs:
                        net(x)
                    seconds[name].append((time.perf_counter() - begin) / len(inputs))
            found[batch] = {name: {"median": float(np.median(times)), "least": min(times)}
                            for name, times in seconds.items()}
    return found


def speed_lines(found):
    """Least times: on a machine shared with others the medians are of their work as much as of ours."""
    import torch

    lines = [f"Least mean of interleaved turns of ten batches of test images, {torch.get_num_threads()} threads:", "",
             "| batch | torch dense, ms | traced dense, ms | ours, ms | times faster than the better |",
             "|---|---|---|---|---|"]
    for batch, t in found.items():
        dense, traced, ours = (t[name] for name in ("dense", "dense, traced", "ours"))
        faster = min(dense["least"], traced["least"]) / ours["least"]
        lines.append(f"| {batch} | {1e3 * dense['least']:.3f} | {1e3 * traced['least']:.3f} | "
                     f"{1e3 * ours['least']:.3f} | {faster:.2f} |")
    return lines


def fashion_part(args):
    # The same further training without pruning: what the dense network would have had. It teaches the pruned one.
    control = gradual(args, 0.0)[1].module.eval()
    dense, pruner = gradual(args, 0.95, teacher=control)
    net = pruner.module.eval()
    before, after = accuracy(dense, args.data), accuracy(net, args.data)
    model = pruner.to_model()
    path = kept_at("fashion_95.sparse")
    model.save(path)
    dense_bytes = sum(4 * p.numel() for p in dense.parameters())
    share = path.stat().st_size / dense_bytes
    fast = pruner.finalize(batches=(1, 8, 64, 256))
    found = speeds(dense, fast, (1, 8, 64, 256), args.data)
    further = accuracy(control, args.data)
    result = {"dense accuracy": before, "dense accuracy after the same further training": further,
              "pruned accuracy": after, "file bytes": path.stat().st_size,
              "dense bytes": dense_bytes, "seconds": found, "layers": json.loads(pruner.report.to_json()),
              "fast accuracy": accuracy(fast, args.data)}
    lines = [f"Fashion-MNIST MLP 784-1024-1024-10 at 95 %: {100 * after:.2f} % against {100 * before:.2f} % dense "
             f"({100 * further:.2f} % dense after the same {args.further} further epochs, its teacher); "
             f"file {100 * share:.2f} % of the dense bytes.", "", *speed_lines(found), "", "```",
             str(pruner.report), "```"]
    return result, lines


def crossover(args):
    from sparsecore.integrations.torch import Pruner

    dense = dense_network(args)
    x, _ = fashion(args.data, "train")
    import torch

    pruner = Pruner(dense_network(args), 0.6, score="sparsegpt")
    pruner.calibrate(torch.split(torch.from_numpy(x[:5000]), 1000)).prune()
    fast = pruner.finalize(batches=(1, 8, 64, 256))
    found = speeds(dense, fast, (1, 8, 64, 256), args.data)
    result = {"dense accuracy": accuracy(dense, args.data), "pruned accuracy": accuracy(fast, args.data),
              "seconds": found, "layers": json.loads(pruner.report.to_json())}
    lines = [f"The same network at 60 % (SparseGPT, one shot): {100 * result['pruned accuracy']:.2f} %.", "",
             *speed_lines(found), "", "```", str(pruner.report), "```"]
    return result, lines


class BlasShare:
    """The share of a block's processor time spent in BLAS and LAPACK libraries, sampled by Linux's perf; None without
    it. The samples cost nothing that the seconds would show (99 a second)."""

    def __enter__(self):
        self.share, self.folder = None, tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name, "perf.data")
        self.perf = None
        if shutil.which("perf"):
            self.perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "99", "-p", str(os.getpid()),
                                          "-o", str(self.file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.5)
        return self

    def __exit__(self, *_):
        if self.perf is not None:
            self.perf.send_signal(signal.SIGINT)
            self.perf.wait()
            found = subprocess.run(["perf", "report", "-i", str(self.file), "--stdio", "-q", "--sort", "dso"],
                                   capture_output=True, text=True).stdout
            rows = [line.split() for line in found.splitlines() if "%" in line]
            if rows:
                self.share = sum(float(row[0].rstrip("%")) for row in rows
                                 if any(name in row[-1].lower() for name in ("blas", "lapack", "mkl"))) / 100
        self.folder.cleanup()


def solvers(args):
    d = args.size
    rng = np.random.default_rng(0)
    # Inputs with the decaying spectrum and uneven scales of real activations.
    mix = rng.standard_normal((d // 4, d), dtype=np.float32) * np.exp(rng.standard_normal(d, dtype=np.float32))
    X = np.maximum(rng.standard_normal((d, d // 4), dtype=np.float32) @ mix, 0)
    W = rng.standard_normal((d, d), dtype=np.float32) / np.sqrt(np.float32(d))
    stats = pr.calibrate(X)
    result = {"size": d}
    for kind in (np.float32, np.float64):
        A = W.astype(kind)
        A @ A
        begin = time.perf_counter()
        A @ A
        result[f"gemm {np.dtype(kind).name}"] = time.perf_counter() - begin
    base = pr.error(W, pr.prune_layer(W, 0.7, method=pr.wanda, stats=stats, pattern=pr.Unstructured()), stats)
    for method in args.methods:
        with BlasShare() as blas:
            begin, cpu = time.perf_counter(), time.process_time()
            W_hat = pr.prune_layer(W, 0.7, method=method, stats=stats)
            seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        result[method] = {"seconds": seconds, "cpu seconds": cpu, "in f64 products": seconds / result["gemm float64"],
                          "blas share": blas.share, "error / wanda": pr.error(W, W_hat, stats) / base}
        print(method, result[method], flush=True)
    lines = [f"{d} x {d} f32 layer, 70 %, Gram {d} wide; one {d}^3 product takes {result['gemm float32']:.2f} s in "
             f"f32, {result['gemm float64']:.2f} s in f64:", "",
             "| solver | seconds | CPU seconds | f64 products | in BLAS and LAPACK | error / Wanda's |",
             "|---|---|---|---|---|---|"]
    for method in args.methods:
        found = result[method]
        share = "-" if found["blas share"] is None else f"{found['blas share']:.0%}"
        lines.append(f"| {method} | {found['seconds']:.1f} | {found['cpu seconds']:.1f} | "
                     f"{found['in f64 products']:.1f} | {share} | {found['error / wanda']:.3f} |")
    return result, lines


PARTS = {"nets": nets, "errors": errors, "train": train, "fashion": fashion_part, "crossover": crossover,
         "solvers": solvers}


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.pruning_tables", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--data", type=Path, help="default: $SPARSECORE_DATA or ../shared/data",
                        default=Path(os.environ.get("SPARSECORE_DATA", ROOT.parent / "shared/data")))
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results")
    parser.add_argument("--epochs", type=int, default=10, help="of the dense network")
    parser.add_argument("--further", type=int, default=16, help="epochs of gradual pruning, and of its dense control")
    parser.add_argument("--seconds", type=float, default=3600,
                        help="after which train, fashion and nets stop; run again to go on")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--methods", nargs="+", default=["sparsegpt", "alps"])
    args = parser.parse_args()
    args.levels = [0.5, 0.7, 0.8, 0.9]
    args.out.mkdir(parents=True, exist_ok=True)
    for part in args.parts:
        result, lines = PARTS[part](args)
        lines += ["", f"{cpu_name()}, kernels of level {config()['isa']}."]
        (args.out / f"pruning_{part}.json").write_text(json.dumps(result, indent=1) + "\n")
        (args.out / f"pruning_{part}.md").write_text("\n".join(lines) + "\n")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
