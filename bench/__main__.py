"""python -m bench [FAMILY ...] [--smoke] [--threads 2] [--out bench/results/NAME.json]

Runs the families (all by default), prints each case's ratio to the best peer and its share of the machine's limit
(STREAM and GEMM measured in the same run), writes JSON with every sample, and a chart beside it.
"""

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

FAMILIES = ("products", "spgemm", "structure", "elementwise", "threshold", "prepared", "svd")


def find_mkl():
    """The `mkl` package puts its library into the environment's lib folder, where the loader does not look."""
    found = sorted(Path(sys.prefix, "lib").glob("libmkl_rt.so*"))
    if found:
        os.environ.setdefault("MKL_RT", str(found[-1]))


def main():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}")
    parser.add_argument("--smoke", action="store_true", help="small matrices, few rounds: does everything still run?")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--budget", type=float, default=3.0, help="seconds for a case, at least 3 rounds")
    parser.add_argument("--minutes", type=float, default=1e9, help="start no case after so many minutes of a family")
    parser.add_argument("--match", default="", help="only cases whose 'op matrix' contains this")
    parser.add_argument("--out", type=Path, help="JSON file; default bench/results/latest.json, none with --smoke")
    args = parser.parse_args()
    unknown = set(args.families) - set(FAMILIES)
    if unknown:
        parser.error(f"unknown family {', '.join(sorted(unknown))}; known are {', '.join(FAMILIES)}")
    # Before any library with a pool of its own is loaded: the same number of threads for everybody.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    os.environ["KMP_BLOCKTIME"] = "1"       # ms that MKL's threads spin after a call; see harness.py

    find_mkl()
    from . import machine, report
    from .harness import measure

    def wanted(*names):
        return args.match in " ".join(names)

    limits = machine.limits(args.threads, args.smoke)
    print(report.limits_line(limits))
    rows = []
    for family in args.families or FAMILIES:
        module = importlib.import_module(f".{family}", __package__)
        started = time.monotonic()
        for case in module.cases(smoke=args.smoke, threads=args.threads, wanted=wanted):
            if not wanted(case.op, case.matrix):
                continue
            if time.monotonic() - started > 60 * args.minutes:
                print(f"{family}: stopped after {args.minutes:g} minutes, before {case.op} {case.matrix}")
                break
            rounds, budget = (3, 0.2) if args.smoke else (args.rounds, args.budget)
            row = measure(case, limits, rounds, budget)
            rows.append(row)
            print(report.line(row), flush=True)
            del case
    print(report.summary(rows))
    out = args.out or (None if args.smoke else Path(__file__).parent / "results" / "latest.json")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        record = {"date": time.strftime("%Y-%m-%d"), "machine": machine.describe(args.threads), "limits": limits,
                  "rows": rows}
        out.write_text(json.dumps(record, indent=1, default=str) + "\n")
        report.chart(rows, out.with_suffix(".png"))
        print(f"written: {out} and {out.with_suffix('.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
