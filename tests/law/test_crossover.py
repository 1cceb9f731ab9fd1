"""Crossovers: closed forms, brute force on a known law, and planted ladders whose crossover is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from difflaw.law import Laws, fit_table, table_from_frame
from difflaw.law.averaged import columns_of
from difflaw.law.crossover import Crossover, crossing, crossover_text, crossovers, reach
from difflaw.law.posterior.fit import fit_posterior, prior_posterior
from difflaw.law.posterior.model import PENALTY
from difflaw.law.table.trim import surface_rows
from tests.law.repeated import LAWS, TEXTS, TOKENS, best_losses, budgets, repeated_table, true_crossover


def test_crossing_of_straight_lines() -> None:
    """Losses 1 - x and c - 2x cross at x = c - 1; the other orders are infinite."""
    x = np.linspace(0.0, 2.0, 9)
    ahead = np.tile(1 - x, (4, 1))
    behind = np.stack([1.4 - 2 * x, 1.77 - 2 * x, 9 - 2 * x, 0.5 - 2 * x])
    assert crossing(ahead, behind, x) == pytest.approx([0.4, 0.77, math.inf, -math.inf])


def test_a_family_that_falls_behind_again_has_not_passed() -> None:
    x = np.arange(5.0)
    gap = np.array([[1.0, -1.0, 1.0, -1.0, -1.0], [1.0, -1.0, -1.0, -1.0, 1.0]])
    assert crossing(np.zeros((2, 5)), gap, x) == pytest.approx([2.5, math.inf])


def known_law(columns, family: str):
    """Draws that are all the planted law (without its penalty), about the planted runs."""
    post = prior_posterior(columns, repeated=True, draws=20)
    p, (x, z, _) = LAWS[family], post.centre
    theta = np.zeros_like(post.theta)
    theta[:, :5] = [math.log(p["A"]) - 0.3 * x, math.log(p["B"]) - 0.3 * z, math.log(p["E"]), *[math.log(0.3)] * 2]
    theta[:, PENALTY], theta[:, -1] = -np.inf, math.log(p["life"])
    post.theta[:] = theta
    return post


def test_what_can_be_reached_is_the_best_of_sizes_and_lengths() -> None:
    rows = table_from_frame(repeated_table(families=["masked"])).frame
    post = known_law(columns_of(rows), "masked")
    flops = budgets()[::-40][::-1]
    found = reach(post, TEXTS[0], np.log(flops), TOKENS[-1])
    assert found.ln_loss.shape == found.ln_tokens.shape == (20, len(flops))
    assert np.exp(found.ln_loss[0]) == pytest.approx(best_losses("masked", TEXTS[0], flops), rel=2e-3)
    assert np.exp(found.ln_tokens[0, -1]) == pytest.approx(TOKENS[-1], rel=1e-3)
    assert (np.diff(found.ln_loss) <= 0).all()


@pytest.fixture(scope="module")
def laws() -> Laws:
    return fit_table(table_from_frame(repeated_table()))


def test_the_planted_crossovers_are_found(laws) -> None:
    assert [c.unique_tokens for c in laws.crossovers] == list(TEXTS)
    assert [(c.ahead, c.behind) for c in laws.crossovers] == 3 * [("autoregressive", "masked")]
    small, middle, large = laws.crossovers
    assert math.isinf(true_crossover(TEXTS[2]))
    for c in (small, middle):
        assert c.probability > 0.95
        assert c.flops.estimate == pytest.approx(true_crossover(c.unique_tokens), rel=0.25)
        assert c.flops.low < c.flops.estimate < c.flops.high < 2.5 * c.flops.low
        assert 1 < c.epochs.low < c.epochs.estimate < c.epochs.high < c.most_epochs
    assert large.probability < 0.1
    assert large.flops.estimate == math.inf


def test_they_are_said_in_words_and_kept_in_laws_json(laws, tmp_path) -> None:
    small, _, large = crossover_text(laws.crossovers)
    assert small.startswith("On 50k different tokens masked passes autoregressive at 4")
    assert "epochs of its own (probability 100 %)" in small
    assert large.startswith("On 200k different tokens there is no crossover up to 40 epochs and 4.06e12 FLOPs")
    assert small in laws.reading
    assert any("past early stopping" in warning for warning in laws.warnings)
    json.dumps(laws.document(), allow_nan=False)
    assert Laws.read(laws.write(tmp_path / "laws.json")).document() == laws.document()


def quick(seed: int) -> tuple[Crossover, ...]:
    """Crossovers of one world, from additive laws of few draws."""
    frame = table_from_frame(repeated_table(seed=seed)).frame
    rows = {name: columns_of(surface_rows(frame[frame["family"] == name])) for name in LAWS}
    return crossovers({n: fit_posterior(r, forms=("additive",), draws=300, seed=seed) for n, r in rows.items()}, frame)


def test_intervals_cover_in_many_worlds() -> None:
    """Of twelve intervals of a crossover that is there, and six verdicts that there is none."""
    covered, wrong = 0, 0
    for seed in range(10, 16):
        for c in quick(seed):
            there = true_crossover(c.unique_tokens)
            covered += c.flops.low <= there <= c.flops.high
            wrong += (c.probability > 0.9) != math.isfinite(there)
    assert covered >= 15  # of eighteen; 95 % each would give fewer in one case of seventy
    assert wrong == 0


def test_equal_families_are_not_decided() -> None:
    """The same law twice: each passes the other in half of the pairs of draws."""
    frame = table_from_frame(repeated_table(families=["masked"])).frame
    post = fit_posterior(columns_of(surface_rows(frame)), forms=("additive",), draws=200)
    twice = pd.concat([frame, frame.assign(family="other")], ignore_index=True)
    found = crossovers({"masked": post, "other": post}, twice)
    assert len(found) == 3
    for c, line in zip(found, crossover_text(found), strict=True):
        assert 0.3 < c.probability < 0.7
        assert f"it is not decided whether {c.behind} passes {c.ahead} up to" in line


def test_no_answer_where_nothing_is_repeated() -> None:
    frame = table_from_frame(repeated_table()).frame
    rows = columns_of(frame[frame["family"] == "masked"])
    one = {"masked": prior_posterior(rows, repeated=True, draws=20)}
    assert crossovers(one, frame) == ()
    fresh = {name: prior_posterior(rows, draws=20) for name in LAWS}
    assert crossovers(fresh, frame) == ()
    both = {name: prior_posterior(rows, repeated=True, draws=20) for name in LAWS}
    assert crossovers(both, frame.drop(columns="unique_tokens")) == ()
    assert crossovers(both, frame[frame["epochs"] < 1.5]) == ()
