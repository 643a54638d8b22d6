"""sparsecore demo | fit | prune | evaluate | predict | inspect | bench | info | seal | unseal | rewrap.

Exit codes: 0 done, 1 failed with one line on standard error, 2 wrong usage. Results go to standard output (as JSON with
--json), progress to standard error. Output files appear whole or not at all.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import os
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from . import report

__all__ = ["main"]


class Failure(Exception):
    """A failure the user can read: one line."""


def main(argv=None):
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("sparsecore: interrupted", file=sys.stderr)
        return 130
    except (Failure, ValueError, TypeError, OSError, ImportError, MemoryError, OverflowError) as error:
        if os.environ.get("SPARSECORE_TRACEBACK"):
            raise
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror.lower()}"
        print(f"sparsecore: error: {text}", file=sys.stderr)
        return 1


def _run(arguments):
    from threadpoolctl import threadpool_limits

    from . import set_num_threads

    if arguments.threads:
        set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        arguments.command(arguments)
    return 0


# ---------------------------------------------------------------------------------------------------- the commands


def demo(args):
    """Train a small network on scikit-learn's digits, prune it, and show what it costs."""
    from .integrations.demo import run

    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    rows, model = run(folder, seed=args.seed, progress=_progress(args))
    _show(args, {"rows": rows, "folder": str(folder), "model": str(model)}, report.table(rows), (
        f"\nThe picture, the pruned model and the test rows are in {folder}/. Try:\n"
        f"  sparsecore inspect {model}\n"
        f"  sparsecore evaluate {model} {folder / 'digits_test.csv'} --label digit"))


def fit(args):
    """Scale, sparsify, fit, prune, evaluate: from a table to a condensed model."""
    from .pipeline import fitting

    _check_output(args.output)
    _check_report(args.report)
    if args.checkpoint and args.seal:
        raise Failure("--checkpoint keeps sub-models in plain files: it does not go with --seal")
    key = _keys(args) if args.seal else {}
    started = time.perf_counter()
    options = fitting.Options(
        label=args.label, text=args.text, features=args.features, scale=args.scale, sparsity=args.sparsity,
        alpha=args.alpha, score=args.score, screen=args.sparsify, keep=args.keep,
        factorize=args.factorize,
        ngrams=(1, args.ngrams), min_df=args.min_df, most=args.max_features, folds=args.folds, seed=args.seed,
        batch_size=args.batch_size, prefetch=args.prefetch, workers=args.workers,
        shards=args.shards, checkpoint=args.checkpoint)
    model, facts = fitting.fit(args.data, options, test=args.test, progress=_progress(args))
    facts["seconds"] = round(time.perf_counter() - started, 2)
    model.facts = {k: v for k, v in facts.items() if k not in ("folds", "shards")}
    model.save(args.output, **key)
    facts.update(model=str(args.output), file_bytes=os.path.getsize(args.output))
    if args.report:
        report.write_report(args.report, f"sparsecore fit {Path(args.data).name}", fitting.sections(facts))
    _show(args, facts, fitting.summary(facts))


def prune(args):
    """Prune the matrices of a file of weights."""
    from . import pruning as pr

    _check_output(args.output)
    weights = _weights(args.weights)
    stats = None
    if args.calibration:
        found = _weights(args.calibration)
        stats = {name: pr.calibrate(found[name]) for name in weights if name in found}
    model = pr.prune(weights, args.sparsity, score=args.score, pattern=_pattern(args.pattern),
                     budget={"uniform": pr.uniform, "global": pr.global_, "erk": pr.erk, "lamp": pr.lamp,
                             "owl": pr.owl}[args.budget],
                     stats=stats, exclude=tuple(args.exclude))
    model.save(args.output, **(_keys(args) if args.seal else {}))
    found = _contents(args, args.output) if not args.seal else None
    rows = _layer_rows(found.info) if found else list(model.report)
    _show(args, {"layers": rows, "model": str(args.output), "file_bytes": os.path.getsize(args.output)},
          report.table(rows), f"\n{args.output}: {os.path.getsize(args.output):,} bytes")


