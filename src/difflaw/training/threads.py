"""How many processor threads a computation gets, and how they wait for one another: the one place that decides.

Threads of OpenMP meet after every operation. By default they spin while they wait, which is fast on idle cores and
ruinous on shared ones: a thread that was sent away keeps all others spinning. So small work gets one thread, and a
process of ours lets its threads sleep instead of spin (`wait_passively`, before torch is loaded).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""What OpenMP's runtimes read when they are loaded: GNU's, which torch brings on Linux, and LLVM's (macOS, Intel)."""

PAYS = 1 << 25
"""Multiply-adds of one square product (width² · tokens) that each thread needs (docs/performance.md: measured)."""

READING = 20
"""Tokens below which a product takes the time of reading its weights, so that fewer tokens make it no cheaper."""


def cores() -> int:
    """Processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:
        return os.cpu_count() or 1


def threads_for(width: int, tokens: int, asked: int | None = None) -> int:
    """Threads for passes over ``tokens`` tokens of a network of ``width``: as asked, else one for each `PAYS` of work.

    Never more than there are cores, nor than $OMP_NUM_THREADS if that is set.
    """
    if asked is not None:
        return asked
    wanted = width * width * max(tokens, READING) // PAYS
    return max(1, min(wanted, cores(), _limit()))


def _limit() -> int:
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else cores()


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Let torch compute with so many threads in this block, and with as many as before behind it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def wait_passively(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads sleep while they wait, unless the environment says otherwise.

    For a program's own first lines, before torch is loaded; a library leaves the environment of its process alone.
    """
    for name, value in PASSIVE.items():
        environment.setdefault(name, value)


@contextmanager
def environment_of_workers(threads: int) -> Iterator[None]:
    """The environment for processes that are started in this block: so many threads, which wait passively.

    A spawned process has loaded torch before it runs a line of ours, so that it must find these where it starts. They
    are as before behind the block.
    """
    before = dict(os.environ)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    wait_passively()
    try:
        yield
    finally:
        for name in {"OMP_NUM_THREADS", *PASSIVE}:
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)
