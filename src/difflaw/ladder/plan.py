"""From the config file to cells: each a RunConfig with its cost and what was derived for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from pydantic import ValidationError

from difflaw.conventions import Counts
from difflaw.data.store import TokenStore
from difflaw.errors import InputError
from difflaw.families import get, resolve
from difflaw.ladder.config import CommonConfig, FamilyConfig, LadderConfig, Rung
from difflaw.ladder.rules import Derived, batch_tokens, learning_rate
from difflaw.model.accounting import account
from difflaw.model.config import ModelConfig
from difflaw.training.config import OptimizerConfig, RunConfig
from difflaw.training.engine import default_device, precision
from difflaw.training.recipe import Rule

SHORTEST_RUN = 20
"""Steps below which a budget is called out of a rung's reach: nothing is learnt in fewer."""


@dataclass(frozen=True)
class Cell:
    """One planned run: its config, its budgets by step, its cost, its derived hyper-parameters."""

    run: RunConfig
    params: int
    flops_per_token: float
    budget_steps: dict[int, float]
    """Step → nominal budget in FLOPs (empty for horizons)."""
    epochs: float
    derived: tuple[Derived, ...]

    @property
    def tokens(self) -> int:
        """Tokens the run trains on."""
        return self.run.steps * self.run.tokens_per_step

    @property
    def flops(self) -> float:
        """FLOPs of the run in the ladder's convention, evaluations not counted."""
        return self.tokens * self.flops_per_token


@dataclass(frozen=True)
class Plan:
    """All cells of a ladder, and what its author should know before it starts."""

    config: LadderConfig
    cells: tuple[Cell, ...]
    warnings: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def flops(self) -> float:
        """FLOPs of all cells."""
        return sum(cell.flops for cell in self.cells)


def model_config(config: LadderConfig, rung: Rung, vocab_size: int) -> ModelConfig:
    """Backbone of a rung; InputError names the rung and the key."""
    shape = {"vocab_size": vocab_size, "layers": rung.depth, "width": rung.width, "heads": rung.attention_heads}
    try:
        return ModelConfig.model_validate({**config.model, **shape, "context": config.context})
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        raise InputError(f"rung {rung.width}x{rung.depth}: {key + ': ' if key else ''}{message}") from None


def make_plan(config: LadderConfig, store: TokenStore) -> Plan:
    """Every cell of the ladder on this data.

    Raises InputError when a budget can be met by no rung, a horizon would repeat the data more than ``max_epochs``, or
    ``unique_tokens`` are more than there are.
    """
    check_context(config, store)
    config = settled(config, min(rung.width for rung in config.rungs))
    texts = _unique_tokens(config, store)
    cells: list[Cell] = []
    for rung in config.rungs:
        model = model_config(config, rung, store.vocab_size)
        for family, seed, unique in product(config.families, config.seeds, texts):
            cells.extend(_cells(config, rung, model, family, seed, store, unique))
    plan = Plan(config, tuple(cells), tuple(_warnings(config, cells)), store.summary())
    _check_budgets(plan)
    return plan


def check_context(config: CommonConfig, store: TokenStore) -> None:
    """InputError where a part of the data does not fill one context."""
    for part, tokens in (("training", store.train_tokens), ("validation", store.validation_tokens)):
        if tokens < config.context:
            raise InputError(
                f"data: {tokens:,} {part} tokens do not fill one context of {config.context:,}; "
                "give more text or a smaller context"
            )


def settled(config: LadderConfig, narrowest: int) -> LadderConfig:
    """The config with its precision decided for networks from the width ``narrowest`` on.

    What "auto" came to here is part of the ladder: continued on another machine it must stay the same.
    """
    return config.model_copy(update={"precision": precision(config.precision, narrowest, default_device())})


def counts_of(model: ModelConfig, family: FamilyConfig, config: CommonConfig, store: TokenStore) -> Counts:
    """Parameters and FLOPs of a family's run with this backbone."""
    return account(model, get(family.name, model.vocab_size, store.mask_id, **family.options).passes(config.context))