def evaluate(args):
    """The accuracy of a model on a table with labels."""
    from .pipeline import table_batches
    from .pipeline.readers import labelled

    _check_report(args.report)
    model = _model(args)
    label = args.label or model.facts.get("label")
    if not label:
        raise Failure(f"{args.model} does not know the label's column; name it with --label")
    found, seconds = Counter(), 0.0
    batches = table_batches(args.data, numeric=model.features.numeric,
                            text=[*(set(model.features.columns) - set(model.features.numeric)), label],
                            batch_size=args.batch_size, workers=args.workers)
    for batch in _progress(args)(labelled(batches, label, args.data), desc="evaluate", unit="batch"):
        started = time.perf_counter()
        found.update(zip(batch[label].tolist(), model.predict(batch).tolist()))
        seconds += time.perf_counter() - started
    rows = found.total()
    if not rows:
        raise Failure(f"{args.data} has no rows")
    known = model.classes.tolist()
    if not any(true in known for true, _ in found):
        names = ", ".join(map(repr, known[:5])) + (" ..." if len(known) > 5 else "")
        raise Failure(f"{args.data}: column {label!r} has none of the classes of {args.model}, which are {names}; "
                      "--label names another column")
    classes = [{"class": c, "rows": sum(n for (true, _), n in found.items() if true == c),
                "predicted": sum(n for (_, said), n in found.items() if said == c), "right": found[c, c]}
               for c in sorted({label for pair in found for label in pair})]
    facts = {"rows": rows, "accuracy": sum(c["right"] for c in classes) / rows, "seconds": round(seconds, 4),
             "classes": classes}
    text = f"accuracy {100 * facts['accuracy']:.2f} % on {rows:,} rows in {seconds:.2f} s"
    if args.report:
        shares = [c["right"] / c["rows"] if c["rows"] else 0.0 for c in classes]
        plot = report.curve("Rows of a class that are found", [str(c["class"]) for c in classes], {"share": shares},
                            xlabel="class", ylabel="share")
        report.write_report(args.report, f"sparsecore evaluate {Path(args.data).name}",
                            [("Result", text), ("Classes", classes), ("Found", plot)])
    _show(args, facts, text)


def predict(args):
    """The predicted class of every row, as CSV."""
    import csv
    import io

    from .io import atomic_write
    from .pipeline import table_batches

    if args.output:
        _check_output(args.output)
    model = _model(args)
    batches = table_batches(args.data, numeric=model.features.numeric,
                            text=sorted(set(model.features.columns) - set(model.features.numeric)),
                            batch_size=args.batch_size, workers=args.workers)
    batches = _progress(args)(batches, desc="predict", unit="batch")

    def lines():
        header = b"prediction\n"      # not before the first rows could be read
        for batch in batches:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([label] for label in model.predict(batch))
            yield header + text.getvalue().encode()
            header = b""
        yield header

    if args.output:
        atomic_write(args.output, lines())
    else:
        for line in lines():
            sys.stdout.write(line.decode())


def inspect(args):
    """What is in a model file, layer by layer."""
    found = _contents(args, args.file)
    rows = _layer_rows(found.info)
    total = sum(row["bytes"] for row in rows)
    dense = sum(row["dense bytes"] for row in rows)
    facts = {"layers": rows, "bytes": total, "dense_bytes": dense, "file_bytes": os.path.getsize(args.file),
             "metadata": found.metadata}
    kind = found.metadata.get("kind", "bare layers")
    _show(args, facts, report.table(rows), (
        f"\n{kind}: {total:,} bytes of layers, {dense:,} if dense ({total / max(dense, 1):.3f}); "
        f"file {facts['file_bytes']:,} bytes"))


def bench(args):
    """Time the main kernels beside SciPy and NumPy on one matrix."""
    from .integrations.bench import run

    rows = run(args.matrix, columns=args.columns, seed=args.seed)
    _show(args, {"rows": rows}, report.table(rows))


def info(args):
    """How sparsecore was built, what it runs on, and with how many threads, and why."""
    from . import show_config

    if args.json:
        print(json.dumps(show_config(mode="dicts"), default=str))
    else:
        show_config()


def seal(args):
    """Encrypt a model file."""
    from .io import ModelFileError, is_sealed, read_model, write_sealed

    _check_output(args.output)
    if is_sealed(args.file):
        raise ModelFileError(f"{args.file} is sealed already; rewrap changes its keys")
    read_model(args.file)  # only what can be opened again is sealed
    keys = _keys(args)
    write_sealed(args.output or args.file, Path(args.file).read_bytes(), **keys)


def unseal(args):
    """Decrypt a sealed file."""
    from .io import atomic_write, read_sealed

    _check_output(args.output)
    atomic_write(args.output, [read_sealed(args.file, **_keys(args))], private=True)


