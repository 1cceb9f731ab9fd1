"""Run the cells of a ladder in worker processes, and survive the death of any of them.

A worker imports torch once and takes cell after cell. Everything it achieves is on disk, so a killed worker costs
the time since its last checkpoint; a killed parent is noticed by its workers, who stop.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from difflaw.ladder.directory import LadderDirectory
from difflaw.training.threads import cores, environment_of_workers

if TYPE_CHECKING:
    from difflaw.training.engine import Compile

ATTEMPTS = 2
"""How often a cell may take its worker down before it is marked failed."""

Tick = Callable[[], None]
More = Callable[[], list[str]]
"""Opens cells in a ladder and names those that nobody runs yet."""


def default_workers() -> int:
    """Processors this process may use."""
    return cores()


def _start_worker() -> None:
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # the other cores have cells of their own


def _work(
    path: str,
    store_folder: str,
    checkpoint_seconds: float,
    parent: int,
    compile_: Compile,
    eager_seconds: float,
    threads: int,
) -> str:
    from difflaw.data.store import TokenStore
    from difflaw.ladder.cell import run_cell
    from difflaw.training.engine import default_device
    from difflaw.training.loop import Execution, Orphaned

    if os.getppid() != parent:
        os._exit(0)
    execution = Execution(
        default_device(), checkpoint_seconds=checkpoint_seconds, stop_with_parent=parent, threads=threads
    )
    try:
        store = TokenStore.load(store_folder)
        return str(run_cell(Path(path), store, execution, compile_, eager_seconds)["status"])
    except Orphaned:
        os._exit(0)


def run_cells(
    ladder: LadderDirectory,
    store_folder: Path,
    *,
    workers: int,
    threads: int = 1,
    longest_first: dict[str, float],
    compile_: Compile = "off",
    of_shape: dict[str, float] | None = None,
    tick: Tick = lambda: None,
    more: More | None = None,
    checkpoint_seconds: float = 30.0,
) -> None:
    """Run every unfinished cell; returns when all have a summary and ``more`` adds none.

    ``tick`` is called about twice a second, ``more`` whenever cells have ended: it adds cells to the ladder, or lets
    some go on, and names them.

    Each worker computes with ``threads`` threads: one by default, whatever ``workers`` is, since the number of threads
    changes the order of sums and so the last digits of every result.

    ``longest_first`` gives seconds by cell, to start long cells early; ``of_shape`` those of all cells of its shape,
    by which ``compile_`` "auto" decides. KeyboardInterrupt stops the workers
    and passes on; what they did up to their last checkpoint stays.
    """
    attempts: dict[str, int] = {}
    while True:
        if more is not None:
            more()
        pending = [name for name, _, run in ladder.cells() if run.summary() is None]
        if not pending:
            return
        pending.sort(key=lambda name: -longest_first.get(name, 0.0))
        pool = ProcessPoolExecutor(
            max_workers=workers if more is not None else min(workers, len(pending)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
        )
        started, begun = time.time(), set(pending)

        def submit(names: Sequence[str], pool: ProcessPoolExecutor = pool) -> set[Future[str]]:
            futures = set()
            with environment_of_workers(threads):  # workers are started as cells are handed over
                for name in names:
                    path, shared = str(ladder.run(name).path), (of_shape or {}).get(name, 0.0)
                    how = (checkpoint_seconds, os.getpid(), compile_, shared, threads)
                    futures.add(pool.submit(_work, path, str(store_folder), *how))
            return futures

        try:
            waiting = submit(pending)
            while waiting:
                finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                if finished and more is not None:
                    added = more()
                    begun |= set(added)
                    waiting |= submit(added)
                tick()
        except BrokenProcessPool:
            _blame(ladder, sorted(begun), attempts, started)
        except KeyboardInterrupt:
            _stop(pool)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _blame(ladder: LadderDirectory, pending: list[str], attempts: dict[str, int], since: float) -> None:
    """A worker died: the cells that had begun and not ended may be at fault; twice at fault is failed."""
    for name in pending:
        run = ladder.run(name)
        if run.summary() is not None or not run.begun_since(since):
            continue
        attempts[name] = attempts.get(name, 0) + 1
        if attempts[name] >= ATTEMPTS:
            with run.writing():
                run.finish({"status": "failed", "note": "its worker process died twice (killed, or out of memory?)"})


def _stop(pool: ProcessPoolExecutor) -> None:
    for process in list(getattr(pool, "_processes", {}).values()):
        process.terminate()
