"""Do the answers of `difflaw.fit` cover? Planted ladders through the shipped path, five families through `plan` too."""

from __future__ import annotations

import math
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from figures import Figure, report
from planted import DESIGNS, TRUTHS, measured

import difflaw
from difflaw.law.published import published_set
from difflaw.law.surface.fit import fit_surface
from difflaw.law.surface.predict import optimum

LADDERS, FAMILY_LADDERS = 200, 50
NOISES = (0.002, 0.006)
LOW, HIGH = 0.92, 0.985
PARTS = ("exponent", "N*(10x)", "L*(10x)", "one run")


def one(task: tuple[str, str, float, int]) -> tuple[list[bool], float, float]:
    """(what was covered, error of ln N*(10x) by `fit`, and by the free form alone) of one ladder."""
    name, design, sd, seed = task
    truth = TRUTHS[name]
    n, d, loss = measured(truth, design, sd, seed)
    answer = difflaw.fit(pd.DataFrame({"params": n, "tokens": d, "loss": loss})).families["all"].answer
    assert answer is not None
    far = 10 * float(truth.budgets[-1])
    size, lowest = truth.best(far)
    run = math.exp(lowest + sd * np.random.default_rng([seed, 1]).standard_normal())
    a, at = answer.params_exponent, answer.ten_times
    if a is None or at is None or at.params is None or at.loss is None:
        return [False] * 4, math.nan, math.nan
    covered = [
        a.low <= truth.exponent <= a.high,
        at.params.low <= math.exp(size) <= at.params.high,
        at.loss.law[0] <= math.exp(lowest) <= at.loss.law[1],
        at.loss.run[0] <= run <= at.loss.run[1],
    ]
    surface, _ = fit_surface(n, d, loss)
    free = math.nan if surface is None else math.log(optimum(surface, far).params) - size
    return covered, math.log(at.params.estimate) - size, free


def families(task: tuple[str, float, int]) -> tuple[bool, list[bool], list[bool]]:
    """(winner named, one-run intervals that hold, law intervals that hold) of one ladder of five noise types."""
    design, sd, seed = task
    surfaces = {f.name: f.surface for f in published_set("gidd").families.values() if f.surface is not None}
    budgets = np.geomspace(5e17, 2e20, 5)

    def best(s: object, c: float) -> tuple[float, float]:
        m = np.geomspace(1e7, 1e13, 4001)
        values = s.E + s.A * m**-s.alpha + s.B * (c / m) ** -s.beta  # type: ignore[attr-defined]
        return float(m[values.argmin()]), float(values.min())

    rng, rows = np.random.default_rng([seed, round(1e5 * sd)]), []
    for name, s in surfaces.items():
        ends = best(s, budgets[0])[0], best(s, budgets[-1])[0]
        for c in budgets:
            if design == "fixed":
                sizes = np.array([2.5166e8, 4.5220e8, 7.3610e8, 1.6106e9, 4.1524e9])
            elif design == "edge":
                sizes = np.geomspace(1.2 * ends[0], 4 * ends[1], 5)
            else:
                count = int(design[-1])
                sizes = best(s, c)[0] * 1.6 ** (np.arange(count) - (count - 1) / 2)
            for m in sizes:
                loss = (s.E + s.A * m**-s.alpha + s.B * (c / m) ** -s.beta) * math.exp(sd * rng.standard_normal())
                rows.append({"family": name, "params": m / 6, "tokens": c / m, "flops": c, "loss": loss})
    laws = difflaw.fit(pd.DataFrame(rows))
    far = 10 * float(budgets[-1])
    truth = {name: best(s, far)[1] for name, s in surfaces.items()}
    plans = difflaw.plan(laws, flops=far)
    runs, held = [], []
    for p in plans:
        s = surfaces[p.family]
        at = s.E + s.A * p.flops_per_token**-s.alpha + s.B * p.tokens**-s.beta
        run = at * math.exp(sd * rng.standard_normal())
        runs.append(p.run_interval is not None and p.run_interval.low <= run <= p.run_interval.high)
        held.append(p.loss_interval is not None and p.loss_interval.low <= at <= p.loss_interval.high)
    return plans[0].family == min(truth, key=lambda name: truth[name]), runs, held


def main() -> list[Figure]:
    """All cells, or those of the truths named on the command line: [LADDERS [TRUTH ...]]."""
    ladders = int(sys.argv[1]) if len(sys.argv) > 1 else LADDERS
    wanted = sys.argv[2:] or [*TRUTHS, "families"]
    started, shares, ratios, missed = time.perf_counter(), [], [], []
    print(f"{ladders} ladders a cell through difflaw.fit; coverage of 95 % intervals: {', '.join(PARTS)};")
    print("RMSE of ln N*(10x), over that of the free additive form alone")
    with ProcessPoolExecutor(2) as pool:
        for name in (w for w in wanted if w in TRUTHS):
            for design in DESIGNS:
                for sd in NOISES:
                    tasks = [(name, design, sd, seed) for seed in range(ladders)]
                    covered, ours, free = zip(*pool.map(one, tasks, chunksize=5), strict=True)
                    share = np.array(covered).mean(0)
                    rmse = [math.sqrt(float(np.nanmean(np.square(v)))) for v in (ours, free)]
                    shares.append(share)
                    ratios.append(rmse[0] / rmse[1])
                    marks = "".join("" if LOW <= s <= HIGH else "*" for s in share)
                    missed += [f"{name} {design} {sd:g} {p}" for p, s in zip(PARTS, share, strict=True) if s < LOW]
                    print(
                        f"{name:12}{design:10}{sd:<8g}{'  '.join(f'{s:.3f}' for s in share)}  {rmse[0]:.3f} "
                        f"{rmse[0] / rmse[1]:5.2f}  {marks}",
                        flush=True,
                    )
        found: list[Figure] = []
        if "families" in wanted:
            found = _families(pool, max(FAMILY_LADDERS * ladders // LADDERS, 4))
    print(f"{time.perf_counter() - started:.0f} s; below {LOW}: {'; '.join(missed) or 'none'}")
    if not shares:
        return found
    cells = np.array(shares)
    return [
        Figure("lowest coverage of a cell", float(cells.min()), at_least=LOW),
        Figure("highest coverage of a cell", float(cells.max()), at_most=HIGH),
        Figure("mean coverage", float(cells.mean())),
        Figure("share of cells and parts between .92 and .985", float(((cells >= LOW) & (cells <= HIGH)).mean())),
        Figure("largest RMSE of ln N*(10x) over the free form's", max(ratios), "times", at_most=1.0),
        Figure("median of those", float(np.median(ratios)), "times"),
        *found,
    ]


def _families(pool: ProcessPoolExecutor, ladders: int) -> list[Figure]:
    print(
        f"\nfive noise types, {ladders} ladders a design: winner first in plan; one-run and law intervals of all plans"
    )
    figures = []
    for design in ("fixed", "5x7", "5x5", "edge"):
        for sd in (0.003, 0.004):
            tasks = [(design, sd, seed) for seed in range(ladders)]
            right, runs, held = zip(*pool.map(families, tasks, chunksize=2), strict=True)
            share, run, law = float(np.mean(right)), float(np.mean(runs)), float(np.mean(held))
            print(f"{design:10}{sd:<8g}{share:.3f}  {run:.3f}  {law:.3f}", flush=True)
            figures.append(Figure(f"five families, {design}, {sd:g}: winner first", share, at_least=0.95))
            figures.append(Figure(f"five families, {design}, {sd:g}: one run inside", run, at_least=LOW, at_most=HIGH))
    return figures


if __name__ == "__main__":
    report(main)
