"""Better per FLOP: how much compute and time each way of training saves at equal validation loss, on real text.

The baseline is the `paper` preset of a ladder (LaProp at a constant rate), whose evaluations along one run give its
loss at every budget. A candidate trains once to a budget C; its multiplier is the FLOPs at which the baseline's curve
has the same loss (straight between evaluations in ln L against ln C), over C. Text and noise are the same for all, so
the multiplier is taken seed by seed; ± is the standard error of its logarithm over seeds, read as a share.

Runs are kept (`--runs`) and never made twice: stopped and started again it goes on.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from figures import Figure, report

from difflaw.data.location import cache_folder
from difflaw.data.store import TokenStore, prepare
from difflaw.ladder.cell import run_cell
from difflaw.ladder.estimate import eager_step
from difflaw.ladder.single import TrainConfig, plan_single
from difflaw.training.config import RunConfig
from difflaw.training.muon import orthogonal_flops
from difflaw.training.run_directory import RunDirectory
from difflaw.yaml_config import validate

SIZES = {(32, 3): (2e6, 2), (64, 4): (1e6, 2)}
"""(width, depth) → tokens at C, and seeds."""
FAMILIES = ("masked", "uniform")
BATCH, WARMUP = 512, 100
"""Tokens a step, steps of warm-up."""
SWEEP_TOKENS = 7.5e5
BASELINE, PAPER, MUON = "LaProp, constant rate", "LaProp, cooldown 0.2", "Muon, constant rate"
LOW_VARIANCE, MODERN, HALF = "low-variance loss", "modern", "modern, to C/2"
Z_LOSS, CLIPPED = "z-loss 1e-4", "loss weights at most 5"
RECIPES: dict[str, dict[str, Any]] = {
    BASELINE: {"preset": "paper", "cooldown": 0.0},
    PAPER: {"preset": "paper"},
    MUON: {"preset": "paper", "cooldown": 0.0, "optimizer": "muon"},
    LOW_VARIANCE: {"preset": "paper", "cooldown": 0.0},
    Z_LOSS: {"preset": "paper", "cooldown": 0.0, "z_loss": 1e-4},
    CLIPPED: {"preset": "paper", "cooldown": 0.0},
    MODERN: {"preset": "modern"},
    HALF: {"preset": "modern"},
}
RATES = {BASELINE: (0.01875, 0.0375, 0.075), MUON: (0.0375, 0.075, 0.15)}
"""What is tried at the smaller size; the other recipes take the rate of their optimizer."""
TIE = 0.01
"""Nats: seed noise is larger."""
CANDIDATES = (PAPER, MUON, MODERN, HALF, LOW_VARIANCE, Z_LOSS, CLIPPED)
AT_SMALLER_SIZE = (LOW_VARIANCE, Z_LOSS, CLIPPED)
LENGTHS = {BASELINE: 2.0, HALF: 0.5}
"""How many C a recipe runs, where not one; half for modern, so that its loss lies on the baseline's curve."""
WANTED = 2.0
"""Times faster `modern` should reach what `paper` reaches."""


