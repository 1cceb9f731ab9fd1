"""From what a search asks for to runs in the ladder's folder, and from their evaluations back to rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from difflaw.data.store import TokenStore
from difflaw.errors import InputError
from difflaw.formatting import flops as in_flops
from difflaw.ladder.config import SHARES, FamilyConfig, LadderConfig, Rung
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.plan import Cell, check_context, counts_of, model_config, run_config, settled
from difflaw.ladder.rules import Derived, learning_rate
from difflaw.ladder.search.sight import Rows
from difflaw.ladder.search.sizes import Space, shapes
from difflaw.ladder.search.steps import Ask
from difflaw.ladder.table import table_rows
from difflaw.law.table.plateau import LEARNT

SHORTEST = 2
"""A run has at least so many times its steps of warm-up."""
BEYOND = 3
"""Budgets above the largest that are run where minima are missing."""
USEFUL = 4
"""Sizes that a search must be able to run at its smallest and its largest budget."""


@dataclass(frozen=True)
class SearchPlan:
    """What a search may run on this data: sizes, budgets, FLOPs in all."""

    config: LadderConfig
    store: TokenStore
    rungs: tuple[Rung, ...]
    spaces: tuple[Space, ...]
    flops: float
    warnings: tuple[str, ...] = ()

    @property
    def budgets(self) -> tuple[float, ...]:
        """Those that were planned."""
        space = self.spaces[0]
        return space.budgets[: space.nominal + 1]

    @property
    def sequences(self) -> int:
        """Sequences a step."""
        batch = self.config.batch.only_value
        assert batch is not None  # the config sees to it
        return max(1, round(batch / self.config.context))

    @property
    def tokens_per_step(self) -> int:
        """Tokens a step."""
        return self.sequences * self.config.context

    def family(self, label: str) -> FamilyConfig:
        """The family called ``label``."""
        return next(f for f in self.config.families if f.label == label)


def plan_search(config: LadderConfig, store: TokenStore) -> SearchPlan:
    """The search on this data.

    Raises InputError where text or FLOPs are too small for a ladder, saying how large a one they carry.
    """
    check_context(config, store)
    search = config.search
    assert search is not None
    rungs = tuple(shapes(*search.widths))
    if len(rungs) < USEFUL:
        raise InputError(f"search.widths {list(search.widths)}: only {len(rungs)} sizes lie between; widen it")
    config = settled(config, rungs[0].width)
    flops = search.flops if search.flops is not None else SHARES * len(config.families) * (search.largest or 0.0)
    largest = search.largest if search.largest is not None else flops / (SHARES * len(config.families))
    budgets = tuple(
        float(f"{largest * search.factor ** (k - search.budgets + 1):.6g}") for k in range(search.budgets + BEYOND)
    )
    plan = SearchPlan(config, store, rungs, (), flops)
    spaces = tuple(_space(plan, family, budgets, search.budgets - 1) for family in config.families)
    plan = SearchPlan(config, store, rungs, spaces, flops, tuple(_warnings(spaces, flops)))
    for space in spaces:
        _check(plan, space)
    return plan


def _space(plan: SearchPlan, family: FamilyConfig, budgets: tuple[float, ...], nominal: int) -> Space:
    config, store = plan.config, plan.store
    counts = [counts_of(model_config(config, rung, store.vocab_size), family, config, store) for rung in plan.rungs]
    shortest = max(SHORTEST * round(config.warmup), 20) * plan.tokens_per_step
    chunks = store.train_tokens // config.context * config.context
    return Space(
        family=family.label,
        names=tuple(f"{rung.width}x{rung.depth}" for rung in plan.rungs),
        params=np.array([float(c.params(config.params)) for c in counts]),
        flops_per_token=np.array([c.flops_per_token(config.flops) for c in counts]),
        budgets=budgets,
        nominal=nominal,
        tokens=(float(shortest), config.max_epochs * chunks),
        asleep=LEARNT * store.unigram_entropy if math.isfinite(store.unigram_entropy) else math.inf,
    )


def _check(plan: SearchPlan, space: Space) -> None:
    """Whether enough sizes can be run at the ends, about where the best one may be."""
    for budget, key in ((0, "smallest"), (space.nominal, "largest")):
        reach = space.reach(budget)
        able = reach[1] - reach[0] + 1 if reach else 0
        if able >= USEFUL:
            continue
        at, search = in_flops(space.budgets[budget]), plan.config.search
        assert search is not None
        tokens = space.budgets[budget] / space.flops_per_token
        if int(np.sum(tokens < space.tokens[0])) > int(np.sum(tokens > space.tokens[1])):
            least = _least(space) * search.factor ** (search.budgets - 1)
            raise InputError(
                f"search: its {key} budget, {at}, trains {able} sizes for the {space.tokens[0]:,.0f} tokens of "
                f"{SHORTEST} warm-ups; {search.budgets} budgets here need search.largest of about {least:.2g} FLOPs, "
                "or a smaller batch or warmup"
            )
        carried = _carried(space)
        carries = f"it carries a search up to --set search.largest={carried:.2g}; " if carried else ""
        raise InputError(
            f"data: {plan.store.train_tokens:,} training tokens are too few for {space.family} at {at}, whose best "
            f"sizes would read them more than {plan.config.max_epochs:g} times; {carries}"
            "give more text, or raise max_epochs to repeat it knowingly"
        )


def _least(space: Space) -> float:
    """FLOPs at which the fourth size can be trained."""
    return float(np.sort(space.flops_per_token)[USEFUL - 1] * space.tokens[0])


def _carried(space: Space) -> float | None:
    """Largest budget at which the guessed best size and a quarter of it do not repeat the text too often."""
    budgets = np.geomspace(space.budgets[0] * 1e-6, space.budgets[-1], 400)
    ln_n = np.log(space.params)
    best = None
    for budget in budgets:
        ratio = np.log(budget / space.flops_per_token / space.params)
        centre = float(np.interp(-math.log(100.0), -ratio, ln_n))
        per_token = float(np.exp(np.interp(max(centre - math.log(4.0), ln_n[0]), ln_n, np.log(space.flops_per_token))))
        if space.tokens[0] < budget / per_token < space.tokens[1]:
            best = float(budget)
    return best


def _warnings(spaces: Sequence[Space], flops: float) -> list[str]:
    largest = spaces[0].budgets[spaces[0].nominal]
    least = 4.0 * len(spaces) * largest
    if flops < least:
        return [
            f"{in_flops(flops)} are few for {len(spaces)} families up to {in_flops(largest)}: four sizes at the "
            f"largest budget alone take {in_flops(least)}; expect fewer minima"
        ]
    return []


def cell_for(plan: SearchPlan, space: Space, ask: Ask) -> Cell:
    """The run asked for, as long as it was asked to be."""
    config, rung, family = plan.config, plan.rungs[ask.size], plan.family(space.family)
    model = model_config(config, rung, plan.store.vocab_size)
    steps = {step_of(plan, space, ask.size, k): space.budgets[k] for k in range(ask.budget + 1)}
    total = max(steps)
    batch = float(plan.tokens_per_step)
    rate = Derived("lr", config.lr.only_value, "given in the ladder", "config") if config.lr.only_value else None
    rate = rate or learning_rate(batch)
    optimizer = config.optimizer_config(total, plan.sequences, rate.value)
    # the warm-up of a short run must not be shorter than that of the same run grown
    optimizer = optimizer.model_copy(update={"warmup_steps": round(config.warmup)})
    points = tuple(sorted({s for s in _points(plan, space, ask) if optimizer.warmup_steps <= s <= total} | {total}))
    run = run_config(config, model, family, ask.seed, plan.store, plan.sequences, optimizer, total, points, grows=True)
    tokens = total * plan.tokens_per_step
    return Cell(
        run,
        int(space.params[ask.size]),
        float(space.flops_per_token[ask.size]),
        {s: b for s, b in steps.items() if s >= optimizer.warmup_steps},
        tokens / (plan.store.train_tokens // config.context * config.context),
        (Derived("batch_tokens", batch, "given in the ladder", "config"), rate),
    )


def step_of(plan: SearchPlan, space: Space, size: int, budget: float) -> int:
    """Steps a size makes for the budget at a place (which may lie between two)."""
    flops = math.exp(float(np.interp(budget, range(len(space.budgets)), np.log(space.budgets))))
    return max(1, round(flops / float(space.flops_per_token[size]) / plan.tokens_per_step))


def _points(plan: SearchPlan, space: Space, ask: Ask) -> list[int]:
    """Steps after which the bound is measured: the budgets, between them, and one budget below the first."""
    search = plan.config.search
    assert search is not None
    first = space.budgets[0] / search.factor
    between = [first * search.factor ** (j / search.points) for j in range(search.points)]
    per_step = float(space.flops_per_token[ask.size]) * plan.tokens_per_step
    places = [j / search.points for j in range(ask.budget * search.points + 1)]
    return [max(1, round(c / per_step)) for c in between] + [step_of(plan, space, ask.size, k) for k in places]


class FolderWorld:
    """A `World` whose runs lie in a ladder's folder."""

    def __init__(self, plan: SearchPlan, ladder: LadderDirectory) -> None:
        self.plan, self.ladder = plan, ladder
        self._spaces = {space.family: space for space in plan.spaces}

    def cell(self, family: str, ask: Ask) -> Cell:
        """The run asked for."""
        return cell_for(self.plan, self._spaces[family], ask)

    def done(self, family: str, ask: Ask) -> bool:
        """Whether the run's evaluation at the budget is there, or it has failed or diverged."""
        cell = self.cell(family, ask)
        run = self.ladder.run(cell.run.name)
        if run.status() in ("failed", "diverged"):
            return True
        if not any(record["step"] == cell.run.steps for record in run.records("evaluation")):
            return False
        # a run that was taken further has passed this budget; one at its end must have been let go by its worker
        return run.summary() is not None or run.config().steps > cell.run.steps

    def failed(self, family: str, reached: Mapping[tuple[int, int], int]) -> frozenset[int]:
        """Sizes whose first run failed or diverged before the budget it was asked to reach."""
        return frozenset(i for (i, s), k in reached.items() if s == 0 and self._bad(family, Ask(i, s, k)))

    def rows(self, family: str, reached: Mapping[tuple[int, int], int]) -> Rows:
        """Evaluations up to the budgets asked for."""
        out = []
        description = self.ladder.description()
        for (size, seed), budget in sorted(reached.items()):
            ask = Ask(size, seed, budget)
            cell = self.cell(family, ask)
            if not self._bad(family, ask):
                found = table_rows(description, cell.run.name, self.ladder.run(cell.run.name))
                out += [row | {"status": "done"} for row in found if row["tokens"] <= cell.tokens]
        return out

    def _bad(self, family: str, ask: Ask) -> bool:
        """Failed or diverged, and not past this budget."""
        cell = self.cell(family, ask)
        run = self.ladder.run(cell.run.name)
        if run.status() not in ("failed", "diverged"):
            return False
        return not any(record["step"] == cell.run.steps for record in run.records("evaluation"))
