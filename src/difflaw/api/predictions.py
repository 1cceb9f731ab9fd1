"""`difflaw.predict`: the loss of planned runs by fitted laws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from difflaw.law.document import Laws
from difflaw.law.prediction import Prediction
from difflaw.law.prediction import predict as predict_rows
from difflaw.law.table.points import points_from_frame, read_points

if TYPE_CHECKING:
    import pandas as pd


def predict(laws: Laws | str | Path, runs: pd.DataFrame | str | Path, *, level: float = 0.95) -> list[Prediction]:
    """The loss of every run of a table, with the law's interval and that of the run itself.

    >>> import difflaw, pandas
    >>> laws = difflaw.fit(difflaw.example_table())
    >>> runs = pandas.DataFrame({"family": ["masked"], "params": [1e9], "tokens": [2e10]})
    >>> [found] = difflaw.predict(laws, runs)
    >>> found.run_interval[0] < found.law_interval[0] < found.loss < found.law_interval[1] < found.run_interval[1]
    True

    Args:
        laws: what `difflaw.fit` returns, a laws.json, or a folder that holds one.
        runs: columns params and tokens (either may be left out where flops is there), and family, unique_tokens,
            epochs, batch_tokens, lr where known: a DataFrame, or a CSV or Parquet file.
        level: of the intervals.

    Raises:
        InputError: no such file, a missing column, a value that is no positive number, a family without a law.
    """
    found = laws if isinstance(laws, Laws) else Laws.read(laws)
    rows = read_points(Path(runs)) if isinstance(runs, str | Path) else points_from_frame(runs, "the DataFrame")
    return predict_rows(found, rows, level)
