"""Three lines that can be acted on, and warnings in the order of their weight."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import difflaw
from difflaw.formatting import short_count
from difflaw.law.summary import SHOWN, summary, warnings_in_order
from tests.law.conftest import ladder


def test_the_numbers_are_those_of_the_answer():
    laws = difflaw.fit(ladder(0, sd=0.002))
    given = laws.families["masked"].answer
    lines = summary(laws)
    assert len(lines) == 3
    for line, at in zip(lines, (given.largest, given.ten_times), strict=False):
        assert short_count(at.params.estimate) in line
        assert short_count(at.tokens.high) in line
        assert float(re.search(r"loss ([\d.]+)", line).group(1)) == pytest.approx(at.loss.estimate, abs=1e-4)
    factor = float(re.search(r"within a factor ([\d.]+)", lines[2]).group(1))
    size = given.ten_times.params
    assert factor == pytest.approx((size.high / size.low) ** 0.5, rel=0.01)


@pytest.mark.parametrize(("sd", "words"), [(0.001, "well known"), (0.02, "known roughly|hardly known")])
def test_how_sure_in_words(sd, words):
    assert re.search(words, summary(difflaw.fit(ladder(0, sd=sd)))[2])


def test_of_two_families_the_likeliest_winner_is_shown():
    other = ladder(1, sd=0.002, family="uniform").assign(loss=lambda f: 0.97 * f.loss)
    laws = difflaw.fit(pd.concat([ladder(0, sd=0.002), other]))
    lines = summary(laws)
    assert "uniform wins with 100 %" in lines[2]
    assert f"{laws.families['uniform'].answer.largest.loss.estimate:.4f}" in lines[0]


def test_what_has_no_answer_comes_first():
    small = ladder(1, sizes=3, budgets=(1e18,), family="small")
    laws = difflaw.fit(pd.concat([ladder(0, sd=0.002), small]))
    assert warnings_in_order(laws)[0].startswith("small: no answer: ")


def test_runs_that_lie_off_are_named_before_the_table_is_doubted():
    frame = ladder(0, sd=0.002)
    frame.loc[17, "loss"] *= 1.2
    found = warnings_in_order(difflaw.fit(frame))
    off = next(i for i, text in enumerate(found) if "lies off the law" in text)
    assert "row 18" in found[off]
    assert "+20" in found[off] or "+19" in found[off]
    assert off < next(i for i, text in enumerate(found) if "second seed" in text)


def test_messages_of_single_budgets_are_counted():
    frame = ladder(0, sd=0.002, shift=12.0, budgets=tuple(np.geomspace(1e17, 1e19, 8)))
    laws = difflaw.fit(frame)
    family = laws.families["masked"]
    messages = {p.message for p in family.profiles} & set(family.warnings)
    found = warnings_in_order(laws)
    shown = [text for text in found if text.removeprefix("masked: ") in messages]
    assert len(messages) > SHOWN
    assert len(shown) == SHOWN
    assert f"masked: {len(messages) - SHOWN} more budgets without a minimum that counts" in found
