"""What a table says in addition to its frontier: batch and rate, repeated data, the paper's way.

Each part is fitted where the table's columns can carry it, and says in a line why not where they cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import short_count
from difflaw.law.hyperparameters import HyperparameterFit
from difflaw.law.isoflop.first_paper import PaperLaw, batch_law, frontier, rate_law
from difflaw.law.repeated_data import DataLimitedLaw, FormName, fit_data_limited
from difflaw.law.results import FamilyLaws, FittedFamilies
from difflaw.law.table.read import Table
from difflaw.law.table.trim import surface_rows, thin_rows
from difflaw.law.tuning import hyperparameter_fits, known_rows, no_sweep

FORMS: tuple[FormName, ...] = ("saturating", "overfitting")


@dataclass(frozen=True)
class Extras:
    """Parts by family name; ``missing`` says what could not be fitted and why."""

    batch_and_rate: dict[str, HyperparameterFit]
    repeated_data: dict[str, DataLimitedLaw]
    first_paper: dict[str, dict[str, PaperLaw]]
    missing: tuple[str, ...]


def fit_extras(
    table: Table,
    laws: FittedFamilies,
    *,
    seed: int = 0,
    first_paper: bool = False,
    hyperparameters: tuple[dict[str, HyperparameterFit], list[str]] | None = None,
) -> Extras:
    """Everything above for a fitted table.

    Args:
        table: that the laws were fitted to.
        laws: from `fit_laws`.
        seed: of draws and resampling.
        first_paper: add 2512.10858's own procedure.
        hyperparameters: from `hyperparameter_fits`, where that was done before.
    """
    frame: Any = table.frame
    found, missing = hyperparameters if hyperparameters is not None else hyperparameter_fits(table)
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
    return Extras(found, repeated, {k: v for k, v in paper.items() if v}, tuple(missing))


def _repeated(rows: Any) -> tuple[DataLimitedLaw | None, str]:
    """The law of repeated data, in the form that forecasts the most repeated runs best; or why there is none.

    The saturating form is fitted to all rows and kept, unless the overfitting one, both fitted without the rows of
    the most epochs, errs at least a tenth less on them.
    """
    if "epochs" not in rows or not np.isfinite(rows["epochs"].to_numpy(float)).any():
        return None, ""
    rows = thin_rows(surface_rows(known_rows(rows, ("epochs",))))
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
        predicted = [law(*cell) for cell in zip(*(c[held] for c in columns[:3]), strict=True)]
        errors[form] = float(np.sqrt(np.mean((np.log(predicted) - np.log(loss[held])) ** 2)))
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
    if no_sweep(rows):
        return out, lacking
    swept = known_rows(rows, ("batch_tokens", "lr"))
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


def extras_text(extras: Extras) -> list[str]:
    """A sentence or two on each part, for someone who is no statistician."""
    lines = []
    for family, fit in extras.batch_and_rate.items():
        lines.append(
            f"{family}: the best batch goes as {_power(fit, 'batch', fit.batch_exponents)}, and the best rate as "
            f"{_power(fit, 'rate', fit.rate_exponents)} (brackets: 95 % for the exponents){_at_best(fit)}. "
            f"The law is fitted to {fit.points:,} measurements near the optimum of their size and tokens"
            f"{_trimmed(fit)}; it misses them by {100 * fit.rmse_log:.2g} %. Batches up to a factor "
            f"{fit.flat_batch(1.0)[1] / fit.best_batch(1.0):.2g} from the best, or rates up to a factor "
            f"{fit.flat_rate(1.0, 1.0)[1] / fit.best_rate(1.0, 1.0):.2g}, cost at most 0.25 % of the loss."
        )
        lines += [f"{family}, batch and rate: {warning}." for warning in fit.warnings]
    for family, law in extras.repeated_data.items():
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
                f"{family}: the law with a penalty for overfitting forecast the most repeated runs better, so past "
                "some number of epochs the loss rises."
            )
    for family, laws in extras.first_paper.items():
        if "params" in laws:
            law = laws["params"]
            size = f"{short_count(law.law.coefficient)}·C^{law.law.exponent:.3f}"
            lines.append(
                f"{family}, by the first paper's procedure: N* = {size} [{law.interval.low:.3f}, "
                f"{law.interval.high:.3f}]; its intervals resample optima and are too narrow."
            )
    return lines


def _at_best(fit: HyperparameterFit) -> str:
    """The rate along the best batches, where it moves; files of earlier versions do not hold it."""
    if not fit.rate_at_best_batch:
        return ""
    return f"; at the best batch the best rate goes as {_power(fit, 'rate_at_best_batch', fit.rate_at_best_batch)}"


def _trimmed(fit: HyperparameterFit) -> str:
    return f" ({fit.trimmed:,} further off, or diverged, are trimmed)" if fit.trimmed else ""


def _power(fit: HyperparameterFit, what: str, exponents: dict[str, float]) -> str:
    """A product of powers with the exponents' intervals: "tokens^0.57 [0.55, 0.60]"."""
    parts = []
    for name, value in exponents.items():
        span = fit.intervals.get(f"{what}:{name}")
        parts.append(f"{name}^{value:.2f}" + (f" [{span.low:.2f}, {span.high:.2f}]" if span else ""))
    return " · ".join(parts) or "a constant"
