"""Numbers, counts, intervals and durations as people read them."""

import math

import pandas as pd
import pytest

from difflaw.formatting import duration, fixed, scientific, short_count, significant, with_error, with_interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (198_000, "198k"),
        (999_999, "1M"),
        (999, "999"),
        (1234, "1.23k"),
        (1.5e9, "1.5B"),
        (2e12, "2T"),
        (2e18, "2e18"),
        (0, "0"),
        (-4200, "-4.2k"),
        (0.05, "0.05"),
        (2e-5, "2e-5"),
        (None, "–"),
        (pd.NA, "–"),
        (math.inf, "∞"),
        ("word", "–"),
    ],
)
def test_count(value, text):
    assert short_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2e12, "2e12"),
        (3.1623e-4, "3.16e-4"),
        (9.999e9, "1e10"),
        (100, "1e2"),
        (0, "0"),
        (math.nan, "–"),
        (-2e3, "-2e3"),
    ],
)
def test_scientific(value, text):
    assert scientific(value) == text


def test_interval_decimals_follow_its_width():
    assert with_interval(0.52, 0.47, 0.57) == "0.520 [0.47, 0.57]"
    assert with_interval(-0.0496, -0.0521, -0.0471) == "-0.0496 [-0.052, -0.047]"
    assert with_interval(0.52, None, None) == "0.520"
    assert with_interval(0.5, -math.inf, 1.0) == "0.500 [-∞, 1.00]"
    assert with_interval(0.5, 0.5, 0.5) == "0.500 [0.50, 0.50]"


def test_the_rest():
    assert with_error(3.41234, 0.0112) == "3.412 ± 0.011"
    assert with_error(3.41234, None) == "3.4123"
    assert significant(0.04961) == "0.0496"
    assert significant(1745, 2) == "1700"
    assert fixed(None) == "–"
    assert duration(4.2) == "4.2 s"
    assert duration(185) == "3 min 05 s"
    assert duration(7800) == "2 h 10 min"
    assert duration(3_600_000) == "41 d 16 h"
    assert duration(None) == "–"
