"""From a table to its laws: profiles, frontier and surface of every family, and what to distrust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from difflaw.conventions import UNSTATED
from difflaw.errors import InputError
from difflaw.formatting import flops as in_flops
from difflaw.formatting import listed
from difflaw.law.hyperparameters import HyperparameterFit
from difflaw.law.isoflop.frontier import frontier_laws
from difflaw.law.isoflop.profiles import WINDOW, fit_profiles
from difflaw.law.results import FamilyLaws, FittedFamilies, HoldOut, PowerLaw, Surface
from difflaw.law.surface.fit import METHODS, Method, fit_surface
from difflaw.law.surface.forms import make_form
from difflaw.law.surface.hold_out import CLEARLY, hold_out
from difflaw.law.surface.minimum import MANY_ROWS
from difflaw.law.surface.predict import optimum
from difflaw.law.table import Table
from difflaw.law.table.curves import Curve, choose_budgets, curves_of
from difflaw.law.table.trim import surface_rows, thin_runs
from difflaw.law.tuning import at_best_hyperparameters

FORMS = ("free", "tied", "zero")
"""Additive forms that a hold-out chooses from; the others are for `fit_surface`."""
FORM_CHANGED = (
    "the usual form with a free floor forecasts larger runs clearly worse than the one shown (see the hold-out), "
    "so take E and the exponents as those of the form shown",
)
MANY_EPOCHS = 4.0
"""Past about four epochs repeated text stops being worth fresh text (Muennighoff et al. 2023, autoregressive)."""


AHEAD = 10.0
"""Forecasts are stated at the largest FLOPs fitted and this many times further."""


@dataclass(frozen=True)
class SurfaceOptions:
    """How a surface is fitted: form and known entropy, Huber delta, trimming, and the intervals' method."""

    form: str | None = None
    entropy: float | None = None
    delta: float | None = None
    within: float | None = None
    method: Method = "auto"
    noise_sd: float | None = None


def fit_laws(
    table: Table,
    *,
    budgets: Sequence[float] | None = None,
    level: float = 0.95,
    seed: int = 0,
    surface: bool = True,
    window: float = WINDOW,
    delta: float | None = None,
    within: float | None = None,
    form: str | None = None,
    entropy: float | None = None,
    method: Method = "auto",
    noise_sd: float | None = None,
    hyperparameters: Mapping[str, HyperparameterFit] | None = None,
) -> FittedFamilies:
    """Fit every family of a table. The result depends on the rows and ``seed``, not on the order of the rows.

    Args:
        table: from `read_table` or `table_from_frame`.
        budgets: FLOPs to slice at; default the column `budget`, else found in the table.
        level: of all intervals, between 0.5 and 1.
        seed: of the resampling.
        surface: also fit L(N, D).
        window: factor around the best size that a profile's parabola uses.
        delta: Huber delta of the surface, default from its residuals.
        within: fit the surface only to sizes within this factor of N*.
        form: of the surface (`forms.NAMES`); default the one that forecasts larger runs best.
        entropy: known entropy of the text, nats per token; without ``form`` the floor may not lie below it.
        method: of the surface's intervals (`surface.METHODS`).
        noise_sd: standard deviation of ln loss between seeds, for the method "parametric".
        hyperparameters: batch and rate fits by family; the surface is then fitted to losses moved to their optimum.

    Raises:
        InputError: a level, budget, factor, form or method that makes no sense.
    """
    _check(level, budgets, window, within, delta)
    if form is None and entropy is not None:
        form = "at-least"
    if form is not None:
        make_form(form, entropy)
    if method not in METHODS:
        raise InputError(f"no interval method called '{method}'; choose from {', '.join(METHODS)}")
    options = SurfaceOptions(form, entropy, delta, within, method, noise_sd)
    light, thinned = thin_runs(table)
    chosen, origin = choose_budgets(light, budgets)
    families = {}
    for name in table.families:
        laws = _family(light, name, curves_of(light, name), chosen, level, seed, window)
        if surface:
            laws = _with_surface(laws, table, chosen, level, seed, options, (hyperparameters or {}).get(name))
        families[name] = laws
    notes = {
        "budgets": f"{origin}: {listed([in_flops(c) for c in chosen], 12)}" if chosen else f"{origin}: none",
        "level": f"{level:g}",
        "seed": str(seed),
        "window": f"parabolas use sizes within a factor {window:g} of the best, 5 to 7 of them",
        "loss": "fits are in the logarithm of the loss; frontier laws have no floor",
    }
    if thinned:
        notes["thinned"] = thinned
    for i, note in enumerate(table.notes):
        notes[f"derived-{i + 1}"] = note
    return FittedFamilies(
        families=families,
        params_convention=table.params_convention,
        flops_convention=table.flops_convention,
        rows=len(table.frame),
        excluded=table.excluded,
        warnings=_table_warnings(table, chosen),
        notes=notes,
    )


