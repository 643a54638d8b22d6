"""The command line from the outside: exit codes, one clear line, whole files or none, real data."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("safetensors")
pytest.importorskip("sklearn")

from sparsecore import cli, io  # noqa: E402


def run(capsys, *arguments):
    """(exit code, standard output, standard error) of one command."""
    try:
        code = cli.main([str(a) for a in arguments])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def failed(capsys, *arguments):
    """The one line on standard error of a command that must exit with 1."""
    code, out, err = run(capsys, *arguments)
    assert code == 1 and out == "", (code, out, err)
    assert err.startswith("sparsecore: error: ") and err.count("\n") == 1, err
    return err


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV of 600 rows: three informative numeric columns, 37 of noise, three classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    X = rng.standard_normal((600, 40)).round(3)
    X[np.arange(600), y] += 5
    path = tmp_path_factory.mktemp("data") / "t.csv"
    with open(path, "w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([*(f"x{i}" for i in range(40)), "class, the"])
        writer.writerows([*row, f"c{label}"] for row, label in zip(X, y))
    return path


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A CSV of 200 short texts with commas, quotes and newlines inside."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "text.csv"
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "kind"])
        for i in range(200):
            words = rng.choice(["so", "film", "plot", "é", "it"], 6).tolist()
            words.insert(3, ["good", "bad"][i % 2])
            writer.writerow([', "'.join(words[:4]) + '"\n' + " ".join(words[4:]), ["pos", "neg"][i % 2]])
    return path


@pytest.fixture
def fitted(tmp_path, table, capsys):
    path = tmp_path / "model"
    assert run(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.9", "-o", path)[0] == 0
    return path


def test_fit_evaluate_predict_inspect_on_numbers(tmp_path, table, capsys):
    model = tmp_path / "model"
    code, out, _ = run(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.9", "-o", model, "--json")
    facts = json.loads(out)
    assert code == 0 and facts["kept"] == 12 and facts["weights"] == 120
    assert facts["accuracy_dense"] > 0.95 and facts["accuracy_pruned"] > 0.95
    code, out, _ = run(capsys, "evaluate", model, table, "--json")
    assert code == 0 and json.loads(out)["rows"] == 600 and json.loads(out)["accuracy"] > 0.95
    assert run(capsys, "predict", model, table, "-o", tmp_path / "p.csv")[0] == 0
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "prediction" and len(lines) == 601 and set(lines[1:]) == {"c0", "c1", "c2"}
    code, out, _ = run(capsys, "inspect", model, "--json")
    layers = {row["layer"]: row for row in json.loads(out)["layers"]}
    assert layers["coef"]["nnz"] == 12 and set(layers["coef"]) >= {"shape", "format", "bytes"}


def test_fit_on_text_knows_only_the_terms_it_kept(tmp_path, texts, capsys):
    model = tmp_path / "model"
    code, out, err = run(capsys, "fit", texts, "--text", "text", "--label", "kind", "--sparsity", "0.95", "-o", model)
    assert code == 0, err
    assert "accuracy" in out and "95 % sparse" in out
    found = io.read_model(model)
    terms = found.layers["terms"].tobytes().decode().split("\n")
    assert {"good", "bad"} <= set(terms) and len(terms) == found.layers["coef"].shape[1] < 20
    assert json.loads(run(capsys, "evaluate", model, texts, "--json")[1])["accuracy"] == 1.0


def test_fit_screens_columns_and_uses_a_test_table(tmp_path, table, capsys):
    code, out, err = run(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.5", "-o", tmp_path / "m",
                         "--features", "x0,x1,x2,x9", "--sparsify", "sum", "--keep", "0.75", "--scale", "none",
                         "--test", table, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["features"] == 3 and facts["kept"] == 5 and len(facts["folds"]) == 1


def test_fit_within_the_leading_singular_vectors(tmp_path, table, texts, capsys):
    """Two directions hold no more than two of three classes' differences: the first fit must be another one."""
    facts = {}
    for rank in ([], ["--factorize", "2"], ["--factorize", "1000"]):
        code, out, _ = run(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.5", *rank, "-o",
                           tmp_path / "model", "--json")
        assert code == 0
        facts[tuple(rank)] = json.loads(out)["accuracy_dense"]
    assert facts["--factorize", "1000"] == pytest.approx(facts[()], abs=0.01)     # all directions: the plain fit
    assert facts["--factorize", "2"] != facts[()]
    code, out, _ = run(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.5", "--factorize", "50", "-o",
                       tmp_path / "model")
    assert code == 0 and "--factorize 50: the rows have rank 40; no more vectors were used" in out
    assert run(capsys, "fit", texts, "--text", "text", "--label", "kind", "--sparsity", "0.5", "--factorize", "3",
               "-o", tmp_path / "text")[0] == 0
    assert "--factorize needs all rows" in failed(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.5",
                                                   "--factorize", "3", "--shards", "2", "-o", tmp_path / "no")