@dataclass(frozen=True)
class Lab:
    """Where runs are kept and what they read."""

    store: TokenStore
    data: dict[str, Any]
    runs: Path

    def config(self, recipe: str, family: str, size: tuple[int, int], tokens: float, lr: float, seed: int) -> RunConfig:
        """One run as `difflaw train` would plan it."""
        trained: Any = "mdlm" if recipe == LOW_VARIANCE else family
        if recipe == CLIPPED:
            trained = {"name": family, "options": {"loss_weight_clip": 5.0}}
        raw = {
            "name": "quality",
            "data": self.data,
            "family": trained,
            "width": size[0],
            "depth": size[1],
            "heads": max(1, size[0] // 32),
            "tokens": tokens,
            "conditioning": "none",
            "batch": BATCH,
            "lr": lr,
            "precision": "float32",
            "warmup": WARMUP,
            "beta2": 0.99,
            "seed": seed,
            "evaluation": {"sequences": 256, "points": 12 if recipe == BASELINE else 5},
            **RECIPES[recipe],
        }
        return plan_single(validate(raw, TrainConfig, recipe), self.store).run

    def evaluations(self, config: RunConfig) -> list[dict[str, Any]]:
        """The run's evaluations after the first; made now unless it has been."""
        directory = RunDirectory(self.runs / config.name)
        directory.create(config)
        started = time.monotonic()
        summary = run_cell(directory.path, self.store)
        took = time.monotonic() - started
        if took > 2:
            print(f"{config.name}: {summary['status']}, {summary.get('bound', math.nan):.4f}, {took:.0f} s", flush=True)
        if summary["status"] != "done":
            raise SystemExit(f"{directory.path}: {summary['status']}: {summary['note']}")
        return directory.records("evaluation")[1:]


def baseline_flops(curve: list[dict[str, Any]], bound: float) -> tuple[float, bool]:
    """(FLOPs at which the curve has this bound, whether that lies on it); its last slope is followed beyond its end."""
    x = np.log([point["flops"] for point in curve])
    y = np.minimum.accumulate(np.log([point["bound"] for point in curve]))
    target = math.log(bound)
    if target < y[-1]:
        far = int(np.searchsorted(x, x[-1] - math.log(2.0)))
        slope = min((y[-1] - y[far]) / (x[-1] - x[far]), -1e-3)
        return math.exp(x[-1] + (target - y[-1]) / slope), False
    return math.exp(float(np.interp(-target, -y, x))), True


def choose_rates(lab: Lab) -> dict[str, float]:
    """By recipe the rate of the lowest mean bound over the families, at the smaller size; prints all.

    Rates within `TIE` of the lowest are as good, and the largest of them is taken: longer runs prefer it.
    """
    size, chosen = min(SIZES), {}
    print(f"\nbound (nats a token) by rate, {size[0]}x{size[1]}, {SWEEP_TOKENS:.3g} tokens, seed 0")
    for recipe, rates in RATES.items():
        found = {
            (family, rate): lab.evaluations(lab.config(recipe, family, size, SWEEP_TOKENS, rate, 0))[-1]["bound"]
            for family in FAMILIES
            for rate in rates
        }
        mean = {rate: statistics.mean(found[family, rate] for family in FAMILIES) for rate in rates}
        chosen[recipe] = max(rate for rate in rates if mean[rate] <= min(mean.values()) + TIE)
        tried = "".join(f"{family + f' {rate:g}':>18}{bound:8.4f}" for (family, rate), bound in found.items())
        print(f"{recipe:24}{tried}   -> {chosen[recipe]:g}")
    return {recipe: chosen[MUON if recipe in (MUON, MODERN, HALF) else BASELINE] for recipe in RECIPES}


def step_seconds(configs: dict[str, RunConfig], rounds: int = 60) -> dict[str, float]:
    """Median core seconds of a training step of each, in turns, so that all see the same machine.

    This thread's own time: what else the machine does meanwhile does not count, as it would on a clock.
    """
    steps = {name: eager_step(config) for name, config in configs.items()}
    times: dict[str, list[float]] = {name: [] for name in configs}
    for turn in range(rounds):
        for name, step in steps.items():
            started = time.thread_time()
            step(turn)
            times[name].append(time.thread_time() - started)
    return {name: statistics.median(values[rounds // 4 :]) for name, values in times.items()}


def spread(values: list[float]) -> str:
    """Geometric mean of the seeds, ± its standard error as a share."""
    logs = np.log(values)
    error = logs.std(ddof=1) / math.sqrt(len(logs)) if len(logs) > 1 else math.nan
    return f"{math.exp(logs.mean()):.2f}" + (f" ± {100 * error:.0f} %" if len(logs) > 1 else "")


def extra_flops(config: RunConfig, model_flops: float) -> float:
    """Share that orthogonalising adds to the run's counted FLOPs."""
    if config.optimizer.name != "muon":
        return 0.0
    d = config.model.width
    layer = [(d, d)] * 4 + [(d, 4 * d)] * 2
    return config.steps * orthogonal_flops(layer * config.model.layers) / model_flops


def main() -> list[Figure]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", default="stdlib", help="text to train on")
    parser.add_argument("--validation", help="text to judge on (default: held out)")
    parser.add_argument("--runs", type=Path, default=Path("runs/quality"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data: dict[str, Any] = {"corpus": asked.corpus, "vocab_size": 384, "validation": asked.validation}
    store = prepare(validate({"name": "x", "data": data, **_ANY}, TrainConfig, "data").data, cache_folder(None))
    lab = Lab(store, data, asked.runs)
    rates = choose_rates(lab)
    configs: dict[tuple[str, str, tuple[int, int], int], RunConfig] = {}
    found: dict[tuple[str, str, tuple[int, int], int], list[dict[str, Any]]] = {}
    for seed in range(max(seeds for _, seeds in SIZES.values())):
        for size in (size for size, (_, seeds) in SIZES.items() if seed < seeds):
            for family in FAMILIES:
                for recipe in (BASELINE, *CANDIDATES):
                    small_only = recipe in AT_SMALLER_SIZE and size != min(SIZES)
                    if small_only or (recipe == LOW_VARIANCE and family == "uniform"):
                        continue
                    key = (recipe, family, size, seed)
                    length = SIZES[size][0] * LENGTHS.get(recipe, 1.0)
                    configs[key] = lab.config(recipe, family, size, length, rates[recipe], seed)
                    found[key] = lab.evaluations(configs[key])
    figures: list[Figure] = []
    for size in SIZES:
        for family in FAMILIES:
            figures += _table(size, family, rates, configs, found)
    return figures


_ANY = {"family": "masked", "width": 32, "depth": 1, "tokens": 1}


def _table(size: tuple[int, int], family: str, rates: dict[str, float], configs: Any, found: Any) -> list[Figure]:
    tokens, seeds = SIZES[size][0], range(SIZES[size][1])
    names = [r for r in (BASELINE, *CANDIDATES) if (r, family, size, 0) in found]
    seconds = step_seconds({name: configs[name, family, size, 0] for name in names})
    curves = {seed: found[BASELINE, family, size, seed] for seed in seeds}
    bytes_share = curves[0][-1]["bits_per_byte"] / curves[0][-1]["bound"]
    print(f"\n{family} {size[0]}x{size[1]}, {tokens:.3g} tokens, seeds {len(seeds)}, one core")
    heads = ("rate", "bits/byte", "multiplier", "all FLOPs counted", "ms/step", "minutes", "baseline's", "faster")
    print(f"{'':24}" + "".join(f"{head:>19}" for head in heads))
    figures = []
    times: dict[str, list[float]] = {}
    for name in names:
        multipliers, counted, beyond, ratios, bits = [], [], False, [], []
        minutes = configs[name, family, size, 0].steps * seconds[name] / 60
        for seed in seeds:
            config, last = configs[name, family, size, seed], found[name, family, size, seed][-1]
            flops, on_it = baseline_flops(curves[seed], last["bound"])
            multiplier = flops / last["flops"]
            beyond |= not on_it
            multipliers.append(multiplier)
            counted.append(multiplier / (1.0 + extra_flops(config, last["flops"])))
            ratios.append(multiplier * seconds[BASELINE] / seconds[name])
            bits.append(last["bound"] * bytes_share)
        times[name] = ratios
        theirs = minutes * math.exp(float(np.log(ratios).mean()))
        row = (f"{rates[name]:g}", f"{np.mean(bits):.4f}", spread(multipliers) + ("*" if beyond else ""))
        row += (spread(counted), f"{1000 * seconds[name]:.1f}", f"{minutes:.2f}", f"{theirs:.2f}", spread(ratios))
        print(f"{name:24}" + "".join(f"{cell:>19}" for cell in row))
        if name != BASELINE:
            value = float(np.exp(np.log(multipliers).mean()))
            figures.append(Figure(f"{family} {size[0]}x{size[1]}: {name}, compute multiplier", value, "times"))
    for other, words in {BASELINE: "a ladder's paper preset", PAPER: "a single run's paper preset"}.items():
        for mine in (HALF, MODERN):
            ratios = [a / b for a, b in zip(times[mine], times[other], strict=True)]
            print(f"{words} takes {spread(ratios)} times the minutes of {mine}")
            name = f"{family} {size[0]}x{size[1]}: minutes of {words} over those of {mine}"
            limit = WANTED if mine == HALF and other == BASELINE else None
            figures.append(Figure(name, float(np.exp(np.log(ratios).mean())), "times", at_least=limit))
    print("* beyond the end of the baseline's curve: its last slope followed")
    return figures


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    report(main)