def rewrap(args):
    """Change the keys of a sealed file (--anew: encrypt it again under a fresh file key, after a leak)."""
    from .io import reencrypt
    from .io import rewrap as exchange

    new = {f"new_{name}": value for name, value in _keys(args, "new-").items()}
    if args.anew:
        reencrypt(args.file, **_keys(args), **new)
    else:
        exchange(args.file, **_keys(args), **new, keep=args.keep)


# ------------------------------------------------------------------------------------------------------- the pieces


def _model(args):
    from .pipeline import model_from

    return model_from(_contents(args, args.model), args.model)


def _contents(args, path):
    from .io import read_model

    return read_model(path, **_keys(args, needed=False))


def _layer_rows(info):
    return [{"layer": i.name, "shape": i.shape, "type": i.dtype, "nnz": i.nnz, "format": i.format, "bytes": i.nbytes,
             "dense bytes": i.dense_nbytes} for i in info]


def _weights(path):
    """{name: array} of a .npz or .safetensors file."""
    suffix = Path(path).suffix
    if suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as found:
                return {name: found[name] for name in found.files}
        except (ValueError, zipfile.BadZipFile, EOFError, KeyError, AttributeError) as error:
            raise Failure(f"{path} cannot be read: {error}") from error
    if suffix == ".safetensors":
        from .io import load_model

        return load_model(path).state_dict()
    raise Failure(f"{path}: weights are a .npz or .safetensors file")


def _pattern(text):
    from . import pruning as pr

    if text == "layer":
        return pr.Unstructured()
    if text == "row":
        return pr.Unstructured(scope="row")
    if ":" in text:
        keep, group = text.split(":")
        return pr.NM(int(keep), int(group))
    rows, columns = text.split("x")
    return pr.Block((int(rows), int(columns)))


def _keys(args, prefix="", needed=True):
    """{key: ..., passphrase: ...} from files, the environment or a prompt; never from the command line."""
    def given(name):
        return getattr(args, f"{prefix}{name}".replace("-", "_"), None)

    found = {}
    if given("key_file"):
        found["key"] = _key_bytes(Path(given("key_file")).read_bytes(), given("key_file"))
    elif given("key_env"):
        found["key"] = _key_bytes(_variable(given("key_env")).encode(), f"the variable {given('key_env')}")
    if given("passphrase_env"):
        found["passphrase"] = _variable(given("passphrase_env"))
    elif given("passphrase"):
        import getpass

        found["passphrase"] = getpass.getpass(f"{prefix.replace('-', ' ')}passphrase: ".capitalize())
    if needed and not found:
        options = ", ".join(f"--{prefix}{name}" for name in ("key-file", "key-env", "passphrase-env", "passphrase"))
        raise Failure(f"a key is needed: one of {options}")
    return found


def _key_bytes(raw, place):
    """32 bytes as they are, or 64 hexadecimal digits, or base64."""
    if len(raw) == 32:
        return raw
    text = raw.strip()
    for decode in (binascii.unhexlify, lambda t: base64.b64decode(t, validate=True)):
        try:
            key = decode(text)
        except (binascii.Error, ValueError):
            continue
        if len(key) == 32:
            return key
    raise Failure(f"{place} does not hold a key: 32 bytes, 64 hexadecimal digits or base64 of 32 bytes")


def _variable(name):
    if name not in os.environ:
        raise Failure(f"the environment has no variable {name}")
    return os.environ[name]


def _check_output(*paths):
    """Say at once, not after the work, that a file cannot be written."""
    for path in filter(None, paths):
        folder = Path(path).parent
        if not folder.is_dir():
            raise Failure(f"{path} cannot be written: there is no folder {folder}")
        if Path(path).is_dir():
            raise Failure(f"{path} cannot be written: it is a folder")
        if not os.access(folder, os.W_OK):
            raise Failure(f"{path} cannot be written: the folder {folder} is not writable")


def _check_report(path):
    _check_output(path)
    if path and Path(path).suffix.lower() not in (".md", ".html"):
        raise Failure(f"{path}: a report is a .md or .html file")


def _progress(args):
    """A function that wraps an iterable in a progress bar, on a terminal that can show one."""
    if args.json or not sys.stderr.isatty():
        return lambda items, **_: iter(items)
    try:
        from tqdm import tqdm
    except ImportError:
        return lambda items, **_: iter(items)
    return lambda items, **options: tqdm(items, file=sys.stderr, leave=False, **options)


def _show(args, facts, *texts):
    if args.json:
        print(json.dumps(facts, default=_plain))
    else:
        print(*texts, sep="\n")


def _plain(value):
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


# ------------------------------------------------------------------------------------------------------- the grammar


