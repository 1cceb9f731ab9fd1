"""Losses of planned runs: the planted law's, with batch and rate off their best, and refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import difflaw
from difflaw.errors import InputError
from difflaw.law import fit_laws, table_from_frame
from difflaw.law.document import Laws
from difflaw.law.prediction import predict
from tests.law.conftest import ladder, loss
from tests.law.test_odds import ladder as swept


@pytest.fixture(scope="module")
def laws():
    other = ladder(1, sd=0.002, family="uniform").assign(loss=lambda f: 1.02 * f.loss)
    return difflaw.fit(pd.concat([ladder(0, sd=0.002), other]))


def test_the_planted_losses_in_the_order_of_rows(laws):
    n = np.array([1e9, 2e7, 3e8, 1e8])
    d = np.array([1e10, 3e9, 8e9, 5e10])
    names = ["uniform", "masked", "masked", "uniform"]
    found = predict(laws, pd.DataFrame({"family": names, "params": n, "tokens": d}))
    assert [(p.family, p.params, p.tokens) for p in found] == list(zip(names, n, d, strict=True))
    for p, true in zip(found, loss(n, d) * np.where(np.array(names) == "uniform", 1.02, 1.0), strict=True):
        assert p.law_interval[0] < true < p.law_interval[1]
        assert p.run_interval[0] < p.law_interval[0] < p.loss < p.law_interval[1] < p.run_interval[1]
        assert p.loss == pytest.approx(true, rel=0.01)


def test_the_same_as_the_answer_at_its_own_best_size(laws):
    for name, family in laws.families.items():
        for at in (family.answer.largest, family.answer.ten_times):
            run = pd.DataFrame({"family": [name], "params": at.params.estimate, "tokens": at.tokens.estimate})
            (found,) = predict(laws, run)
            assert found.loss == pytest.approx(at.loss.estimate, rel=1e-3)


def test_the_level_widens(laws):
    run = pd.DataFrame({"family": ["masked"], "params": [1e9], "tokens": [2e10]})
    (narrow,), (wide,) = predict(laws, run, level=0.5), predict(laws, run, level=0.99)
    assert wide.law_interval[0] < narrow.law_interval[0] < narrow.law_interval[1] < wide.law_interval[1]


def test_far_runs_carry_a_warning(laws):
    runs = pd.DataFrame({"family": "masked", "params": [1e8, 1e10], "tokens": [1e9, 1e11]})
    near, far = predict(laws, runs)
    assert near.warning == ""
    assert far.warning == "600 times the largest run fitted"


def repeats(most):
    rng, rows = np.random.default_rng(0), []
    for n in (2e7, 6e7, 2e8, 6e8):
        for unique in (1e8, 4e8, 1.6e9):
            for epochs in 2.0 ** np.arange(np.log2(most) + 0.1):
                worth = unique * (1 + 15.4 * (1 - np.exp(-(epochs - 1) / 15.4)))
                y = loss(n, worth) * np.exp(0.002 * rng.standard_normal())
                rows.append({"params": n, "tokens": unique * epochs, "unique_tokens": unique, "loss": y})
    return pd.DataFrame(rows).assign(flops=lambda f: 6 * f.params * f.tokens)


def test_different_tokens_matter_where_the_table_repeats_data():
    laws = Laws(**vars(fit_laws(table_from_frame(repeats(64)))))  # without the extras, whose own repeats are slow
    runs = pd.DataFrame({"params": 1e8, "tokens": 2e10, "unique_tokens": [np.nan, 2e10, 1e9]})
    blank, fresh, again = predict(laws, runs)
    assert blank.loss == fresh.loss
    assert fresh.loss == pytest.approx(loss(1e8, 2e10), rel=0.01)
    worth = 1e9 * (1 + 15.4 * (1 - np.exp(-19 / 15.4)))
    assert again.loss == pytest.approx(loss(1e8, worth), rel=0.01)
    assert again.loss > 1.01 * fresh.loss
    assert again.warning == ""


def test_different_tokens_are_passed_over_with_a_warning_elsewhere(laws):
    run = {"family": "masked", "params": 1e8, "tokens": 1e10}
    fresh, again = predict(laws, pd.DataFrame([run, run | {"unique_tokens": 1e9}]))
    assert again.loss == fresh.loss
    assert "repeats no data" in again.warning


def test_batch_and_rate_off_their_best_cost_what_was_planted():
    """A cost of .01·ln²(B/B*) and .02·ln²(eta/eta*) in ln loss."""
    laws = difflaw.fit(swept())
    n, d = 5e7, 2e9
    batch = 0.6 * d**0.57
    rate = 0.5e-3 * batch**0.3
    run = {"family": "masked", "params": n, "tokens": d}
    best, large, hot, blank = predict(
        laws,
        pd.DataFrame(
            [
                run | {"batch_tokens": batch, "lr": rate},
                run | {"batch_tokens": 2.5 * batch, "lr": rate * 2.5**0.3},
                run | {"batch_tokens": batch, "lr": 2.2 * rate},
                run,
            ]
        ),
    )
    assert best.loss == pytest.approx(blank.loss, rel=1e-3)
    assert np.log(large.loss / blank.loss) == pytest.approx(0.01 * np.log(2.5) ** 2, abs=1.5e-3)
    assert np.log(hot.loss / blank.loss) == pytest.approx(0.02 * np.log(2.2) ** 2, abs=1.5e-3)


def test_families(laws):
    run = {"params": [1e8], "tokens": [1e9]}
    with pytest.raises(InputError, match="column family"):
        predict(laws, pd.DataFrame(run))
    with pytest.raises(InputError, match="family 'other' has no law here; there are laws of masked, uniform"):
        predict(laws, pd.DataFrame({"family": ["other"], **run}))
    alone = difflaw.fit(ladder(0, sd=0.002))
    assert predict(alone, pd.DataFrame(run))[0].family == "masked"
    unnamed = difflaw.fit(ladder(0, sd=0.002).drop(columns="family"))
    assert predict(unnamed, pd.DataFrame({"family": ["mine"], **run}))[0].family == "all"
