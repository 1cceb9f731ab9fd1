"""`difflaw.next_runs`: frames, files and nothing at all as the table of runs made so far."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import difflaw
from difflaw.errors import InputError
from tests.planning.test_pool import TARGET, made, pool


def test_frames_and_files_and_what_is_missing(tmp_path):
    every = pool()
    every.to_csv(tmp_path / "pool.csv", index=False)
    one = difflaw.next_runs(None, pool=tmp_path / "pool.csv", target=TARGET, budget=2e18)
    assert one == difflaw.next_runs(pd.DataFrame(), pool=every, target=TARGET, budget=2e18)
    assert one != difflaw.next_runs(None, pool=every, target=TARGET, budget=2e18, seed=1)
    with pytest.raises(InputError, match="the table: no column for loss"):
        difflaw.next_runs(every.iloc[:4], pool=every, target=TARGET, budget=2e18)
    table = made(every.iloc[:4], np.random.default_rng(0))
    table.loc[2, "loss"] = np.nan
    with pytest.raises(InputError, match="the table: row 3 has no loss"):
        difflaw.next_runs(table, pool=every, target=TARGET, budget=2e18)
