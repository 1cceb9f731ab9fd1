"""Rows on the plateau carry no law, where the table says how high it lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from difflaw.law.fit import fit_laws
from difflaw.law.table import table_from_frame
from difflaw.law.table.plateau import LEARNT, on_plateau, plateau_text

UNIGRAM = 5.0


def frame(wake: float) -> Any:
    """Runs of 1.8 + A/N^.4 + B/D^.4 with 0.5 % noise, asleep until ``wake`` tokens; the law's exponent of N* is .5."""
    rng = np.random.default_rng(1)
    rows = []
    for n in np.geomspace(3e3, 3e5, 8):
        flops = np.geomspace(3e10, 3e12, 9)
        tokens = flops / (6 * n)
        learnt = 1.8 + 12 * n**-0.4 + 150 * tokens**-0.4
        asleep = 1 / (1 + (tokens / wake) ** 8)
        loss = (asleep * UNIGRAM + (1 - asleep) * np.minimum(learnt, UNIGRAM)) * np.exp(0.005 * rng.standard_normal(9))
        for c, d, value in zip(flops, tokens, loss, strict=True):
            row = {"run": f"{n:.0f}", "params": n, "tokens": d, "flops": c, "loss": value}
            rows.append({"family": "planted", **row, "unigram_entropy": UNIGRAM, "seed": 0})
    return pd.DataFrame(rows)


def test_rows_near_the_entropy_of_single_tokens_carry_no_law() -> None:
    rows = frame(wake=2.0e5)
    asleep = rows["loss"] > LEARNT * UNIGRAM
    assert 5 < asleep.sum() < len(rows) / 2
    table = table_from_frame(rows)
    assert on_plateau(table.frame).sum() == asleep.sum()
    fitted = fit_laws(table)
    surface = fitted.families["planted"].surface
    assert surface is not None
    assert surface.points <= int((~asleep).sum())
    assert any(f"{int(asleep.sum())} of {len(rows)} rows lie on the plateau" in text for text in fitted.warnings)


def test_what_the_plateau_does_to_a_law_that_keeps_it() -> None:
    with_, without = (
        fit_laws(table_from_frame(rows)).families["planted"].posterior
        for rows in (frame(wake=2.0e5), frame(wake=2.0e5).drop(columns="unigram_entropy"))
    )
    assert with_ is not None
    assert without is not None
    # a = b, so ln N* grows as half of ln C
    best = [np.median(with_.best(c).ln_params) for c in (3e11, 3e12)]
    assert (best[1] - best[0]) / np.log(10) == pytest.approx(0.5, abs=0.1)
    assert np.median(with_.ln_noise) < np.median(without.ln_noise)


def test_a_table_that_does_not_say_has_none() -> None:
    rows = frame(wake=2.0e5).drop(columns="unigram_entropy")
    assert not on_plateau(table_from_frame(rows).frame).any()
    assert plateau_text(table_from_frame(rows).frame) == []
