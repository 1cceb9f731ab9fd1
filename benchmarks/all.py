"""`make bench`: the benchmarks one after another, one table, and benchmarks/results/NAME.json of each.

Each runs as a process of its own with `--json`. One that fails, or takes too long, is a row that says so. Without
`--all` (`make bench ALL=1`) the long ones are left out, and named. Exit code 1 where one failed or missed a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
OWN = {"all.py", "figures.py", "planted.py", "search_worlds.py"}
LONG = {
    "bench_calibration": "40 min",
    "bench_exactness": "3 min",
    "bench_numerics": "5 min",
    "bench_recovery": "2 min",
    "bench_sample": "5 min",
    "bench_scalebench": "10 min",
    "bench_search": "40 min",
    "quality": "many trainings; goes on where it was stopped",
}
"""What those take, on one core, that are not run unless asked for."""
PATIENCE, LONG_PATIENCE = 600.0, 7200.0
"""Seconds after which a short and a long benchmark are given up."""
SHARES = ((1e8, 0.45), (4e6, 0.5), (0.0, 0.25))
"""Share of the matmul peak that training is held to, by the least parameters of the body (the first is for a GPU)."""
UNIFORM_OVER_AR = 1.35
"""How many times an autoregressive step's time one with uniform noise may take."""


@dataclass(frozen=True)
class Outcome:
    """How a benchmark ended: its figures, or the reason why there are none."""

    name: str
    seconds: float
    figures: tuple[Figure, ...] = ()
    failure: str = ""
    printed: Any = None

    @property
    def well(self) -> bool:
        """It ended, and missed no limit."""
        return not self.failure and all(figure.met is not False for figure in self.figures)


def find(folder: Path = HERE) -> list[Path]:
    """Every benchmark, the long ones last."""
    return sorted((p for p in folder.glob("*.py") if p.name not in OWN), key=lambda p: (p.stem in LONG, p.stem))


def run(script: Path, patience: float) -> Outcome:
    """Run one benchmark with ``--json``; what it printed last on standard output is read, whatever its exit code."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(script), "--json"],
        cwd=script.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=patience)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)  # its own children too
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return Outcome(script.stem, patience, failure=f"given up after {patience:g} s")
    seconds = time.perf_counter() - started
    lines, said = out.strip().splitlines(), err.strip().splitlines()
    if not lines:
        why = said[-1].strip() if said else "nothing on standard output"
        return Outcome(script.stem, seconds, failure=f"exit code {process.returncode}: {why}")
    try:
        printed = json.loads(lines[-1], parse_constant=_refuse)
        return Outcome(script.stem, seconds, tuple(figures_of(printed)), printed=printed)
    except (ValueError, KeyError, TypeError) as error:
        why = f"its JSON object cannot be read: {type(error).__name__}: {error}"
        return Outcome(script.stem, seconds, failure=f"exit code {process.returncode}: {why}")


def _refuse(constant: str) -> float:
    raise ValueError(f"a figure is {constant}")


def figures_of(printed: dict[str, Any]) -> list[Figure]:
    """Figures from the JSON of a benchmark: its own list, or a training table, or else every number at its top."""
    if "figures" in printed:
        return [Figure(**{k: v for k, v in figure.items() if k != "met"}) for figure in printed["figures"]]
    if "matmul_peak_gflops" in printed:
        over = printed.get("uniform_over_ar", {}).items()
        return [
            *_peaks(printed["matmul_peak_gflops"]),
            *(_training(case) for case in printed["cases"]),
            *(Figure(f"uniform step over autoregressive, {n}", v, "times", at_most=UNIFORM_OVER_AR) for n, v in over),
        ]
    found = {k: v for k, v in printed.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    if not found:
        raise ValueError("the JSON object has no figures")
    return [Figure(key.replace("_", " "), float(value)) for key, value in found.items()]


def _peaks(peaks: dict[str, float] | float) -> list[Figure]:
    by_dtype = peaks if isinstance(peaks, dict) else {"": peaks}
    return [Figure(f"matmul peak {dtype}".strip(), value, "GFLOP/s") for dtype, value in by_dtype.items()]


def _training(case: dict[str, Any]) -> Figure:
    body = case["body_parameters"]
    name = f"{case['family']}, body {body / 1e6:.2g}M, V = {case['vocabulary']:,}: {case['tokens_per_s']:,.0f} tokens/s"
    share = next(share for least, share in SHARES if body >= least)
    return Figure(name, case["share_of_peak"], "of peak", at_least=share)


def circumstances() -> dict[str, Any]:
    """Machine, versions, commit and date, without a path or a name of the machine."""
    from difflaw.ladder.machine import look

    machine = asdict(look(HERE))
    kept = ("processor", "cores", "memory_bytes", "vector", "matrix_flags", "accelerators", "platform")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {key: machine[key] for key in kept},
        "versions": {"python": machine["python"], **{name: version(name) for name in ("torch", "numpy", "scipy")}},
    }


def commit() -> str | None:
    """The commit checked out, "-dirty" where tracked files differ from it; None outside a checkout."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def store(outcome: Outcome, around: dict[str, Any], folder: Path) -> None:
    """Write NAME.json: circumstances, how it ended, and what the benchmark printed."""
    from difflaw.files import write_json

    folder.mkdir(parents=True, exist_ok=True)
    figures = [asdict(figure) | {"met": figure.met} for figure in outcome.figures]
    ended = {"benchmark": outcome.name, "seconds": outcome.seconds, "failure": outcome.failure or None}
    rest = {} if outcome.printed is None or "figures" in outcome.printed else {"printed": outcome.printed}
    write_json(folder / f"{outcome.name}.json", {**ended, **around, "figures": figures, **rest})


