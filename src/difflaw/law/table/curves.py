"""Loss curves of runs, and what a family's runs say about the loss of each size at one budget."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.law.table.early_stopping import early_stopped
from difflaw.law.table.read import Table

OVERRUN = math.log(1.02)
"""How far past its last (or before its first) evaluation a run may be read, in ln FLOPs."""
SINGLE = math.log(1.05)
"""How far from a budget the only evaluation of a run may lie, in ln FLOPs."""


@dataclass(frozen=True)
class Curve:
    """One run: ln loss against ln FLOPs, increasing; at constant learning rate every point counts."""

    run: str
    params: float
    flops_per_token: float
    setting: tuple[float, float, float]
    """(learning rate, batch in tokens, different tokens where the run repeats them), -1 for NaN and for no repeats, so
    that unknown equals unknown."""
    ln_flops: np.ndarray
    ln_loss: np.ndarray
    loss_se: np.ndarray


@dataclass(frozen=True)
class Point:
    """Loss of one size at one budget, from one run or the mean of equal runs with other seeds."""

    runs: tuple[str, ...]
    params: float
    flops_per_token: float
    ln_loss: float
    loss_se: float
    settings: int
    """How many learning-rate/batch settings competed for this size."""
    gap: float
    """ln FLOPs between the two evaluations read, 0 where one was read directly."""


def curves_of(table: Table, family: str) -> tuple[Curve, ...]:
    """Curves of a family's runs, sorted by size and name; repeated evaluations at one point are averaged.

    Rows past early stopping are left out.
    """
    every: Any = table.frame
    frame = early_stopped(every[every["family"] == family])
    if not len(frame):
        return ()
    names, run = np.unique(frame["run"].to_numpy(str), return_inverse=True)
    order = np.argsort(run, kind="stable")
    columns = {c: _column(frame, c)[order] for c in ("params", "flops", "flops_per_token", "loss", "loss_se")}
    settings = np.stack([_column(frame, c)[order] for c in ("lr", "batch_tokens", "unique_tokens")], 1)
    repeats = _column(frame, "epochs")[order] > 1
    settings[~repeats, 2] = math.nan
    edges = np.searchsorted(run[order], np.arange(len(names) + 1))
    curves = []
    for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True):
        own = {c: values[start:stop] for c, values in columns.items()}
        keys, index = np.unique(np.log(own["flops"]).round(9), return_inverse=True)
        count = np.bincount(index)
        curves.append(
            Curve(
                run=str(name),
                params=float(own["params"][0]),
                flops_per_token=float(np.exp(np.mean(np.log(own["flops_per_token"])))),
                setting=_setting(settings[start:stop]),
                ln_flops=keys,
                ln_loss=np.bincount(index, np.log(own["loss"])) / count,
                loss_se=np.bincount(index, own["loss_se"]) / count,
            )
        )
    return tuple(sorted(curves, key=lambda c: (c.params, c.run)))


def _column(frame: Any, name: str) -> np.ndarray:
    return frame[name].to_numpy(float) if name in frame else np.full(len(frame), math.nan)


def points_at(curves: Sequence[Curve], budget: float) -> tuple[Point, ...]:
    """Loss of every size that has a run covering ``budget`` FLOPs, smallest size first; ``curves`` sorted by size.

    Runs of one size with equal learning rate, batch and text (other seeds) are averaged; among settings the lowest is
    taken, which is biased low by the noise of the runs (the caller warns, see `winners_bias`).
    """
    by_size: dict[float, dict[tuple[float, float, float], list[tuple[Curve, float, float, float]]]] = {}
    for curve in curves:
        read = read_curve(curve, budget)
        if read is None:
            continue
        # Curves come by size, so an equal size can only be the last one seen.
        last = next(reversed(by_size), math.inf)
        size = last if abs(last / curve.params - 1) < 1e-6 else curve.params
        by_size.setdefault(size, {}).setdefault(curve.setting, []).append((curve, *read))
    points = []
    for size in sorted(by_size):
        settings = by_size[size]
        means = {s: float(np.mean([item[1] for item in group])) for s, group in settings.items()}
        best = settings[min(means, key=lambda s: (means[s], s))]
        points.append(
            Point(
                runs=tuple(item[0].run for item in best),
                params=size,
                flops_per_token=float(np.exp(np.mean([math.log(item[0].flops_per_token) for item in best]))),
                ln_loss=float(np.mean([item[1] for item in best])),
                loss_se=float(np.mean([item[2] for item in best])),
                settings=len({setting[:2] for setting in settings}),
                gap=max(item[3] for item in best),
            )
        )
    return tuple(points)


def read_curve(curve: Curve, budget: float) -> tuple[float, float, float] | None:
    """(ln loss, loss_se, gap) of a run at ``budget`` FLOPs, or None where the run does not reach it.

    Linear between the neighbouring evaluations in logarithms, so exact at an evaluation. Past either end by at most
    2 % the end segment is prolonged; a run with a single evaluation stands for budgets within 5 %.
    """
    x, c = curve.ln_flops, math.log(budget)
    if len(x) == 1:
        near = abs(c - x[0]) <= SINGLE
        return (float(curve.ln_loss[0]), float(curve.loss_se[0]), 0.0) if near else None
    if c < x[0] - OVERRUN or c > x[-1] + OVERRUN:
        return None
    right = int(np.clip(np.searchsorted(x, c), 1, len(x) - 1))
    left = right - 1
    step = float(x[right] - x[left])
    share = (c - x[left]) / step
    if step < OVERRUN and not 0 <= share <= 1:
        share = min(max(share, 0.0), 1.0)  # two near-equal evaluations give no slope worth prolonging
    ln_loss = float((1 - share) * curve.ln_loss[left] + share * curve.ln_loss[right])
    gap = 0.0 if min(abs(c - x[left]), abs(c - x[right])) < 0.01 else step
    return ln_loss, float(curve.loss_se[left if share < 0.5 else right]), gap


def winners_bias(count: int) -> float:
    """Expected depth of the minimum of ``count`` equal noisy runs, in standard deviations of one (Blom's formula)."""
    from scipy.special import ndtri

    return float(ndtri((count - 0.375) / (count + 0.25))) if count > 1 else 0.0


def choose_budgets(table: Table, budgets: Sequence[float] | None) -> tuple[tuple[float, ...], str]:
    """The budgets to slice at and, in words, where they come from.

    The explicit list; else the distinct values of column `budget`; else clusters of FLOPs (within 5 %) when every run
    is a single row; else five log-spaced budgets over the range that at least three sizes of some family cover.
    """
    if budgets is not None:
        return tuple(sorted({float(b) for b in budgets})), "budgets as asked for"
    frame: Any = table.frame
    if "budget" in frame and frame["budget"].notna().any():
        return tuple(sorted(set(frame["budget"].dropna().astype(float)))), "budgets from the column 'budget'"
    if not frame.duplicated(["family", "run"]).any():
        return _clusters(table), "budgets found by grouping FLOPs that lie within 5 %"
    return _spread(table), "budgets chosen log-spaced over the range that at least three sizes cover"


def _clusters(table: Table) -> tuple[float, ...]:
    frame: Any = table.frame.sort_values("flops", kind="stable")
    flops, sizes = np.log(frame["flops"].to_numpy(float)), frame["params"].to_numpy(float)
    family = np.unique(frame["family"].to_numpy(str), return_inverse=True)[1]
    found, start = [], 0
    for stop in range(1, len(flops) + 1):
        if stop < len(flops) and flops[stop] - flops[start] <= SINGLE:
            continue
        cells = set(zip(family[start:stop].tolist(), sizes[start:stop].tolist(), strict=True))
        if max(Counter(f for f, _ in cells).values()) >= 3:
            found.append(math.exp(float(np.mean(flops[start:stop]))))
        start = stop
    return tuple(found)


def _spread(table: Table) -> tuple[float, ...]:
    low, high = math.inf, -math.inf
    for family in table.families:
        curves = curves_of(table, family)
        ends = np.array([[c.ln_flops[0], c.ln_flops[-1]] for c in curves])
        sizes = np.array([c.params for c in curves])
        for c in np.unique(ends):
            covered = (ends[:, 0] <= c + 1e-9) & (ends[:, 1] >= c - 1e-9)
            if len(np.unique(sizes[covered])) >= 3:
                low, high = min(low, float(c)), max(high, float(c))
    if not low < high:
        return ()
    return tuple(float(v) for v in np.exp(np.linspace(low, high, 5)))


def _setting(rows: np.ndarray) -> tuple[float, float, float]:
    """Rate and batch of a run's last row, and its text (to six digits) if any row repeats it."""
    rate, batch = rows[-1, :2]
    text = rows[~np.isnan(rows[:, 2]), 2]
    return _known(float(rate)), _known(float(batch)), float(f"{text[-1]:.6g}") if len(text) else -1.0


def _known(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def reached(table: Table, budgets: Sequence[float]) -> tuple[float, ...]:
    """Those of ``budgets`` that a run of some family reaches, smallest first: the ones that have a profile."""
    curves = [curves_of(table, family) for family in table.families]
    return tuple(sorted(b for b in budgets if any(points_at(own, b) for own in curves)))
