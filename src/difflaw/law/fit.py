"""From a table to its laws: profiles, frontier and surface of every family, and what to distrust."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from difflaw.conventions import UNSTATED
from difflaw.errors import InputError
from difflaw.formatting import flops as in_flops
from difflaw.formatting import listed
from difflaw.law.answer import answer
from difflaw.law.averaged import averaged, size_relation
from difflaw.law.hyperparameters import HyperparameterFit
from difflaw.law.isoflop.frontier import frontier_laws
from difflaw.law.isoflop.profiles import WINDOW, fit_profiles
from difflaw.law.posterior.posterior import Posterior, Suspect
from difflaw.law.posterior.suspects import LIKELY
from difflaw.law.results import Answer, FamilyLaws, FittedFamilies
from difflaw.law.surface.fit import METHODS, Method, fit_surface
from difflaw.law.surface.forms import make_form
from difflaw.law.surface.hold_out import hold_out
from difflaw.law.surface.minimum import MANY_ROWS
from difflaw.law.table import Table
from difflaw.law.table.curves import Curve, choose_budgets, curves_of
from difflaw.law.table.early_stopping import early_stopped, early_stopping_text
from difflaw.law.table.plateau import plateau_text
from difflaw.law.table.read import row_names
from difflaw.law.table.trim import surface_rows, thin_runs
from difflaw.law.table.units import unit_warnings
from difflaw.law.tuning import at_best_hyperparameters

HELD_OUT = ("free", "tied", "zero")
"""Additive forms that a hold-out compares."""
ROUGH_SIZES = 0.05
"""Error in ln N, of a size read from its neighbours' FLOPs per token, that is worth a warning."""
MANY_EPOCHS = 4.0
"""Past about four epochs repeated text stops being worth fresh text (Muennighoff et al. 2023, autoregressive)."""


@dataclass(frozen=True)
class SurfaceOptions:
    """How a surface is fitted: form and known entropy, Huber delta, trimming, and the intervals' method."""

    form: str | None = None
    entropy: float | None = None
    delta: float | None = None
    within: float | None = None
    method: Method = "auto"
    noise_sd: float | None = None
    hold_out: bool = False


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
    hold_out: bool = False,
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
        form: of the surface (`forms.NAMES`); default additive and interaction, averaged by their evidence.
        entropy: known entropy of the text, nats per token; without ``form`` the floor may not lie below it.
        method: of the surface's intervals (`surface.METHODS`).
        noise_sd: standard deviation of ln loss between seeds, for the method "parametric".
        hold_out: also fit additive surfaces below cutoffs and judge them on the larger runs.
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
    options = SurfaceOptions(form, entropy, delta, within, method, noise_sd, hold_out)
    light, thinned = thin_runs(table)
    chosen, origin = choose_budgets(light, budgets)
    families, rows = {}, {}
    for name in table.families:
        laws = _family(light, name, curves_of(light, name), chosen, level, seed, window)
        if surface:
            rows[name], moved = _rows(table, laws, chosen, within, (hyperparameters or {}).get(name))
            laws = _with_surface(laws, rows[name], moved, level, seed, options)
        families[name] = laws
    if surface:
        families = _answered(families, rows, options, level, seed)
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


def _rows(
    table: Table, laws: FamilyLaws, budgets: Sequence[float], within: float | None, tuning: HyperparameterFit | None
) -> tuple[Any, tuple[str, ...]]:
    """(rows that a family's surface is fitted to, what was done to them)."""
    every: Any = table.frame
    rows = surface_rows(every[every["family"] == laws.family], budgets, params_law=laws.params_law, within=within)
    return at_best_hyperparameters(rows, tuning)


def _with_surface(
    laws: FamilyLaws, rows: Any, moved: tuple[str, ...], level: float, seed: int, options: SurfaceOptions
) -> FamilyLaws:
    """The family with its additive surface (or that of the form asked for) and, on request, a hold-out."""
    columns = [rows[c].to_numpy() for c in ("params", "tokens", "loss", "run")]
    found, caveats = fit_surface(
        *columns,
        delta=options.delta,
        level=level,
        form=options.form or HELD_OUT[0],
        entropy=options.entropy,
        method=options.method,
        noise_sd=options.noise_sd,
        seed=seed,
    )
    held = None
    if options.hold_out and found is not None and len(rows) <= MANY_ROWS:
        own = (*HELD_OUT, options.form) if options.form == "kaplan" else HELD_OUT
        held = hold_out(*columns, forms=own, delta=options.delta, level=level)
    return replace(
        laws,
        surface=found,
        hold_out=held,
        form_reason="as asked for" if options.form else "the usual form, for its coefficients; answers average forms",
        warnings=(*laws.warnings, *(f"surface: {c}" for c in (*moved, *caveats))),
    )


