"""From a table to its laws: profiles, frontier and surface of every family, and what to distrust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from difflaw.errors import InputError
from difflaw.law.curves import Curve, choose_budgets, curves_of
from difflaw.law.format import flops as in_flops
from difflaw.law.format import listed
from difflaw.law.frontier import frontier_laws
from difflaw.law.holdout import hold_out
from difflaw.law.isoflop import WINDOW, fit_profiles
from difflaw.law.minimum import MANY_ROWS
from difflaw.law.results import FamilyLaws, Laws, PowerLaw, Surface
from difflaw.law.surface import fit_surface
from difflaw.law.table import UNSTATED, Table
from difflaw.law.trim import surface_rows

FORMS = ("free", "tied", "zero")
"""Additive forms that a hold-out chooses from; the others are for `fit_surface`."""
FORM_CHANGED = (
    "the usual form with a free floor forecasts larger runs clearly worse than the one shown (see the hold-out), "
    "so take E and the exponents as those of the form shown",
)
MANY_EPOCHS = 4.0
"""Past about four epochs repeated text stops being worth fresh text (Muennighoff et al. 2023, autoregressive)."""


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
) -> Laws:
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

    Raises:
        InputError: a level, budget or factor that makes no sense.
    """
    if not 0.5 <= level < 1:
        raise InputError(f"level is {level:g}; give a confidence between 0.5 and 1, such as 0.95")
    if budgets is not None and (not len(budgets) or not all(0 < b < float("inf") for b in budgets)):
        raise InputError("budgets must be positive FLOPs, at least one; leave them out to find them in the table")
    for name, factor in (("window", window), ("within", within)):
        if factor is not None and not factor > 1:
            raise InputError(f"{name} is {factor:g}; give a factor above 1, such as 4")
    if delta is not None and not delta > 0:
        raise InputError(f"delta is {delta:g}; give a positive number, such as 1e-3")
    chosen, origin = choose_budgets(table, budgets)
    families = {}
    for name in table.families:
        laws = _family(table, name, curves_of(table, name), chosen, level, seed, window)
        if surface:
            laws = _with_surface(laws, table, chosen, level, delta, within)
        families[name] = laws
    notes = {
        "budgets": f"{origin}: {listed([in_flops(c) for c in chosen], 12)}" if chosen else f"{origin}: none",
        "level": f"{level:g}",
        "seed": str(seed),
        "window": f"parabolas use sizes within a factor {window:g} of the best, 5 to 7 of them",
        "loss": "fits are in the logarithm of the loss; frontier laws have no floor",
    }
    for i, note in enumerate(table.notes):
        notes[f"derived-{i + 1}"] = note
    return Laws(
        families=families,
        params_convention=table.params_convention,
        flops_convention=table.flops_convention,
        rows=len(table.frame),
        excluded=table.excluded,
        warnings=_table_warnings(table, chosen),
        notes=notes,
    )


def _family(
    table: Table,
    name: str,
    curves: Sequence[Curve],
    budgets: Sequence[float],
    level: float,
    seed: int,
    window: float,
) -> FamilyLaws:
    profiles, noise, doubts = fit_profiles(name, curves, budgets, window)
    frontier = frontier_laws(profiles, noise, level, seed)
    # A message about an edge minimum may reach us twice: from its profile and as the reason why there is no law.
    repeated = tuple(d for d in doubts if not any(d in w for w in frontier.warnings))
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
    laws: FamilyLaws, table: Table, budgets: Sequence[float], level: float, delta: float | None, within: float | None
) -> FamilyLaws:
    every: Any = table.frame
    rows = surface_rows(every[every["family"] == laws.family], budgets, params_law=laws.params_law, within=within)
    columns = [rows[c].to_numpy() for c in ("params", "tokens", "loss", "run")]
    found, doubts = fit_surface(*columns, delta=delta, level=level)
    held = None
    if found is not None and len(rows) <= MANY_ROWS:
        held = hold_out(*columns, forms=FORMS, delta=delta, level=level)
        if held is not None and held.form != found.form:
            other, more = fit_surface(*columns, delta=delta, level=level, form=held.form)
            if other is not None:
                found, doubts = other, (*more, *FORM_CHANGED)
    doubts = tuple(f"surface: {d}" for d in (*doubts, *_disagreement(found, laws.params_law)))
    return replace(laws, surface=found, hold_out=held, warnings=(*laws.warnings, *doubts))


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
        found.append(f"{len(table.excluded)} runs are left out because they did not finish or diverged (listed)")
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
            "told from the law; intervals are then too narrow"
        )
    return tuple(found)
