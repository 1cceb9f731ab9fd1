"""What a table says beyond its frontier: batch and rate, repeated data, families fitted jointly, the first paper's way.

Each part is fitted where the table's columns can carry it, and says in a line why not where they cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import count
from difflaw.law.fit import AHEAD, at_bottom
from difflaw.law.hyperparameters import Bowl, fit_bowl
from difflaw.law.isoflop.first_paper import PaperLaw, batch_law, frontier, rate_law
from difflaw.law.repeated_data import DataLimitedLaw, FormName, fit_data_limited
from difflaw.law.results import FamilyLaws, Laws
from difflaw.law.surface.joint import JointFit, Standing, fit_joint, standings, standings_in_words
from difflaw.law.surface.minimum import MANY_ROWS
from difflaw.law.table.read import Table
from difflaw.law.table.trim import surface_rows
from difflaw.law.words import plain

FORMS: tuple[FormName, ...] = ("saturating", "overfitting")
FEWEST_RUNS = 18
"""Runs that batch and rate laws need: their fit has up to twelve parameters."""


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


def fit_bowls(table: Table) -> tuple[dict[str, Bowl], list[str]]:
    """Batch and rate laws by family, and why a family has none; rows of a run's first steps are left out."""
    bowls: dict[str, Bowl] = {}
    missing: list[str] = []
    every: Any = table.frame
    for family in table.families:
        rows = every[every["family"] == family]
        if reason := _no_sweep(rows):
            missing.append(f"{family}: batch and rate: {reason}")
            continue
        rows = _thinned(surface_rows(_known(rows, ("batch_tokens", "lr"))))
        columns = [rows[c].to_numpy() for c in ("params", "tokens", "batch_tokens", "lr", "loss", "run")]
        try:
            bowls[family] = fit_bowl(*columns)
        except InputError as error:
            missing.append(f"{family}: batch and rate: {str(error).removeprefix('bowl: ')}")
    reasons = {line.partition(": ")[2] for line in missing}
    if len(reasons) == 1 and len(missing) == len(table.families):
        return bowls, sorted(reasons)
    return bowls, missing


def fit_beyond(
    table: Table,
    laws: Laws,
    *,
    seed: int = 0,
    first_paper: bool = False,
    bowls: tuple[dict[str, Bowl], list[str]] | None = None,
) -> Beyond:
    """Everything above for a fitted table.

    Args:
        table: that the laws were fitted to.
        laws: from `fit_laws`.
        seed: of draws and resampling.
        first_paper: add 2512.10858's own procedure.
        bowls: from `fit_bowls`, where that was done before.
    """
    frame: Any = table.frame
    found, missing = bowls if bowls is not None else fit_bowls(table)
    missing = list(missing)
    repeated: dict[str, DataLimitedLaw] = {}
    paper: dict[str, dict[str, PaperLaw]] = {}
    for family in table.families:
        rows = frame[frame["family"] == family]
        law, reason = _repeated(rows)
        if law is not None:
            repeated[family] = law
        elif reason:
            missing.append(f"{family}: repeated data: {reason}")
        if first_paper:
            paper[family], lacking = first_papers_way(rows, laws.families[family], seed)
            missing += [f"{family}: first paper's way: {reason}" for reason in lacking]
    fit, standing = _jointly(frame, laws, found, seed, missing)
    return Beyond(found, repeated, fit, standing, {k: v for k, v in paper.items() if v}, tuple(missing))


def _no_sweep(rows: Any) -> str:
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
        return f"{len(ends)} runs cannot carry its twelve parameters; give at least {FEWEST_RUNS}"
    return ""


def _known(rows: Any, columns: tuple[str, ...]) -> Any:
    """Rows with a positive finite number in every one of ``columns``."""
    values = rows[list(columns)].to_numpy(float)
    return rows[(np.isfinite(values) & (values > 0)).all(1)]


def _thinned(rows: Any) -> Any:
    """At most `MANY_ROWS` rows, evenly spaced in the sorted table."""
    if len(rows) <= MANY_ROWS:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, MANY_ROWS // 4).round().astype(int)]


def _repeated(rows: Any) -> tuple[DataLimitedLaw | None, str]:
    """The law of repeated data, of the two forms the one that foretells the most repeated runs; or why there is none.

    The saturating form is fitted to all rows and kept, unless the overfitting one, both fitted without the rows of
    the most epochs, errs at least a tenth less on them.
    """
    if "epochs" not in rows or not np.isfinite(rows["epochs"].to_numpy(float)).any():
        return None, ""
    rows = _thinned(surface_rows(_known(rows, ("epochs",))))
    most = float(rows["epochs"].max()) if len(rows) else 0.0
    if most <= 1:
        return None, ""
    epochs = rows["epochs"].to_numpy(float)
    n, d, loss = (rows[c].to_numpy(float) for c in ("params", "tokens", "loss"))
    columns = (n, d, d / epochs, loss)
    held = epochs > most / 2
    errors: dict[FormName, float] = {}
    for form in FORMS:
        try:
            law = fit_data_limited(*(c[~held] for c in columns), form=form)
        except InputError:
            continue
        foretold = [law(*cell) for cell in zip(*(c[held] for c in columns[:3]), strict=True)]
        errors[form] = float(np.sqrt(np.mean((np.log(foretold) - np.log(loss[held])) ** 2)))
    chosen: FormName = "saturating"
    if "overfitting" in errors and errors["overfitting"] < 0.9 * errors.get("saturating", 0.0):
        chosen = "overfitting"
    try:
        return fit_data_limited(*columns, form=chosen), ""
    except InputError as error:
        return None, str(error).removeprefix("data-limited law: ")


