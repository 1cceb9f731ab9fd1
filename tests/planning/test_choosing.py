"""Choices on a linear-Gaussian toy, where what a run is worth and what is left after it are closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.planning.choosing import choose

R = 20_000
COVARIANCE = np.array([[1.0, 0.6, 0.0], [0.6, 2.0, -0.5], [0.0, -0.5, 0.5]])
RUNS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.3, -0.2, 0.9]])
TARGET = np.array([0.5, 1.0, 0.7])
NOISE = np.array([0.5, 0.8, 0.3, 1.0, 0.4])


def drawn(seed=0):
    return np.random.default_rng(seed).multivariate_normal(np.zeros(3), COVARIANCE, R)


def closed_form(chosen):
    """Variance of the target after runs have been measured (conditional normal distributions)."""
    rows = RUNS[chosen]
    seen = rows @ COVARIANCE @ rows.T + np.diag(NOISE[chosen] ** 2)
    cross = rows @ COVARIANCE @ TARGET
    return TARGET @ COVARIANCE @ TARGET - cross @ np.linalg.solve(seen, cross)


def chosen_of(cost=None, budget=1e9, **options):
    theta = drawn()
    cost = np.ones(len(RUNS)) if cost is None else np.asarray(cost, float)
    return choose(theta @ RUNS.T, (theta @ TARGET)[:, None], NOISE, cost, budget, **options)


def test_each_choice_and_what_is_left_after_it(monkeypatch):
    # The tails stay: drawing them in would make the draws' variance smaller than the closed form's.
    monkeypatch.setattr("difflaw.planning.choosing.TAIL", 0.0)
    found, after = chosen_of()
    so_far: list[int] = []
    before = closed_form([])
    for choice in found[:4]:
        left = {i: closed_form([*so_far, i]) for i in range(len(RUNS)) if i not in so_far}
        assert left[choice.index] < min(left.values()) + 0.01 * before
        assert choice.before == pytest.approx(closed_form(so_far), rel=0.04)
        so_far.append(choice.index)
        assert choice.after == pytest.approx(closed_form(so_far), rel=0.04)
    assert float((after**2).mean()) == pytest.approx(found[-1].after)


@pytest.mark.parametrize("power", [0.0, 0.4, 1.0])
def test_worth_is_divided_by_a_power_of_cost(power):
    cost = np.array([1.0, 5.0, 2.0, 20.0, 3.0])
    (first, *_), _ = chosen_of(cost, power=power)
    gain = closed_form([]) - np.array([closed_form([i]) for i in range(len(RUNS))])
    assert first.index == int(np.argmax(gain / cost**power))


@pytest.mark.parametrize("budget", [1.0, 3.5, 8.0])
def test_the_budget_is_kept(budget):
    cost = np.array([1.0, 3.0, 2.0, 4.0, 2.5])
    found, _ = chosen_of(cost, budget)
    assert found
    assert sum(cost[c.index] for c in found) <= budget
    assert len({c.index for c in found}) == len(found)


def test_what_costs_more_than_is_left_is_passed_over():
    found, _ = chosen_of([100.0, 100.0, 1.0, 100.0, 100.0], 99.0)
    assert [c.index for c in found] == [2]
    assert chosen_of([100.0] * 5, 99.0)[0] == []


def test_forced_runs_come_first():
    found, _ = chosen_of(forced=(2, 0))
    assert [c.index for c in found[:2]] == [2, 0]
    dear, _ = chosen_of([10.0, 1, 1, 1, 1], 5.0, forced=(0, 2))
    assert dear[0].index == 2


def test_a_run_may_come_again():
    found, _ = chosen_of(again=3, most=12)
    count = np.bincount([c.index for c in found])
    assert count.max() > 1
    assert count.max() <= 3
    assert len(found) <= 12


def test_a_run_that_equals_the_target_comes_first(monkeypatch):
    # What is watched keeps its tails, which a run whose tails are drawn in does not explain.
    monkeypatch.setattr("difflaw.planning.choosing.TAIL", 0.0)
    theta = drawn(3)
    candidates = np.column_stack([theta @ RUNS.T, theta @ TARGET])
    found, after = choose(candidates, (theta @ TARGET)[:, None], np.append(NOISE, 1e-3), np.ones(6), 1.0)
    assert [c.index for c in found] == [5]
    assert found[0].after < 1e-3 * found[0].before
    assert float((after**2).mean()) < 1e-3


def test_several_targets_count_alike(monkeypatch):
    """One run for each of two targets that have nothing in common: the one of the larger variance first."""
    monkeypatch.setattr("difflaw.planning.choosing.TAIL", 0.0)
    theta = np.random.default_rng(0).standard_normal((R, 2)) * [1.0, 2.0]
    found, after = choose(theta, theta, np.array([0.1, 0.1]), np.ones(2), 5.0)
    assert [c.index for c in found] == [1, 0]
    assert found[0].before == pytest.approx((1 + 4) / 2, rel=0.03)
    assert found[0].after == pytest.approx((1 + 4 / (1 + 4 / 0.01)) / 2, rel=0.03)
    assert (after**2).mean(0) == pytest.approx([0.01, 0.01], rel=0.05)


def test_what_is_watched_follows_without_steering(monkeypatch):
    """The first parameter alone, after the runs chosen for the target: its conditional variance."""
    monkeypatch.setattr("difflaw.planning.choosing.TAIL", 0.0)
    theta = drawn()
    plain, _ = chosen_of(most=2)
    found, seen = chosen_of(most=2, watch=theta[:, :1])
    assert found == plain
    rows = RUNS[[c.index for c in found]]
    noise = np.diag(NOISE[[c.index for c in found]] ** 2)
    cross = rows @ COVARIANCE[:, 0]
    left = COVARIANCE[0, 0] - cross @ np.linalg.solve(rows @ COVARIANCE @ rows.T + noise, cross)
    assert float((seen**2).mean()) == pytest.approx(left, rel=0.04)


def test_runs_that_say_nothing_are_not_chosen():
    rng = np.random.default_rng(0)
    found, _ = choose(rng.standard_normal((500, 3)) * 1e-3, rng.standard_normal((500, 1)), np.ones(3), np.ones(3), 9.0)
    assert found == []


def test_same_seed_same_choice():
    first, second = chosen_of(seed=1)[0], chosen_of(seed=1)[0]
    assert first == second
