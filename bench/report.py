"""Tables and the chart of benchmark rows.  `python -m bench.report FILE.json ...` rewrites the README's table."""

import argparse
import json
from pathlib import Path

from .harness import geomean

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def limits_line(limits):
    return (f"limits: read {limits['stream_read'] / 1e9:.1f} GB/s, triad {limits['stream_triad'] / 1e9:.1f} GB/s, "
            f"GEMM f32 {limits['gemm_f32'] / 1e9:.0f} and f64 {limits['gemm_f64'] / 1e9:.0f} Gflop/s")


def line(row):
    ratio = f"{row['ratio']:6.2f}x {row['best_peer']}" if row["ratio"] else "  no peer"
    share = f"  {100 * row['share_of_limit']:3.0f} % of {row['limit']}" if row["share_of_limit"] else ""
    out = "".join(f"  [{k}: {v}]" for k, v in row["left_out"].items())
    return f"{row['op']:24} {row['matrix']:22} {row['seconds'] * 1e3:10.3f} ms {ratio:28}{share}{out}"


def by_op(rows):
    groups = {}
    for row in rows:
        groups.setdefault((row["family"], row["op"]), []).append(row)
    return groups


def summary(rows):
    lines = ["", "geometric mean of (best peer's time / ours) and the worst case:"]
    for (_, op), group in by_op(rows).items():
        ratios = [r for r in group if r["ratio"]]
        if ratios:
            worst = min(ratios, key=lambda r: r["ratio"])
            lines.append(f"  {op:24} {geomean([r['ratio'] for r in ratios]):6.2f}   worst {worst['ratio']:.2f} "
                         f"({worst['matrix']}, against {worst['best_peer']})")
    return "\n".join(lines)


def markdown(records):
    """The README's table: one row per operation, losses shown in the last column."""
    lines = ["| operation | cases | geometric mean | worst | losses (ratio < 1) |", "|---|---|---|---|---|"]
    for record in records:
        for (_, op), group in by_op(record["rows"]).items():
            ratios = [r for r in group if r["ratio"]]
            if not ratios:
                continue
            worst = min(ratios, key=lambda r: r["ratio"])
            losses = [f"{r['matrix']} {r['ratio']:.2f} ({r['best_peer']})" for r in ratios if r["ratio"] < 1]
            lines.append(f"| {op} | {len(ratios)} | {geomean([r['ratio'] for r in ratios]):.2f} | "
                         f"{worst['ratio']:.2f} {worst['matrix']} ({worst['best_peer']}) | "
                         f"{', '.join(losses) or 'none'} |")
    machine, limits = records[0]["machine"], records[0]["limits"]
    lines += ["", f"{machine['cpu']}, {machine['threads']} threads, {machine['sparsecore']['isa']}; "
              f"{limits_line(limits)}; measured {records[0]['date']}."]
    return "\n".join(lines)


def chart(rows, path):
    """Ratios to the best peer by case, on a logarithmic axis: right of the line we are faster."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [r for r in rows if r["ratio"]]
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(8, 1 + 0.2 * len(rows)), layout="constrained")
    places = range(len(rows))
    axes.barh(places, [r["ratio"] for r in rows], left=0,
              color=["tab:blue" if r["ratio"] >= 1 else "tab:red" for r in rows])
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(places, [f"{r['op']}  {r['matrix']}" for r in rows], fontsize=6)
    axes.invert_yaxis()
    axes.set_xlabel("best peer's time / ours")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description="Rewrites the README's table from results of `python -m bench`.")
    latest = Path(__file__).parent / "results" / "latest.json"
    parser.add_argument("files", nargs="*", type=Path, default=[latest], metavar="FILE.json")
    records = [json.loads(f.read_text()) for f in parser.parse_args().files]
    readme = Path(__file__).resolve().parents[1] / "README.md"
    head, rest = readme.read_text().split(BEGIN)
    tail = rest.split(END)[1]
    readme.write_text(f"{head}{BEGIN}\n{markdown(records)}\n{END}{tail}")
    print(f"README.md: table of {sum(len(r['rows']) for r in records)} cases")


if __name__ == "__main__":
    main()
