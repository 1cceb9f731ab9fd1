"""A law's recommendation as something that can be run: counted by the real backbone, written as a training config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from difflaw.errors import InputError
from difflaw.families.registry import get, names, reads_clean_copy, resolve
from difflaw.files import read_json, write_atomically
from difflaw.formatting import short_count
from difflaw.law.document import Laws
from difflaw.law.odds import standings
from difflaw.model.accounting import Account, account
from difflaw.model.config import ModelConfig, default_heads
from difflaw.planning.fitted import FittedForecast
from difflaw.planning.forecast import load_forecasts
from difflaw.planning.planner import plan
from difflaw.planning.predict import Forecast
from difflaw.planning.request import Ask, check
from difflaw.planning.run_plan import RunPlan, rank
from difflaw.planning.shapes import Count, Shape
from difflaw.training.recipe import Recipe


def counter(law: Forecast) -> Count:
    """Counts shapes with the law's vocabulary and context, and the family's own passes over a sequence.

    A published law is counted as its paper counts, one pass whatever the family.
    """
    passes: tuple[tuple[float, int], ...] = ((1.0, 1),)
    name = law.family_config.get("name", law.family)
    if not law.published and reads_clean_copy(name):
        options = law.family_config.get("options", {})
        passes = get(name, law.vocab_size, 3, **options).passes(law.context)  # loads torch

    heads = cache(default_heads)

    @cache
    def count(shape: Shape) -> Account:
        config = ModelConfig(
            vocab_size=law.vocab_size,
            context=law.context,
            layers=shape.layers,
            width=shape.width,
            heads=heads(shape.width),
        )
        return account(config, passes)

    return count


def forecasts_for(
    laws: Laws | str | Path, context: int | None = None, vocab_size: int | None = None, families: Sequence[str] = ()
) -> dict[str, Forecast]:
    """Forecasts by family; of a ladder's laws with the context and vocabulary that its runs had.

    InputError for a family the law does not have.
    """
    if not isinstance(laws, Laws) and not str(laws).startswith("published:"):
        laws = Laws.read(laws)
    if isinstance(laws, Laws):
        described = _ladder_of(laws)
        context = context or described.get("config", {}).get("context")
        vocab_size = vocab_size or described.get("data", {}).get("vocab_size")
        name = str(laws.path or laws.source.name)
    else:
        laws = name = str(laws)
    found = load_forecasts(laws, context, vocab_size)
    for family in families:
        if family not in found:
            raise InputError(f"--family {family}: {name} has {', '.join(found)}")
    return {name: law for name, law in found.items() if not families or name in families}


def _ladder_of(laws: Laws) -> dict[str, Any]:
    """The description of the ladder in whose folder these laws lie, or nothing."""
    described = laws.path.with_name("ladder.json") if laws.path is not None else None
    return read_json(described) if described is not None and described.exists() else {}


def recommend(ask: Ask, laws: dict[str, Forecast]) -> tuple[list[RunPlan], list[str]]:
    """(plans, the best first, and why a family has none); InputError where no family can be planned for.

    The best has the lowest loss; where the loss is what was asked for, the fewest FLOPs.
    """
    check(ask)
    plans, reasons = [], []
    for law in laws.values():
        try:
            plans.append(plan(ask, law, counter(law)))
        except InputError as error:
            reasons.append(str(error))
    if not plans:
        raise InputError(reasons[0] if len(reasons) == 1 else f"{reasons[0]} (and {len(reasons) - 1} families more)")
    plans = _with_odds(plans, ask, laws)
    if ask.loss is not None and ask.flops is None and ask.gpu_hours is None:
        return sorted(plans, key=lambda p: p.flops), reasons
    return rank(plans), reasons


def _with_odds(plans: list[RunPlan], ask: Ask, laws: dict[str, Forecast]) -> list[RunPlan]:
    """Plans with the probability that theirs is the lowest loss, where several come from draws of one table."""
    fitted = {name: law.draws for name, law in laws.items() if isinstance(law, FittedForecast)}
    if ask.flops is None or len(plans) < 2 or any(p.family not in fitted for p in plans):
        return plans
    odds = standings({p.family: fitted[p.family] for p in plans}, ask.flops)
    likely = {s.family: s.probability for s in odds.families}
    return [replace(p, probability=likely[p.family]) for p in plans]


def train_config(chosen: RunPlan, corpus: str) -> dict[str, Any]:
    """The run as `difflaw train` reads it (`ladder.single.TrainConfig`); InputError for a family nobody can train."""
    if chosen.family == "all":
        raise InputError(
            f"--emit: the law's table names no family; fit one with a column family ({', '.join(names())})"
        )
    resolve(chosen.family_config.get("name", chosen.family))
    epochs = chosen.epochs or 1.0
    recipe = Recipe.model_validate(dict(chosen.recipe)).written()
    return {
        "name": f"{chosen.family}-{chosen.layers}x{chosen.width}",
        "data": {"corpus": corpus, "vocab_size": chosen.vocab_size},
        "family": dict(chosen.family_config) or chosen.family,
        "width": chosen.width,
        "depth": chosen.layers,
        "heads": default_heads(chosen.width),
        "context": chosen.context,
        "tokens": chosen.tokens,
        **recipe,
        "batch": chosen.batch_tokens,
        **({"lr": float(f"{chosen.lr:.4g}")} if chosen.lr else {}),
        "max_epochs": max(4.0, round(1.05 * epochs, 2)),
        "flops": chosen.flops_convention,
        "params": chosen.params_convention,
    }


def write_train_config(path: Path, chosen: RunPlan, corpus: str) -> None:
    """Write the YAML with the rule behind each derived value above it."""
    lines = [f"# {chosen.family} by {chosen.law}"]
    lines += [f"# {d.name} = {d.value:.4g}: {d.rule} [{d.source}]" for d in chosen.derived]
    if chosen.loss is not None:
        lines.append(f"# forecast: {chosen.loss:.4f} nats per token, trained as below, {chosen.bound}")
    lines += [f"# mind: {w}" for w in chosen.warnings]
    lines.append(
        f"# {short_count(chosen.params)} parameters ({chosen.params_convention}), {short_count(chosen.tokens)} tokens"
    )
    body = yaml.safe_dump(train_config(chosen, corpus), sort_keys=False, allow_unicode=True)
    write_atomically(path, "\n".join(lines) + "\n" + body)
