"""Which rows a surface is fitted to: neither the first steps of a run nor its overtrained end, and not too many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from difflaw.law.results import PowerLaw
from difflaw.law.surface.minimum import MANY_ROWS
from difflaw.law.table.early_stopping import early_stopped, repeated_runs
from difflaw.law.table.plateau import on_plateau
from difflaw.law.table.read import Table

MOST_RUNS = 2_000
"""Profiles of a family with more runs use this many of them, evenly spaced in the sorted table."""


def surface_rows(
    frame: Any,
    budgets: Sequence[float] = (),
    *,
    min_tokens_fraction: float = 0.1,
    params_law: PowerLaw | None = None,
    within: float | None = None,
) -> Any:
    """Rows of one family fit for the additive surface.

    Early in training the loss still falls from ln V and the additive form does not hold. A run with several rows
    therefore keeps those at or past the smallest budget (2 % slack: its tokens there are C/M); where no budget is
    known, and of a run that repeats its text, those past ``min_tokens_fraction`` of its last tokens: on little text a
    small size is at its best before the smallest budget. Runs with a single row are always kept. Rows past early
    stopping (`early_stopping.overtrained`) go first.

    Args:
        frame: canonical rows of one family, a pandas DataFrame; the result is one too.
        budgets: total FLOPs of the ladder's budgets.
        min_tokens_fraction: used without budgets, 0 to 1.
        params_law: N*(C), needed for ``within``.
        within: keep rows whose size is within this factor of N* at the row's own FLOPs; wide tables break the form
            (public tables moved the exponent from .50 to .31), None keeps all.
    """
    frame = early_stopped(frame)
    last = frame.groupby("run")["tokens"].transform("max").to_numpy(float)
    several = frame.groupby("run")["tokens"].transform("size").to_numpy(int) > 1
    late = frame["tokens"].to_numpy(float) >= min_tokens_fraction * last
    if len(budgets):
        late = np.where(repeated_runs(frame), late, frame["flops"].to_numpy(float) >= 0.98 * min(budgets))
    keep = (late | ~several) & ~on_plateau(frame)
    if within is not None and params_law is not None:
        best = np.array([params_law(c) for c in frame["flops"]])
        keep &= np.abs(np.log(frame["params"].to_numpy(float) / best)) <= math.log(within)
    return frame[keep]


def thin_rows(rows: Any) -> Any:
    """At most `MANY_ROWS` rows, evenly spaced in the sorted table."""
    if len(rows) <= MANY_ROWS:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, MANY_ROWS // 4).round().astype(int)]


def thin_runs(table: Table) -> tuple[Table, str]:
    """The table with at most `MOST_RUNS` runs a family, for profiles and curves, and a sentence where it cut."""
    every: Any = table.frame
    kept, cut = [], []
    for name in table.families:
        rows = every[every["family"] == name]
        runs = rows["run"].unique()
        if len(runs) > MOST_RUNS:
            some = runs[np.linspace(0, len(runs) - 1, MOST_RUNS).round().astype(int)]
            cut.append(f"profiles of {name} use {MOST_RUNS:,} of its {len(runs):,} runs, evenly spaced by size")
            rows = rows[rows["run"].isin(some)]
        kept.append(rows)
    if not cut:
        return table, ""
    import pandas as pd

    return replace(table, frame=pd.concat(kept, ignore_index=True)), "; ".join(cut)
