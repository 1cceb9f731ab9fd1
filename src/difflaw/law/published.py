"""Published laws to compare a fit with or to plan with: each value with source, counting and how it was checked.

The values lie in ``published.json`` in this folder. Two losses may be compared only where tokenizer and kind of bound
agree, so every law names both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from difflaw.errors import InputError

DECAYED = {"cooldown": 0.2}
"""Recipe of a publication that gives none: losses are reported after the rate has come down, here over a fifth."""
BOTH_PAPERS = ("gidd", "beyond-masked")
"""The two papers on scaling discrete diffusion; the other sets are references."""


@dataclass(frozen=True)
class PublishedLaw:
    """y = coefficient · x^exponent as published (or as derived from published points)."""

    source: str
    family: str
    y: str
    x: str
    coefficient: float | None
    """None where only the exponent is known."""
    exponent: float
    interval: tuple[float, float] | None
    """95 % interval of the exponent where one was printed."""
    convention: str
    fitted: str
    """Range of x the fit saw."""
    checked: str
    tokenizer: str = "not given"
    bound: str = "not given"
    rough: float | None = None
    """About how far off the exponent may be, where we estimated that ourselves."""

    def __call__(self, x: float) -> float:
        """Value at ``x``; InputError where the coefficient is not known."""
        if self.coefficient is None:
            raise InputError(f"{self.source}: only the exponent of {self.y} is known, not its coefficient")
        return self.coefficient * x**self.exponent


@dataclass(frozen=True)
class PublishedSurface:
    """L = E + A·X^-alpha + B·D^-beta with X the params or the FLOPs per token, as ``size`` says."""

    size: str
    E: float
    A: float
    B: float
    alpha: float
    beta: float
    checked: str
    exponent_interval: tuple[float, float] | None = None
    """95 % interval of a in N* ∝ C^a, where known."""


@dataclass(frozen=True)
class HyperLaw:
    """y = coefficient · product of x^exponent: a batch size in tokens or a learning rate."""

    y: str
    coefficient: float
    exponents: Mapping[str, float]
    formula: str
    source: str
    checked: str
    half_width: Mapping[str, float] | None = None
    """95 % half width of each exponent where printed."""

    def __call__(self, **values: float) -> float:
        """Value at ``tokens=``, ``params=``, ``flops=`` or ``batch_tokens=``; more than it needs may be given."""
        out = self.coefficient
        for name, exponent in self.exponents.items():
            out *= values[name] ** exponent
        return out


@dataclass(frozen=True)
class Derived:
    """A hyper-parameter that came from a rule: its value, the rule in words, the source."""

    name: str
    value: float
    rule: str
    source: str


@dataclass(frozen=True)
class Repeats:
    """Half-life-like constants of repeated data (and of sizes past the optimum), in repeats after the first epoch."""

    R_D: float
    R_N: float | None
    source: str
    checked: str


@dataclass(frozen=True)
class PublishedRun:
    """A large run that was really made, to hold a law against."""

    name: str
    family: str
    budget: float
    checked: str
    layers: int | None = None
    width: int | None = None
    params: float | None = None
    tokens: float | None = None
    batch_tokens: int | None = None
    steps: int | None = None
    loss: float | None = None
    loss_without_cooldown: float | None = None

    @property
    def trained_tokens(self) -> float | None:
        """Tokens, from batch and steps where those are known."""
        return self.batch_tokens * self.steps if self.batch_tokens and self.steps else self.tokens


@dataclass(frozen=True)
class PublishedFamily:
    """What one set says of one family."""

    name: str
    laws: tuple[PublishedLaw, ...]
    surface: PublishedSurface | None
    curvature: float | None
    """k in ln L = ln L* + k·ln²(N/N*) at fixed compute, where there is no surface."""
    curvature_checked: str
    batch: HyperLaw | None
    lr: HyperLaw | None
    repeats: Repeats | None

    def law(self, y: str, x: str = "flops") -> PublishedLaw | None:
        """The first law of y against x that has a coefficient."""
        return next((w for w in self.laws if (w.y, w.x) == (y, x) and w.coefficient is not None), None)


@dataclass(frozen=True)
class PublishedSet:
    """One publication: how it counts, what it read, its families and its large runs."""

    name: str
    title: str
    source: str
    count: str
    params_convention: str
    flops_convention: str
    tokenizer: str
    data: str
    vocab_size: int
    context: int
    loss: str
    bound: str
    fitted: str
    flops_range: tuple[float, float] | None
    notes: tuple[str, ...]
    families: Mapping[str, PublishedFamily]
    runs: tuple[PublishedRun, ...]
    batch: HyperLaw | None
    """Pooled over families."""
    lr: HyperLaw | None
    batch_overhead: float | None
    """a in: tokens to the same loss grow by a·ln²(B/B*)."""
    cooldown: float | None
    """Loss without over loss with a cooldown; None where the law's losses need no such factor."""
    recipe: Mapping[str, Any]
    """How a run is trained whose loss the laws forecast (keys of `training.recipe.Recipe`)."""


