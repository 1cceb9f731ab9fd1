"""Plans from fitted draws: the answer's own numbers, intervals about every loss, a table's own FLOPs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import difflaw
from difflaw.errors import InputError
from difflaw.law import fit_laws, table_from_frame
from difflaw.law.document import Laws
from difflaw.planning.recommend import forecasts_for
from tests.law.conftest import best_size, ladder, loss


@pytest.fixture(scope="module")
def laws():
    other = ladder(1, sd=0.002, family="uniform").assign(loss=lambda f: 1.005 * f.loss)
    return difflaw.fit(
        pd.concat([ladder(0, sd=0.002), other]), flops_convention="6N", params_convention="non-embedding"
    )


def test_a_plan_at_the_answers_budget_is_the_answer(laws):
    for p in difflaw.plan(laws, flops=1e20):
        at = laws.families[p.family].answer.ten_times
        assert at.flops == pytest.approx(1e20)
        assert p.loss == pytest.approx(at.loss.estimate, rel=2e-3)
        assert p.params_interval.low == pytest.approx(at.params.low, rel=0.02)
        assert p.params_interval.high == pytest.approx(at.params.high, rel=0.02)
        assert p.best_flops_per_token == pytest.approx(6 * at.params.estimate, rel=1e-3)
        # The shape is the nearest there is: within the interval, or as near as the shapes' spacing allows.
        assert at.params.low * 0.93 < p.params < at.params.high * 1.07


def test_the_planted_optimum(laws):
    (p,) = difflaw.plan(laws, flops=1e20, families=["masked"])
    n = best_size(1e20)
    assert p.params == pytest.approx(n, rel=0.25)
    assert p.loss == pytest.approx(loss(n, 1e20 / 6 / n), rel=3e-3)
    assert p.params_interval.low < n < p.params_interval.high
    assert p.regret < 2e-3


@pytest.mark.parametrize(
    "ask",
    [
        {"flops": 1e19},
        {"flops": 1e21},
        {"tokens": 1e11},
        {"params": 5e8},
        {"flops": 1e20, "unique_tokens": 1e9},
        {"params": 2e8, "tokens": 3e9},
        {"gpu_hours": 3.0},
        {"loss": 2.7},
        {"flops": 1e20, "inference_tokens": 1e12},
    ],
)
def test_every_loss_lies_inside_its_intervals(laws, ask):
    for p in difflaw.plan(laws, **ask):
        assert p.run_interval.low < p.loss_interval.low < p.loss < p.loss_interval.high < p.run_interval.high


def test_fewer_different_tokens_cost_loss(laws):
    (fresh, *_), (again, *_) = (
        difflaw.plan(laws, flops=1e20, families=["masked"], **u) for u in ({}, {"unique_tokens": 2e7})
    )
    assert again.loss > 1.01 * fresh.loss
    assert again.params > fresh.params


def test_repeats_are_those_of_the_table():
    """Half-life 3 planted, far from the published one: a plan that repeats sees it."""
    rng, rows = np.random.default_rng(0), []
    for n in (2e7, 1e8, 5e8):
        for unique in (1e8, 1.6e9):
            for epochs in 2.0 ** np.arange(7):
                worth = unique * (1 + 3 * (1 - np.exp(-(epochs - 1) / 3)))
                y = loss(n, worth) * np.exp(0.001 * rng.standard_normal())
                rows.append({"params": n, "tokens": unique * epochs, "unique_tokens": unique, "loss": y})
    frame = pd.DataFrame(rows).assign(flops=lambda f: 6 * f.params * f.tokens)
    table = table_from_frame(frame, flops_convention="6N", params_convention="non-embedding")
    law = Laws(**vars(fit_laws(table)))  # without the extras, whose own repeats are slow
    assert law.families["all"].posterior.repeated
    (p,) = difflaw.plan(law, params=2e8, tokens=2e10, unique_tokens=1e9)
    epochs = p.tokens / 1e9
    worth = 1e9 * (1 + 3 * (1 - np.exp(-(epochs - 1) / 3)))
    assert p.loss == pytest.approx(loss(p.params, worth), rel=5e-3)
    assert p.loss_interval.low < p.loss < p.loss_interval.high


def test_a_loss_to_reach(laws):
    found = difflaw.plan(laws, loss=2.7)
    assert [p.family for p in found] == ["masked", "uniform"]
    assert found[0].flops < found[1].flops
    for p in found:
        assert p.loss == pytest.approx(2.7, abs=5e-3)
    with pytest.raises(InputError, match="no budget reaches it"):
        difflaw.plan(laws, loss=1.2)


def test_probabilities_are_the_standings(laws):
    plans = difflaw.plan(laws, flops=3e19)
    odds = {s.family: s.probability for s in laws.standings_at(3e19).families}
    assert {p.family: p.probability for p in plans} == odds
    assert sum(p.probability for p in plans) == pytest.approx(1)
    assert plans[0].family == "masked"
    assert all(p.probability is None for p in difflaw.plan(laws, tokens=1e10))


@pytest.fixture(scope="module")
def with_head():
    """A table counted as C = (6N + 6e8)·D that does not say so."""
    rows = []
    for c in np.geomspace(1e17, 1e20, 7):
        grid = np.geomspace(2e6, 3e9, 4000)
        best = grid[np.argmin(loss(grid, c / (6 * grid + 6e8)))]
        for n in best * 1.6 ** np.arange(-3.0, 4):
            d = c / (6 * n + 6e8)
            rows.append({"family": "masked", "params": n, "tokens": d, "flops": c, "loss": loss(n, d)})
    frame = pd.DataFrame(rows)
    frame["loss"] *= np.exp(5e-4 * np.random.default_rng(0).standard_normal(len(frame)))
    return difflaw.fit(frame)


@pytest.mark.parametrize("flops", [3e17, 1e19, 1e20])
def test_a_plan_in_the_tables_own_flops(with_head, flops):
    (p,) = difflaw.plan(with_head, flops=flops)
    assert p.flops_per_token == pytest.approx(6 * p.params + 6e8, rel=0.02)
    assert p.flops == pytest.approx(flops, rel=0.02)
    assert p.tokens * p.flops_per_token == pytest.approx(p.flops, rel=1e-6)
    grid = np.geomspace(2e6, 3e10, 20_000)
    best = grid[np.argmin(loss(grid, flops / (6 * grid + 6e8)))]
    assert p.params == pytest.approx(best, rel=0.25)
    assert p.loss == pytest.approx(loss(p.params, p.tokens), rel=3e-3)


def test_a_file_plans_as_the_laws_do(laws, tmp_path):
    path = laws.write(tmp_path / "laws.json")
    ours, theirs = (difflaw.plan(source, flops=1e20) for source in (laws, path))
    assert [(p.family, p.params, p.tokens, p.loss) for p in ours] == [
        (p.family, p.params, p.tokens, p.loss) for p in theirs
    ]


def test_a_family_without_a_best_size_has_no_plan():
    rng = np.random.default_rng(1)
    n, c = (v.ravel() for v in np.meshgrid(np.geomspace(2e9, 5e9, 4), np.geomspace(3e17, 3e18, 4)))
    wild = pd.DataFrame({"family": "wild", "params": n, "tokens": c / 6 / n, "flops": c})
    wild["loss"] = loss(n, c / 6 / n) * np.exp(0.03 * rng.standard_normal(16))
    law = difflaw.fit(wild)
    with pytest.raises(InputError, match="no best size is stated"):
        difflaw.plan(law, flops=1e20)


def test_regret_is_that_of_the_median_law(laws):
    law = forecasts_for(laws)["masked"]
    m = law.best_size(1e19)
    assert law.regret(m, 1e19) < 1e-4
    n = best_size(1e19)
    for factor in (0.3, 3.0):
        true = np.log(loss(factor * n, 1e19 / 6 / n / factor) / loss(n, 1e19 / 6 / n))
        assert law.regret(factor * 6 * n, 1e19) == pytest.approx(true, rel=0.1)
    assert law.slope(1e19) == pytest.approx(
        -np.log(loss(best_size(1.1e19), 1.1e19 / 6 / best_size(1.1e19)) / loss(n, 1e19 / 6 / n)) / np.log(1.1), rel=0.1
    )
