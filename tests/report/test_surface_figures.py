"""Residuals and drift are drawn from a fit, and left out where there is nothing to draw."""

from __future__ import annotations

import numpy as np
import pandas as pd

from difflaw.law import fit_laws, table_from_frame
from difflaw.report.matplotlib_figure import draw
from difflaw.report.surface_figures import drift, residuals


def test_residuals_are_those_of_the_surface() -> None:
    rows = [
        {"family": "masked", "params": n, "tokens": c / (6 * n), "flops": c}
        for c in np.geomspace(1e17, 1e21, 9)
        for n in 3e7 * (c / 1e18) ** 0.5 * 1.6 ** np.arange(-3, 4)
    ]
    frame = pd.DataFrame(rows)
    frame["loss"] = 1.8 + 480 * frame["params"] ** -0.35 + 2100 * frame["tokens"] ** -0.37
    frame.loc[3, "loss"] *= 1.02
    table = table_from_frame(frame)
    laws = fit_laws(table, hold_out=True)
    described = residuals(table.frame, laws)
    assert described is not None
    figure = draw(described)
    heights = np.asarray(figure.axes[0].lines[0].get_ydata(), float)
    assert np.sum(np.abs(heights) > 1.0) == 1
    assert abs(heights.max() - 2.0) < 0.05
    drawn = drift(laws)
    assert drawn is not None
    assert len(draw(drawn).axes) == 2


def test_nothing_to_draw() -> None:
    assert residuals(pd.DataFrame(), None) is None
    assert drift(None) is None
