"""A training step against this machine's matmul peak: how much of the roof each rung reaches, one thread, float32.

The peak is the best found before any rung: shared machines slow down for seconds at a time.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from figures import Figure, report

from difflaw.families import get
from difflaw.families.score import score
from difflaw.ladder.estimate import matmul_peak
from difflaw.model.accounting import account
from difflaw.model.completep import parameter_groups
from difflaw.model.config import ModelConfig, default_heads
from difflaw.model.transformer import Transformer
from difflaw.training.engine import prepare_processor
from difflaw.training.laprop import LaProp


def step_seconds(
    width: int, depth: int, family_name: str, sequences: int = 8, context: int = 128, vocabulary: int = 384
) -> float:
    """Median seconds of one update on random tokens."""
    config = ModelConfig(vocab_size=vocabulary, layers=depth, width=width, heads=default_heads(width), context=context)
    family = get(family_name, vocabulary, 3)
    model = Transformer(config, causal=family.causal).initialise(0)
    optimizer = LaProp(parameter_groups(model, width=width, layers=depth, lr=0.1))
    x = torch.randint(4, vocabulary, (sequences, context))
    times = []
    for step in range(40):
        started = time.perf_counter()
        batch = family.corrupt(x, np.arange(sequences) + step * sequences, 0)
        numbers = score(model, family, batch)
        family.loss_of(numbers, batch.x_BL, batch.z_BL, batch.log_snr_BL).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - started)
    return float(np.median(times[10:]))


def main() -> list[Figure]:
    prepare_processor()
    torch.set_num_threads(1)
    peak, timed = 0.0, []
    for width, depth in ((24, 2), (48, 3), (96, 4), (192, 6)):
        config = ModelConfig(vocab_size=384, layers=depth, width=width, heads=default_heads(width), context=128)
        flops = account(config).flops_per_token("matmul+head") * 1024
        for family in ("autoregressive", "masked", "uniform"):
            peak = max(peak, matmul_peak())
            timed.append((f"{width}x{depth}", family, flops, step_seconds(width, depth, family)))
    print(
        f"matmul peak {peak / 1e9:.0f} GFLOP/s, one thread, float32; 1,024 tokens a step, context 128, vocabulary 384"
    )
    print(f"{'rung':>8} {'family':>15} {'ms/step':>8} {'GFLOP/s':>8} {'of peak':>8}")
    figures = [Figure("matmul peak, one thread, float32", peak / 1e9, "GFLOP/s")]
    for rung, family, flops, seconds in timed:
        rate = flops / seconds
        print(f"{rung:>8} {family:>15} {seconds * 1e3:>8.1f} {rate / 1e9:>8.1f} {rate / peak:>8.0%}")
        figures.append(Figure(f"{rung}, {family}", rate / peak, "of peak"))
    return figures


if __name__ == "__main__":
    report(main)
