"""A search in planted worlds: FLOPs to bracket every family against an oracle's, and whether its laws cover.

`bench_search.py [WORLDS]` (default 200). A world has three families with surfaces E + A/N^a + B/D^b behind a plateau of
their own, 0.5 to 1.5 % noise between runs, and best sizes up to four orders of magnitude from the search's first guess.
The oracle knows N* and runs, at every budget, the sizes nearest to N*/3.3, N* and 3.3·N* and the nearest other one to
N*, each run grown; the search is held to 1.5 times its FLOPs.
"""

from __future__ import annotations

import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from figures import Figure, report
from search_worlds import PlantedWorld, Surface

from difflaw.ladder.search.drive import SearchDrive
from difflaw.ladder.search.minima import SPREAD
from difflaw.ladder.search.sizes import Space, shapes
from difflaw.ladder.search.steps import Book
from difflaw.law.fit import fit_laws
from difflaw.law.table import table_from_frame
from difflaw.law.table.plateau import LEARNT

WORLDS = 200
FAMILIES = ("autoregressive", "masked", "uniform")
BUDGETS, BEYOND = 5, 3
WITHIN = 1.5
VOCABULARY, UNIGRAM = 384, 5.0
OFF = math.log(1e4)
"""Best sizes lie up to so far (in ln N) from the search's first guess."""


@dataclass(frozen=True)
class Found:
    """One family of one world."""

    ratio: float
    """FLOPs up to the last bracket, over the oracle's."""
    minima: int
    exponent: tuple[float, float, float] | None
    """(low, high, true exponent of N* over the budgets)."""
    size: tuple[float, float, float] | None
    """(low, high, true) ln N* at ten times the largest budget."""


def space(family: str, largest: float) -> Space:
    """A search's sizes and budgets."""
    rungs = shapes(2, 1 << 16)
    params = np.array([12.0 * r.depth * r.width**2 for r in rungs])
    per_token = 6 * params + 6 * VOCABULARY * np.array([r.width for r in rungs])
    grid = tuple(largest * 2.0 ** (k - BUDGETS + 1) for k in range(BUDGETS + BEYOND))
    names = tuple(f"{r.width}x{r.depth}" for r in rungs)
    return Space(family, names, params, per_token, grid, BUDGETS - 1, (1.0, 1e30), LEARNT * UNIGRAM)


def planted(rng: np.random.Generator, place: Space, off: float) -> Surface:
    """A surface whose best size at the largest planned budget is e^``off`` times the first guess."""
    flops = place.budgets[place.nominal]
    ln_n = float(np.clip(place.guess(place.nominal) + off, *np.log(place.params[[4, -5]])))
    per_token = math.exp(float(np.interp(ln_n, np.log(place.params), np.log(place.flops_per_token))))
    tokens = flops / per_token
    a, b = rng.uniform(0.3, 0.5, 2)
    gain = rng.uniform(0.5, 0.9)  # A/N^a at the optimum, nats per token; B/D^b is a/b of it there
    wake = tokens * rng.uniform(0.01, 0.1) if rng.random() < 0.7 else 1.0
    noise = rng.uniform(0.005, 0.015)
    size, data = gain * math.exp(a * ln_n), gain * a / b * tokens**b
    return Surface(rng.uniform(1.2, 2.2), size, a, data, b, wake, UNIGRAM, noise)


def oracle(place: Space, surface: Surface) -> float:
    """FLOPs of the runs of one who knows N* at every budget."""
    book = Book(place)
    for budget in range(place.nominal + 1):
        best = surface.best(place, place.budgets[budget])
        reach = (0, len(place.params) - 1)
        sizes = {place.nearest(best + shift, reach) for shift in (-SPREAD, 0.0, SPREAD)}
        others = [i for i in range(len(place.params)) if i not in sizes]
        sizes.add(min(others, key=lambda i: abs(math.log(place.params[i]) - best)))
        book.note(book.missing(budget, sorted(sizes)))
    return book.spent


def one(seed: int) -> list[Found]:
    """One world, searched and fitted."""
    rng = np.random.default_rng([7, seed])
    largest = 10 ** rng.uniform(12, 18)
    places = {name: space(name, largest) for name in FAMILIES}
    surfaces = {name: planted(rng, place, rng.uniform(-OFF, OFF)) for name, place in places.items()}
    world = PlantedWorld(places, surfaces, seed)
    search = SearchDrive(list(places.values()), world, flops=9.0 * len(FAMILIES) * largest)
    search.advance()
    return [_found(search, world, name) for name in FAMILIES]


def _found(search: SearchDrive, world: PlantedWorld, name: str) -> Found:
    import pandas as pd

    place, surface = world.spaces[name], world.surfaces[name]
    spent = sum(
        d.step.flops
        for d in search.decisions
        if d.family == name
        and d.step.stage in ("bracket", "climb")
        and d.step.budget is not None
        and d.step.budget <= place.nominal
    )
    rows = [row for other in FAMILIES for row in world.rows(other, search.reached(other))]
    fitted = fit_laws(table_from_frame(pd.DataFrame(rows))).families[name]
    inside = len(search.sight(name).inside)
    post, given = fitted.posterior, fitted.answer
    exponent = size = None
    if post is not None and given is not None and given.params_exponent is not None:
        low, high = post.budgets
        true = (surface.best(place, high) - surface.best(place, low)) / math.log(high / low)
        exponent = (given.params_exponent.low, given.params_exponent.high, true)
        far = 10 * high
        draws = post.best(far).ln_params
        ends = np.quantile(draws, [0.025, 0.975])
        size = (float(ends[0]), float(ends[1]), surface.best(place, far))
    return Found(spent / oracle(place, surface), inside, exponent, size)


def main() -> list[Figure]:
    """Print the table."""
    given = [a for a in sys.argv[1:] if not a.startswith("--")]
    count, started = int(given[0]) if given else WORLDS, time.perf_counter()
    with ProcessPoolExecutor() as pool:
        found = [family for world in pool.map(one, range(count)) for family in world]
    ratio = np.array([f.ratio for f in found])
    enough = float(np.mean([f.minima >= 3 for f in found]))
    laws = [f for f in found if f.exponent is not None and f.size is not None]
    covers = float(np.mean([f.exponent[0] <= f.exponent[2] <= f.exponent[1] for f in laws if f.exponent]))
    sizes = float(np.mean([f.size[0] <= f.size[2] <= f.size[1] for f in laws if f.size]))
    width = float(np.median([(f.exponent[1] - f.exponent[0]) / 2 for f in laws if f.exponent]))
    print(f"{count} worlds, {len(found)} families, {time.perf_counter() - started:.0f} s")
    print(f"three minima or more          {enough:.3f}")
    print(f"a law                         {len(laws) / len(found):.3f}")
    print(f"FLOPs of the brackets / oracle's: median {np.median(ratio):.2f}, 90 % {np.quantile(ratio, 0.9):.2f}")
    print(f"within {WITHIN} times the oracle  {np.mean(ratio <= WITHIN):.3f}")
    print(f"exponent of N* covered        {covers:.3f} (half-width, median: {width:.3f})")
    print(f"N* at ten times covered       {sizes:.3f}")
    return [
        Figure("search: median FLOPs of the brackets over the oracle's", float(np.median(ratio)), at_most=WITHIN),
        Figure("search: share of families with three minima", enough, at_least=0.95),
        Figure("search: share of exponents of N* covered", covers, at_least=0.9),
        Figure("search: share of N* at ten times covered", sizes, at_least=0.9),
    ]


if __name__ == "__main__":
    report(main)
