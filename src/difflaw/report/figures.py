"""All figures of a table and its laws by name, and how they become files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from difflaw.law.results import FittedFamilies
from difflaw.report.loss_figures import frontier, loss_curves
from difflaw.report.matplotlib_figure import save
from difflaw.report.optimum_figures import isoflop_profiles, optimal_size, optimal_tokens
from difflaw.report.rate_figure import learning_rates
from difflaw.report.regret_figures import regret
from difflaw.report.spec import FigureSpec
from difflaw.report.surface_figures import drift, residuals


def all_figures(
    table: pd.DataFrame, laws: FittedFamilies | None, entropy_floor: float | None = None
) -> dict[str, FigureSpec]:
    """Every figure there is something to draw for, by the name of its file.

    Left out: learning rates where no size was run at two, residuals and regret without a surface, the drift
    without a hold-out.
    """
    described = {
        "frontier": frontier(table, laws, entropy_floor),
        "isoflop-profiles": isoflop_profiles(laws),
        "optimal-size": optimal_size(laws),
        "optimal-tokens": optimal_tokens(laws),
        "residuals": residuals(table, laws),
        "drift": drift(laws),
        "regret": regret(table, laws),
        "loss-curves": loss_curves(table),
        "learning-rates": learning_rates(table),
    }
    return {name: spec for name, spec in described.items() if spec is not None}


def save_figures(
    directory: str | Path, table: pd.DataFrame, laws: FittedFamilies | None, entropy_floor: float | None = None
) -> list[Path]:
    """Draw `all_figures` into ``directory`` as PNG at 150 dpi and return the paths."""
    described = all_figures(table, laws, entropy_floor)
    return [save(spec, Path(directory) / f"{name}.png") for name, spec in described.items()]