@cache
def published_sets() -> Mapping[str, PublishedSet]:
    """Every bundled publication by name."""
    raw = json.loads(files("difflaw.law").joinpath("published.json").read_text(encoding="utf-8"))
    return {name: _set(name, fields) for name, fields in raw["sets"].items()}


def published_set(name: str) -> PublishedSet:
    """One publication: how it counts, its laws by family, its large runs; InputError lists the known names.

    >>> import difflaw
    >>> law = difflaw.published("gidd").families["uniform"].law("flops_per_token")  # M*(C)
    >>> round(law.exponent, 3)
    0.589
    """
    sets = published_sets()
    if name not in sets:
        raise InputError(f"no published law is called '{name}'; there are {', '.join(sets)}")
    return sets[name]


def published_laws() -> tuple[PublishedLaw, ...]:
    """Power laws of both papers on discrete diffusion, first paper first, in a fixed order."""
    chosen = (published_sets()[name] for name in BOTH_PAPERS)
    every = [law for s in chosen for family in s.families.values() for law in family.laws]
    return tuple(sorted(every, key=lambda law: (law.source != every[0].source, law.x != "flops")))


def published_for(family: str, y: str, x: str = "flops") -> tuple[PublishedLaw, ...]:
    """Power laws of both papers of one family and quantity; empty where none is known."""
    return tuple(law for law in published_laws() if (law.family, law.y, law.x) == (family, y, x))


def _set(name: str, raw: Mapping[str, Any]) -> PublishedSet:
    pooled, source = raw.get("pooled", {}), raw["source"]
    return PublishedSet(
        name=name,
        **{key: raw[key] for key in ("title", "source", "count", "params_convention", "flops_convention", "tokenizer")},
        **{key: raw[key] for key in ("data", "vocab_size", "context", "loss", "bound", "fitted")},
        flops_range=_pair(raw["flops_range"]),
        notes=tuple(raw["notes"]),
        families={family: _family(family, fields, raw) for family, fields in raw["families"].items()},
        runs=tuple(PublishedRun(**run) for run in raw["runs"]),
        batch=_hyper(pooled.get("batch"), source),
        lr=_hyper(pooled.get("lr"), source),
        batch_overhead=raw.get("batch_overhead", {}).get("per_ln_squared"),
        cooldown=raw.get("cooldown", {}).get("factor"),
        recipe=raw.get("recipe", DECAYED),
    )


def _family(name: str, raw: Mapping[str, Any], whole: Mapping[str, Any]) -> PublishedFamily:
    source = whole["source"]
    laws = tuple(
        PublishedLaw(
            source=source,
            family=name,
            interval=_pair(law.get("interval")),
            convention=whole["count"],
            fitted=whole["fitted"] if law["x"] == "flops" else whole.get("token_bound_fitted", "not given"),
            tokenizer=whole["tokenizer"],
            bound=whole["bound"],
            **{key: law[key] for key in ("y", "x", "coefficient", "exponent", "checked")},
            rough=law.get("rough"),
        )
        for law in raw["laws"]
    )
    surface = raw.get("surface")
    if surface is not None:
        interval = _pair(surface.get("exponent_interval"))
        surface = PublishedSurface(**{**surface, "exponent_interval": interval})
    curvature, repeats = raw.get("curvature", {}), raw.get("repeats")
    return PublishedFamily(
        name=name,
        laws=laws,
        surface=surface,
        curvature=curvature.get("per_ln_squared"),
        curvature_checked=curvature.get("checked", ""),
        batch=_hyper(raw.get("batch"), source),
        lr=_hyper(raw.get("lr"), source),
        repeats=Repeats(source=source, **repeats) if repeats else None,
    )


def _hyper(raw: Mapping[str, Any] | None, source: str) -> HyperLaw | None:
    return HyperLaw(source=source, **raw) if raw else None


def _pair(raw: Sequence[float] | None) -> tuple[float, float] | None:
    return (float(raw[0]), float(raw[1])) if raw else None
