"""A law's recommendation as something that can be run: counted by the real backbone, written as a training config."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from difflaw.errors import InputError
from difflaw.files import read_json, write_atomically
from difflaw.formatting import count as in_short
from difflaw.model.accounting import Account, account
from difflaw.model.config import ModelConfig, default_heads
from difflaw.planning.forecast import Forecast, load_forecasts
from difflaw.planning.planner import Ask, RunPlan, check, plan, rank
from difflaw.planning.shapes import Count, Shape

ONE_PASS = {
    *("ar", "autoregressive", "mdlm", "duo", "gidd"),
    *("masked", "low-uniform", "balanced", "high-uniform", "uniform"),
}
"""Families whose network reads a sequence once; others are asked (which loads torch)."""


def counter(law: Forecast) -> Count:
    """Counts shapes with the law's vocabulary and context, and the family's own passes over a sequence.

    A published law is counted as its paper counts, one pass whatever the family.
    """
    passes: tuple[tuple[float, int], ...] = ((1.0, 1),)
    if not law.published and law.family not in ONE_PASS:
        from difflaw.families import get, names

        if law.family in names():
            passes = get(law.family, law.vocab_size, 3).passes(law.context)

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


def laws_for(source: str, context: int | None, vocab_size: int | None, families: Sequence[str]) -> dict[str, Forecast]:
    """Forecasts by family; of a ladder's folder with the context and vocabulary that its runs had.

    InputError for a family the law does not have.
    """
    page = Path(source) / "ladder.json"
    if not source.startswith("published:") and page.exists():
        described = read_json(page)
        context = context or described.get("config", {}).get("context")
        vocab_size = vocab_size or described.get("data", {}).get("vocab_size")
    found = load_forecasts(source, context, vocab_size)
    for family in families:
        if family not in found:
            raise InputError(f"--family {family}: {source} has {', '.join(found)}")
    return {name: law for name, law in found.items() if not families or name in families}


def recommend(ask: Ask, laws: dict[str, Forecast]) -> tuple[list[RunPlan], list[str]]:
    """(plans from the lowest loss up, why a family has none); InputError where no family can be planned for."""
    check(ask)
    plans, reasons = [], []
    for law in laws.values():
        try:
            plans.append(plan(ask, law, counter(law)))
        except InputError as error:
            reasons.append(str(error))
    if not plans:
        raise InputError(reasons[0] if len(reasons) == 1 else f"{reasons[0]} (and {len(reasons) - 1} families more)")
    return rank(plans), reasons


def train_config(chosen: RunPlan, corpus: str) -> dict[str, Any]:
    """The run as `difflaw train` reads it (`ladder.single.TrainConfig`); InputError for a family nobody can train."""
    from difflaw.families import names
    from difflaw.families import resolve as resolve_family

    if chosen.family == "all":
        raise InputError(
            f"--emit: the law's table names no family; fit one with a column family ({', '.join(names())})"
        )
    resolve_family(chosen.family)
    epochs = chosen.epochs or 1.0
    return {
        "name": f"{chosen.family}-{chosen.layers}x{chosen.width}",
        "data": {"corpus": corpus, "vocab_size": chosen.vocab_size},
        "family": chosen.family,
        "width": chosen.width,
        "depth": chosen.layers,
        "heads": default_heads(chosen.width),
        "context": chosen.context,
        "tokens": chosen.tokens,
        "batch": chosen.batch_tokens,
        **({"lr": float(f"{chosen.lr:.4g}")} if chosen.lr else {}),
        "precision": "auto",
        "max_epochs": max(4.0, round(1.05 * epochs, 2)),
        "flops": chosen.flops_convention,
        "params": chosen.params_convention,
    }


def write_train_config(path: Path, chosen: RunPlan, corpus: str) -> None:
    """Write the YAML with the rule behind each derived value above it."""
    lines = [f"# {chosen.family} by {chosen.law}"]
    lines += [f"# {d.name} = {d.value:.4g}: {d.rule} [{d.source}]" for d in chosen.derived]
    if chosen.loss is not None:
        lines.append(f"# forecast: {chosen.loss:.4f} nats per token after the cooldown, {chosen.bound}")
    lines += [f"# mind: {w}" for w in chosen.warnings]
    lines.append(
        f"# {in_short(chosen.params)} parameters ({chosen.params_convention}), {in_short(chosen.tokens)} tokens"
    )
    body = yaml.safe_dump(train_config(chosen, corpus), sort_keys=False, allow_unicode=True)
    write_atomically(path, "\n".join(lines) + "\n" + body)
