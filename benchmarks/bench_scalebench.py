"""ScaleBench's protocol with our choice of runs and our fit: R2 on larger runs after 1, 5 and 10 % of the pool's cost.

Li et al., 2604.22753: runs of a pool are bought one by one, their outcomes hidden until then; after each stage the
law is fitted to what was bought and judged on the target runs, R2 clipped to [-1, 1]. Tables: shared/data/scalebench.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from figures import Figure, report

import difflaw
from difflaw.errors import InputError

DATA = Path(os.environ.get("DIFFLAW_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data" / "scalebench"
STAGES = (0.01, 0.05, 0.10)
THEIRS = {"farseer": (0.60, 0.88, 0.93, 0.91), "data_constrained": (0.73, 0.85, 0.86, 0.79)}
AIMS = {"farseer": (0.70, 0.90, 0.95, 0.95), "data_constrained": (0.75, 0.87, 0.88, 0.85)}
REPEATS, BATCH = 5, 4


def r2(forecast: np.ndarray, measured: np.ndarray) -> float:
    """1 - sum (y - p)²/sum (y - mean y)², at least -1."""
    spread = float(((measured - measured.mean()) ** 2).sum())
    return max(-1.0, 1 - float(((measured - forecast) ** 2).sum()) / spread)


def forecast(rows: pd.DataFrame, target: pd.DataFrame) -> np.ndarray:
    """Losses of the target runs by `difflaw.fit` and `difflaw.predict`."""
    return np.array([p.loss for p in difflaw.predict(difflaw.fit(rows), target)])


def staged(train: pd.DataFrame, target: pd.DataFrame, seed: int) -> list[tuple[float, float, int]]:
    """(R2, seconds, runs bought) after each stage. Runs are chosen a few at a time, each time from what is known."""
    names = {"params": "params", "N": "params", "tokens": "tokens", "D": "tokens"}
    train = train.rename(columns=names).drop(columns="group")
    target = target.rename(columns=names).drop(columns="group")
    pool, aims = train.drop(columns="loss"), target.drop(columns="loss")
    cost = 6 * (train["params"] * train["tokens"]).to_numpy(float)
    bought: list[int] = []
    out = []
    for share in STAGES:
        started = time.perf_counter()
        while True:
            left = share * cost.sum() - cost[bought].sum()
            try:
                found = difflaw.next_runs(train.iloc[bought], pool=pool, target=aims, budget=left, seed=seed)
            except InputError:  # nothing left that this stage can pay
                break
            bought += [run.row - 1 for run in found[: BATCH if len(bought) >= 2 * BATCH else 2]]
        score = r2(forecast(train.iloc[bought], aims), target["loss"].to_numpy(float))
        out.append((score, time.perf_counter() - started, len(bought)))
    return out


def main() -> list[Figure]:
    """Every table, or those named on the command line."""
    if not DATA.is_dir():
        print(f"skipped: no tables in {DATA}")
        return []
    figures = []
    print(f"{'table':18}{'share':>7}{'R2':>8}{'sd':>7}{'theirs':>8}{'runs':>6}{'seconds':>9}")
    for name in sys.argv[1:] or list(THEIRS):
        train, target = (pd.read_parquet(DATA / f"{name}_{part}.parquet") for part in ("train", "test"))
        found: Any = np.array([staged(train, target, seed) for seed in range(REPEATS)])
        for i, share in enumerate(STAGES):
            scores, seconds, runs = found[:, i].T
            print(
                f"{name:18}{100 * share:>5.0f} %{scores.mean():>8.3f}{scores.std():>7.3f}{THEIRS[name][i]:>8.2f}"
                f"{runs.mean():>6.0f}{seconds.mean():>9.1f}",
                flush=True,
            )
            figures.append(
                Figure(f"{name}, {100 * share:.0f} % of the cost", float(scores.mean()), "R2", at_least=AIMS[name][i])
            )
        started = time.perf_counter()
        score = r2(forecast(train, target.drop(columns="loss")), target["loss"].to_numpy(float))
        seconds = time.perf_counter() - started
        print(f"{name:18}{'all':>7}{score:>8.3f}{'':7}{THEIRS[name][3]:>8.2f}{len(train):>6}{seconds:>9.1f}")
        figures.append(Figure(f"{name}, all runs", score, "R2", at_least=AIMS[name][3]))
    return figures


if __name__ == "__main__":
    report(main)
