"""Numbers in another unit are noticed in planted tables, each kind in its own words; published ones raise no others."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from difflaw.law import read_table, table_from_frame
from difflaw.law.table.units import unit_warnings


def runs(**scaled: float) -> pd.DataFrame:
    """Five sizes on four lengths each, C = 6·N·D exactly, with the named columns multiplied."""
    sizes, ratios = 1e8 * 2.0 ** np.arange(5), np.array([10.0, 20.0, 40.0, 80.0])
    n = np.repeat(sizes, len(ratios))
    d = n * np.tile(ratios, len(sizes))
    frame = pd.DataFrame({"params": n, "tokens": d, "flops": 6 * n * d, "loss": 1.8 + 480 * n**-0.35 + 2100 * d**-0.37})
    for column, factor in scaled.items():
        frame[column] *= factor
    return frame


def warned(frame: pd.DataFrame) -> tuple[str, ...]:
    return unit_warnings(table_from_frame(frame).frame)


def test_usual_counts_are_silent():
    assert warned(runs()) == ()
    assert warned(runs(flops=0.6)) == warned(runs(flops=2.9)) == ()
    assert warned(runs().drop(columns="flops")) == warned(runs().drop(columns="tokens")) == ()
    # A tiny ladder: 6,000 to 1e5 parameters on a few million tokens.
    assert warned(runs(params=6e-5, tokens=2e-3, flops=1.2e-7)) == ()


@pytest.mark.parametrize(
    ("factor", "ratio", "hint"),
    [
        (0.01, "0.01", "petaFLOPs"),
        (1 / 3, "0.33", "forward passes alone"),
        (4.0, "4", "params without embeddings"),
        (1e6, "1e+06", "params in millions? tokens in billions?"),
    ],
)
def test_flops_against_params_and_tokens(factor, ratio, hint):
    (sentence,) = warned(runs(flops=factor))
    assert sentence.startswith(f"FLOPs are on median {ratio} times 6·params·tokens")
    assert hint in sentence


def test_a_stated_convention_explains_a_tiny_models_ratio_but_no_unit():
    stated = {"params_convention": "non-embedding", "flops_convention": "matmul+head"}
    assert warned(runs(flops=4.0).assign(**stated)) == ()
    assert len(warned(runs(flops=4.0).assign(**stated | {"flops_convention": "unstated"}))) == 1
    assert len(warned(runs(flops=1e3).assign(**stated))) == 1


def test_rows_of_another_unit_are_named_by_row_of_the_file():
    frame = runs()
    frame.loc[[16, 4, 11, 13], "flops"] *= [1000.0, 1.6, 0.5, 3.0]
    frame.loc[8, "flops"] *= 1.4
    (sentence,) = warned(frame)
    assert "4 rows with FLOPs" in sentence
    assert ": row 5, row 12, row 14 and 1 more;" in sentence
    (sentence,) = warned(frame.assign(run=[f"r{i}" for i in range(20)]))
    assert ": run r4, run r11, run r13 and 1 more;" in sentence
    assert warned(frame.sample(frac=1, random_state=0)) != ()


def test_params_and_tokens_in_millions_or_billions():
    (sentence,) = warned(runs(params=1e-6).drop(columns="flops"))
    assert "params go up to 1600" in sentence
    assert "1600 million is 1.6e+09" in sentence
    (sentence,) = warned(runs(params=1e-9).drop(columns="flops"))
    assert "params go up to 1.6," in sentence
    for factor in (1e-6, 1e-9):
        (sentence,) = warned(runs(tokens=factor).drop(columns="flops"))
        assert sentence.startswith("tokens go up to")
    (sentence,) = warned(runs(params=1e-9, tokens=1e-9).drop(columns="flops"))
    assert sentence.startswith("tokens go up to 128,")
    # With FLOPs the ratio says it once more.
    assert len(warned(runs(params=1e-6))) == 2


def test_unique_tokens_in_billions():
    assert warned(runs().assign(unique_tokens=4e9)) == ()
    (sentence,) = warned(runs().assign(unique_tokens=4.0))
    assert "unique_tokens look like millions or billions" in sentence


def test_losses_in_another_unit():
    (low,) = warned(runs(loss=0.3))
    assert "below any published nats per token: bits per byte" in low
    frame = runs()
    frame.loc[2, "loss"] = 40.0
    (high,) = warned(frame)
    assert "losses go up to 40 (row 3)" in high
    assert "natural logarithm" in high


def test_one_family_among_several_is_named_and_what_all_share_is_said_once():
    good, bad = runs().assign(family="good"), runs(flops=1e-3).assign(family="bad")
    (sentence,) = warned(pd.concat([good, bad]))
    assert sentence.startswith("bad: FLOPs are on median 0.001 times")
    (sentence,) = warned(pd.concat([runs(loss=0.3).assign(family=name) for name in "abc"]))
    assert sentence.startswith("the lowest loss")


def test_published_tables(shared):
    data = shared / "data"
    assert unit_warnings(read_table(data / "chinchilla_epoch" / "svg_extracted_data.csv").frame) == ()
    assert unit_warnings(read_table(data / "scalebench" / "data_constrained_train.parquet").frame) == ()
    (sentence,) = unit_warnings(read_table(data / "scalebench" / "farseer_train.parquet").frame)
    assert sentence.startswith("the lowest loss is 0.462, below any published nats per token")


def test_a_large_table_is_read_and_checked_fast(tmp_path):
    frame = pd.concat([runs()] * 5000, ignore_index=True)
    frame = frame.assign(run=[f"r{i}" for i in range(len(frame))], unique_tokens=1e9)
    frame.to_csv(tmp_path / "large.csv", index=False)
    start = time.process_time()
    table = read_table(tmp_path / "large.csv")
    assert unit_warnings(table.frame) == ()
    assert len(table.frame) == 100_000
    assert time.process_time() - start < 2.0
