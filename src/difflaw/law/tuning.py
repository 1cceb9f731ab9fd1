"""Batch and rate of every family of a table, and its rows as if all had been run at the best of both."""

from __future__ import annotations

from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.law.hyperparameters import FURTHEST_MOVED, HyperparameterFit, fit_hyperparameters
from difflaw.law.sweep_cells import cell_ids, lowest_by, rows_by
from difflaw.law.table.read import Table
from difflaw.law.table.trim import surface_rows, thin_rows

FEWEST_RUNS = 18
"""Runs that batch and rate laws need: their fit has up to thirteen parameters."""
DIVERGED = 0.02
"""Rows that stand this share of the loss, or five times the misfit, above their cell once moved are left out."""


def hyperparameter_fits(table: Table) -> tuple[dict[str, HyperparameterFit], list[str]]:
    """Batch and rate laws by family, and why a family has none; rows of a run's first steps are left out."""
    found: dict[str, HyperparameterFit] = {}
    missing: list[str] = []
    every: Any = table.frame
    for family in table.families:
        rows = every[every["family"] == family]
        if reason := no_sweep(rows):
            missing.append(f"{family}: batch and rate: {reason}")
            continue
        rows = thin_rows(surface_rows(known_rows(rows, ("batch_tokens", "lr"))))
        columns = [rows[c].to_numpy() for c in ("params", "tokens", "batch_tokens", "lr", "loss", "run")]
        try:
            found[family] = fit_hyperparameters(*columns)
        except InputError as error:
            missing.append(f"{family}: batch and rate: {str(error).removeprefix('batch and rate: ')}")
    reasons = {line.partition(": ")[2] for line in missing}
    if len(reasons) == 1 and len(missing) == len(table.families):
        return found, sorted(reasons)
    return found, missing


def no_sweep(rows: Any) -> str:
    """Why rows cannot say how batch and rate matter, or an empty string."""
    for column, what in (("batch_tokens", "batch size (tokens per step)"), ("lr", "learning rate")):
        if column not in rows or not np.isfinite(rows[column].to_numpy(float)).any():
            return f"the table has no {what}"
        values = rows[column].dropna().unique()
        if len(values) < 3:
            return f"only {len(values)} {what}{'s' * (len(values) > 1)} in the table; a law needs three or more"
    ends = rows.sort_values("tokens").groupby("run").tail(1)
    cells = ends.groupby([np.log(ends["params"]).round(2), np.log(ends["tokens"]).round(1)])["lr"].nunique()
    if int((cells > 1).sum()) < 3:
        return "fewer than three cells (a size and its tokens) were run at several learning rates"
    if len(ends) < FEWEST_RUNS:
        return f"{len(ends)} runs cannot carry its thirteen parameters; give at least {FEWEST_RUNS}"
    return ""


def known_rows(rows: Any, columns: tuple[str, ...]) -> Any:
    """Rows with a positive finite number in every one of ``columns``."""
    values = rows[list(columns)].to_numpy(float)
    return rows[(np.isfinite(values) & (values > 0)).all(1)]


def at_best_hyperparameters(rows: Any, tuning: HyperparameterFit | None) -> tuple[Any, tuple[str, ...]]:
    """Rows with their losses moved to the best batch and rate, those far from it and diverged ones left out.

    ln L - k_B·(ln B - ln B*)² - k_eta·(ln eta - ln eta*)², as far out as the fit reaches; a cell with no row so near
    keeps its nearest, up to `FURTHEST_MOVED`. A sentence says what was done. Without a fit, rows that differ only in
    batch or rate are kept as they are, and a sentence says that they count as noise.
    """
    if tuning is None:
        if _tuned_differently(rows):
            return rows, (
                "runs of equal size and tokens differ in batch or rate, and no fit of them says what that costs: "
                "the surface takes it for noise; leave badly tuned runs out",
            )
        return rows, ()
    known = np.isfinite(rows["batch_tokens"].to_numpy(float)) & np.isfinite(rows["lr"].to_numpy(float))
    rows = rows[known & (rows["batch_tokens"].to_numpy(float) > 0) & (rows["lr"].to_numpy(float) > 0)]
    settings = zip(*(rows[c] for c in ("batch_tokens", "lr", "tokens", "params")), strict=True)
    cost, loss = np.array([tuning.cost(*s) for s in settings]), rows["loss"].to_numpy(float)
    if not len(cost):
        return rows, ()
    cells = cell_ids(np.log(rows["params"].to_numpy(float)), np.log(rows["tokens"].to_numpy(float)))
    near = cost <= np.clip(lowest_by(cells, cost), min(tuning.reach, FURTHEST_MOVED), FURTHEST_MOVED)
    level, most = np.log(loss) - cost, max(DIVERGED, 5 * tuning.rmse_log)
    for members in rows_by(cells):
        some = members[near[members]]
        near[some] = level[some] <= np.median(level[some]) + most if len(some) else False
    moved = rows.assign(loss=np.exp(level))[near]
    median = 100 * float(np.median(cost[near])) if near.any() else 0.0
    text = f"losses are moved to the best batch and rate (by {median:.2g} % in half"
    text += f" of the rows), and {int((~near).sum())} rows whose batch and rate cost more than "
    text += f"{100 * min(tuning.reach, FURTHEST_MOVED):.2g} %, or which diverged, are left out"
    return moved, (text,)


def _tuned_differently(rows: Any) -> bool:
    """Whether more than one in ten cells of equal size and tokens was run at several batches or rates."""
    there = [c for c in ("batch_tokens", "lr") if c in rows]
    if not there:
        return False
    ends = rows.sort_values("tokens").groupby("run").tail(1)
    ends = ends.assign(cell_n=np.log(ends["params"]).round(2), cell_d=np.log(ends["tokens"]).round(2))
    cells = ends.groupby(["cell_n", "cell_d"])[there].nunique()
    return bool((cells > 1).any(axis=1).mean() > 0.1)