def first_papers_way(rows: Any, laws: FamilyLaws, seed: int) -> tuple[dict[str, PaperLaw], list[str]]:
    """Frontier, batch and rate laws by 2512.10858's own steps, by name ("params", …, "batch", "rate"), and what failed.

    The frontier takes the profiles of ``laws`` as its points, batch and rate the runs themselves: nine target losses
    and nine horizons, evenly spaced in logarithms over what the runs reach.
    """
    import pandas as pd

    out: dict[str, PaperLaw] = {}
    lacking: list[str] = []
    points = [
        {"params": n, "tokens": d, "flops_per_token": p.flops / d, "loss": loss, "budget": p.flops}
        for p in laws.profiles
        for n, d, loss in zip(p.params, p.tokens, p.loss, strict=True)
    ]
    budgets = sorted({p.flops for p in laws.profiles})
    try:
        if not points:
            raise InputError("there are no isoFLOP profiles")
        out |= frontier(pd.DataFrame(points), budgets, seed=seed)
    except InputError as error:
        lacking.append(str(error))
    if _no_sweep(rows):
        return out, lacking
    swept = _known(rows, ("batch_tokens", "lr"))
    ends = swept.sort_values("tokens").groupby("run").tail(1)
    try:
        low, high = np.quantile(ends["loss"].to_numpy(float), [0.1, 0.9])
        out["batch"] = batch_law(swept, [float(v) for v in np.geomspace(low, high, 9)])
        starts = swept.groupby("run")["tokens"].min().to_numpy(float)
        horizons = np.geomspace(float(np.median(starts)), float(ends["tokens"].max()), 9)
        horizons = np.unique(np.concatenate([horizons, ends["tokens"].unique()[:40]]))
        out["rate"] = rate_law(swept, [float(v) for v in horizons], out["batch"].law)
    except InputError as error:
        lacking.append(str(error))
    return out, lacking


def in_words(beyond: Beyond) -> list[str]:
    """A sentence or two on each part, for someone who is no statistician."""
    lines = []
    for family, bowl in beyond.batch_and_rate.items():
        lines.append(
            f"{family}: the best batch goes as {_power(bowl, 'batch', bowl.batch_exponents)}, and the best rate as "
            f"{_power(bowl, 'rate', bowl.rate_exponents)} (brackets: 95 % for the exponents). Batches up to a factor "
            f"{bowl.flat_batch(1.0)[1] / bowl.best_batch(1.0):.2g} from the best, or rates up to a factor "
            f"{bowl.flat_rate(1.0, 1.0)[1] / bowl.best_rate(1.0, 1.0):.2g}, cost at most 0.25 % of the loss."
        )
        lines += [f"{family}, batch and rate: {warning}." for warning in bowl.warnings]
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
        if law.form == "overfitting":
            lines.append(
                f"{family}: the law with a penalty for overfitting foretold the most repeated runs better, so past "
                "some number of epochs the loss rises."
            )
    if beyond.joint is not None:
        for flops, found in beyond.standings.items():
            lines += standings_in_words(found, flops, beyond.joint, _size(beyond.joint))
    for family, laws in beyond.first_paper.items():
        if "params" in laws:
            law = laws["params"]
            lines.append(
                f"{family}, by the first paper's procedure: N* = {count(law.law.coefficient)}·C^{law.law.exponent:.3f} "
                f"[{law.interval.low:.3f}, {law.interval.high:.3f}]; its intervals resample optima and are too narrow."
            )
    return lines


def _power(bowl: Bowl, what: str, exponents: dict[str, float]) -> str:
    """A product of powers with the exponents' intervals: "tokens^0.57 [0.55, 0.60]"."""
    parts = []
    for name, value in exponents.items():
        span = bowl.intervals.get(f"{what}:{name}")
        parts.append(f"{name}^{value:.2f}" + (f" [{span.low:.2f}, {span.high:.2f}]" if span else ""))
    return " · ".join(parts) or "a constant"


def _size(fit: JointFit) -> str:
    return "FLOPs per token" if fit.flops_factor == 1.0 else "parameters"


def _jointly(
    frame: Any, laws: Laws, bowls: dict[str, Bowl], seed: int, missing: list[str]
) -> tuple[JointFit | None, dict[float, tuple[Standing, ...]]]:
    """Families with a surface, sizes as FLOPs per token so that budgets are the table's own."""
    able = [name for name, family in laws.families.items() if family.surface is not None]
    if len(able) < 2:
        if len(laws.families) > 1:
            missing.append("families jointly: fewer than two of them have a surface")
        return None, {}
    budgets = sorted({p.flops for family in laws.families.values() for p in family.profiles})
    parts = []
    for name in able:
        rows = surface_rows(frame[frame["family"] == name], budgets)
        parts.append(_thinned(at_bottom(rows, bowls.get(name))[0]))
    rows = {
        c: np.concatenate([p[c].to_numpy() for p in parts]) for c in ("flops_per_token", "tokens", "loss", "family")
    }
    try:
        fit = fit_joint(*rows.values(), flops_factor=1.0)
        largest = float(max(p["flops"].max() for p in parts))
        return fit, {c: tuple(standings(fit, c, seed=seed)) for c in (largest, AHEAD * largest)}
    except InputError as error:
        missing.append(f"families jointly: {error}")
        return None, {}
