"""A fitted loss surface as it is drawn: the rows behind it, its values, its best sizes and what others give up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from difflaw.law.results import FittedFamilies, Surface
from difflaw.law.surface.forms import coefficients
from difflaw.law.surface.predict import form_of
from difflaw.law.table.trim import surface_rows
from difflaw.report.colours import in_order
from difflaw.report.runs import BROKEN, numbers, words


def families_with_surface(laws: FittedFamilies | None) -> list[str]:
    """Families that have a surface, in the order of the colours."""
    return in_order(name for name, f in (laws.families if laws else {}).items() if f.surface is not None)


def surface_points(
    table: pd.DataFrame, family: str, budgets: Iterable[float] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(params, tokens, FLOPs, loss) of the rows a family's surface is fitted to: not the first steps of a run."""
    every: Any = table
    rows = every[every["family"].astype(str) == family] if "family" in table.columns else every.iloc[:0]
    columns = {name: numbers(rows, name) for name in ("params", "tokens", "flops", "loss")}
    usable = np.all([np.isfinite(v) & (v > 0) for v in columns.values()], axis=0)
    usable &= np.array([s not in BROKEN for s in words(rows, "status", "done")], bool)
    frame = pd.DataFrame({name: values[usable] for name, values in columns.items()})
    frame["run"] = np.array(words(rows, "run", "unknown"), object)[usable]
    if not len(frame):
        return (np.empty(0), np.empty(0), np.empty(0), np.empty(0))
    kept = surface_rows(frame, tuple(budgets))
    n, d, flops, loss = (kept[name].to_numpy(float) for name in ("params", "tokens", "flops", "loss"))
    return n, d, flops, loss


def surface_regret(surface: Surface, params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Ln of the loss at (N, D) over the best loss at the same FLOPs by a surface; arrays broadcast."""
    c, k = coefficients(form_of(surface), np.array(surface.theta)[None], surface.centre), surface.flops_factor
    flops = k * params * tokens
    best = c.best_size(flops, k)
    return np.log(c.loss(params, tokens) / c.loss(best, flops / k / best))


def best_line(surface: Surface, params: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N*, D*) of a surface at budgets between the corners of two ranges."""
    c, k = coefficients(form_of(surface), np.array(surface.theta)[None], surface.centre), surface.flops_factor
    flops = np.geomspace(k * params[0] * tokens[0], k * params[-1] * tokens[-1], 60)
    best = c.best_size(flops, k)
    return best, flops / k / best


def surface_values(surface: Surface, params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Losses of a surface at arrays of sizes and tokens."""
    call: Any = surface
    return call(params, tokens)