def _check(
    level: float,
    budgets: Sequence[float] | None,
    window: float,
    within: float | None,
    delta: float | None,
) -> None:
    if not 0.5 <= level < 1:
        raise InputError(f"level is {level:g}; give a confidence between 0.5 and 1, such as 0.95")
    if budgets is not None and (not len(budgets) or not all(0 < b < float("inf") for b in budgets)):
        raise InputError("budgets must be positive FLOPs, at least one; leave them out to find them in the table")
    for name, factor in (("window", window), ("within", within)):
        if factor is not None and not factor > 1:
            raise InputError(f"{name} is {factor:g}; give a factor above 1, such as 4")
    if delta is not None and not delta > 0:
        raise InputError(f"delta is {delta:g}; give a positive number, such as 1e-3")


def _family(
    table: Table,
    name: str,
    curves: Sequence[Curve],
    budgets: Sequence[float],
    level: float,
    seed: int,
    window: float,
) -> FamilyLaws:
    profiles, noise, messages = fit_profiles(name, curves, budgets, window)
    frontier = frontier_laws(profiles, noise, level, seed)
    # A message about an edge minimum may reach us twice: from its profile and as the reason why there is no law.
    repeated = tuple(m for m in messages if not any(m in w for w in frontier.warnings))
    return FamilyLaws(
        family=name,
        profiles=profiles,
        params_law=frontier.params,
        tokens_law=frontier.tokens,
        flops_per_token_law=frontier.flops_per_token,
        loss_law=frontier.loss,
        token_bound_law=frontier.token_bound,
        surface=None,
        warnings=(*repeated, *frontier.warnings),
    )


def _with_surface(
    laws: FamilyLaws,
    table: Table,
    budgets: Sequence[float],
    level: float,
    seed: int,
    options: SurfaceOptions,
    tuning: HyperparameterFit | None,
) -> FamilyLaws:
    every: Any = table.frame
    rows = surface_rows(
        every[every["family"] == laws.family], budgets, params_law=laws.params_law, within=options.within
    )
    rows, moved = at_best_hyperparameters(rows, tuning)
    columns = [rows[c].to_numpy() for c in ("params", "tokens", "loss", "run")]

    def fit(form: str) -> tuple[Surface | None, tuple[str, ...]]:
        return fit_surface(
            *columns,
            delta=options.delta,
            level=level,
            form=form,
            entropy=options.entropy,
            method=options.method,
            noise_sd=options.noise_sd,
            seed=seed,
        )

    found, caveats = fit(options.form or FORMS[0])
    held, scores, reason = None, {}, "as asked for" if options.form else "the usual form; no larger runs to judge it by"
    if found is not None and len(rows) <= MANY_ROWS:
        held = hold_out(*columns, forms=_compared(options.form), delta=options.delta, level=level)
        if held is not None:
            scores = held.scores
            if options.form is None and held.form != found.form:
                other, more = fit(held.form)
                if other is not None:
                    found, caveats = other, (*more, *FORM_CHANGED)
            reason = _form_reason(found.form, held, asked=options.form is not None)
            if options.form is not None and held.form != found.form:
                if options.entropy is None:
                    held = hold_out(*columns, forms=(found.form,), delta=options.delta, level=level)
                else:
                    reason += f"; forms with a known entropy are not held out, so the hold-out is that of '{held.form}'"
    elif found is not None:
        reason += f"; no hold-out on more than {MANY_ROWS:,} rows"
    forecasts = ()
    if found is not None and found.covariance is not None:
        largest = found.flops_range[1]
        forecasts = tuple(optimum(found, c, level=level, hold_out=held) for c in (largest, AHEAD * largest))
    caveats = tuple(f"surface: {c}" for c in (*moved, *caveats, *_disagreement(found, laws.params_law)))
    return replace(
        laws,
        surface=found,
        hold_out=held,
        form_reason=reason if found is not None else "",
        form_scores=scores,
        forecasts=forecasts,
        warnings=(*laws.warnings, *caveats),
    )


