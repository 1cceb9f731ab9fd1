"""The search as a whole: families side by side, then together; every decision follows from finished results alone.

Each family's steps are a generator that is sent what its own runs show, so families never wait for one another and no
decision depends on timing or on how many run at once. Nothing of the search is stored: at every start it is replayed
from its first step, and runs that have finished answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from difflaw.formatting import flops as in_flops
from difflaw.ladder.search.minima import Search, find_minima
from difflaw.ladder.search.refine import Refinement, Shown, refine
from difflaw.ladder.search.sight import Rows, Sight, see
from difflaw.ladder.search.sizes import Space
from difflaw.ladder.search.steps import Ask, Book, Step

MINIMA = 3
"""Minima inside that a law needs; a family with fewer goes on to larger budgets where FLOPs are left."""


class World(Protocol):
    """Where runs happen."""

    def done(self, family: str, ask: Ask) -> bool:
        """Whether the run has come so far, or has failed or diverged."""
        ...

    def rows(self, family: str, reached: Mapping[tuple[int, int], int]) -> Rows:
        """Evaluations of the family's runs up to the budgets they were asked to reach, none of failed ones."""
        ...

    def failed(self, family: str, reached: Mapping[tuple[int, int], int]) -> frozenset[int]:
        """Sizes of which a run failed or diverged."""
        ...


@dataclass(frozen=True)
class Decision:
    """One step of one family, in the order of the family's steps."""

    family: str
    number: int
    step: Step


@dataclass
class _Family:
    """A family's search while it goes on."""

    space: Space
    book: Book
    steps: Search
    sight: Sight
    open_: tuple[Ask, ...] = ()
    waiting: Step | None = None
    ended: bool = False
    begun: bool = False


class SearchDrive:
    """Call `advance` whenever runs have ended; it says which are to be run now."""

    def __init__(
        self, spaces: Sequence[Space], world: World, *, flops: float, until: float | None = None, seeds: int = 3
    ) -> None:
        self.world, self.flops, self.until, self.seeds = world, flops, until, seeds
        self.decisions: list[Decision] = []
        self.verdict: str | None = None
        """Why the search ended; None while it goes on."""
        self._families: dict[str, _Family] = {}
        for space in spaces:
            book = Book(space)
            steps = find_minima(space, book, flops / len(spaces), MINIMA)
            self._families[space.family] = _Family(space, book, steps, Sight(space, {}))
        self._together: Refinement | None = None

    @property
    def spent(self) -> float:
        """FLOPs of all that has been asked for."""
        return sum(family.book.spent for family in self._families.values())

    def sight(self, family: str) -> Sight:
        """What the family's finished steps show."""
        return self._families[family].sight

    def reached(self, family: str) -> Mapping[tuple[int, int], int]:
        """(size, seed) → place of the budget it was asked to reach."""
        return self._families[family].book.reached

    def advance(self) -> list[tuple[str, Ask]]:
        """Go as far as finished runs allow; what is asked for now, by family."""
        while self.verdict is None:
            moved = [self._advance(family) for family in self._families.values()]
            if any(moved):
                continue
            if any(family.open_ for family in self._families.values()):
                break
            if self._together is None and self._grant():
                continue
            self._refine()
        return [(name, ask) for name, family in self._families.items() for ask in family.open_]

    def _finished(self, family: _Family) -> bool:
        """Take what has ended off the family's list; whether nothing is open."""
        family.open_ = tuple(a for a in family.open_ if not self.world.done(family.space.family, a))
        return not family.open_

    def _advance(self, family: _Family) -> bool:
        """One step of a family that waits for nothing; whether there was one."""
        if not family.open_ and (family.ended or family.waiting is not None or self._together is not None):
            return False
        had = bool(family.open_)
        if not self._finished(family):
            return False
        if had:
            family.sight = self._see(family)
        if self._together is not None:
            return had
        self._take(family, self._next(family))
        return True

    def _next(self, family: _Family) -> Step | None:
        """The family's next step; None where its minima are found."""
        try:
            if family.begun:
                return family.steps.send(family.sight)
            family.begun = True
            return next(family.steps)
        except StopIteration:
            return None

    def _take(self, family: _Family, step: Step | None) -> None:
        if step is None:
            family.ended = True
        elif step.asks:
            self._decided(family, step)
        else:
            family.waiting = step

    def _decided(self, family: _Family, step: Step) -> None:
        name = family.space.family
        self.decisions.append(Decision(name, sum(d.family == name for d in self.decisions) + 1, step))
        family.open_ = tuple(a for a in step.asks if not self.world.done(name, a))
        if not family.open_:
            family.sight = self._see(family)

    def _see(self, family: _Family) -> Sight:
        name, reached = family.space.family, family.book.reached
        return see(family.space, self.world.rows(name, reached), self.world.failed(name, reached))

    def _grant(self) -> bool:
        """Let the family with the fewest minima go on beyond its share, if what all left over pays for it."""
        left = self.flops - self.spent
        waiting = [f for f in self._families.values() if f.waiting is not None and len(f.sight.inside) < MINIMA]
        for family in sorted(waiting, key=lambda f: (len(f.sight.inside), f.waiting.need if f.waiting else 0.0)):
            assert family.waiting is not None
            if family.waiting.need <= left:
                family.waiting = None
                self._take(family, self._next(family))
                return True
        return False

    def _refine(self) -> None:
        """The next round for all families, or the end."""
        names = list(self._families)
        shown = Shown(
            {n: self.world.rows(n, self._families[n].book.reached) for n in names},
            {n: self._families[n].sight for n in names},
        )
        try:
            if self._together is None:
                spaces, books = ({n: getattr(self._families[n], k) for n in names} for k in ("space", "book"))
                self._together = refine(spaces, books, self.flops, self.until, self.seeds, shown)
                steps = next(self._together)
            else:
                steps = self._together.send(shown)
        except StopIteration as ended:
            self.verdict = f"{in_flops(self.spent)} of {in_flops(self.flops)} spent; {ended.value}"
            return
        for name, step in steps.items():
            self._decided(self._families[name], step)