def _share(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share of zeros from 0 to below 1")
    return value


def _keep(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share above 0, at most 1")
    return value


def _count(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _positive(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _pattern_text(text):
    sizes = text.replace(":", "x").split("x")
    if text in ("layer", "row") or len(sizes) == 2 and all(s.isdigit() and int(s) for s in sizes):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not layer, row, KEEP:GROUP such as 2:4, or ROWSxCOLUMNS such as 4x4")


def _names(text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("no column is named")
    return names


SCORES = ("magnitude", "random", "wanda", "activation", "obs", "sparsegpt", "alps")


def _parser():
    parser = argparse.ArgumentParser(prog="sparsecore", description="Smaller, faster models from real data, on CPUs.")
    parser.add_argument("--version", action="version", version=f"sparsecore {_version()}")
    commands = parser.add_subparsers(metavar="command", required=True)

    def command(run, help):
        made = commands.add_parser(run.__name__, help=help, description=run.__doc__)
        made.set_defaults(command=run)
        made.add_argument("--json", action="store_true", help="results as one line of JSON")
        made.add_argument("--threads", type=_count, metavar="N", help="threads (default: all that are allowed)")
        made.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything random (default 0)")
        return made

    made = command(demo, "train, prune and time a small network, in under two minutes")
    made.add_argument("-o", "--output", default="demo_output", metavar="FOLDER",
                      help="for picture, model and test rows (default demo_output)")

    made = command(fit, "from a table to a condensed model")
    made.epilog = ("example: sparsecore fit reviews.csv.gz --text review --label sentiment --sparsity 0.95 "
                   "-o model.safetensors")
    made.add_argument("data", metavar="DATA", help="a table whose first row names the columns: .csv, .csv.gz, .parquet")
    made.add_argument("--label", required=True, metavar="COLUMN", help="the column to predict")
    what = made.add_mutually_exclusive_group()
    what.add_argument("--text", metavar="COLUMN", help="a column of text (TF-IDF of words and pairs of words)")
    what.add_argument("--features", type=_names, metavar="COLUMN,...", help="numeric columns (default: all others)")
    made.add_argument("--sparsity", type=_share, required=True, metavar="SHARE",
                      help="of the weights that go, such as 0.95")
    made.add_argument("-o", "--output", required=True, metavar="MODEL", help="the file to write (safetensors)")
    made.add_argument("--test", metavar="DATA", help="evaluate on this table instead of by cross-validation")
    made.add_argument("--folds", type=_count, default=5, metavar="N", help="of the cross-validation (default 5)")
    made.add_argument("--alpha", type=_positive, default=0.3, metavar="X", help="ridge penalty (default 0.3)")
    made.add_argument("--score", choices=("magnitude", "random", "wanda", "obs"), default="magnitude",
                      help="which weights stay (default magnitude)")
    made.add_argument("--scale", choices=("maxabs", "std", "none"), default="maxabs",
                      help="numeric columns are divided by their largest magnitude (maxabs, the default), by their "
                      "standard deviation, or left as they are")
    made.add_argument("--sparsify", choices=("sum", "weighted", "norm"),
                      help="first keep only the columns (or terms) of best score")
    made.add_argument("--keep", type=_keep, default=0.5, metavar="SHARE",
                      help="of the columns, kept by --sparsify (default 0.5)")
    made.add_argument("--factorize", type=_count, metavar="RANK",
                      help="fit within the leading RANK singular vectors (truncated SVD) before pruning")
    made.add_argument("--ngrams", type=_count, default=2, metavar="N",
                      help="longest run of words that counts as a term (default 2)")
    made.add_argument("--min-df", type=_count, default=2, metavar="N", help="rows a term must occur in (default 2)")
    made.add_argument("--max-features", type=_count, metavar="N",
                      help="at most so many terms, the most frequent (default: all)")
    made.add_argument("--batch-size", type=_count, metavar="N", help="read so many rows at a time; memory stays "
                      "bounded, rows of many terms wait in a temporary file (in TMPDIR or /var/tmp)")
    made.add_argument("--prefetch", type=_count, default=2, metavar="N", help="batches read ahead (default 2)")
    made.add_argument("--workers", type=_count, metavar="N",
                      help="threads that read and vectorise, or processes where a text table is large (default: as "
                      "many as --threads)")
    made.add_argument("--shards", type=_count, metavar="N",
                      help="train so many sub-models on parts of the rows and merge them")
    made.add_argument("--checkpoint", metavar="FOLDER", help="keep finished sub-models here: a run cut short resumes")
    made.add_argument("--report", metavar="FILE", help="write what it cost, with a plot, as .html or .md")
    made.add_argument("--seal", action="store_true", help="encrypt the model file")
    _key_options(made)

    made = command(prune, "prune a file of weights")
    made.epilog = "example: sparsecore prune weights.safetensors --sparsity 0.9 -o pruned.safetensors"
    made.add_argument("weights", metavar="WEIGHTS", help="arrays by name: .safetensors or .npz")
    made.add_argument("--sparsity", type=_share, required=True, metavar="SHARE",
                      help="of the weights that go, such as 0.9")
    made.add_argument("-o", "--output", required=True, metavar="MODEL", help="the file to write (safetensors)")
    made.add_argument("--score", choices=SCORES, default="magnitude",
                      help="which weights stay (default magnitude); all but this and random want --calibration")
    made.add_argument("--pattern", type=_pattern_text, default="layer", metavar="PATTERN",
                      help="of the zeros: layer (anywhere, the default), row (equally many in each), 2:4, or blocks "
                      "such as 4x4")
    made.add_argument("--budget", choices=("uniform", "global", "erk", "lamp", "owl"), default="uniform",
                      help="how the zeros are shared among layers (default uniform)")
    made.add_argument("--calibration", metavar="FILE",
                      help="inputs (samples, features) by layer name: .npz or .safetensors")
    made.add_argument("--exclude", action="append", default=[], metavar="GLOB",
                      help="layers to leave as they are, such as '*.bias'; may be given again")
    made.add_argument("--seal", action="store_true", help="encrypt the model file")
    _key_options(made)

    for run, help in ((evaluate, "accuracy of a model on a table"), (predict, "classes of the rows of a table")):
        made = command(run, help)
        made.add_argument("model", metavar="MODEL", help="a file that fit or demo wrote")
        made.add_argument("data", metavar="DATA", help="a table with the columns the model was fitted on")
        made.add_argument("--batch-size", type=_count, default=50_000, metavar="N",
                          help="rows read at a time (default 50000)")
        made.add_argument("--workers", type=_count, metavar="N",
                          help="threads that read (default: as many as --threads)")
        if run is evaluate:
            made.add_argument("--label", metavar="COLUMN",
                              help="the label's column (default: the one the model was fitted on)")
            made.add_argument("--report", metavar="FILE", help="write accuracy by class, with a plot, as .html or .md")
        else:
            made.add_argument("-o", "--output", metavar="FILE", help="CSV (default: standard output)")
        _key_options(made)

    made = command(inspect, "layers, formats and bytes of a model file")
    made.add_argument("file", metavar="FILE", help="a model file, sealed or not")
    _key_options(made)

    made = command(bench, "time the kernels beside SciPy and NumPy")
    made.add_argument("matrix", nargs="?", metavar="MATRIX",
                      help="a .npz of scipy.sparse or a .mtx (default: a pruned 2048 x 2048 layer)")
    made.add_argument("--columns", type=_count, default=64, metavar="N",
                      help="columns of the dense operand (default 64)")

    command(info, "how it was built, what it runs on")

    made = command(seal, "encrypt a model file")
    made.add_argument("file", metavar="MODEL", help="the file to encrypt")
    made.add_argument("-o", "--output", metavar="FILE", help="the file to write (default: in place)")
    _key_options(made)
    made = command(unseal, "decrypt a sealed file")
    made.add_argument("file", metavar="FILE", help="the sealed file")
    made.add_argument("-o", "--output", required=True, metavar="MODEL", help="the file to write")
    _key_options(made)
    made = command(rewrap, "change the keys of a sealed file")
    made.add_argument("file", metavar="FILE", help="the sealed file, changed in place")
    made.add_argument("--keep", action="store_true", help="add the new key, keep the old ones")
    made.add_argument("--anew", action="store_true", help="encrypt again under a fresh file key: after a leak")
    _key_options(made)
    _key_options(made, "new-")
    return parser


def _key_options(made, prefix=""):
    group = made.add_argument_group(f"{prefix.replace('-', ' ')}keys".capitalize())
    group.add_argument(f"--{prefix}key-file", metavar="FILE", help="32 bytes, or their hexadecimal or base64 form")
    group.add_argument(f"--{prefix}key-env", metavar="NAME", help="an environment variable with such a key")
    group.add_argument(f"--{prefix}passphrase-env", metavar="NAME", help="an environment variable with a passphrase")
    group.add_argument(f"--{prefix}passphrase", action="store_true", help="ask for a passphrase")


def _version():
    from . import __version__

    return __version__