def show(outcomes: list[Outcome], left_out: list[str]) -> None:
    """The one table."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for heading, justify in (("benchmark", "left"), ("figure", "left"), ("value", "right"), ("limit", "left")):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("met")
    for outcome in outcomes:
        first = f"{outcome.name} ({outcome.seconds:.0f} s)"
        if outcome.failure:
            table.add_row(escape(first), escape(f"FAILED: {outcome.failure}"), "", "", "NO")
        for figure in outcome.figures:
            met = {None: "", True: "yes", False: "NO"}[figure.met]
            value = f"{figure.written(figure.value)} {figure.unit}"
            table.add_row(escape(first), escape(figure.name), value, figure.limit, met)
            first = ""
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)
    if left_out:
        print(f"left out, as they take long: {', '.join(left_out)}; `make bench ALL=1` runs all")


def main(arguments: list[str] | None = None, folder: Path = HERE, results: Path = RESULTS) -> int:
    """Run what is asked for; exit code 1 where a benchmark failed or missed a limit, 2 for an unknown name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="benchmarks to run, e.g. bench_fit (default: the short)"
    )
    parser.add_argument("--all", action="store_true", help="the long ones too")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    asked = parser.parse_args(arguments)
    known = {script.stem: script for script in find(folder)}
    wrong = [name for name in asked.names if name.removesuffix(".py") not in known]
    if wrong:
        parser.error(f"no benchmark {wrong[0]!r}: use one of {', '.join(known)}")
    chosen = [name.removesuffix(".py") for name in asked.names] or [n for n in known if asked.all or n not in LONG]
    left_out = [] if asked.names else [f"{name} ({LONG[name]})" for name in known if name not in chosen]
    around, outcomes = circumstances(), []
    for name in chosen:
        print(f"{name} ...", file=sys.stderr, flush=True)
        outcomes.append(run(known[name], LONG_PATIENCE if name in LONG else PATIENCE))
        store(outcomes[-1], around, results)
    if asked.json:
        rows = [asdict(outcome) | {"well": outcome.well} for outcome in outcomes]
        print(json.dumps({**around, "benchmarks": rows, "left_out": left_out}))
    else:
        show(outcomes, left_out)
        machine, torch = around["machine"], around["versions"]["torch"]
        cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
        at = f", commit {around['commit']}" if around["commit"] else ""
        print(f"{machine['processor']}, {cores}, torch {torch}{at}; written to {results}")
    return 0 if all(outcome.well for outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
