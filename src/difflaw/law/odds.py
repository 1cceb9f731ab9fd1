"""Which family of a table has the lowest loss at a budget, and with what probability, from the draws of every law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from difflaw.formatting import listed, short_count
from difflaw.law.answer import estimate, exp_of
from difflaw.law.posterior.posterior import Posterior
from difflaw.law.results import Interval

TIE = 0.8
"""A family less likely than this to be first is not called the winner."""


@dataclass(frozen=True)
class Standing:
    """How a family stands at one budget. Intervals are for the law."""

    family: str
    probability: float
    """Of having the lowest loss."""
    params: Interval | None
    loss: Interval
    best_params: float | None
    best_loss: float
    flops_per_token: Interval
    best_flops_per_token: float


@dataclass(frozen=True)
class StandingsAt:
    """All families at a budget, likeliest winner first."""

    flops: float
    families: tuple[Standing, ...]

    @property
    def chances(self) -> list[tuple[str, float]]:
        """(family, probability of the lowest loss), the likeliest first."""
        return [(s.family, s.probability) for s in self.families]


def standings(posteriors: Mapping[str, Posterior], flops: float, level: float = 0.95) -> StandingsAt:
    """The families at a budget from draws of each family's law, best sizes integrated out.

    Args:
        posteriors: averaged law of each family; draws of different families are independent.
        flops: the budget.
        level: of the intervals.
    """
    found = {name: post.best(flops) for name, post in posteriors.items()}
    count = min(len(b.ln_loss) for b in found.values())
    losses = np.array([b.ln_loss[:count] for b in found.values()])
    # Each draw of one family meets several of every other, so that the odds are finer than one in a thousand draws.
    turns = [np.argmin([np.roll(row, i * shift) for i, row in enumerate(losses)], axis=0) for shift in range(1, 41, 3)]
    wins = np.bincount(np.concatenate(turns), minlength=len(found)) / (len(turns) * count)
    kind = f"{100 * level:g} % for the law's {{}} at this budget"
    out = []
    for (name, best), probability in zip(found.items(), wins, strict=True):
        drawn = (best.ln_loss, best.ln_params, best.ln_flops_per_token)
        loss, size, per_token = (exp_of(estimate(v, level)) for v in drawn)
        out.append(
            Standing(
                family=name,
                probability=float(probability),
                params=Interval(size.low, size.high, level, kind.format("best size")),
                loss=Interval(loss.low, loss.high, level, kind.format("loss")),
                best_params=size.estimate,
                best_loss=loss.estimate,
                flops_per_token=Interval(
                    per_token.low, per_token.high, level, kind.format("best size, as FLOPs per token")
                ),
                best_flops_per_token=per_token.estimate,
            )
        )
    return StandingsAt(flops, tuple(sorted(out, key=lambda s: (-s.probability, s.best_loss))))


def verdict(found: Sequence[tuple[str, float]]) -> str:
    """Who wins in words, from (family, probability), the likeliest first: "masked wins with 84 %", or who ties."""
    name, probability = found[0]
    if probability >= TIE:
        return f"{name} wins with {100 * probability:.0f} %"
    names = [f"{family} ({100 * p:.0f} %)" for family, p in found if p > 0.1]
    return f"{listed(names)} cannot be distinguished" if len(names) > 1 else f"{names[0]} leads"


def standings_text(at: StandingsAt, largest: float) -> list[str]:
    """Who wins at a budget, with what probability, and how far that is from the data.

    Args:
        at: from `standings`.
        largest: largest FLOPs fitted.
    """
    first = at.families[0]
    size = f"{first.best_flops_per_token:.3g} FLOPs per token"
    if first.best_params is not None:
        size = f"{short_count(first.best_params)} parameters"
    others = ", ".join(f"{s.family} {100 * s.probability:.0f} %" for s in at.families[1:])
    lines = [
        f"At {at.flops:.2g} FLOPs {verdict(at.chances)}: {first.family} has the lowest loss with probability "
        f"{100 * first.probability:.0f} % ({others}), {first.best_loss:.4f} at {size}."
    ]
    if (factor := at.flops / largest) > 3:
        lines.append(f"That is {factor:.3g} times the largest run; the probability supposes that the laws hold so far.")
    return lines
