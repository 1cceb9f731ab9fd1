"""Colours and markers: the paper's, distinct, and stable for strangers."""

import os
import subprocess
import sys

from difflaw.report.colours import STYLES, canonical, in_order, sequence, style_of, transparent
from difflaw.report.matplotlib_marks import MARKERS


def test_noise_types_wear_the_papers_colours():
    assert style_of("masked").colour == "#3a4cc0"
    assert style_of("low-uniform").colour == "#8daffd"
    assert style_of("balanced").colour == "#7adc79"
    assert style_of("high-uniform").colour == "#f39879"
    assert style_of("uniform").colour == "#b30326"


def test_known_families_differ_in_colour_and_marker():
    for attribute in ("colour", "symbol"):
        assert len({getattr(style, attribute) for style in STYLES.values()}) == len(STYLES)
    assert len({MARKERS[style.symbol] for style in STYLES.values()}) == len(STYLES)


def test_aliases():
    assert canonical("GIDD_low_uniform") == "low-uniform"
    assert style_of("AR") == style_of("autoregressive")
    assert style_of("bd3-lm") == style_of("block")


def test_unknown_family_is_stable_across_processes():
    code = "from difflaw.report.colours import style_of; print(style_of('my new noise'))"
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert told.stdout.strip() == str(style_of("my new noise"))
    assert style_of("my new noise").colour not in {style.colour for style in STYLES.values()}


def test_order_and_sequence():
    assert in_order(["zeta", "uniform", "alpha", "ar", "masked", "uniform"]) == [
        "ar",
        "masked",
        "uniform",
        "alpha",
        "zeta",
    ]
    assert sequence(0) == []
    assert len(sequence(1)) == 1
    assert len(set(sequence(9))) == 9
    assert transparent("#ff0010", 0.5) == "rgba(255,0,16,0.5)"


def test_report_needs_no_torch():
    code = "import sys, difflaw.report; assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
