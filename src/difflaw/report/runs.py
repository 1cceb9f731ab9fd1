"""A table's runs as they are drawn: one curve a run, the families that have any, the best loss reached so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from difflaw.formatting import as_float
from difflaw.law.results import FittedFamilies
from difflaw.report.colours import in_order

_SHAPE = ("width", "depth", "batch_tokens")
BROKEN = ("diverged", "failed")


@dataclass(frozen=True)
class RunCurve:
    """One run: its evaluations in order of FLOPs (usable ones only), and the shape it had."""

    family: str
    run: str
    status: str
    params: float
    width: float
    depth: float
    batch_tokens: float
    rate: float
    flops: np.ndarray
    tokens: np.ndarray
    loss: np.ndarray

    @property
    def broken(self) -> bool:
        """Whether the run diverged or failed."""
        return self.status in BROKEN


def numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    """A column as floats, NaN where it has no number or where the table has no such column."""
    if name not in table.columns:
        return np.full(len(table), np.nan)
    return np.array([as_float(value) for value in table[name].tolist()], dtype=float)


def words(table: pd.DataFrame, name: str, default: str) -> list[str]:
    """A column as texts, ``default`` where it has none."""
    if name not in table.columns:
        return [default] * len(table)
    return [default if value is None or value != value else str(value) for value in table[name].tolist()]


def curves_of(table: pd.DataFrame) -> list[RunCurve]:
    """The table's runs by size, each with its rows of positive finite loss and FLOPs, perhaps none.

    Missing columns count as empty, so any table can be drawn.
    """
    columns = {name: numbers(table, name) for name in ("flops", "tokens", "loss", "params", *_SHAPE, "lr")}
    families, runs = words(table, "family", "unknown"), words(table, "run", "unknown")
    statuses = words(table, "status", "done")
    members: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(families, runs, strict=True)):
        members.setdefault(key, []).append(row)
    usable = np.isfinite(columns["loss"]) & (columns["loss"] > 0)
    usable &= np.isfinite(columns["flops"]) & (columns["flops"] > 0)
    curves = []
    for (family, run), rows in members.items():
        kept = sorted((row for row in rows if usable[row]), key=lambda row: columns["flops"][row])
        one = {name: float(values[rows[-1]]) for name, values in columns.items()}
        curves.append(
            RunCurve(
                family=family,
                run=run,
                status=statuses[rows[-1]],
                params=one["params"],
                width=one["width"],
                depth=one["depth"],
                batch_tokens=one["batch_tokens"],
                rate=one["lr"],
                flops=columns["flops"][kept],
                tokens=columns["tokens"][kept],
                loss=columns["loss"][kept],
            )
        )
    return sorted(curves, key=lambda curve: float(np.nan_to_num(curve.params)))


def families_of(curves: Iterable[RunCurve], laws: FittedFamilies | None) -> list[str]:
    """Every family that has a usable evaluation or a fit, in the order of the colours."""
    measured = [curve.family for curve in curves if len(curve.loss)]
    return in_order([*measured, *(laws.families if laws is not None else ())])


def envelope(curves: Iterable[RunCurve], family: str) -> tuple[np.ndarray, np.ndarray]:
    """Lowest loss the family reached at up to each number of FLOPs, by runs that did not break."""
    sound = [curve for curve in curves if curve.family == family and not curve.broken and len(curve.loss)]
    if not sound:
        return np.empty(0), np.empty(0)
    flops, loss = np.concatenate([c.flops for c in sound]), np.concatenate([c.loss for c in sound])
    order = np.argsort(flops)
    return flops[order], np.minimum.accumulate(loss[order])


def few(count: int, most: int) -> np.ndarray:
    """Indices of at most ``most`` of ``count`` points, evenly spaced."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)
