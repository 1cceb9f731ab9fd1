"""Progress of a ladder: live bars on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from difflaw.formatting import duration
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.status import CellStatus, cell_statuses
from difflaw.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_SECONDS = 10.0


class LadderProgress:
    """Call `tick` often; it looks at the run directories at most once a second."""

    def __init__(self, ladder: LadderDirectory, peak_flops: float, quiet: bool = False) -> None:
        self.ladder, self.peak, self.quiet = ladder, peak_flops, quiet
        self.started = self.last = time.monotonic()
        self.live = None
        self.flops_at_start = math.nan

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
        """Share of the ladder's FLOPs that is done, and seconds left at the pace since the start."""
        description = self.ladder.description()["cells"]
        total = sum(description[cell.name]["flops"] for cell in cells)
        done = sum(
            description[cell.name]["flops"] if cell.status not in ("running", "queued") else cell.flops
            for cell in cells
        )
        if math.isnan(self.flops_at_start):
            self.flops_at_start = done
        gained, spent = done - self.flops_at_start, time.monotonic() - self.started
        return done / max(total, 1.0), (total - done) / gained * spent if gained > 0 else None

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
    """Show one run's progress from a thread while it trains in this process."""
    if quiet:
        yield
        return
    finished = threading.Event()
    thread = threading.Thread(target=_watch, args=(directory, finished), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _watch(directory: RunDirectory, finished: threading.Event) -> None:
    live = sys.stderr.isatty()
    while not finished.wait(1.0 if live else LINE_SECONDS):
        state = directory.progress()
        if not state:
            continue
        left = (state["steps"] - state["step"]) * state["seconds"] / max(state["step"], 1)
        loss = f" loss {state['loss']:.3f}" if state.get("loss") is not None else ""
        line = (
            f"step {state['step']:,}/{state['steps']:,}{loss} {state['tokens_per_second'] / 1e3:.1f}k tok/s "
            f"{state['flops_per_second'] / 1e9:.1f} GFLOP/s, {duration(left)} left"
        )
        print(f"\r{line:<100}" if live else line, end="" if live else "\n", file=sys.stderr, flush=True)
    if live:
        print(file=sys.stderr)
