"""All families together: once minima are bracketed, the runs the planner would make next, until the law is sure enough.

`planning.next_runs` serves `difflaw plan next` too: it weighs every size and budget by what a run there would take off
the variance of each family's forecast, seen through the draws of its law. Here its runs are moved to the search's
sizes and budgets, so that they go on from what has run.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import flops as in_flops
from difflaw.ladder.search.sight import Rows, Sight
from difflaw.ladder.search.sizes import Space
from difflaw.ladder.search.steps import Ask, Book, Step
from difflaw.law.fit import fit_laws
from difflaw.law.results import FamilyLaws
from difflaw.law.table import table_from_frame
from difflaw.planning.next_runs import next_runs

AHEAD = 10.0
"""The forecast to be made surer lies this far beyond the largest budget."""
ROUNDS = 8
"""Fits at most."""
ROUND_SHARE = 0.5
"""Share of what is left that a round may spend, so that the next one knows what it brought."""
LAST = 0.15
"""Share of all FLOPs below which what is left is spent in one round."""
NOTHING = 0.03
"""Share of all FLOPs that is not worth another fit."""


@dataclass(frozen=True)
class Shown:
    """What all families' runs show: rows by family, and profiles."""

    rows: Mapping[str, Rows]
    sights: Mapping[str, Sight]


Refinement = Generator[dict[str, Step], Shown, str]


def refine(
    spaces: Mapping[str, Space], books: Mapping[str, Book], flops: float, until: float | None, seeds: int, shown: Shown
) -> Refinement:
    """Rounds of runs by family; returns in words why it ended.

    Args:
        spaces: sizes and budgets of each family.
        books: what has been asked for.
        flops: of the whole search.
        until: half-width of the 95 % interval of every family's exponent of N* that is enough; None: never.
        seeds: runs of one size at most.
        shown: what the runs so far show.
    """
    for _ in range(ROUNDS):
        left = flops - sum(book.spent for book in books.values())
        if left < NOTHING * flops:
            return f"{in_flops(max(left, 0.0))} left"
        laws = _fitted(spaces, shown)
        widths = {name: _half_width(laws.get(name)) for name in spaces}
        vague = [name for name in spaces if until is None or not widths[name] <= until]
        if not vague:
            return f"every exponent of N* is known to ±{until:g}: " + _listed(widths)
        money = left if left < LAST * flops else ROUND_SHARE * left
        found = _round(spaces, books, laws, vague, money, seeds)
        if not found:
            return f"{in_flops(max(left, 0.0))} left, and no run for so much would make a law surer: " + _listed(widths)
        shown = yield found
    return "the last round of refinement"


def _fitted(spaces: Mapping[str, Space], shown: Shown) -> dict[str, FamilyLaws]:
    import pandas as pd

    rows = [row for name in spaces for row in shown.rows[name]]
    budgets = sorted({budget for space in spaces.values() for budget in space.budgets})
    try:
        table = table_from_frame(pd.DataFrame(rows), source="the search's runs")
        return dict(fit_laws(table, budgets=budgets).families)
    except InputError:
        return {}


def _half_width(law: FamilyLaws | None) -> float:
    """Half of the interval of N*'s exponent; infinite where there is none."""
    given = law.answer if law is not None else None
    found = given.params_exponent if given is not None else None
    return (found.high - found.low) / 2 if found is not None else math.inf


def _round(
    spaces: Mapping[str, Space],
    books: Mapping[str, Book],
    laws: Mapping[str, FamilyLaws],
    vague: list[str],
    money: float,
    seeds: int,
) -> dict[str, Step]:
    """The next runs of the families that are not sure enough, for at most ``money`` FLOPs."""
    posteriors = {n: law.posterior for n in vague if (law := laws.get(n)) is not None and law.posterior is not None}
    smallest = min(space.budgets[0] for space in spaces.values())
    if not posteriors or money < smallest:
        return {}
    target = AHEAD * max(s.budgets[s.nominal] for s in spaces.values())
    try:
        proposed = next_runs(
            posteriors,
            money,
            target,
            sizes={name: spaces[name].params for name in posteriors},
            profiles={name: laws[name].profiles for name in posteriors},
        )
    except InputError:  # less than the smallest useful run
        return {}
    steps: dict[str, Step] = {}
    for name, runs in proposed.items():
        asks, reasons = [], []
        book = Book(books[name].space, dict(books[name].reached))
        for run in runs.runs:
            for _ in range(run.times):
                ask = _snapped(spaces[name], book, run.params, run.flops, seeds)
                if ask is None or book.cost((ask,)) > money:
                    continue
                money -= book.cost((ask,))
                book.note((ask,))
                asks.append(ask)
                reasons.append(f"{spaces[name].names[ask.size]} to {in_flops(spaces[name].budgets[ask.budget])}")
        if asks:
            before, after = runs.loss_se
            why = f"the planner's next runs ({', '.join(dict.fromkeys(reasons))}): error of the loss at "
            why += f"{in_flops(target)} {before:.1%} -> {after:.1%}"
            cost = books[name].cost(tuple(asks))
            steps[name] = Step("refine", max(a.budget for a in asks), why, tuple(asks), cost)
            books[name].note(tuple(asks))
    return steps


def _snapped(space: Space, book: Book, params: float, flops: float, seeds: int) -> Ask | None:
    """The search's run nearest to a proposed one: its size, its budget, and the first seed that has not gone so far."""
    size = int(np.argmin(np.abs(np.log(space.params) - math.log(params))))
    budget = int(np.argmin(np.abs(np.log(space.budgets) - math.log(flops))))
    reach = space.reach(budget)
    if reach is None or not reach[0] <= size <= reach[1]:
        return None
    for seed in range(seeds):
        if book.reached.get((size, seed), -1) < budget:
            return Ask(size, seed, budget)
    return None


def _listed(widths: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} ±{width:.2f}" if math.isfinite(width) else f"{name} none" for name, width in widths.items()
    )
