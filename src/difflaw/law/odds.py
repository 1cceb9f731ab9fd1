"""Which family of a table has the lowest loss at a budget, and with what probability: one answer for fit and plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.law.hyperparameters import HyperparameterFit
from difflaw.law.surface.fit import fit_surface
from difflaw.law.surface.joint import JointFit, Standing, fit_joint, standings
from difflaw.law.table.curves import choose_budgets, reached
from difflaw.law.table.read import Table
from difflaw.law.table.trim import surface_rows, thin_rows, thin_runs
from difflaw.law.tuning import at_best_hyperparameters, hyperparameter_fits


@dataclass(frozen=True)
class Odds:
    """Families fitted jointly, ready to be asked at any budget."""

    joint: JointFit
    sizes: Mapping[str, np.ndarray]
    """(params, flops_per_token) of the rows of each family, shape (n, 2), which relate the two counts of a size."""
    largest: float
    """Largest FLOPs fitted."""

    def at(self, flops: float, seed: int = 0) -> tuple[Standing, ...]:
        """The families at a budget, likeliest winner first."""
        return tuple(standings(self.joint, flops, sizes=self.sizes, seed=seed))


def fit_odds(
    table: Table,
    *,
    budgets: Sequence[float] | None = None,
    tuned: Mapping[str, HyperparameterFit] | None = None,
) -> Odds:
    """Fit all families of a table that can carry a surface jointly, sizes as FLOPs per token (C = M·D in the table).

    Args:
        table: of two families or more.
        budgets: FLOPs of the ladder; runs of several rows count from the smallest that is reached. Default: found in
            the table, as `fit_laws` finds them.
        tuned: batch and rate fits by family, to whose optimum losses are moved. Default: fitted here.

    Raises:
        InputError: fewer than two families that can carry a surface.
    """
    if tuned is None:
        tuned = hyperparameter_fits(table)[0]
    light = thin_runs(table)[0]
    seen = reached(light, choose_budgets(light, budgets)[0])
    every: Any = table.frame
    parts = []
    for name in table.families:
        rows = surface_rows(every[every["family"] == name], seen)
        rows = thin_rows(at_best_hyperparameters(rows, tuned.get(name))[0])
        if fit_surface(*(rows[c].to_numpy() for c in ("params", "tokens", "loss", "run")))[0] is not None:
            parts.append(rows)
    if len(parts) < 2:
        raise InputError(
            f"odds compare at least two families with a surface; {table.source} has {len(parts)} such among "
            f"{', '.join(table.families)}"
        )
    columns = ("flops_per_token", "tokens", "loss", "family")
    joint = fit_joint(*(np.concatenate([p[c].to_numpy() for p in parts]) for c in columns), flops_factor=1.0)
    sizes = {str(p["family"].iloc[0]): p[["params", "flops_per_token"]].to_numpy(float) for p in parts}
    return Odds(joint, sizes, float(max(p["flops"].max() for p in parts)))
