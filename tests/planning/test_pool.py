"""Runs bought from a pool: what is made is not bought again, budgets hold, and the forecast gets better as promised."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from difflaw.errors import InputError
from difflaw.law.posterior.fit import columns, fit_posterior
from difflaw.planning.pool import choose_from_pool
from tests.law.conftest import loss

TARGET = pd.DataFrame({"params": [1e9, 3e9], "tokens": [2e10, 6e10]})
NOISE = 0.003


def pool(families=()):
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 4e8, 6), np.geomspace(2e8, 8e9, 6)))
    frame = pd.DataFrame({"params": n, "tokens": d})
    return pd.concat([frame.assign(family=f) for f in families], ignore_index=True) if families else frame


def made(frame, rng, scale=1.0):
    n, d = frame["params"].to_numpy(), frame["tokens"].to_numpy()
    return frame.assign(loss=scale * loss(n, d) * np.exp(NOISE * rng.standard_normal(len(n))))


def cost(frame):
    return (6 * frame["params"] * frame["tokens"]).to_numpy()


@pytest.mark.parametrize("budget", [2e18, 2e19])
def test_the_first_runs_before_there_is_any(budget):
    found = choose_from_pool(pd.DataFrame(), pool(), TARGET, budget)
    assert found
    assert sum(run.flops for run in found) <= budget
    assert len({run.row for run in found}) == len(found)
    for run in found:
        row = pool().iloc[run.row - 1]
        assert (run.params, run.tokens) == (row.params, row.tokens)
        assert run.flops == pytest.approx(6 * row.params * row.tokens)
        assert run.error_after <= run.error_before
    for before, after in itertools.pairwise(found):
        assert after.error_before == pytest.approx(before.error_after)


def test_runs_made_are_not_bought_again():
    every = pool()
    first = choose_from_pool(pd.DataFrame(), every, TARGET, 2e18)
    rows = [run.row - 1 for run in first]
    table = made(every.iloc[rows], np.random.default_rng(0))
    again = choose_from_pool(table, every, TARGET, 2e18)
    assert not {run.row for run in again} & {run.row for run in first}
    # A pool that lists a run twice may be bought from once more.
    twice = pd.concat([every.iloc[rows], every.iloc[rows]], ignore_index=True)
    rest = choose_from_pool(table, twice, TARGET, 1e21)
    assert {run.row for run in rest} <= set(range(len(rows) + 1, 2 * len(rows) + 1))


def test_the_promise_is_kept():
    """Making the chosen runs shrinks the error of the targets' loss as was said, and more than runs drawn by chance."""
    rng = np.random.default_rng(1)
    every = pool()
    start = made(every[cost(every) < 1e17], rng)
    found = choose_from_pool(start, every, TARGET, 1.5e19)

    def error(table):
        fitted = fit_posterior(columns(table.params, table.tokens, table.loss), forms=("additive",))
        values = fitted.ln_loss(TARGET.params.to_numpy(), TARGET.tokens.to_numpy())
        low, high = np.quantile(values, [0.16, 0.84], axis=0)
        return float(np.sqrt((((high - low) / 2) ** 2).mean()))

    ours = error(pd.concat([start, made(every.iloc[[run.row - 1 for run in found]], rng)]))
    assert ours < 0.5 * error(start)
    assert found[-1].error_after / 2.5 < ours < 2.5 * found[-1].error_after
    others = []
    for _ in range(4):
        order = rng.permutation(np.flatnonzero(cost(every) >= 1e17))
        spent = np.cumsum(cost(every)[order])
        others.append(error(pd.concat([start, made(every.iloc[order[spent <= 1.5e19]], rng)])))
    assert ours < np.median(others)


def test_families_share_a_budget():
    every, aim = pool(("a", "b")), pd.concat([TARGET.assign(family=f) for f in ("a", "b")])
    found = choose_from_pool(pd.DataFrame(), every, aim, 2e19)
    assert {run.family for run in found} == {"a", "b"}
    assert all(every.family[run.row - 1] == run.family for run in found)
    only = choose_from_pool(pd.DataFrame(), every, aim[aim.family == "b"], 2e19)
    assert {run.family for run in only} == {"b"}
    # A family that has been run already is run less.
    table = made(every[(every.family == "a") & (cost(every) < 3e18)], np.random.default_rng(0))
    rest = choose_from_pool(table, every, aim, 5e18)
    assert sum(run.family == "b" for run in rest) > sum(run.family == "a" for run in rest)


def test_flops_are_the_pools_then_the_tables():
    every = pool()
    own = choose_from_pool(pd.DataFrame(), every.assign(flops=1e15), TARGET, 3.5e15)
    assert [run.flops for run in own] == [1e15] * 3
    table = made(every.iloc[:8], np.random.default_rng(0)).assign(flops=lambda f: 12 * f.params * f.tokens)
    for run in choose_from_pool(table, every, TARGET, 2e19):
        assert run.flops == pytest.approx(12 * run.params * run.tokens, rel=1e-6)


def test_repeated_data_are_chosen_for_a_target_that_repeats():
    """A target of forty epochs is learnt from runs that repeat."""
    every = pool()
    both = pd.concat([every.assign(unique_tokens=every.tokens), every.assign(unique_tokens=every.tokens / 16)])
    aim = TARGET.assign(unique_tokens=TARGET.tokens / 40)
    found = choose_from_pool(pd.DataFrame(), both.reset_index(drop=True), aim, 1e19)
    assert any(run.row > len(every) for run in found)


def test_refusals():
    every = pool()
    for budget in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="positive number of FLOPs"):
            choose_from_pool(pd.DataFrame(), every, TARGET, budget)
    with pytest.raises(InputError, match=r"cheapest run left in the pool costs 1\.2e16"):
        choose_from_pool(pd.DataFrame(), every, TARGET, 1e10)
    with pytest.raises(InputError, match="both have a column family"):
        choose_from_pool(pd.DataFrame(), every, TARGET.assign(family="a"), 1e19)
    with pytest.raises(InputError, match=r"pool \(a\) and target \(b\) have no family in common"):
        choose_from_pool(pd.DataFrame(), pool(("a",)), TARGET.assign(family="b"), 1e19)
    with pytest.raises(InputError, match="nothing is left to choose"):
        choose_from_pool(made(every, np.random.default_rng(0)), every, TARGET, 1e19)
