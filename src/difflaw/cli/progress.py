"""Progress of a ladder: live bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import heapq
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from difflaw.formatting import duration
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.search.run import search_state
from difflaw.ladder.status import CellStatus, cell_statuses
from difflaw.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_SECONDS = 10.0


def seconds_left(cells: list[CellStatus], flops: dict[str, float]) -> float | None:
    """Seconds until all cells are done, ``flops`` being each one's whole work by name; None where nothing is known.

    A running cell knows its own after two steps; those that wait take the places that get free, longest first,
    at the seconds per FLOP of all that has been done.
    """
    spent = sum(cell.seconds for cell in cells if cell.flops > 0)
    made = sum(cell.flops for cell in cells if cell.flops > 0)
    if not made:
        return None
    guess = {cell.name: (flops[cell.name] - cell.flops) * spent / made for cell in cells}
    running = [cell for cell in cells if cell.status == "running"]
    free = [guess[cell.name] if cell.seconds_left is None else cell.seconds_left for cell in running] or [0.0]
    heapq.heapify(free)
    for seconds in sorted((guess[cell.name] for cell in cells if cell.status == "queued"), reverse=True):
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)


def search_seconds_left(cells: list[CellStatus], flops: float) -> float | None:
    """Seconds until a search has spent ``flops``, at the seconds per FLOP so far and as many cells at a time as now."""
    made, spent = sum(cell.flops for cell in cells), sum(cell.seconds for cell in cells)
    running = sum(cell.status == "running" for cell in cells)
    return max(flops - made, 0.0) * spent / made / max(running, 1) if made else None


class LadderProgress:
    """Call `tick` often; it looks at the run directories at most once a second."""

    def __init__(self, ladder: LadderDirectory, peak_flops: float, quiet: bool = False) -> None:
        self.ladder, self.peak, self.quiet = ladder, peak_flops, quiet
        self.last = time.monotonic()
        self.live = None

    def __enter__(self) -> LadderProgress:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self.live = Live(console=Console(stderr=True), refresh_per_second=2, transient=True)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def tick(self) -> None:
        """Refresh if it is time to."""
        now = time.monotonic()
        if self.quiet or now - self.last < (1.0 if self.live is not None else LINE_SECONDS):
            return
        self.last = now
        cells = cell_statuses(self.ladder)
        if self.live is not None:
            self.live.update(self._panel(cells))
        else:
            print(self._line(cells), file=sys.stderr, flush=True)

    def _overall(self, cells: list[CellStatus]) -> tuple[float, float | None]:
        """Share of the ladder's FLOPs that is done, and seconds left."""
        flops = {name: described["flops"] for name, described in self.ladder.description()["cells"].items()}
        done = sum(cell.flops if cell.status in ("running", "queued") else flops[cell.name] for cell in cells)
        search = search_state(self.ladder.path)
        if search is not None and search["verdict"] is None:  # cells that nobody knows yet will follow
            return done / search["flops"], search_seconds_left(cells, search["flops"])
        return done / max(sum(flops.values()), 1.0), seconds_left(cells, flops)

    def _line(self, cells: list[CellStatus]) -> str:
        share, left = self._overall(cells)
        counts = Counter(cell.status for cell in cells)
        ended = sum(counts[s] for s in ("done", "diverged", "failed"))
        running = "  ".join(self._running(cell) for cell in cells if cell.status == "running")
        trouble = "".join(f", {counts[s]} {s}" for s in ("diverged", "failed") if counts[s])
        return f"{ended}/{len(cells)} cells{trouble}, {share:.0%}, {duration(left)} left | {running}"

    def _running(self, cell: CellStatus) -> str:
        loss = f" bound {cell.loss:.3f}" if cell.loss is not None else ""
        speed = ""
        if cell.tokens_per_second and cell.flops_per_second:
            speed = f" {cell.tokens_per_second / 1e3:.0f}k tok/s ({cell.flops_per_second / self.peak:.0%} of peak)"
        return f"{cell.family} {cell.rung} {cell.step / max(cell.steps, 1):.0%}{loss}{speed}"

    def _panel(self, cells: list[CellStatus]) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for cell in cells:
            if cell.status == "running":
                rate = f"{cell.tokens_per_second / 1e3:.0f}k tok/s" if cell.tokens_per_second else ""
                peak = f"{cell.flops_per_second / self.peak:.0%} of peak" if cell.flops_per_second else ""
                loss = f"bound {cell.loss:.3f}" if cell.loss is not None else ""
                bar = ProgressBar(total=cell.steps, completed=cell.step, width=24)
                table.add_row(cell.family, cell.rung, bar, loss, rate, peak, duration(cell.seconds_left) + " left")
        share, left = self._overall(cells)
        counts = Counter(cell.status for cell in cells)
        words = ", ".join(f"{count} {status}" for status, count in counts.items())
        return Group(table, Text(f"{words}; {share:.0%} of the FLOPs, {duration(left)} left", style="bold"))


@contextmanager
def watch_run(directory: RunDirectory, quiet: bool) -> Iterator[None]:
    """Show one run's progress from a thread while it trains in this process: rate, time left, every new bound."""
    if quiet:
        yield
        return
    finished = threading.Event()
    known = {record["step"] for record in directory.records("evaluation")}
    thread = threading.Thread(target=_watch, args=(directory, finished, known), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _watch(directory: RunDirectory, finished: threading.Event, known: set[int]) -> None:
    live, resumed, last = sys.stderr.isatty(), False, time.monotonic()
    over = False
    while not over:
        over = finished.wait(1.0)
        state = directory.progress() or {}
        if state.get("process") != os.getpid():
            continue  # left by an earlier process
        if state["first_step"] and not resumed:
            resumed = True
            _say(f"resuming at step {state['first_step']:,} of {state['steps']:,}", live)
        for record in directory.records("evaluation"):
            if record["step"] not in known:
                known.add(record["step"])
                _say(bound_line(record), live)
        if not over and (live or time.monotonic() - last > LINE_SECONDS):
            last = time.monotonic()
            line = state_line(state)
            print(f"\r{line:<100}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)
    if live:
        print(file=sys.stderr)


def _say(line: str, live: bool) -> None:
    print(f"\r{line:<100}" if live else line, file=sys.stderr, flush=True)


def bound_line(record: dict[str, Any]) -> str:
    """An evaluation as a line."""
    return (
        f"step {record['step']:,}: validation bound {record['bound']:.4f} ± {record['standard_error']:.4f} "
        "nats per token"
    )


def state_line(state: dict[str, Any]) -> str:
    """``progress.json`` as a line."""
    loss = f" loss {state['loss']:.3f}" if state.get("loss") is not None else ""
    rate = ""
    if state.get("tokens_per_second"):
        rate = f" {state['tokens_per_second'] / 1e3:.1f}k tok/s {state['flops_per_second'] / 1e9:.1f} GFLOP/s"
    return f"step {state['step']:,}/{state['steps']:,}{loss}{rate}, {duration(state.get('seconds_left'))} left"
