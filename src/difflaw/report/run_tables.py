"""Tables of how the runs were made: the runs, their derived hyper-parameters, and the checklist."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from difflaw.formatting import UNKNOWN, as_float, duration, scientific, short_count, significant, with_error
from difflaw.report.cells import Grid, family_cell, grid, status_cell


def cell_table(cells: Sequence[Mapping[str, Any]]) -> Grid:
    """Every run of the ladder, also those that broke, in the order given."""
    rows = [
        [
            cell.get("cell", UNKNOWN),
            family_cell(str(cell.get("family", UNKNOWN))),
            cell.get("rung", UNKNOWN),
            status_cell(cell.get("status", UNKNOWN)),
            with_error(cell.get("loss"), cell.get("loss_se")),
            short_count(cell.get("tokens")),
            scientific(cell.get("flops")),
            duration(cell.get("seconds")),
            cell.get("note") or "",
        ]
        for cell in cells
    ]
    headers = ["Cell", "Family", "Rung", "Status", "Loss", "Tokens", "FLOPs", "Time", "Remark"]
    return grid("Runs", headers, rows, numeric=(4, 5, 6, 7))


def hyperparameter_table(derived: Sequence[Mapping[str, Any]]) -> Grid:
    """What was derived rather than chosen: value, rule, and where the rule is from."""
    rows = []
    for item in derived:
        value = item.get("value", UNKNOWN)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        text = _plain_number(as_float(value)) if number else value
        rows.append([item.get("name", UNKNOWN), text, item.get("rule", UNKNOWN), item.get("source", UNKNOWN)])
    return grid("Derived hyper-parameters", ["Name", "Value", "Rule", "Source"], rows, numeric=(1,))


def decision_table(decisions: Sequence[Mapping[str, Any]]) -> Grid:
    """What a search decided, family by family in order, and why."""
    rows = [
        [
            family_cell(str(line.get("family", UNKNOWN))),
            line.get("stage", UNKNOWN),
            scientific(line.get("budget")),
            line.get("reason", UNKNOWN),
            scientific(line.get("flops")),
        ]
        for line in decisions
    ]
    return grid("Decisions", ["Family", "Stage", "Budget", "Why, and what", "FLOPs"], rows, numeric=(2, 4))


def checklist_table(items: Sequence[Mapping[str, Any]]) -> Grid:
    """The checklist as the law package fills it: heading, question, answer."""
    rows = [[item.get(key, UNKNOWN) for key in ("heading", "question", "answer")] for item in items]
    return grid("What a reader must know of this fit", ["Part", "Question", "Answer"], rows)


def _plain_number(value: float) -> str:
    if math.isfinite(value) and value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    return significant(value, 4) if 1e-3 <= abs(value) < 1e7 else scientific(value, 4)
