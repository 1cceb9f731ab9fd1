"""`difflaw.next_runs`: which runs of a pool to make for the forecast of given targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difflaw.errors import InputError
from difflaw.law.table.points import points_from_frame, read_points
from difflaw.planning.pool import Bought, choose_from_pool

if TYPE_CHECKING:
    import pandas as pd


def next_runs(
    table: pd.DataFrame | str | Path | None,
    *,
    pool: pd.DataFrame | str | Path,
    target: pd.DataFrame | str | Path,
    budget: float,
    seed: int = 0,
) -> list[Bought]:
    """The runs of a pool to make next, in order, so that the losses of the target runs can be forecast.

    >>> import difflaw, pandas
    >>> sizes = [1e7, 3e7, 1e8, 3e8]
    >>> pool = pandas.DataFrame([{"params": n, "tokens": d} for n in sizes for d in (2e8, 2e9)])
    >>> target = pandas.DataFrame({"params": [1e9], "tokens": [2e10]})
    >>> chosen = difflaw.next_runs(None, pool=pool, target=target, budget=2e18)
    >>> len(chosen) > 0 and sum(run.flops for run in chosen) <= 2e18
    True

    Args:
        table: runs made so far, with their losses; None or a table without rows for none.
        pool: runs that could be made: params, tokens, and family, flops, unique_tokens where known.
        target: runs whose losses are to be forecast, likewise.
        budget: FLOPs to spend.
        seed: same seed, same choice.

    Raises:
        InputError: a table that cannot be read, a budget that buys nothing, nothing left, no common family.
    """
    return choose_from_pool(*read_choice(table, pool, target), budget, seed=seed)


def read_choice(
    table: pd.DataFrame | str | Path | None, pool: pd.DataFrame | str | Path, target: pd.DataFrame | str | Path
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """(runs made, pool, target) with canonical columns; InputError as `next_runs`."""
    return _made(table), _read(pool, "the pool"), _read(target, "the target")


def _read(frame: Any, name: str) -> pd.DataFrame:
    return read_points(Path(frame)) if isinstance(frame, str | Path) else points_from_frame(frame, name)


def _made(table: Any) -> pd.DataFrame:
    """Runs made so far with their losses, or an empty frame."""
    import pandas as pd

    if table is None or (isinstance(table, pd.DataFrame) and not len(table)):
        return pd.DataFrame()
    if isinstance(table, str | Path) and _only_a_header(Path(table)):
        return pd.DataFrame()
    found, source = _read(table, "the table"), Path(table).name if isinstance(table, str | Path) else "the table"
    blank = np.isnan(found["loss"].to_numpy(float)) if "loss" in found else np.ones(0, bool)
    if "loss" not in found or blank.any():
        row = int(blank.argmax()) + 1 if len(blank) else 0
        where = f"row {row} has no loss" if row else "no column for loss"
        raise InputError(f"{source}: {where}; runs made so far need theirs, runs to be made belong in the pool")
    return found


def _only_a_header(path: Path) -> bool:
    """Whether a CSV has column names and nothing more."""
    if not path.is_file() or path.suffix.lower() in {".parquet", ".pq"}:
        return False
    with path.open("rb") as file:
        return bool(file.readline().strip()) and not file.read().strip()
