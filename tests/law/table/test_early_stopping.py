"""Rows past early stopping are the ones that the rule names, and without them a law is not bent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from difflaw.law.averaged import columns_of
from difflaw.law.posterior.fit import fit_posterior
from difflaw.law.table import early_stopping, table_from_frame
from difflaw.law.table.curves import curves_of, points_at
from difflaw.law.table.early_stopping import early_stopped, early_stopping_text, overtrained
from difflaw.law.table.trim import surface_rows
from tests.law.repeated import SIZES, TEXTS, best_loss, repeated_table


def run(losses, epochs=None, name="one") -> pd.DataFrame:
    """One run that sees 100 tokens a row for the first time, then again and again."""
    count = len(losses)
    seen = np.arange(1, count + 1) if epochs is None else epochs
    rows = {"family": "all", "run": name, "params": 1e4, "tokens": 100.0 * np.arange(1, count + 1)}
    return pd.DataFrame({**rows, "epochs": np.asarray(seen, float), "loss": np.asarray(losses, float)})


def test_from_the_first_row_three_per_cent_above_the_best_after_it() -> None:
    turned = run([5.0, 4.0, 4.2, 3.0, 3.05, 3.1, 3.0, 3.02, 4.0])
    # 4.2 comes before the best; 3.05 is within 3 %; 3.1 is not, and what follows is past early stopping.
    assert overtrained(turned).tolist() == 5 * [False] + 4 * [True]
    assert len(early_stopped(turned)) == 5
    assert early_stopping_text(turned) == [
        "all: 4 of 9 rows, of 1 run, lie past early stopping (more than 3 % above the run's best loss, after it, on "
        "repeated text) and carry no law"
    ]


def test_text_seen_once_is_never_past_early_stopping() -> None:
    assert not overtrained(run([3.0, 3.5, 4.0, 5.0], epochs=[0.2, 0.4, 0.6, 0.8])).any()
    assert overtrained(run([3.0, 3.5, 4.0, 5.0], epochs=[0.5, 1.0, 1.5, 2.0])).tolist() == [False, False, True, True]
    assert not overtrained(run([3.0, 4.0]).drop(columns="epochs")).any()


def test_each_run_has_its_own_turn_whatever_the_order_of_rows() -> None:
    both = pd.concat([run([4.0, 3.0, 3.5]), run([9.0, 8.0, 7.0], name="two"), run([2.0, 5.0], name="three")])
    expected = np.array([0, 0, 1, 0, 0, 0, 0, 1], bool)
    assert overtrained(both).tolist() == expected.tolist()  # its index repeats
    order = np.random.default_rng(0).permutation(8)
    assert overtrained(both.iloc[order]).tolist() == expected[order].tolist()


def test_a_run_that_repeats_is_trimmed_by_its_own_length_not_by_the_smallest_budget() -> None:
    """On little text a small size has turned before the budget from which longer runs count."""
    losses, count = [5.0, 4.0, 3.5, 3.0, 4.0], 5
    rows = run(losses).assign(flops=np.arange(1, count + 1) * 1e6)
    assert surface_rows(rows, [3e6])["loss"].tolist() == losses[:4]
    assert surface_rows(rows, [3e6], min_tokens_fraction=0.6)["loss"].tolist() == [3.5, 3.0]  # of the turn's tokens
    fresh = rows.assign(epochs=0.1)
    assert surface_rows(fresh, [3e6])["loss"].tolist() == losses[2:]


def test_profiles_read_no_run_past_early_stopping_and_no_mean_of_two_texts() -> None:
    frame = repeated_table(noise=0.0)
    small = points_at(curves_of(table_from_frame(frame), "autoregressive"), 6 * SIZES[-1] * 6e6)
    ends = frame[(frame["family"] == "autoregressive") & (frame["unique_tokens"] == TEXTS[-1])]
    assert {run for point in small for run in point.runs} <= set(ends["run"])
    assert all(point.settings == 1 for point in small)


@pytest.mark.parametrize("text", TEXTS)
def test_rows_past_early_stopping_do_not_bend_the_law(planted, text) -> None:
    """The lowest loss on a text by the law, with the rule and with the same rows and no rule, against the truth."""
    with_rule, without = planted
    truth = best_loss("autoregressive", text)
    assert lowest(with_rule, text) == pytest.approx(truth, rel=0.008)
    if text == TEXTS[0]:  # where runs turn early
        assert abs(lowest(without, text) / truth - 1) > 0.015


def lowest(post, text: float) -> float:
    n, d = np.meshgrid(np.geomspace(SIZES[0], SIZES[-1], 30), np.geomspace(1e5, 8e6, 60))
    return float(np.exp(np.median(post.ln_loss(n.ravel(), d.ravel(), text).min(1))))


@pytest.fixture(scope="module")
def planted():
    """Laws of the autoregressive runs with the rule and without."""
    frame = table_from_frame(repeated_table(seed=1)).frame
    own = frame[frame["family"] == "autoregressive"]
    assert 0.1 < overtrained(own).mean() < 0.6

    def law():
        return fit_posterior(columns_of(surface_rows(own)), forms=("additive",), draws=300)

    with pytest.MonkeyPatch.context() as patch:
        with_rule = law()
        patch.setattr(early_stopping, "TURN", 1e9)
        return with_rule, law()
