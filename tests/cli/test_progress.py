"""What is printed while something runs: lines from the state of a run, and the time a ladder still takes."""

from __future__ import annotations

from typing import Any

import pytest

from difflaw.cli.progress import bound_line, search_seconds_left, seconds_left, state_line
from difflaw.ladder.status import CellStatus


def cell(name: str, status: str, flops: float, seconds: float, left: float | None = None) -> CellStatus:
    rest: dict[str, Any] = {"family": "masked", "rung": "8x1", "loss": None, "loss_se": None, "note": ""}
    speeds: Any = {"tokens_per_second": None, "flops_per_second": None}
    return CellStatus(
        name=name, status=status, flops=flops, seconds=seconds, seconds_left=left, step=0, steps=1, tokens=0,
        **rest, **speeds,
    )  # fmt: skip


def test_cells_that_wait_take_the_places_that_get_free() -> None:
    """Two at a time: 10 s and 20 s left, then 30 s and 5 s of waiting work: 10 + 30 against 20 + 5."""
    cells = [
        cell("done", "done", 100.0, 100.0),
        cell("a", "running", 50.0, 50.0, 10.0),
        cell("b", "running", 50.0, 50.0, 20.0),
        cell("long", "queued", 0.0, 0.0),
        cell("short", "queued", 0.0, 0.0),
    ]
    flops = {"done": 100.0, "a": 60.0, "b": 70.0, "long": 30.0, "short": 5.0}
    assert seconds_left(cells, flops) == pytest.approx(40.0)
    assert seconds_left([cell("x", "done", 60.0, 1.0)], {"x": 60.0}) == 0.0


def test_nothing_is_said_before_anything_is_known() -> None:
    assert seconds_left([cell("a", "running", 0.0, 0.0), cell("b", "queued", 0.0, 0.0)], {"a": 1.0, "b": 1.0}) is None


def test_a_search_counts_the_flops_of_cells_that_nobody_knows_yet() -> None:
    """100 FLOPs took 50 s of two cells; 300 more at two at a time take 75 s."""
    cells = [cell("a", "running", 60.0, 30.0, 1.0), cell("b", "running", 40.0, 20.0, 1.0)]
    assert search_seconds_left(cells, 400.0) == pytest.approx(75.0)
    assert search_seconds_left([cell("a", "running", 0.0, 0.0)], 400.0) is None


def test_a_state_as_a_line() -> None:
    state = {"step": 1200, "steps": 5000, "loss": 3.25, "tokens_per_second": 12_340.0, "flops_per_second": 5.6e9}
    line = state_line({**state, "seconds_left": 125.0})
    assert line == "step 1,200/5,000 loss 3.250 12.3k tok/s 5.6 GFLOP/s, 2 min 05 s left"
    assert state_line({"step": 0, "steps": 5, "tokens_per_second": None}) == "step 0/5, – left"


def test_a_bound_as_a_line() -> None:
    record = {"step": 1200, "bound": 5.12345, "standard_error": 0.0123}
    assert bound_line(record) == "step 1,200: validation bound 5.1235 ± 0.0123 nats per token"
