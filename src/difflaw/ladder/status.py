"""Where every cell of a ladder stands: done, running, queued, diverged or failed, with loss and time left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from difflaw.ladder.directory import LadderDirectory


@dataclass(frozen=True)
class CellStatus:
    """One cell; ``loss`` is the last bound (nats per token), ``seconds_left`` None where nothing is known."""

    name: str
    family: str
    rung: str
    status: str
    loss: float | None
    loss_se: float | None
    step: int
    steps: int
    tokens: int
    flops: float
    seconds: float
    seconds_left: float | None
    tokens_per_second: float | None
    flops_per_second: float | None
    note: str
    unique_tokens: int | None = None
    """Different tokens the run trains on, where the ladder limits them."""


def cell_statuses(ladder: LadderDirectory) -> list[CellStatus]:
    """Status of every cell in the order of the plan, read from the run directories."""
    return [_status(name, cell, run) for name, cell, run in ladder.cells()]


def _status(name: str, cell: dict[str, Any], run: Any) -> CellStatus:
    status, summary = run.status(), run.summary() or {}
    evaluations = run.records("evaluation")
    last = evaluations[-1] if evaluations else {}
    progress = run.progress() or {}
    step = cell["steps"] if status == "done" else int(progress.get("step", last.get("step", 0)))
    rate = progress.get("tokens_per_second")
    left = None
    if status == "done":
        left = 0.0
    elif status == "running":
        left = progress.get("seconds_left")
    return CellStatus(
        name=name,
        family=cell["family"],
        rung=f"{cell['width']}x{cell['depth']}",
        status=status,
        loss=last.get("bound"),
        loss_se=last.get("standard_error"),
        step=step,
        steps=cell["steps"],
        tokens=step * cell["batch_tokens"],
        flops=step * cell["batch_tokens"] * cell["flops_per_token"],
        seconds=float(summary.get("seconds", progress.get("seconds", 0.0))),
        seconds_left=left,
        tokens_per_second=rate,
        flops_per_second=progress.get("flops_per_second"),
        note=str(summary.get("note", "")),
        unique_tokens=cell.get("unique_tokens"),
    )