@pytest.mark.parametrize("kind", ["numbers", "text", "text of many terms"])
def test_fit_in_batches_gives_the_weights_of_one_go(tmp_path, table, texts, capsys, monkeypatch, kind):
    """Of many terms too, where batches had kept 4,096: the weights of all that is in the reviews."""
    if kind == "text of many terms":
        from sparsecore.pipeline import linear, outofcore

        monkeypatch.setattr(outofcore, "CLOSED", 2)
        monkeypatch.setattr(linear, "_TOLERANCE", 1e-12)
    what = (table, "--label", "class, the") if kind == "numbers" else (texts, "--label", "kind", "--text", "text")
    found = []
    for more in ((), ("--batch-size", "37", "--workers", "2")):
        code, out, err = run(capsys, "fit", *what, "--sparsity", "0.8", "-o", tmp_path / "m", "--json", *more)
        assert code == 0, err
        assert json.loads(out)["accuracy_pruned"] > 0.9
        found.append(io.read_model(tmp_path / "m").layers)
    assert set(found[0]) == set(found[1])
    for name, layer in found[0].items():
        a, b = (x.toarray() if hasattr(x, "toarray") else x for x in (layer, found[1][name]))
        assert np.allclose(a, b, rtol=1e-6 if "many" in kind else 1e-9, atol=1e-12), name   # rows wait in float32


def test_text_vectorised_in_processes_gives_the_same_file(tmp_path, texts, capsys, monkeypatch):
    from sparsecore.pipeline import outofcore

    found = []
    for least in (outofcore.TEXT_BYTES, 0):
        monkeypatch.setattr(outofcore, "TEXT_BYTES", least)
        code, _, err = run(capsys, "fit", texts, "--text", "text", "--label", "kind", "--sparsity", "0.8", "-o",
                           tmp_path / "m", "--batch-size", "37", "--workers", "2")
        assert code == 0, err
        found.append((tmp_path / "m").read_bytes())
    layers = [io.read_model(tmp_path / "m").layers]
    (tmp_path / "m").write_bytes(found[0])
    layers.append(io.read_model(tmp_path / "m").layers)
    assert all((layers[0][name] != layers[1][name]).sum() == 0 for name in layers[0])


