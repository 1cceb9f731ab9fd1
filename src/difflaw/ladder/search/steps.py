"""What a search asks for, and why: every decision is one step."""

from __future__ import annotations

from dataclasses import dataclass, field

from difflaw.ladder.search.sizes import Space


@dataclass(frozen=True, order=True)
class Ask:
    """A run to be taken to a budget: places in the family's `Space`, and the seed."""

    size: int
    seed: int
    budget: int


@dataclass(frozen=True)
class Step:
    """Runs asked for at once, in words why, and their FLOPs; no runs where a search ends or waits for more FLOPs."""

    stage: str
    """bracket, climb, noise, refine or end."""
    budget: int | None
    reason: str
    asks: tuple[Ask, ...] = ()
    flops: float = 0.0
    need: float = 0.0
    """FLOPs beyond the family's share that it would take to go on."""


@dataclass
class Book:
    """How far every run of a family has been asked to go."""

    space: Space
    reached: dict[tuple[int, int], int] = field(default_factory=dict)
    """(size, seed) → place of the largest budget."""

    def missing(self, budget: int, sizes: list[int], seed: int = 0) -> tuple[Ask, ...]:
        """What must be run for these sizes to be known at a budget."""
        return tuple(Ask(i, seed, budget) for i in sorted(set(sizes)) if self.reached.get((i, seed), -1) < budget)

    def cost(self, asks: tuple[Ask, ...]) -> float:
        """FLOPs of what is asked for; runs go on from where they are."""
        budgets = self.space.budgets
        done = [self.reached.get((ask.size, ask.seed)) for ask in asks]
        return sum(budgets[a.budget] - (budgets[k] if k is not None else 0.0) for a, k in zip(asks, done, strict=True))

    def note(self, asks: tuple[Ask, ...]) -> None:
        """They have been asked for."""
        for ask in asks:
            self.reached[ask.size, ask.seed] = max(ask.budget, self.reached.get((ask.size, ask.seed), -1))

    @property
    def spent(self) -> float:
        """FLOPs of all that was asked for."""
        return sum(self.space.budgets[k] for k in self.reached.values())

    def seeds_of(self, size: int) -> int:
        """Runs of a size."""
        return sum(i == size for i, _ in self.reached)