def _answered(
    families: Mapping[str, FamilyLaws], rows: Mapping[str, Any], options: SurfaceOptions, level: float, seed: int
) -> dict[str, FamilyLaws]:
    """The families with their averaged laws and the answers read from them."""
    surfaces = {name: laws.surface for name, laws in families.items()}
    found, reasons = averaged(rows, surfaces, form=options.form, entropy=options.entropy, seed=seed)
    out = {}
    for name, laws in families.items():
        post = found.get(name)
        minima = (laws.params_law, laws.tokens_law, laws.loss_law, laws.profiles)
        given = answer(post, *minima, without=reasons.get(name, ""), level=level)
        rest = None
        if post is not None and any(s.sound < LIKELY for s in post.suspects):
            rest = answer(post.without_suspects(), *minima, level=level)
        warnings = laws.warnings
        if post is not None:
            warnings = (*_suspect_text(post, rows[name], given, rest), *_relation_text(post), *warnings)
        out[name] = replace(laws, posterior=post, answer=given, without_suspects=rest, warnings=warnings)
    return out


def _suspect_text(post: Posterior, rows: Any, given: Answer, rest: Answer | None) -> tuple[str, ...]:
    """Names of the runs that lie off the law, the law without them, and the runs that it hangs on."""

    def name(s: Suspect) -> str:
        own = rows[(rows["run"].astype(str) == s.run) & np.isclose(rows["tokens"], s.tokens, rtol=1e-6)]
        return (row_names(own) or [s.run])[0]

    out = []
    odd = [f"{name(s)} (loss {s.loss:.4g}, {100 * s.off:+.1f} %)" for s in post.suspects if s.sound < LIKELY]
    if odd:
        text = f"{len(odd)} run{'s lie' if len(odd) > 1 else ' lies'} off the law and hardly count"
        text += f"{'s' * (len(odd) == 1)}: {listed(odd, 10)}"
        out.append(text + _difference(given, rest))
    hangs = [f"{name(s)} ({100 * math.expm1(s.shift):+.0f} %)" for s in post.suspects if s.sound >= LIKELY]
    if hangs:
        out.append(
            f"the law hangs on single runs; left out, each would change the best size at ten times the largest budget: "
            f"{listed(hangs, 10)}; run them again with another seed"
        )
    return tuple(out)


def _difference(given: Answer, rest: Answer | None) -> str:
    """What the answer would be without the runs that lie off."""
    if rest is None or rest.params_exponent is None or given.params_exponent is None:
        return ""
    text = (
        f"; without them the size exponent is {rest.params_exponent.estimate:.3f} instead of "
        f"{given.params_exponent.estimate:.3f}"
    )
    if rest.ten_times and rest.ten_times.loss and given.ten_times and given.ten_times.loss:
        text += (
            f", and the loss at {in_flops(given.ten_times.flops)} {rest.ten_times.loss.estimate:.4f} instead of "
            f"{given.ten_times.loss.estimate:.4f}"
        )
    return text


def _relation_text(post: Posterior) -> tuple[str, ...]:
    error = size_relation(post)
    if error < ROUGH_SIZES:
        return ()
    return (
        f"FLOPs per token do not follow the size smoothly: a size read from its neighbours is off by {100 * error:.0f} "
        "%, so best sizes are rough by as much; check params and flops",
    )


def _table_warnings(table: Table, budgets: Sequence[float]) -> tuple[str, ...]:
    found = list(unit_warnings(table.frame))
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
        found.append(
            f"some rows repeat their data up to {most:.3g} times; minima of profiles take every token as fresh, and "
            "best sizes and losses are given for fresh text"
        )
    found += [*early_stopping_text(frame), *plateau_text(early_stopped(frame))]
    if "seed" not in frame or frame.groupby("family")["seed"].nunique().max() < 2:
        found.append(
            "no cell was run with a second seed, so an error shared by all runs of a size (a mis-tuned rate) cannot be "
            "separated from the law; intervals are then too narrow"
        )
    return tuple(found)