@pytest.mark.parametrize("kind", ["numbers", "text"])
def test_fit_by_shards_reports_each_and_merges_them(tmp_path, table, texts, capsys, kind):
    what = (table, "--label", "class, the") if kind == "numbers" else (texts, "--label", "kind", "--text", "text")
    code, out, err = run(capsys, "fit", *what, "--sparsity", "0.8", "-o", tmp_path / "m", "--shards", "3", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert len(facts["shards"]) == 3 and all(s["error"] is None for s in facts["shards"])
    assert facts["accuracy_pruned"] > 0.85 and facts["kept"] == facts["weights"] - round(0.8 * facts["weights"])
    assert "shards" in failed(capsys, "fit", *what, "--sparsity", "0.8", "-o", tmp_path / "m", "--shards", "3",
                              "--batch-size", "9")


@pytest.mark.parametrize("suffix", ["html", "md"])
def test_the_report_is_one_file_with_its_plot(tmp_path, table, capsys, suffix):
    pytest.importorskip("matplotlib")
    code, _, err = run(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.9", "-o", tmp_path / "m",
                       "--report", tmp_path / f"r.{suffix}")
    assert code == 0, err
    text = (tmp_path / f"r.{suffix}").read_text()
    assert "data:image/png;base64," in text and "accuracy" in text


def test_evaluate_writes_a_report_by_class(tmp_path, table, fitted, capsys):
    pytest.importorskip("matplotlib")
    code, out, err = run(capsys, "evaluate", fitted, table, "--json", "--report", tmp_path / "r.md", "--workers", "2",
                         "--batch-size", "100")
    assert code == 0, err
    facts = json.loads(out)
    assert sum(c["rows"] for c in facts["classes"]) == facts["rows"] == 600
    assert sum(c["right"] for c in facts["classes"]) == round(600 * facts["accuracy"])
    text = (tmp_path / "r.md").read_text()
    assert "| c1 |" in text and "data:image/png;base64," in text
    assert ".md or .html" in failed(capsys, "evaluate", fitted, table, "--report", tmp_path / "r.txt")


def test_batches_of_more_terms_than_memory_holds_are_refused(capsys, texts, tmp_path, monkeypatch):
    """50,000 terms had taken 20 GB and the system had ended the process."""
    from sparsecore.pipeline import outofcore

    monkeypatch.setattr(outofcore, "free_memory", lambda: 1 << 12)
    err = failed(capsys, "fit", texts, "--text", "text", "--label", "kind", "--sparsity", "0.5", "-o", tmp_path / "m",
                 "--batch-size", "100")
    assert "--max-features" in err and "enough for 11" in err and not (tmp_path / "m").exists()


@pytest.mark.parametrize("kind", ["numbers", "text"])
def test_a_table_that_does_not_fit_into_memory_is_refused_before_it_fills_it(
        capsys, table, texts, tmp_path, monkeypatch, kind):
    """A million reviews would have taken some 24 GB, and the machine had begun to swap."""
    from sparsecore.pipeline import fitting

    what = (table, "--label", "class, the") if kind == "numbers" else (texts, "--label", "kind", "--text", "text")
    arguments = ("fit", *what, "--sparsity", "0.5", "-o", tmp_path / "m")
    need = 44 * 600 * 40 if kind == "numbers" else 22 * sum(len(row[0]) for row in csv.reader(open(texts)))
    monkeypatch.setattr(fitting, "free_memory", lambda: need - 300)
    err = failed(capsys, *arguments)
    assert re.search(r"first \d+ rows in memory takes some .* GB are free; --batch-size 20000 learns", err), err
    assert "--batch-size 20000, without --shards, learns" in failed(capsys, *arguments, "--shards", "2")
    assert run(capsys, *arguments, "--batch-size", "100")[0] == 0
    monkeypatch.setattr(fitting, "free_memory", lambda: need)
    assert run(capsys, *arguments)[0] == 0


@pytest.mark.parametrize("score", ["wanda", "obs", "random"])
@pytest.mark.parametrize("more", [(), ("--batch-size", "100"), ("--shards", "2")])
def test_every_score_works_in_every_way_to_fit(tmp_path, table, capsys, score, more):
    """wanda and obs want to know the inputs, which they were not told."""
    code, out, err = run(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.5", "-o", tmp_path / "m",
                         "--score", score, "--json", *more)
    assert code == 0 and json.loads(out)["kept"] == 60, err


def test_shards_resume_from_their_checkpoint(tmp_path, table, capsys, monkeypatch):
    from sparsecore.pipeline import shards

    arguments = ("fit", table, "--label", "class, the", "--sparsity", "0.8", "-o", tmp_path / "m", "--shards", "2",
                 "--checkpoint", tmp_path / "kept", "--json")
    first = json.loads(run(capsys, *arguments)[1])
    monkeypatch.setattr(shards, "ridge", lambda *_: pytest.fail("trained again"))
    again = json.loads(run(capsys, *arguments)[1])
    assert again["shards"] == first["shards"] and again["accuracy_pruned"] == first["accuracy_pruned"]
    assert "--seal" in failed(capsys, *arguments[:-1], "--seal")
    assert "--shards" in failed(capsys, *arguments[:8], "--checkpoint", tmp_path / "kept")


def test_the_same_seed_gives_the_same_file(tmp_path, table, capsys):
    layers = []
    for name in "ab":
        run(capsys, "fit", table, "--label", "class, the", "--sparsity", "0.9", "-o", tmp_path / name, "--seed", "3")
        layers.append(io.read_model(tmp_path / name).layers)
    assert all((layers[0][k] != layers[1][k]).sum() == 0 for k in ("coef", "intercept"))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_prune_keeps_the_largest_and_leaves_vectors_alone(tmp_path, capsys, suffix):
    rng = np.random.default_rng(0)
    weights = {"fc": rng.standard_normal((64, 128)).astype(np.float32), "bias": np.zeros(64, np.float32)}
    path = tmp_path / f"w{suffix}"
    if suffix == ".npz":
        np.savez(path, **weights)
    else:
        io.save_model(path, weights)
    code, out, err = run(capsys, "prune", path, "--sparsity", "0.9", "-o", tmp_path / "m", "--json")
    assert code == 0, err
    back = io.load_model(tmp_path / "m").state_dict()
    W = weights["fc"]
    cut = np.sort(np.abs(W), axis=None)[-(W.size - round(0.9 * W.size))]
    assert np.array_equal(back["fc"], np.where(np.abs(W) >= cut, W, 0))
    assert np.array_equal(back["bias"], weights["bias"])
    assert json.loads(out)["file_bytes"] < 0.2 * W.nbytes


@pytest.mark.parametrize("pattern, per", [("2:4", 4), ("row", 128), ("4x4", None)])
def test_prune_by_pattern(tmp_path, capsys, pattern, per):
    W = np.random.default_rng(0).standard_normal((64, 128)).astype(np.float32)
    np.savez(tmp_path / "w.npz", fc=W)
    code, _, err = run(capsys, "prune", tmp_path / "w.npz", "--sparsity", "0.5", "-o", tmp_path / "m",
                       "--pattern", pattern)
    assert code == 0, err
    kept = io.load_model(tmp_path / "m").state_dict()["fc"] != 0
    assert kept.sum() == W.size // 2
    if per:
        assert (kept.reshape(-1, per).sum(axis=1) == per // 2).all()


def test_failures_are_one_clear_line_and_leave_nothing(tmp_path, table, texts, capsys):
    empty, ragged, blank = tmp_path / "empty.csv", tmp_path / "ragged.csv", tmp_path / "blank.csv"
    empty.write_text("")
    ragged.write_text("a,b\n1,2\n3\n4,5,6\n")
    blank.write_text("a,b\n1,x\n,y\n")
    fake = tmp_path / "fake.csv.gz"
    fake.write_text("a,b\n1,2\n")
    one = tmp_path / "one.csv"
    one.write_text("a,b\n" + "1,x\n" * 9)
    before = sorted(p.name for p in tmp_path.iterdir())
    out = tmp_path / "out"

    def fit(data, *more):
        return failed(capsys, "fit", data, "--sparsity", "0.5", "-o", str(out), *more)

    assert "missing.csv" in fit(tmp_path / "missing.csv", "--label", "b")
    assert "no column 'nope'" in fit(table, "--label", "nope")
    assert "no column 'nope'" in fit(texts, "--label", "kind", "--text", "nope")
    assert "no column 'no'" in fit(table, "--label", "class, the", "--features", "x0,no")
    assert "empty" in fit(empty, "--label", "b")
    assert "ragged.csv" in fit(ragged, "--label", "b")
    assert "missing" in fit(blank, "--label", "b")
    assert "fake.csv.gz" in fit(fake, "--label", "b")
    assert "one value only" in fit(one, "--label", "b")
    assert "column 'text' has a value that is no number" in fit(texts, "--label", "kind")
    assert "name the class" in fit(texts, "--label", "text", "--text", "kind")
    assert "cannot be the text too" in fit(texts, "--label", "kind", "--text", "kind")
    out = tmp_path / "no" / "m"
    assert "no folder" in fit(table, "--label", "x0")
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("content, message", [
    ("a;b\n1;x\n2;y\n", r"no column 'b'.* separated by commas, not by ';'"),
    ("some long text without a header\n1,x\n", r"no column 'b'.* 'some long text without a he\.\.\.'"),
    ("a,B\n1,x\n2,y\n", r"no column 'b'.* did you mean 'B'\?"),
    ("a,b\n1,x\n2,y\n3,\n4,x\n", r"row 3 has no label in column 'b'; fill it, or drop such rows"),
    ("a,b\n1,x\n2,nan\n", r"row 2 has no label"),
    ("a,b\n1,caf\u00e9\n2,y\n", r"not in UTF-8; convert it .*iconv"),
    ("a,\u00e9,b\n1,2,x\n2,2,y\n", r"not in UTF-8; convert it .*iconv"),
    ("a,b\n1,x\n2,x\n", r"one value only, 'x'; a classifier needs two"),
    ("a,b\n" + "1,x\n2,y\n" * 4 + "3,z\n", r"class 'z' has 1 rows; 5 folds need as many: join .*--folds.*--test"),
])
@pytest.mark.parametrize("batches", [(), ("--batch-size", "2")])
def test_what_a_beginner_gets_wrong_in_a_table_is_told_with_what_to_do(tmp_path, capsys, content, message, batches):
    path = tmp_path / "table.csv"
    path.write_text(content, encoding="latin-1")
    if batches and "folds" in message:      # they hold out rows instead
        return
    if batches:
        message = message.replace(", 'x'; a", "; a")
    said = failed(capsys, "fit", path, "--label", "b", "--sparsity", "0.5", "-o", tmp_path / "m", *batches)
    assert re.search(message, said), said


def test_evaluating_by_a_column_of_other_labels_is_told(tmp_path, capsys):
    path, model = tmp_path / "table.csv", tmp_path / "m"
    path.write_text("a,b,c\n" + "1,x,u\n2,y,v\n" * 9)
    assert run(capsys, "fit", path, "--label", "b", "--features", "a", "--sparsity", "0", "-o", model)[0] == 0
    said = failed(capsys, "evaluate", model, path, "--label", "c")
    assert re.search("column 'c' has none of the classes of .*, which are 'x', 'y'", said), said


def test_predict_prints_nothing_when_the_table_is_missing(tmp_path, capsys, fitted):
    assert "missing.csv: no such file or directory" in failed(capsys, "predict", fitted, tmp_path / "missing.csv")


def test_damaged_models_are_one_clear_line(tmp_path, table, fitted, capsys):
    raw = fitted.read_bytes()
    for name, data in {"cut": raw[: len(raw) // 2], "empty": b"", "noise": os.urandom(999)}.items():
        path = tmp_path / name
        path.write_bytes(data)
        for command in (("inspect", path), ("evaluate", path, table), ("predict", path, table)):
            assert str(path) in failed(capsys, *command)
    np.savez(tmp_path / "w.npz", a=np.ones((4, 4)))
    assert "bare layers" not in failed(capsys, "evaluate", tmp_path / "w.npz", table)
    run(capsys, "prune", tmp_path / "w.npz", "--sparsity", "0.5", "-o", tmp_path / "bare")
    assert "bare layers" in failed(capsys, "evaluate", tmp_path / "bare", table)
    assert "missing" in failed(capsys, "inspect", tmp_path / "missing")
    for name in ("w.npz", "w.safetensors", "w.txt"):
        path = tmp_path / name
        path.write_bytes(b"PK\x03\x04 nothing")
        assert name in failed(capsys, "prune", path, "--sparsity", "0.5", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [
    (), ("nope",), ("fit",), ("fit", "a.csv", "--label", "b", "-o", "m"),
    ("fit", "a.csv", "--label", "b", "-o", "m", "--sparsity", "1.5"),
    ("fit", "a.csv", "--label", "b", "-o", "m", "--sparsity", "nan"),
    ("fit", "a.csv", "--label", "b", "-o", "m", "--sparsity", "0.5", "--text", "x", "--features", "y"),
    ("prune", "a.npz", "--sparsity", "0.5"), ("prune", "a.npz", "--sparsity", "0.5", "-o", "m", "--pattern", "0:4"),
    ("info", "--threads", "0"),
])
def test_wrong_usage_is_exit_code_two(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == "" and "usage" in err


def test_help_explains_every_argument_and_shows_its_default():
    commands = next(action for action in cli._parser()._actions if action.choices).choices
    for name, command in commands.items():
        for action in command._actions:
            where = f"{name} {action.option_strings or action.dest}"
            assert action.help, where
            if action.default not in (None, False, [], "==SUPPRESS=="):
                assert f"{action.default}" in action.help or "default" in action.help, where
        assert "usage" in command.format_help()


def test_info_and_bench(capsys):
    code, out, _ = run(capsys, "info", "--json")
    assert code == 0 and {"isa", "openmp", "threads"} <= set(json.loads(out))
    code, out, err = run(capsys, "bench", "--columns", "2", "--json")
    assert code == 0 and json.loads(out)["rows"], err


def test_as_a_module_in_a_fresh_process(tmp_path):
    done = subprocess.run([sys.executable, "-m", "sparsecore", "inspect", str(tmp_path / "missing")],
                          capture_output=True, text=True, timeout=120, cwd=tmp_path)   # not the source tree
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "missing" in done.stderr


def test_seal_unseal_rewrap_with_keys_from_files_and_variables(tmp_path, table, fitted, capsys, monkeypatch):
    pytest.importorskip("cryptography")
    plain = fitted.read_bytes()
    key, other = tmp_path / "key", tmp_path / "other"
    key.write_bytes(os.urandom(32))
    other.write_text(os.urandom(32).hex() + "\n")
    monkeypatch.setenv("SC_PHRASE", "correct horse")
    assert "key is needed" in failed(capsys, "seal", fitted)
    assert run(capsys, "seal", fitted, "--key-file", key)[0] == 0 and fitted.read_bytes() != plain
    assert "sealed" in failed(capsys, "inspect", fitted)
    assert "does not open" in failed(capsys, "inspect", fitted, "--key-file", other)
    assert run(capsys, "evaluate", fitted, table, "--key-file", key)[0] == 0
    assert run(capsys, "rewrap", fitted, "--key-file", key, "--new-key-file", other,
               "--new-passphrase-env", "SC_PHRASE")[0] == 0
    assert "does not open" in failed(capsys, "inspect", fitted, "--key-file", key)
    for keys in (("--key-file", other), ("--passphrase-env", "SC_PHRASE")):
        assert run(capsys, "unseal", fitted, "-o", tmp_path / "back", *keys)[0] == 0
        assert (tmp_path / "back").read_bytes() == plain


def test_movie_reviews_stay_accurate_at_ninety_five_percent(tmp_path, shared_data, capsys):
    code, out, err = run(capsys, "fit", shared_data / "text" / "movie_reviews_2000.csv.gz", "--text", "review",
                         "--label", "sentiment", "--sparsity", "0.95", "-o", tmp_path / "m", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["accuracy_dense"] >= 0.87 and facts["accuracy_pruned"] >= facts["accuracy_dense"] - 0.005


def test_sentences_in_batches_are_as_accurate_as_in_one_go(tmp_path, shared_data, capsys):
    """Batches had kept 4,096 of 30,666 terms: 68.3 % right where all of them give 77.9."""
    code, out, err = run(capsys, "fit", shared_data / "text" / "sentence_polarity_10662.csv.gz", "--text", "review",
                         "--label", "sentiment", "--sparsity", "0.95", "-o", tmp_path / "m", "--json",
                         "--batch-size", "2500")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["features"] > 30_000 and facts["accuracy_dense"] >= 0.76 and facts["accuracy_pruned"] >= 0.76


def test_the_demo_writes_its_picture_and_model(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    code, out, err = run(capsys, "demo", "-o", tmp_path / "demo", "--json")
    assert code == 0, err
    rows = json.loads(out)["rows"]
    assert rows[0]["test accuracy"] > 0.95 and rows[-1]["bytes on disk"] < 0.1 * rows[0]["bytes on disk"]
    assert sorted(p.name for p in (tmp_path / "demo").iterdir()) == [
        "digits.png", "digits_pruned.safetensors", "digits_test.csv"]
    code, out, _ = run(capsys, "evaluate", tmp_path / "demo" / "digits_pruned.safetensors",
                       tmp_path / "demo" / "digits_test.csv", "--json")
    assert code == 0 and json.loads(out)["accuracy"] > 0.95
