"""Early stopping as a rule on rows: which evaluations of a run that repeats its text say nothing of what it can reach.

A run that repeats its text passes its best evaluation and then learns the text by heart: its loss can triple, which
no law of the best loss should follow. Rows up to the turn and a little past it stay, because a law that sees only the
descent would promise that it goes on (docs/derivations.md#early-stopping).
"""

from __future__ import annotations

from typing import Any

import numpy as np

TURN = 0.03
"""Share of the run's best loss by which later rows may lie above it and still count."""
REPEATS = 2.0
"""Epochs from which a run is one that repeats its text."""


def overtrained(frame: Any) -> np.ndarray:
    """Whether each row of a canonical data frame is past early stopping, shape (n,).

    So is an evaluation after the best one of its run, on text seen more than once, from the first that lies more than
    `TURN` above the best. Runs with one row, and tables that do not say how often text was seen, have none.
    """
    if "epochs" not in frame or not (frame["epochs"] > 1).any():
        return np.zeros(len(frame), bool)
    rows = frame[["family", "run", "tokens", "epochs", "loss"]].reset_index(drop=True).sort_values("tokens")
    names = [rows["family"], rows["run"]]
    best = rows.groupby(["family", "run"])["loss"].transform("min")
    after = (rows["loss"] == best).groupby(names).cummax()
    beyond = after & (rows["epochs"] > 1) & (rows["loss"] > (1 + TURN) * best)
    return beyond.groupby(names).cummax().sort_index().to_numpy(bool)


def repeated_runs(frame: Any) -> np.ndarray:
    """Whether each row is of a run that sees its text `REPEATS` times or more, shape (n,)."""
    if "epochs" not in frame:
        return np.zeros(len(frame), bool)
    return (frame.groupby(["family", "run"])["epochs"].transform("max") >= REPEATS).to_numpy(bool)


def early_stopped(frame: Any) -> Any:
    """The rows of a data frame that are not `overtrained`."""
    gone = overtrained(frame)
    return frame[~gone] if gone.any() else frame


def early_stopping_text(frame: Any) -> list[str]:
    """A sentence for each family with rows past early stopping: how many, of how many runs."""
    out, gone = [], overtrained(frame)
    for name in sorted(set(frame["family"][gone])):
        own = (frame["family"] == name).to_numpy()
        rows, runs = int((own & gone).sum()), frame["run"][own & gone].nunique()
        out.append(
            f"{name}: {rows} of {int(own.sum())} rows, of {runs} run{'s' * (runs > 1)}, lie past early stopping "
            f"(more than {100 * TURN:g} % above the run's best loss, after it, on repeated text) and carry no law"
        )
    return out
