"""Learning-rate sweeps in a table, with the rates at which runs broke."""

import numpy as np
import pandas as pd

from difflaw.report.rate_sweeps import rate_sweeps
from difflaw.report.runs import curves_of


def test_sweeps_need_two_rates_at_one_horizon(ladder):
    sweeps = rate_sweeps(curves_of(ladder.table))
    assert {sweep.family for sweep in sweeps} == set(ladder.laws.families)
    assert sweeps[0].rates == (1e-3, 2e-3, 4e-3)
    assert sweeps[0].label.startswith("128×3, batch 16.4k")
    longer = ladder.table.copy()
    chosen = longer["lr"] == 2e-3
    longer.loc[chosen, ["tokens", "flops"]] *= 2.0
    assert all(2e-3 not in sweep.rates for sweep in rate_sweeps(curves_of(longer)))


def test_a_run_broken_before_its_first_loss_is_in_the_sweep(ladder):
    extra = ladder.table[ladder.table["lr"] == 4e-3].groupby("family").tail(1).copy()
    extra = extra.assign(run="lost", lr=8e-3, loss=np.nan, status="diverged")
    sweeps = rate_sweeps(curves_of(pd.concat([ladder.table, extra])))
    assert all(sweep.diverged == (8e-3,) for sweep in sweeps)
