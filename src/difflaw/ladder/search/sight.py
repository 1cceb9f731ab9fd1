"""What the runs asked for so far show: an isoFLOP profile at each budget, judged by the law engine as in the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.ladder.search.sizes import Space
from difflaw.law.isoflop.profiles import fit_profiles
from difflaw.law.results import Profile
from difflaw.law.table.curves import Curve

Rows = Sequence[dict[str, Any]]
"""Rows of evaluations as `difflaw.law` reads them, of one family."""


@dataclass(frozen=True)
class Sight:
    """Profiles by place of the budget, and sizes whose run failed or diverged."""

    space: Space
    profiles: dict[int, Profile]
    failed: frozenset[int] = frozenset()

    def known(self, budget: int) -> dict[int, float]:
        """Size → ln loss of all that reached a budget."""
        found = self.profiles.get(budget)
        if found is None:
            return {}
        sizes = (int(np.argmin(np.abs(self.space.params - n))) for n in found.params)
        return dict(zip(sizes, map(math.log, found.loss), strict=True))

    def minimum(self, budget: int) -> tuple[float, float] | None:
        """(ln N*, its standard error) at a budget where the minimum lies inside."""
        found = self.profiles.get(budget)
        if found is None or found.vertex is None or self.asleep(budget):
            return None
        return math.log(found.vertex.params), found.vertex.ln_params_se

    def asleep(self, budget: int) -> bool:
        """Whether no run has learnt more than how often each token comes."""
        known = self.known(budget)
        return bool(known) and math.exp(min(known.values())) > self.space.asleep

    @property
    def inside(self) -> list[int]:
        """Budgets with a minimum inside the sizes that were run."""
        return [k for k in sorted(self.profiles) if self.minimum(k) is not None]


def see(space: Space, rows: Rows, failed: frozenset[int] = frozenset()) -> Sight:
    """Profiles of one family's rows at the budgets of its space."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        runs.setdefault(row["run"], []).append(row)
    curves = sorted((_curve(name, own) for name, own in runs.items()), key=lambda c: (c.params, c.run))
    found, _, _ = fit_profiles(space.family, curves, space.budgets)
    places = {budget: k for k, budget in enumerate(space.budgets)}
    return Sight(space, {places[p.flops]: p for p in found}, failed)


def _curve(run: str, rows: Rows) -> Curve:
    rows = sorted(rows, key=lambda row: row["flops"])
    ln_flops, ln_loss, loss_se = (np.array([row[key] for row in rows], float) for key in ("flops", "loss", "loss_se"))
    ours = (-1.0, -1.0, -1.0)  # one learning rate, batch and text for the whole search
    return Curve(run, rows[0]["params"], rows[0]["flops_per_token"], ours, np.log(ln_flops), np.log(ln_loss), loss_se)
