"""Runs as curves: broken ones kept, unusable rows dropped, the envelope of the sound ones."""

import numpy as np
import pandas as pd

from difflaw.report.runs import curves_of, envelope, families_of


def test_curves_keep_broken_runs_and_drop_unusable_rows():
    table = pd.DataFrame(
        {
            "family": ["a"] * 4 + ["b"],
            "run": ["1", "1", "1", "2", "3"],
            "flops": [3e12, 1e12, 2e12, 1e12, 1e12],
            "loss": [2.0, 3.0, np.nan, 9.0, None],
            "status": ["done"] * 3 + ["diverged", "failed"],
        }
    )
    curves = {curve.run: curve for curve in curves_of(table)}
    assert list(curves["1"].loss) == [3.0, 2.0]
    assert curves["2"].broken
    assert len(curves["3"].loss) == 0
    assert families_of(curves.values(), None) == ["a"]
    flops, loss = envelope(curves.values(), "a")
    assert list(flops) == [1e12, 3e12]
    assert list(loss) == [3.0, 2.0]
