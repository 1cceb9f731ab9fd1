"""Tables of runs to be judged: derived columns, blanks, and refusals that name column and row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from difflaw.errors import InputError
from difflaw.law.table.points import points_from_frame, read_points

RUNS = pd.DataFrame({"params": [1e8, 2e8], "tokens": [1e10, 3e10]})


def test_other_names_and_the_order_of_rows():
    found = points_from_frame(pd.DataFrame({"D": [3e10, 1e10], "N": [2e8, 1e8], "extra": ["x", "y"]}), "t")
    assert found["params"].tolist() == [2e8, 1e8]
    assert found["tokens"].tolist() == [3e10, 1e10]
    assert "extra" not in found


@pytest.mark.parametrize("missing", ["params", "tokens"])
def test_one_of_size_and_tokens_comes_from_flops(missing):
    frame = RUNS.assign(flops=6 * RUNS.params * RUNS.tokens).drop(columns=missing)
    assert np.allclose(points_from_frame(frame, "t")[missing], RUNS[missing])


def test_epochs_become_different_tokens():
    found = points_from_frame(RUNS.assign(epochs=[4.0, np.nan]), "t")
    assert found["unique_tokens"].tolist() == [2.5e9, 3e10]
    half = points_from_frame(RUNS.assign(epochs=[0.5, 1.0]), "t")
    assert half["unique_tokens"].tolist() == RUNS["tokens"].tolist()


def test_blanks_where_nothing_is_needed():
    found = points_from_frame(RUNS.assign(lr=[np.nan, 1e-3], family=["a", "b"]), "t")
    assert np.isnan(found["lr"][0])
    assert found["family"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (RUNS.assign(params=[1e8, np.nan]), "t: column 'params', row 2: nan is not a positive finite number"),
        (RUNS.assign(tokens=["many", 1e9]), "t: column 'tokens', row 1: many is not a positive"),
        (RUNS.assign(tokens=[-1.0, 1e9]), "row 1"),
        (RUNS.assign(tokens=[np.inf, 1e9]), "row 1: inf"),
        (RUNS.assign(lr=[1e-3, 0.0]), "column 'lr', row 2: 0.0 is not a positive finite number or nothing"),
        (RUNS.drop(columns="params"), "t: no column for params; columns there: tokens"),
        (RUNS.iloc[:0], "t: no rows"),
    ],
)
def test_refusals(frame, words):
    with pytest.raises(InputError, match=words):
        points_from_frame(frame, "t")


def test_files(tmp_path):
    for name, write in (("r.csv", RUNS.to_csv), ("r.parquet", RUNS.to_parquet)):
        write(tmp_path / name, index=False)
        assert read_points(tmp_path / name)["tokens"].tolist() == [1e10, 3e10]
    with pytest.raises(InputError, match=r"nothing\.csv"):
        read_points(tmp_path / "nothing.csv")
