"""One set of odds: `fit` and `plan --runs` give the same for a table, and best sizes are in the table's parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from difflaw.errors import InputError
from difflaw.law import table_from_frame
from difflaw.law.document import fit_table
from difflaw.law.interpolation import params_at
from difflaw.law.odds import fit_odds

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


@pytest.fixture(scope="module")
def table():
    return table_from_frame(ladder())


def test_fit_and_plan_give_the_same_odds(table):
    fitted = fit_table(table)
    assert set(fitted.extras.batch_and_rate) == {"masked"}
    written = fitted.document()["standings"]
    assert len(written) == 2
    odds = fit_odds(table)  # what `plan --runs` asks
    for standing in written:
        found = odds.at(standing["flops"])
        assert [s.family for s in found] == [s["family"] for s in standing["families"]]
        assert [s.probability for s in found] == [s["probability"] for s in standing["families"]]
        assert found[0].family == "masked"
        assert 0.5 < found[0].probability < 1  # not a foregone conclusion, so equality says something


def test_best_sizes_are_parameters_and_flops_per_token(table):
    for standing in fit_odds(table).at(1e18):
        assert standing.best_params == pytest.approx(standing.best_flops_per_token / 6, rel=1e-6)
        assert standing.params.low == pytest.approx(standing.flops_per_token.low / 6, rel=1e-6)
    doubled = fit_odds(table_from_frame(ladder(12.0)))
    for standing in doubled.at(2e18):
        assert standing.best_params == pytest.approx(standing.best_flops_per_token / 12, rel=1e-6)


def test_sizes_far_outside_the_ladder_are_not_converted(table):
    (first, *_) = fit_odds(table).at(1e24)
    assert first.best_params is None
    assert first.params is None
    assert first.best_flops_per_token > 6 * 10 * 1.6e8


def test_conversion_follows_the_ladders_own_sizes():
    known = np.array([[1e6, 1e7], [1e7, 7e7], [1e7, 7e7], [1e8, 6.2e8]])
    assert params_at(7e7, known) == pytest.approx(1e7)
    assert 1e7 < params_at(2e8, known) < 1e8
    assert params_at(6.2e8 * 9, known) > 1e8
    assert params_at(6.2e8 * 11, known) is None
    assert params_at(1e7 / 11, known) is None
    assert params_at(1e7, np.array([[1e6, 1e7], [1e7, 9e6]])) is None  # FLOPs per token that fall with the size


def test_odds_need_two_families(table):
    with pytest.raises(InputError, match="two families"):
        fit_odds(table_from_frame(ladder().query("family == 'uniform'")))