def _horizons(config: LadderConfig, rung: Rung, flops_per_token: float) -> dict[float, float]:
    """Tokens → nominal budget (0 for a plain horizon) of one rung."""
    if config.horizons:
        return {tokens: 0.0 for tokens in sorted(config.horizons)}
    budgets = rung.budgets if rung.budgets is not None else config.budgets
    return {budget / flops_per_token: budget for budget in sorted(budgets)}


def _cells(
    config: LadderConfig,
    rung: Rung,
    model: ModelConfig,
    family: FamilyConfig,
    seed: int,
    store: TokenStore,
    unique: int | None = None,
) -> list[Cell]:
    counts = counts_of(model, family, config, store)
    horizons = _horizons(config, rung, counts.flops_per_token(config.flops))
    if not horizons:
        return []
    longest = max(horizons)
    cells = []
    for batch in _values(config.batch, lambda: batch_tokens(longest, _noise(config.batch, family))):
        sequences = max(1, round(batch.value / config.context))
        tokens_per_step = sequences * config.context
        steps = {max(1, round(tokens / tokens_per_step)): budget for tokens, budget in horizons.items()}
        total = max(steps)
        if total < SHORTEST_RUN:
            continue
        epochs = _epochs(config, family, rung, total * tokens_per_step, store, unique)
        for rate in _values(config.lr, lambda tokens_per_step=tokens_per_step: learning_rate(tokens_per_step)):
            optimizer = config.optimizer_config(total, sequences, rate.value)
            evaluated = [s for s in steps if s >= SHORTEST_RUN]
            points = _evaluation_steps(config, optimizer.warmup_steps, total, evaluated)
            run = run_config(config, model, family, seed, store, sequences, optimizer, total, points, unique=unique)
            cells.append(
                Cell(
                    run,
                    counts.params(config.params),
                    counts.flops_per_token(config.flops),
                    {s: b for s, b in steps.items() if b and s >= SHORTEST_RUN},
                    epochs,
                    (batch, rate, *_beta2(config, optimizer.beta2)),
                )
            )
    return cells


def run_config(
    config: CommonConfig,
    model: ModelConfig,
    family: FamilyConfig,
    seed: int,
    store: TokenStore,
    sequences: int,
    optimizer: OptimizerConfig,
    steps: int,
    evaluation_steps: tuple[int, ...],
    grows: bool = False,
    unique: int | None = None,
) -> RunConfig:
    """A run of a ladder, whose precision is settled, down to the last key."""
    assert config.precision != "auto"  # `settled` sees to it
    name, implied = resolve(family.name)
    return RunConfig(
        family=name,
        family_options={**implied, **family.options},
        label=family.label,
        model=model,
        data_hash=store.folder.name,
        mask_id=store.mask_id,
        bos_id=store.bos_id,
        pad_id=store.pad_id,
        conditioning=config.conditioning_config(),
        batch_sequences=sequences,
        steps=steps,
        optimizer=optimizer,
        precision=config.precision,
        z_loss=config.z_loss,
        noise_levels=config.noise_levels,
        seed=seed,
        unique_tokens=unique,
        evaluation_sequences=config.evaluation.sequences,
        evaluation_seed=config.evaluation.seed,
        evaluation_steps=evaluation_steps,
        params_convention=config.params,
        flops_convention=config.flops,
        grows=grows,
    )


def _beta2(config: LadderConfig, value: float) -> tuple[Derived, ...]:
    """Where beta2 came from a rule: the rule."""
    if config.beta2 is not None:
        return ()
    return (Derived("beta2", value, "0.99, or 0.98 from 256 sequences on", "2512.10858, sweep"),)


def _noise(rule: Rule, family: FamilyConfig) -> str | None:
    """Noise type whose own batch law is asked for."""
    return str(family.options.get("noise_type", family.name)) if rule.law == "paper-by-noise" else None


def _values(rule: Rule, law: Any) -> list[Derived]:
    if rule.values is not None:
        name = "a sub-sweep of the ladder" if len(rule.values) > 1 else "given in the ladder"
        return [Derived("value", value, name, "config") for value in rule.values]
    base: Derived = law()
    return [
        Derived(base.name, base.value * factor, base.rule + (f", times {factor:g}" if factor != 1 else ""), base.source)
        for factor in rule.factors
    ]


