"""The search in planted worlds: it finds minima from wrong guesses, and decides the same however runs come in."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.search_worlds import PlantedWorld, Surface
from difflaw.ladder.search.drive import SearchDrive
from difflaw.ladder.search.minima import find_minima
from difflaw.ladder.search.sight import Sight, see
from difflaw.ladder.search.sizes import Space, shapes
from difflaw.ladder.search.steps import Ask, Book

VOCABULARY = 384


def space(family: str = "masked", largest: float = 1e12, budgets: int = 5) -> Space:
    rungs = shapes(8, 4096)
    params = np.array([12.0 * r.depth * r.width**2 for r in rungs])
    per_token = 6 * params + 6 * VOCABULARY * np.array([r.width for r in rungs])
    grid = tuple(largest * 2.0 ** (k - budgets + 1) for k in range(budgets + 3))
    names = tuple(f"{r.width}x{r.depth}" for r in rungs)
    return Space(family, names, params, per_token, grid, budgets - 1, (2e4, 1e13), 0.9 * 5.0)


def surface(place: Space, best: float, noise: float = 0.0, wake: float = 1.0) -> Surface:
    """A surface whose best size at the largest planned budget is about ``best``, with a = b = 0.4."""
    flops = place.budgets[place.nominal]
    tokens = flops / float(np.interp(best, place.params, place.flops_per_token))
    return Surface(1.8, 0.5 * best**0.4, 0.4, 0.5 * tokens**0.4, 0.4, wake, 5.0, noise)


def minima(place: Space, world: PlantedWorld, share: float = math.inf) -> tuple[Sight, Book]:
    """One family's search to its end."""
    book = Book(place)
    steps = find_minima(place, book, share, 3)
    sight, step = Sight(place, {}), next(steps, None)
    while step is not None and step.asks:
        sight = see(place, world.rows(place.family, book.reached))
        try:
            step = steps.send(sight)
        except StopIteration:
            break
    return sight, book


@pytest.mark.parametrize("best", [4e3, 3e4, 3e5, 2e6])
def test_it_finds_the_minima_wherever_they_are(best) -> None:
    place = space()
    truth = surface(place, best)
    sight, book = minima(place, PlantedWorld({"masked": place}, {"masked": truth}, 0))
    assert len(sight.inside) >= 3
    for k in sight.inside:
        found = sight.minimum(k)
        assert found is not None
        assert found[0] == pytest.approx(truth.best(place, place.budgets[k]), abs=0.35)
    assert book.spent < 12 * place.budgets[place.nominal]


def test_a_plateau_sends_it_to_smaller_sizes_then_to_larger_budgets() -> None:
    place = space()
    # at the smallest budgets even the smallest size has not read enough to learn anything
    wake = 1.5 * place.budgets[1] / float(place.flops_per_token[0])
    truth = surface(place, 2e4, wake=wake)
    sight, _ = minima(place, PlantedWorld({"masked": place}, {"masked": truth}, 0))
    assert sight.asleep(0)
    assert 0 not in sight.inside
    assert len(sight.inside) >= 3
    assert max(sight.inside) > place.nominal  # it went on beyond the largest budget for its third minimum


def test_a_share_that_is_too_small_ends_it_with_words() -> None:
    place = space()
    book = Book(place)
    steps = find_minima(place, book, place.budgets[0], 3)
    world = PlantedWorld({"masked": place}, {"masked": surface(place, 3e4)}, 0)
    step = next(steps)
    while step.asks:
        step = steps.send(see(place, world.rows("masked", book.reached)))
    assert step.need > 0
    assert "of its share are left" in step.reason
    assert book.spent <= place.budgets[0]