def _compared(asked: str | None) -> tuple[str, ...]:
    """Forms to hold out: the usual ones, and the one asked for where it needs no known entropy."""
    return (*FORMS, asked) if asked == "kaplan" else FORMS


def _form_reason(form: str, held: HoldOut, asked: bool) -> str:
    """One sentence on why a surface has its form, with every form's error of forecast."""
    shown = ", ".join(f"{name} {100 * score:.2g} %" for name, score in sorted(held.scores.items(), key=lambda s: s[1]))
    least = min(held.scores, key=lambda name: held.scores[name])
    if asked:
        best = "" if least == form else f"; '{least}' forecast best"
        return f"as asked for{best} (typical error of ln loss on larger runs: {shown})"
    if least == form:
        return f"it forecast larger runs best (typical error of ln loss: {shown})"
    return (
        f"no form forecast larger runs better by {100 * CLEARLY:.0f} % or more, so the usual one stays (typical error "
        f"of ln loss: {shown})"
    )


def _disagreement(surface: Surface | None, law: PowerLaw | None) -> tuple[str, ...]:
    """Say so where the two ways to the size exponent exclude each other."""
    if surface is None or law is None or law.interval is None or "params_exponent" not in surface.intervals:
        return ()
    a, b = law.interval, surface.intervals["params_exponent"]
    if a.low <= b.high and b.low <= a.high:
        return ()
    return (
        f"it puts the size exponent at {surface.params_exponent:.3f} and the minima at {law.exponent:.3f}, and the "
        "intervals do not meet: the form fails over all rows, or FLOPs per token are not proportional to params",
    )


def _table_warnings(table: Table, budgets: Sequence[float]) -> tuple[str, ...]:
    found = []
    if table.excluded:
        found.append(
            f"{len(table.excluded)} rows or runs are left out: did not finish or diverged, or over a limit (listed)"
        )
    unstated = [
        what
        for what, value in (("parameters", table.params_convention), ("FLOPs", table.flops_convention))
        if value == UNSTATED
    ]
    if unstated:
        found.append(
            f"how {' and '.join(unstated)} were counted is not stated; "
            "counting alone can move the size exponent by 0.05 or more"
        )
    if not budgets:
        found.append(
            "no budget has at least three sizes, so there are no isoFLOP profiles; give budgets or a column 'budget'"
        )
    frame: Any = table.frame
    most = float(frame["epochs"].max()) if "epochs" in frame else 0.0
    if most > MANY_EPOCHS:
        found.append(f"some rows repeat their data up to {most:.3g} times; the laws take every token as fresh")
    if "seed" not in frame or frame.groupby("family")["seed"].nunique().max() < 2:
        found.append(
            "no cell was run with a second seed, so an error shared by all runs of a size (a mis-tuned rate) cannot be "
            "separated from the law; intervals are then too narrow"
        )
    return tuple(found)