def _evaluation_steps(config: LadderConfig, warmup: int, total: int, exact: list[int]) -> tuple[int, ...]:
    """Budgets exactly, and points evenly in log tokens from the end of warm-up (at least 1/32 of the run)."""
    start = max(warmup, total // 32, 1)
    spread = np.geomspace(start, total, config.evaluation.points) if config.evaluation.points > 1 else []
    return tuple(sorted({*(round(s) for s in spread), *exact, total}))


def _check_budgets(plan: Plan) -> None:
    met = {budget for cell in plan.cells for budget in cell.budget_steps.values()}
    missing = sorted(set(plan.config.budgets) - met)
    if missing:
        raise InputError(
            f"budget {missing[0]:g}: no rung can meet it in {SHORTEST_RUN} steps or more; "
            "raise the budget, add a smaller rung, or take a smaller batch"
        )
    if not plan.cells:
        raise InputError(
            f"horizons: none reaches {SHORTEST_RUN} steps with this batch; raise them or take a smaller batch"
        )


def _unique_tokens(config: LadderConfig, store: TokenStore) -> list[int | None]:
    """The ladder's sizes of text in whole contexts, None for all of it; InputError where there is not so much."""
    there = store.train_tokens // config.context
    found = [round(unique) // config.context for unique in config.unique_tokens]
    for unique, contexts in zip(config.unique_tokens, found, strict=True):
        if contexts > there:
            raise InputError(
                f"unique_tokens {unique:,.0f}: the text has {store.train_tokens:,} training tokens; "
                "give more text or a smaller number"
            )
        if contexts < 1:
            raise InputError(f"unique_tokens {unique:g}: not one context of {config.context:,}; give a larger number")
    if len(set(found)) < len(found):
        raise InputError(
            f"unique_tokens: two numbers come to the same {max(found, key=found.count):,} contexts of "
            f"{config.context:,} tokens; give numbers further apart"
        )
    return [contexts * config.context for contexts in found] or [None]


def _epochs(
    config: LadderConfig, family: FamilyConfig, rung: Rung, tokens: int, store: TokenStore, unique: int | None
) -> float:
    """How often the run sees its data; InputError when that is more than ``max_epochs``."""
    epochs = tokens / (unique or store.train_tokens // config.context * config.context)
    if epochs > config.max_epochs and unique is not None:
        raise InputError(
            f"unique_tokens {unique:,}: {family.label} {rung.width}x{rung.depth} trains on {tokens:,} tokens, "
            f"{epochs:.1f} epochs. Give smaller budgets or horizons, more unique_tokens, or "
            f"max_epochs: {math.ceil(epochs)} to repeat them knowingly"
        )
    if epochs > config.max_epochs:
        raise InputError(
            f"data: {store.train_tokens:,} training tokens are too few for {family.label} {rung.width}x{rung.depth}, "
            f"which trains on {tokens:,}: {epochs:.1f} epochs. "
            f"Give more text, smaller budgets, or max_epochs: {math.ceil(epochs)} to repeat it knowingly"
        )
    return epochs


def _warnings(config: LadderConfig, cells: list[Cell]) -> list[str]:
    warnings = []
    for budget in config.budgets:
        sizes = {cell.params for cell in cells if budget in cell.budget_steps.values()}
        if len(sizes) < 4:
            warnings.append(
                f"budget {budget:g} is met by {len(sizes)} sizes; "
                "an isoFLOP minimum needs at least 3, and 4 to check the fit"
            )
    repeated = [cell for cell in cells if cell.epochs > 1]
    if repeated:
        worst = max(cell.epochs for cell in repeated)
        warnings.append(f"{len(repeated)} cells repeat the data, up to {worst:.1f} epochs: repeated text is worth less")
    if len({cell.params for cell in cells}) < 3:
        warnings.append("fewer than 3 sizes: no law of size can be fitted")
    return warnings
