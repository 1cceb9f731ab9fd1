"""What a plan costs on this machine: probed where a step takes milliseconds, computed from the peak where not."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from difflaw.families.score import training_loss
from difflaw.ladder.cell import build_family
from difflaw.ladder.plan import Cell, Plan
from difflaw.model.transformer import Transformer
from difflaw.training.config import RunConfig
from difflaw.training.engine import prepared_processor
from difflaw.training.optimizer import build_optimizer
from difflaw.training.threads import using_threads

PROBE_LIMIT = 2e10
"""FLOPs per step up to which a step is really run."""
ASSUMED_SHARE = 0.35
"""Share of the matmul peak assumed for steps too large to probe."""


@dataclass(frozen=True)
class Estimate:
    """Seconds per cell by name, seconds from start to end with ``workers``, and how the figure came about.

    Steps are taken to be eager: compiling (which pays for shapes with much to do) makes it less.
    """

    seconds: dict[str, float]
    of_shape: dict[str, float]
    """Seconds of all cells that share a cell's shape, by its name."""
    wall_seconds: float
    workers: int
    peak_flops: float
    probed: bool


def matmul_peak(precision: str = "float32", size: int = 768, seconds: float = 0.15) -> float:
    """FLOP/s of a square matrix product in one thread setting of this process: the roof over every rate we print."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a = torch.randn(size, size).to(dtype)
    torch.mm(a, a)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        torch.mm(a, a)
        count += 1
    return count * 2.0 * size**3 / (time.perf_counter() - started)


def estimate(plan: Plan, workers: int) -> Estimate:
    """Probe one step per distinct (rung, kind of family) and pack the cells onto ``workers``, longest first."""
    with prepared_processor(), using_threads(1):
        return _estimate(plan, workers)


def _estimate(plan: Plan, workers: int) -> Estimate:
    peak = matmul_peak(plan.cells[0].run.precision if plan.cells else "float32")
    steps: dict[tuple[object, ...], float] = {}
    seconds: dict[str, float] = {}
    shapes: dict[str, tuple[object, ...]] = {}
    probed = True
    for cell in plan.cells:
        run = cell.run
        kind = (run.model, run.family, tuple(sorted(run.family_options.items())), run.batch_sequences)
        if kind not in steps:
            small = cell.flops_per_token * run.tokens_per_step <= PROBE_LIMIT
            probed &= small
            cost = cell.flops_per_token * run.tokens_per_step / (peak * ASSUMED_SHARE)
            steps[kind] = _probe(cell) if small else cost
        per_token = steps[kind] / run.tokens_per_step
        evaluated = (len(run.evaluation_steps) + 1) * run.evaluation_sequences * run.model.context
        seconds[run.name] = per_token * (cell.tokens + 0.4 * evaluated)
        shapes[run.name] = (run.model, run.batch_sequences, run.precision)
    together: dict[tuple[object, ...], float] = {}
    for name, shape in shapes.items():
        together[shape] = together.get(shape, 0.0) + seconds[name]
    of_shape = {name: together[shape] for name, shape in shapes.items()}
    return Estimate(seconds, of_shape, makespan(list(seconds.values()), workers), workers, peak, probed)


def makespan(durations: list[float], workers: int) -> float:
    """Time until all are done when each free worker takes the longest that is left."""
    free = [0.0] * max(1, workers)
    for duration in sorted(durations, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def eager_step(run: RunConfig) -> Callable[[int], None]:
    """The run's training step on random tokens, to be timed; call it with 0, 1, 2 and so on, once each."""
    family = build_family(run)
    model = Transformer(run.model, causal=family.causal).initialise(0)
    optimizer = build_optimizer(run, model)
    tokens = np.random.default_rng(0).integers(4, run.model.vocab_size, (run.batch_sequences, run.model.context))

    def step(number: int) -> None:
        index = np.arange(run.batch_sequences) + number * run.batch_sequences
        batch = family.corrupt(torch.from_numpy(tokens), index, 0)
        training_loss(model, family, batch, run.precision, z_loss=run.z_loss)[0].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _probe(cell: Cell, repeats: int = 4) -> float:
    """Seconds of one training step, the middle of a few after a warm-up."""
    step, times = eager_step(cell.run), []
    for number in range(repeats + 1):
        started = time.perf_counter()
        step(number)
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))