class SlowWorld(PlantedWorld):
    """Runs end one by one, in an order of chance."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.ended: set[tuple[str, Ask]] = set()
        self.bad: set[tuple[str, int]] = set()

    def done(self, family: str, ask: Ask) -> bool:
        return (family, ask) in self.ended

    def failed(self, family: str, reached: Mapping[tuple[int, int], int]) -> frozenset[int]:
        return frozenset(size for size, _ in reached if (family, size) in self.bad)

    def rows(self, family: str, reached: Mapping[tuple[int, int], int]) -> Any:
        sound = {key: k for key, k in reached.items() if (family, key[0]) not in self.bad}
        return super().rows(family, sound)


FAMILIES = {"autoregressive": 6e4, "masked": 1.2e4}
"""Best size at the largest planned budget, about."""


def world_of_two(kind: type[PlantedWorld] = PlantedWorld, seed: int = 0) -> PlantedWorld:
    places, best = {name: space(name) for name in FAMILIES}, FAMILIES
    return kind(places, {n: surface(p, best[n], 0.006) for n, p in places.items()}, seed)


def drive(world: PlantedWorld, **given: Any) -> SearchDrive:
    flops = given.pop("flops", 9 * 2 * 1e12)
    return SearchDrive(list(world.spaces.values()), world, flops=flops, **given)


def steps_of(search: SearchDrive) -> dict[str, list[Any]]:
    return {n: [d.step for d in search.decisions if d.family == n] for n in FAMILIES}


@pytest.fixture(scope="module")
def at_once() -> SearchDrive:
    search = drive(world_of_two())
    assert search.advance() == []
    return search


def test_every_family_gets_its_minima_and_the_flops_are_kept(at_once) -> None:
    assert at_once.verdict is not None
    assert at_once.spent <= 9 * 2 * 1e12
    assert at_once.spent > 0.8 * 9 * 2 * 1e12
    for name in FAMILIES:
        assert len(at_once.sight(name).inside) >= 4
    stages = [d.step.stage for d in at_once.decisions]
    assert {"bracket", "climb", "noise", "refine"} <= set(stages)


@pytest.mark.parametrize("order", [1, 2])
def test_decisions_do_not_depend_on_when_runs_end_nor_on_a_restart(at_once, order) -> None:
    world = world_of_two(SlowWorld)
    assert isinstance(world, SlowWorld)
    chance, search = random.Random(order), drive(world)
    open_ = search.advance()
    while open_:
        world.ended.add(chance.choice(open_))
        if chance.random() < 0.05:
            search = drive(world)  # killed, and started again with what had finished
        open_ = search.advance()
    assert steps_of(search) == steps_of(at_once)
    assert search.verdict == at_once.verdict


def test_it_stops_once_the_law_is_sure_enough(at_once) -> None:
    search = drive(world_of_two(), until=0.4)
    search.advance()
    assert search.verdict is not None
    assert "every exponent of N* is known" in search.verdict
    assert search.spent < at_once.spent


def test_a_size_that_fails_is_passed_over() -> None:
    world = world_of_two(SlowWorld)
    assert isinstance(world, SlowWorld)
    world.bad = {("masked", 3)}
    search = drive(world)
    while open_ := search.advance():
        world.ended.update(open_)
    assert len(search.sight("masked").inside) >= 3
    tries = [ask for d in search.decisions if d.family == "masked" for ask in d.step.asks if ask.size == 3]
    assert len(tries) == 1


def test_left_over_flops_go_to_the_family_that_lacks_minima() -> None:
    places = {name: space(name) for name in ("autoregressive", "uniform")}
    wake = 3 * places["uniform"].budgets[2] / float(places["uniform"].flops_per_token[0])
    surfaces = {n: surface(p, 2e4) for n, p in places.items()}
    surfaces["uniform"] = replace(surfaces["uniform"], wake=wake)
    search = SearchDrive(list(places.values()), PlantedWorld(places, surfaces, 0), flops=2.4e13)
    search.advance()
    spent = {n: sum(d.step.flops for d in search.decisions if d.family == n) for n in places}
    assert spent["uniform"] > 1.2e13
    assert search.spent <= 2.4e13
