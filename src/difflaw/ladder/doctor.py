"""How fast this machine is, and what difflaw will use: device, precision, threads, workers, compiled steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from difflaw.ladder.estimate import matmul_peak
from difflaw.ladder.machine import Machine, look
from difflaw.training.engine import BFLOAT16_WIDTH, WORTH_COMPILING, bfloat16_pays, can_compile, default_device
from difflaw.training.threads import using_threads

DTYPES = ("float32", "bfloat16")
LARGER = 2048
"""Side of larger matrices, tried because many cores need them for their peak, unless a product takes too long."""
PATIENCE = 0.25
"""Longest time in seconds for one product of the larger size."""
QUIET = 0.9
"""Share of a core's time below which its measurement is marked unreliable."""
COPIED_BYTES = 1 << 28
"""Size of the copied block: larger than any cache."""


@dataclass(frozen=True)
class Measured:
    """Rates of the processor by number of threads, and of the first accelerator if there is one.

    Matrix products in FLOP/s by dtype; a copy in bytes/s, counting bytes read and written. ``undisturbed`` is the
    share of one core's time that this process got while one core was measured: below one, other work ran there.
    """

    matmul: dict[str, dict[int, float]]
    copy: dict[int, float]
    undisturbed: float = 1.0
    accelerator_matmul: dict[str, float] | None = None
    accelerator_copy: float | None = None


@dataclass(frozen=True)
class Choice:
    """A setting that difflaw chooses on this machine, and the reason."""

    name: str
    value: str | int | bool
    why: str


@dataclass(frozen=True)
class Examination:
    """The machine, its rates, the settings chosen from them, and warnings before a long run."""

    machine: Machine
    measured: Measured
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]
    seconds: float


def examine(folder: Path) -> Examination:
    """Examine the machine and measure it (a few seconds); InputError unless ``folder`` is writable."""
    started = time.perf_counter()
    machine = look(folder)
    measured = measure(machine)
    choices = choose(machine, measured)
    return Examination(machine, measured, choices, notes_on(machine, measured), time.perf_counter() - started)


def measure(machine: Machine) -> Measured:
    """Matmul peaks and copy rates on one core and on all, the best of a few tries each."""
    counts = sorted({1, machine.cores})
    matmul: dict[str, dict[int, float]] = {dtype: {} for dtype in DTYPES}
    copy: dict[int, float] = {}
    undisturbed = 1.0
    for threads in counts:
        with using_threads(threads):
            clock, own = time.perf_counter(), time.process_time()
            for dtype in DTYPES:
                matmul[dtype][threads] = _peak(dtype)
            copy[threads] = _copy_rate(machine)
            if threads == 1:
                undisturbed = min(1.0, (time.process_time() - own) / (time.perf_counter() - clock))
    if not machine.accelerators:
        return Measured(matmul, copy, undisturbed)
    return Measured(matmul, copy, undisturbed, {dtype: _cuda_peak(dtype) for dtype in DTYPES}, _cuda_copy_rate())


def choose(machine: Machine, measured: Measured) -> tuple[Choice, ...]:
    """The default settings of training here, each with its reason."""
    device = default_device()
    where = machine.accelerators[0].name if machine.accelerators else "no CUDA device"
    compiled, why_compiled = compiles(machine, device)
    precision, why_precision = precision_of(measured, device)
    return (
        Choice("device", device, where),
        Choice("precision", precision, why_precision),
        Choice("threads per cell", 1, "results do not depend on the number of workers; --threads N"),
        Choice("workers", machine.cores, "cells at the same time, one per core this process may use; --workers N"),
        Choice("compiled steps", compiled, why_compiled),
    )


def precision_of(measured: Measured, device: str) -> tuple[str, str]:
    """The precision `training.engine` chooses here, with the measured ratio."""
    rates = measured.accelerator_matmul or {dtype: rate[1] for dtype, rate in measured.matmul.items()}
    ratio = rates["bfloat16"] / rates["float32"]
    why = f"bfloat16 multiplies {ratio:.2g} times as fast as float32"
    if bfloat16_pays(device):
        return "bfloat16", f"{why}; widths below {BFLOAT16_WIDTH} stay in float32"
    return "float32", why


def compiles(machine: Machine, device: str) -> tuple[bool, str]:
    """Whether training steps are compiled if that saves time, and the reason."""
    if not can_compile(device):
        what = "triton is not installed" if machine.accelerators else "no C++ compiler found: install g++"
        return False, what
    cpp = machine.compiler or "a compiler that torch does not find: set CXX"
    by = f"triton {machine.triton}" if machine.accelerators else cpp
    return True, f"shapes with at least {WORTH_COMPILING:g} s of work, by {by}; --compile"


def notes_on(machine: Machine, measured: Measured) -> tuple[str, ...]:
    """What could make a run slower than estimated, or end it, and whether the measurement is reliable."""
    notes = []
    if measured.undisturbed < QUIET:
        notes.append(
            f"other work used {1 - measured.undisturbed:.0%} of the core during the measurement: "
            "these rates are too low; run it again when the machine is idle"
        )
    if machine.core_quota is not None:
        notes.append(
            f"this container may use {machine.core_quota:g} of {machine.cores} cores' time: "
            f"give ladders --workers {max(1, int(machine.core_quota))}"
        )
    if machine.disk_free_bytes < 2**30:
        free = machine.disk_free_bytes / 2**20
        notes.append(f"{machine.folder}: {free:.0f} MiB free; a ladder keeps checkpoints of every cell")
    return tuple(notes)


def _peak(dtype: str) -> float:
    """Best of three tries, and of the larger size if one product of it is fast enough."""
    best = max(matmul_peak(dtype, seconds=0.12) for _ in range(3))
    if 2.0 * LARGER**3 / best < PATIENCE:
        best = max(best, *(matmul_peak(dtype, LARGER, seconds=0.2) for _ in range(2)))
    return best


def _copy_rate(machine: Machine) -> float:
    available = machine.memory_available_bytes or 8 * COPIED_BYTES
    source = torch.ones(min(COPIED_BYTES, available // 8), dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2.0 * source.numel() / _best_seconds(lambda: target.copy_(source), 6)


def _best_seconds(call: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def _cuda_peak(dtype: str, size: int = 8192) -> float:
    a = torch.randn(size, size, device="cuda", dtype=getattr(torch, dtype))

    def product() -> None:
        torch.mm(a, a)
        torch.cuda.synchronize()

    return 2.0 * size**3 / _best_seconds(product, 8)


def _cuda_copy_rate() -> float:
    source = torch.ones(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        torch.cuda.synchronize()

    return 2.0 * source.numel() / _best_seconds(copy, 8)
