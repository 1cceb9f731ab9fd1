"""Odds from draws: against normal families whose odds are a closed form, and on planted tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import difflaw
from difflaw.errors import InputError
from difflaw.law import table_from_frame
from difflaw.law.document import fit_table
from difflaw.law.interpolation import params_at
from difflaw.law.odds import standings, standings_text, verdict
from difflaw.law.posterior.fit import columns, fit_posterior
from tests.law.conftest import ladder as planted_ladder

SCALES = {"balanced": 1.004, "masked": 1.0, "uniform": 1.008}


def ladder(per_param: float = 6.0) -> pd.DataFrame:
    """Three families; `masked` was swept over batch and rate, the others were run along their tokens."""
    rng, rows = np.random.default_rng(0), []
    for family, scale in SCALES.items():
        for n in (1e7, 2e7, 4e7, 8e7, 1.6e8):
            for d in (5e8, 1e9, 2e9, 4e9):
                best = 0.6 * d**0.57
                swept = (
                    [(b, r) for b in (0.4, 1.0, 2.5) for r in (0.4, 1.0, 2.2)] if family == "masked" else [(1.0, 1.0)]
                )
                for b, r in swept:
                    cost = 0.01 * np.log(b) ** 2 + 0.02 * np.log(r) ** 2 + 0.003 * rng.standard_normal()
                    loss = scale * (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(cost)
                    where = {"family": family, "params": n, "tokens": d, "flops": per_param * n * d, "loss": loss}
                    rows.append({**where, "batch_tokens": b * best, "lr": r * 0.5e-3 * (b * best) ** 0.3})
    return pd.DataFrame(rows)


def two(better, sd=0.002):
    """Two families of one law, the second's loss ``better`` times the first's."""
    other = planted_ladder(1, sd=sd, family="uniform")
    return pd.concat([planted_ladder(0, sd=sd), other.assign(loss=better * other.loss)])


@pytest.fixture(scope="module")
def laws():
    return fit_table(table_from_frame(ladder()))


def test_odds_of_normal_families():
    """Draws whose levels are normal with given means and deviations: P(first is lowest) is a normal probability."""
    rows = planted_ladder(0)
    post = fit_posterior(columns(rows.params, rows.tokens, rows.loss), forms=("additive",), draws=4000)
    rng = np.random.default_rng(0)

    def moved(mean, sd):
        theta = np.repeat(post.theta[:1], 4000, axis=0)
        theta[:, :3] += (mean + sd * rng.standard_normal(4000))[:, None]  # ln A, ln B, ln E: the loss as a factor
        return replace(post, theta=theta, ln_noise=np.full(4000, -6.0))

    found = standings({"a": moved(0.0, 0.004), "b": moved(0.003, 0.003)}, 1e19)
    assert [s.family for s in found.families] == ["a", "b"]
    assert found.families[0].probability == pytest.approx(norm.cdf(0.003 / 0.005), abs=0.015)
    three = standings({"a": moved(0.0, 0.003), "b": moved(0.0, 0.003), "c": moved(0.0, 0.003)}, 1e19)
    assert sum(s.probability for s in three.families) == pytest.approx(1)
    assert all(s.probability == pytest.approx(1 / 3, abs=0.02) for s in three.families)


def test_five_percent_lower_wins():
    found = difflaw.fit(two(0.95)).standings
    assert [at.flops for at in found] == pytest.approx([1e19, 1e20])
    for at in found:
        assert at.families[0].family == "uniform"
        assert at.families[0].probability > 0.99
        assert sum(s.probability for s in at.families) == pytest.approx(1)
    assert verdict(found[0].chances) == "uniform wins with 100 %"


def test_equal_families_cannot_be_distinguished():
    """The same losses under two names: each is first half of the time."""
    laws = difflaw.fit(two(1.0).pipe(lambda f: f.assign(loss=np.tile(f.loss.to_numpy()[:35], 2))))
    for at in laws.standings:
        assert all(s.probability == pytest.approx(0.5, abs=0.07) for s in at.families)
        assert "cannot be distinguished" in verdict(at.chances)
    assert any("cannot be distinguished" in line for line in laws.reading)


def test_fit_and_plan_give_the_same_odds(laws):
    assert set(laws.extras.batch_and_rate) == {"masked"}
    written = laws.document()["standings"]
    assert len(written) == 2
    for at in written:
        found = laws.standings_at(at["flops"]).families  # what `plan --runs` asks
        assert [s.family for s in found] == [s["family"] for s in at["families"]]
        assert [s.probability for s in found] == [s["probability"] for s in at["families"]]
        assert found[0].family == "masked"
        assert 0.5 < found[0].probability < 1  # not a foregone conclusion, so equality says something


def test_best_sizes_are_parameters_and_flops_per_token(laws):
    for standing in laws.standings_at(1e18).families:
        assert standing.best_params == pytest.approx(standing.best_flops_per_token / 6, rel=1e-3)
        assert standing.params.low == pytest.approx(standing.flops_per_token.low / 6, rel=1e-3)
        assert standing.params.low < standing.best_params < standing.params.high
        assert standing.loss.low < standing.best_loss < standing.loss.high
    doubled = fit_table(table_from_frame(ladder(12.0)))
    for standing in doubled.standings_at(2e18).families:
        assert standing.best_params == pytest.approx(standing.best_flops_per_token / 12, rel=1e-3)


def test_text_says_how_far_it_is(laws):
    near, far = (standings_text(laws.standings_at(c), 1e18) for c in (2e18, 1e19))
    assert len(near) == 1
    assert "10 times the largest run" in far[1]


def test_conversion_follows_the_ladders_own_sizes():
    known = np.array([[1e6, 1e7], [1e7, 7e7], [1e7, 7e7], [1e8, 6.2e8]])
    assert params_at(7e7, known) == pytest.approx(1e7)
    assert 1e7 < params_at(2e8, known) < 1e8
    assert params_at(6.2e8 * 9, known) > 1e8
    assert params_at(6.2e8 * 11, known) is None
    assert params_at(1e7 / 11, known) is None
    assert params_at(1e7, np.array([[1e6, 1e7], [1e7, 9e6]])) is None  # FLOPs per token that fall with the size


def test_odds_need_two_families():
    with pytest.raises(InputError, match="two families"):
        difflaw.fit(planted_ladder(0, sd=0.002)).standings_at(1e19)
