"""One family's minima: bracket the lowest budget from a guess, climb with the bracket predicted, mend every edge.

At each budget at least four sizes are run, within about a factor three to four of the best: a minimum's place is known
to about 0.35·σ/(c·h) in ln N, for noise σ of ln loss, curvature c and sizes h apart in ln N
(docs/derivations.md#bracket), so that neighbours a factor two apart would mostly measure noise. Runs are only made
longer as budgets grow, and sizes far below the minimum are left behind.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from itertools import pairwise

import numpy as np

from difflaw.formatting import flops as in_flops
from difflaw.formatting import short_count
from difflaw.ladder.search.sight import Sight
from difflaw.ladder.search.sizes import Space
from difflaw.ladder.search.steps import Ask, Book, Step

SPREAD = math.log(3.3)
"""Distance of the outer sizes from the predicted best one."""
NEAR_ENOUGH = math.log(1.35)
"""A size that runs already and lies this near to a target is taken; with `SPREAD` it still lies in the `WINDOW`."""
WINDOW = math.log(4.5)
"""Sizes within it count as near the minimum (`law.isoflop.profiles.WINDOW`)."""
GAP = math.log(5.0)
"""Widest gap beside the best size."""
WIDEST_ASLEEP = math.log(10.0)
"""Widest gap between sizes where none has learnt anything: those that learn first span more."""
CLEAR = 0.02
"""Difference in ln loss that noise does not make: about two standard deviations of small runs."""
SIZES = 4
"""Sizes near each minimum: three place it, the fourth measures the noise."""
MOVES = 24
"""Moves at one budget at most."""
SLOPE, SLOPE_SD = 0.5, 0.2
"""ln N* against ln FLOPs before it is measured."""

Search = Generator[Step, Sight, None]


def find_minima(space: Space, book: Book, share: float, wanted: int) -> Search:
    """Steps of one family's search; it is sent what the runs asked for so far show.

    Args:
        space: sizes and budgets.
        book: empty; keeps what has been asked for.
        share: FLOPs of this family.
        wanted: minima below which budgets after the nominal one are run, too.
    """
    sight, measured = Sight(space, {}), False
    for budget in range(len(space.budgets)):
        if budget > space.nominal and len(sight.inside) >= wanted:
            return
        reach = space.reach(budget)
        if reach is None:
            continue
        asks, why = _first(space, book, sight, budget, reach)
        stage = "climb" if sight.inside else "bracket"
        moves = 0
        while asks and moves < MOVES:
            cost = book.cost(asks)
            if book.spent + cost > share:
                sight = yield Step("end", budget, _short(space, book, budget, cost, share), need=cost)
                share = book.spent + cost  # it was granted, or this would not be reached
            book.note(asks)
            sight = yield Step(stage, budget, why, asks, cost)
            moves += 1
            asks, why = _move(space, book, sight, budget, reach)
        if sight.minimum(budget) is not None and not measured:
            measured = True
            asks = _again(space, book, sight, budget)
            if asks and book.spent + book.cost(asks) <= share:
                cost = book.cost(asks)
                book.note(asks)
                why = "first minimum inside; a second seed about it measures the noise"
                sight = yield Step("noise", budget, why, asks, cost)


def _first(space: Space, book: Book, sight: Sight, budget: int, reach: tuple[int, int]) -> tuple[tuple[Ask, ...], str]:
    """The sizes a budget starts with: three about the guess, or four where the minima so far point."""
    centre, source = _predicted(space, sight, budget)
    running = [i for (i, seed), k in book.reached.items() if seed == 0 and k >= budget - 1 and _usable(i, reach, sight)]
    taken: list[int] = []
    for target in (centre, centre - SPREAD, centre + SPREAD):
        off = {i: abs(math.log(space.params[i]) - target) for i in running if i not in taken}
        near = [i for i in off if off[i] < NEAR_ENOUGH]
        taken.append(min(near, key=lambda i: off[i]) if near else space.nearest(target, reach))
    others = [i for i in range(reach[0], reach[1] + 1) if i not in taken]
    if sight.inside and others:
        taken.append(min(others, key=lambda i: abs(math.log(space.params[i]) - centre)))
    sizes = [i for i in taken if i not in sight.failed]
    return book.missing(budget, sizes), f"{source} {short_count(math.exp(centre))}: running {_names(space, sizes)}"


def _predicted(space: Space, sight: Sight, budget: int) -> tuple[float, str]:
    """(ln N* to be expected, in words where from)."""
    minima = [(k, found) for k in sight.inside if (found := sight.minimum(k)) is not None]
    if not minima:
        last = max((k for k in sight.profiles if k < budget), default=None)
        known = sight.known(last) if last is not None else {}
        if last is None or not known or sight.asleep(last):
            smallest = min((i for k in sight.profiles for i in sight.known(k)), default=None)
            if smallest is not None:
                return math.log(space.params[smallest]), "nothing learnt so far, smallest size"
            return space.guess(budget), "first guess"
        best = min(known, key=lambda i: known[i])
        return math.log(space.params[best]), "no minimum so far, best size"
    x = np.log([space.budgets[k] for k, _ in minima])
    y = np.array([u for _, (u, _) in minima])
    weight = np.array([1 / (0.1**2 + min(se, 2.0) ** 2) for _, (_, se) in minima])
    at, middle = float(weight @ x / weight.sum()), float(weight @ y / weight.sum())
    slope = (weight * (x - at)) @ (y - middle) + SLOPE / SLOPE_SD**2
    slope /= weight @ (x - at) ** 2 + 1 / SLOPE_SD**2
    return middle + float(slope) * (math.log(space.budgets[budget]) - at), "minima so far point at"


def _move(space: Space, book: Book, sight: Sight, budget: int, reach: tuple[int, int]) -> tuple[tuple[Ask, ...], str]:
    """What the profile at a budget still lacks; nothing where it has all, or nothing can be done."""
    known = sight.known(budget)
    if not known:
        left = [i for i in range(reach[0], reach[1] + 1) if i not in sight.failed and (i, 0) not in book.reached]
        size = left[:1]
        return book.missing(budget, size), f"no run has ended well: trying {_names(space, size)}"
    best = min(known, key=lambda i: known[i])
    low, high = min(known), max(known)
    profile = sight.profiles[budget]
    if sight.asleep(budget):  # too few tokens, which smaller sizes mend; or far too small a size
        for end, side in ((low, -1), (high, +1)):
            found = _outwards(space, book, sight, budget, reach, end, side, "nothing learnt")
            if found[0]:
                return found
        return _widest_gap(space, book, sight, budget)
    if best == low and _smaller_were_worse(sight, budget, best):
        asks = book.missing(budget, _between(space, sight, known, best, reach))
        if asks:
            names = _names(space, [a.size for a in asks])
            return asks, f"smallest size is best, but smaller ones were worse before: adding {names}"
    if best == low and low > reach[0]:
        return _outwards(space, book, sight, budget, reach, low, -1, "smallest size is best")
    if best == high and high < reach[1]:
        return _outwards(space, book, sight, budget, reach, high, +1, "largest size is best")
    if best in (low, high):
        return (), ""
    for side in (-1, +1):
        beside = max(i for i in known if i < best) if side < 0 else min(i for i in known if i > best)
        if abs(math.log(space.params[best] / space.params[beside])) > GAP:
            size = space.nearest(math.log(space.params[best] * space.params[beside]) / 2, reach)
            if size not in known and size not in sight.failed:
                return book.missing(budget, [size]), f"wide gap beside the best size: adding {space.names[size]}"
    near = [i for i in known if abs(math.log(space.params[i] / space.params[best])) <= WINDOW]
    if profile.status == "edge-low":
        return _outwards(space, book, sight, budget, reach, low, -1, "the fitted minimum lies below the sizes run")
    if profile.status == "edge-high":
        return _outwards(space, book, sight, budget, reach, high, +1, "the fitted minimum lies above the sizes run")
    if len(near) < SIZES:
        asks = book.missing(budget, _between(space, sight, known, best, reach))
        if asks:
            return asks, f"{len(near)} sizes near the minimum: adding {_names(space, [a.size for a in asks])}"
    if profile.status == "not-convex":
        return _clearer(space, book, sight, budget, reach, best)
    return (), ""


def _outwards(
    space: Space, book: Book, sight: Sight, budget: int, reach: tuple[int, int], end: int, side: int, why: str
) -> tuple[tuple[Ask, ...], str]:
    """The next size beyond an end, in strides that double as the same end asks again."""
    known = sorted(sight.known(budget))
    inner = known[1] if side < 0 and len(known) > 1 else known[-2] if len(known) > 1 else end - side
    stride = 2 * max(1, abs(end - inner)) if sight.asleep(budget) or len(known) > 3 else max(1, abs(end - inner))
    for step in range(stride, 0, -1):
        size = min(max(end + side * step, reach[0]), reach[1])
        asks = book.missing(budget, [size])
        if size != end and size not in sight.failed and asks:
            return asks, f"{why}: adding {space.names[size]}"
    return (), ""


def _smaller_were_worse(sight: Sight, budget: int, size: int) -> bool:
    """Whether every smaller size lost clearly at the budget before, so that noise alone makes this one the best."""
    before = sight.known(budget - 1)
    smaller = [before[i] for i in before if i < size]
    return size in before and bool(smaller) and min(smaller) - before[size] > CLEAR


def _widest_gap(space: Space, book: Book, sight: Sight, budget: int) -> tuple[tuple[Ask, ...], str]:
    """The middle of the widest gap between sizes of which none has learnt; nothing where all gaps are narrow."""
    known = sorted(sight.known(budget))
    gaps = [(math.log(space.params[b] / space.params[a]), a, b) for a, b in pairwise(known)]
    for gap, a, b in sorted(gaps, reverse=True):
        middle = [i for i in range(a + 1, b) if i not in sight.failed]
        if gap > WIDEST_ASLEEP and middle:
            size = middle[len(middle) // 2]
            return book.missing(budget, [size]), f"nothing learnt: adding {space.names[size]} between"
    return (), ""


def _between(space: Space, sight: Sight, known: dict[int, float], best: int, reach: tuple[int, int]) -> list[int]:
    """The size near the best one that has not run, on the side where the loss rises least."""
    free = [
        i
        for i in range(reach[0], reach[1] + 1)
        if i not in known and i not in sight.failed and abs(math.log(space.params[i] / space.params[best])) <= WINDOW
    ]
    if not free:
        return []
    below, above = (min((known[i] for i in known if side * (i - best) > 0), default=math.inf) for side in (-1, 1))
    side = -1 if below < above else 1
    return [min(free, key=lambda i: (side * (i - best) < 0, abs(i - best)))]


def _clearer(
    space: Space, book: Book, sight: Sight, budget: int, reach: tuple[int, int], best: int
) -> tuple[tuple[Ask, ...], str]:
    """Sizes up to the parabola's window, then second seeds, where the curve is too flat for its noise."""
    known = sight.known(budget)
    low, high = min(known), max(known)
    sides = [(known[low], low, -1), (known[high], high, +1)]
    for _, end, side in sorted(sides):
        size = end + side
        narrow = abs(math.log(space.params[end] / space.params[best])) < 0.8 * WINDOW
        if narrow and reach[0] <= size <= reach[1] and size not in sight.failed and book.missing(budget, [size]):
            return book.missing(budget, [size]), f"too flat for its noise: adding {space.names[size]}"
    near = [i for i in known if abs(math.log(space.params[i] / space.params[best])) <= WINDOW]
    asks = book.missing(budget, near, seed=1)
    return asks, f"too flat for its noise: a second seed of {_names(space, near)}"


def _again(space: Space, book: Book, sight: Sight, budget: int) -> tuple[Ask, ...]:
    """A second seed of the best size and its neighbours."""
    known = sight.known(budget)
    best = min(known, key=lambda i: known[i])
    nearest = sorted(known, key=lambda i: (abs(i - best), i))[:3]
    return book.missing(budget, nearest, seed=1)


def _usable(size: int, reach: tuple[int, int], sight: Sight) -> bool:
    return reach[0] <= size <= reach[1] and size not in sight.failed


def _names(space: Space, sizes: list[int]) -> str:
    return ", ".join(space.names[i] for i in sorted(set(sizes)))


def _short(space: Space, book: Book, budget: int, cost: float, share: float) -> str:
    left = in_flops(max(share - book.spent, 0.0))
    return f"the next runs would cost {in_flops(cost)} and {left} of its share are left"
