"""Runs that are yet to be made or judged: sizes and tokens as a table gives them, no losses asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difflaw.errors import InputError
from difflaw.law.table.columns import ALIASES, resolve
from difflaw.law.table.read import read_frame

if TYPE_CHECKING:
    import pandas as pd

NEEDED, OPTIONAL = ("params", "tokens"), ("flops", "unique_tokens", "epochs", "batch_tokens", "lr", "loss")


def read_points(path: Path) -> pd.DataFrame:
    """Rows of a CSV or Parquet file with canonical columns; InputError names file, column and row."""
    return points_from_frame(read_frame(path), path.name)


def points_from_frame(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """A data frame's rows with canonical columns, in their order.

    ``params`` and ``tokens`` are always there (one of them may come from ``flops`` as C = 6·N·D), and ``family``,
    ``unique_tokens``, ``batch_tokens``, ``lr``, ``flops``, ``loss`` and ``run`` where the source has them.

    Raises:
        InputError: no rows, a missing column, or a value that is no positive number.
    """
    import pandas as pd

    if not len(frame):
        raise InputError(f"{source}: no rows; a header line and at least one row are needed")
    names = resolve(frame.columns, None, source)
    data: Any = pd.DataFrame(index=range(len(frame)))
    for name in (*NEEDED, *OPTIONAL):
        if name in names:
            data[name] = _numbers(frame[names[name]], name in NEEDED, names[name], source)
    for name, other in (("tokens", "params"), ("params", "tokens")):
        if name not in data:
            if "flops" not in data or other not in data:
                there = ", ".join(map(str, frame.columns))
                raise InputError(
                    f"{source}: no column for {name}; columns there: {there}; understood by itself: {name}, "
                    f"{', '.join(ALIASES[name])}"
                )
            data[name] = data["flops"] / 6 / data[other]
    if "unique_tokens" not in data and "epochs" in data:
        data["unique_tokens"] = data["tokens"] / np.maximum(data["epochs"].fillna(1.0), 1.0)
    for name in ("family", "run"):
        if name in names:
            data[name] = frame[names[name]].to_numpy()
    return data


def _numbers(raw: Any, needed: bool, column: str, source: str) -> np.ndarray:
    import pandas as pd

    value = np.asarray(pd.to_numeric(raw, errors="coerce"), float)
    bad = ~(np.isfinite(value) & (value > 0))
    if not needed:
        bad &= ~raw.isna().to_numpy()
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        want = "a positive finite number" + ("" if needed else " or nothing")
        raise InputError(f"{source}: column '{column}', row {at + 1}: {raw.iloc[at]!s} is not {want}")
    return value
