"""Training steps of tiny cells, one thread: tokens a second, the share of the matmul peak, and the ratio to a checkout.

    python benchmarks/bench_small_cells.py [PATH OF ANOTHER CHECKOUT]

Cells are those of ladders/quickstart.yaml (LaProp, context 128) and of the preset ``modern`` (Muon, context 64), whole
eager steps on random text: batch, noise, loss, gradient, update. With another checkout both are timed in this run, each
in a process of its own, in turns of a few steps, so that a busy machine slows both alike; medians are compared. The
peak is the best found before any cell. A ratio is held to nothing: it depends on the commit that is compared with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from figures import Figure, report

from difflaw.model.config import ModelConfig, default_heads

HERE = Path(__file__).resolve().parents[1]
SHAPES = ((16, 2), (24, 2), (32, 2), (48, 3))
WAYS = (("laprop", 128), ("muon", 64))
FAMILIES = ("autoregressive", "masked", "uniform", "mdlm", "duo", "esolm")
TOKENS, VOCABULARY = 1024, 384
TURNS, STEPS = 6, 5
"""Turns of each checkout on a cell, and steps in a turn."""


class Cell(NamedTuple):
    """A shape, an optimizer and a family."""

    width: int
    depth: int
    optimizer: str
    context: int
    family: str


class Worker:
    """A process that steps cells with the code of one checkout."""

    def __init__(self, checkout: Path) -> None:
        paths = [str(checkout / "src"), os.environ.get("PYTHONPATH", "")]
        around = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
        command, pipe = [sys.executable, __file__, "--worker"], subprocess.PIPE
        self.process = subprocess.Popen(command, env=around, stdin=pipe, stdout=pipe, text=True)

    def seconds(self, cell: Cell, steps: int = STEPS) -> list[float]:
        """Seconds of the cell's next steps."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([*cell, steps]), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("a checkout cannot step the cells: see the error above")
        return json.loads(answer)

    def stop(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve() -> None:
    """What a worker does: read cells, step them, print the seconds; through names that older checkouts have too."""
    import torch

    try:
        from difflaw.training.engine import prepare_processor
    except ImportError:
        from difflaw.train.engine import prepare_processor  # type: ignore[import-not-found]

    prepare_processor()
    torch.set_num_threads(1)
    steppers, done = {}, {}
    for line in sys.stdin:
        *values, steps = json.loads(line)
        cell = Cell(*values)
        if cell not in steppers:
            steppers[cell], done[cell] = stepper(cell), 0
            for number in range(3):
                steppers[cell](number)
        times = []
        for _ in range(steps):
            started = time.perf_counter()
            steppers[cell](3 + done[cell])
            times.append(time.perf_counter() - started)
            done[cell] += 1
        print(json.dumps(times), flush=True)


def shape_of(cell: Cell) -> ModelConfig:
    """The network of a cell."""
    heads = default_heads(cell.width)
    return ModelConfig(vocab_size=VOCABULARY, layers=cell.depth, width=cell.width, heads=heads, context=cell.context)


def stepper(cell: Cell) -> Callable[[int], None]:
    """A function of the step's number that makes one training step of the cell."""
    import torch

    from difflaw.data.batches import Batches
    from difflaw.families import get
    from difflaw.families.score import training_loss
    from difflaw.model.completep import parameter_groups
    from difflaw.model.transformer import Transformer

    try:
        from difflaw.training.laprop import LaProp
        from difflaw.training.muon import Muon
    except ImportError:
        from difflaw.train.laprop import LaProp  # type: ignore[import-not-found]
        from difflaw.train.muon import Muon  # type: ignore[import-not-found]

    family = get(cell.family, VOCABULARY, 3)
    model = Transformer(shape_of(cell), causal=family.causal).initialise(0)
    groups = parameter_groups(model, width=cell.width, layers=cell.depth, lr=0.05)
    if cell.optimizer == "muon":
        groups = [{**group, "orthogonal": group["name"] == "bulk"} for group in groups]
    optimizer = {"laprop": LaProp, "muon": Muon}[cell.optimizer](groups)
    text = np.random.default_rng(0).integers(4, VOCABULARY, 200_000).astype(np.uint16)
    batches = Batches(text, cell.context, TOKENS // cell.context, 0)

    def step(number: int) -> None:
        x, index = batches.batch(number)
        loss, _ = training_loss(model, family, family.corrupt(torch.from_numpy(x), index, 0))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def main() -> list[Figure]:
    from difflaw.ladder.estimate import matmul_peak
    from difflaw.model.accounting import account
    from difflaw.training.threads import using_threads

    with using_threads(1):
        peak = max(matmul_peak() for _ in range(5))
    checkouts = [HERE, *(Path(argument).resolve() for argument in sys.argv[1:2])]
    workers = [Worker(checkout) for checkout in checkouts]
    print(f"matmul peak {peak / 1e9:.0f} GFLOP/s, one thread, float32; {TOKENS:,} tokens a step, V = {VOCABULARY}")
    print(f"{'shape':>6} {'optimizer':>9} {'family':>15} {'tokens/s':>9} {'of peak':>8} {'ratio':>6}")
    figures = [Figure("matmul peak, one thread, float32", peak / 1e9, "GFLOP/s")]
    for optimizer, context in WAYS:
        for width, depth in SHAPES:
            ratios, shares = [], []
            for family in FAMILIES:
                cell, times = Cell(width, depth, optimizer, context, family), [[] for _ in workers]
                for _ in range(TURNS):
                    for worker, found in zip(workers, times, strict=True):
                        found += worker.seconds(cell)
                seconds = [float(np.median(found)) for found in times]
                flops = account(shape_of(cell)).flops_per_token("matmul+head") * TOKENS
                shares.append(flops / seconds[0] / peak)
                ratios.append(seconds[-1] / seconds[0])
                ratio = f"{ratios[-1]:.2f}" if len(workers) > 1 else ""
                print(
                    f"{width}x{depth:<3} {optimizer:>9} {family:>15} {TOKENS / seconds[0]:>9,.0f} {shares[-1]:>8.1%} "
                    f"{ratio:>6}",
                    flush=True,
                )
            name = f"{width}x{depth}, {optimizer}, context {context}"
            figures.append(Figure(f"{name}: median of {len(FAMILIES)} families", float(np.median(shares)), "of peak"))
            if len(workers) > 1:
                figures.append(Figure(f"{name}: over the other checkout", float(np.median(ratios)), "times"))
    for worker in workers:
        worker.stop()
    return figures


if __name__ == "__main__":
    if "--worker" in sys.argv:
        serve()
    else:
        report(main)
