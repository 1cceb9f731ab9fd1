"""What a table says beyond its frontier: batch and rate, repeated data, families fitted jointly, the first paper's way.

Each part is fitted where the table's columns can carry it, and says in a line why not where they cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.law.bowl import Bowl, fit_bowl
from difflaw.law.data_limited import DataLimitedLaw, fit_data_limited
from difflaw.law.first_paper import PaperLaw, frontier
from difflaw.law.format import human
from difflaw.law.joint import JointFit, Standing, fit_joint, standings, standings_in_words
from difflaw.law.minimum import MANY_ROWS
from difflaw.law.results import Laws
from difflaw.law.table import Table
from difflaw.law.trim import surface_rows
from difflaw.law.words import plain

AHEAD = 10.0
"""Winners are named at the table's largest budget and this many times further."""


@dataclass(frozen=True)
class Beyond:
    """Parts by family name; ``joint`` and ``standings`` (by FLOPs) of all families; ``missing`` says what and why."""

    batch_and_rate: dict[str, Bowl]
    repeated_data: dict[str, DataLimitedLaw]
    joint: JointFit | None
    standings: dict[float, tuple[Standing, ...]]
    first_paper: dict[str, dict[str, PaperLaw]]
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; keys are the fields, standings in a list."""
        found = plain(self)
        found["standings"] = [{"flops": c, "families": plain(s)} for c, s in self.standings.items()]
        return found


def fit_beyond(table: Table, laws: Laws, *, seed: int = 0, first_paper: bool = False) -> Beyond:
    """Everything above for a fitted table; ``first_paper`` adds 2512.10858's own frontier procedure."""
    frame: Any = table.frame
    missing: list[str] = []
    bowls: dict[str, Bowl] = {}
    repeated: dict[str, DataLimitedLaw] = {}
    paper: dict[str, dict[str, PaperLaw]] = {}

    def attempt(what: str, fit: Callable[[], Any]) -> Any:
        try:
            return fit()
        except InputError as error:
            missing.append(f"{what}: {error}")
            return None

    for family in table.families:
        rows = frame[frame["family"] == family]
        if _varies(rows, "batch_tokens") and _varies(rows, "lr"):
            columns = [rows[c].to_numpy() for c in ("params", "tokens", "batch_tokens", "lr", "loss", "run")]
            found = attempt(f"{family}: batch and rate", lambda columns=columns: fit_bowl(*columns))
            if found is not None:
                bowls[family] = found
        if "epochs" in rows and float(rows["epochs"].max()) > 1.0:
            known = rows[np.isfinite(rows["epochs"].to_numpy(float)) & (rows["epochs"].to_numpy(float) > 0)]
            columns = [known["params"], known["tokens"], known["tokens"] / known["epochs"], known["loss"]]
            arrays = [column.to_numpy(float) for column in columns]
            found = attempt(f"{family}: repeated data", lambda arrays=arrays: fit_data_limited(*arrays))
            if found is not None:
                repeated[family] = found
        if first_paper:
            found = (
                attempt(
                    f"{family}: first paper", lambda rows=rows: frontier(rows, sorted(set(rows["budget"])), seed=seed)
                )
                if "budget" in rows
                else None
            )
            if found is not None:
                paper[family] = found
    if not bowls and not missing:
        missing.append("batch and rate: no family has runs at several batch sizes and learning rates")
    if first_paper and "budget" not in frame:
        missing.append("first paper: its procedure slices at a column 'budget', which the table has not")
    fit, found = _jointly(frame, laws, seed, missing)
    return Beyond(bowls, repeated, fit, found, paper, tuple(missing))


def in_words(beyond: Beyond) -> list[str]:
    """A sentence or two on each part, for someone who is no statistician."""
    lines = []
    for family, bowl in beyond.batch_and_rate.items():
        batch = ", ".join(f"{name}^{value:.2f}" for name, value in bowl.batch_exponents.items())
        rate = ", ".join(f"{name}^{value:.2f}" for name, value in bowl.rate_exponents.items())
        lines.append(
            f"{family}: the best batch goes as {batch or 'a constant'}, the best rate as {rate or 'a constant'}."
        )
    for family, law in beyond.repeated_data.items():
        if law.half_life is None:
            lines.append(
                f"{family}: data seen up to {law.most_epochs:.3g} times are worth nearly as much as fresh data; "
                f"all that can be said of R* is that it is larger than {law.half_life_at_least:.3g} repeats."
            )
        else:
            span = law.half_life_interval
            text = f" [{span.low:.3g}, {span.high:.3g}]" if span else ""
            lines.append(
                f"{family}: repeated data lose their worth after about R* = {law.half_life:.3g}{text} repeats."
            )
    if beyond.joint is not None:
        for flops, found in beyond.standings.items():
            lines += standings_in_words(found, flops, beyond.joint, _size(beyond.joint))
    for family, laws in beyond.first_paper.items():
        if "params" in laws:
            law = laws["params"]
            lines.append(
                f"{family}, by the first paper's procedure: N* = {human(law.law.coefficient)}·C^{law.law.exponent:.3f} "
                f"[{law.interval.low:.3f}, {law.interval.high:.3f}]; its intervals resample optima and are too narrow."
            )
    return lines


def _varies(rows: Any, column: str) -> bool:
    return column in rows and len(set(rows[column].dropna())) >= 3


def _size(fit: JointFit) -> str:
    return "FLOPs per token" if fit.flops_factor == 1.0 else "parameters"


def _jointly(
    frame: Any, laws: Laws, seed: int, missing: list[str]
) -> tuple[JointFit | None, dict[float, tuple[Standing, ...]]]:
    """Families with a surface, sizes as FLOPs per token so that budgets are the table's own."""
    able = [name for name, family in laws.families.items() if family.surface is not None]
    if len(able) < 2:
        if len(laws.families) > 1:
            missing.append("families jointly: fewer than two of them have a surface")
        return None, {}
    parts = [surface_rows(frame[frame["family"] == name]) for name in able]
    rows = {
        c: np.concatenate([p[c].to_numpy() for p in parts]) for c in ("flops_per_token", "tokens", "loss", "family")
    }
    if len(rows["loss"]) > MANY_ROWS:
        missing.append(f"families jointly: not done for more than {MANY_ROWS:,} rows")
        return None, {}
    try:
        fit = fit_joint(*rows.values(), flops_factor=1.0)
        largest = float(max(p["flops"].max() for p in parts))
        return fit, {c: tuple(standings(fit, c, seed=seed)) for c in (largest, AHEAD * largest)}
    except InputError as error:
        missing.append(f"families jointly: {error}")
        return None, {}
