"""Samplers against the truth: total variation to an enumerable source, by number of steps, with an exact network.

What falls to the sampling error (last line) is exact in the limit; what does not is not, and by how much.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from figures import Figure, report

from difflaw.sample.adaptive import Adaptive
from difflaw.sample.ancestral import Ancestral, GreedyTail
from difflaw.sample.entropy_bounded import EntropyBounded
from difflaw.sample.first_hitting import FirstHitting
from difflaw.sample.psi import Psi
from difflaw.sample.remdm import ReMdm
from difflaw.sample.self_correction import SelfCorrection
from tests.sample.oracle import family_of, sample, sampling_error, total_variation

ROWS = 25_000
STEPS = (1, 2, 4, 8, 16, 32, 64)


def row(label: str, family_name: str, sampler, scale_eta: float | None = None) -> float:
    """Print a sampler's line; its total variation at the most steps."""
    family, cells, last = family_of(family_name), [], float("nan")
    for steps in STEPS:
        if hasattr(sampler, "steps"):
            own = replace(sampler, steps=steps)
            if scale_eta is not None:
                own = replace(own, eta=min(1.0, scale_eta / steps))
            try:
                last = total_variation(sample(family, own, ROWS))
                cells.append(f"{last:8.4f}")
            except ValueError:
                cells.append(f"{'-':>8}")
        elif steps == STEPS[-1]:
            last = total_variation(sample(family, sampler, ROWS))
            cells.append(f"{last:8.4f}")
        else:
            cells.append(f"{'':>8}")
    print(f"{family_name:>12} {label:<34}" + "".join(cells), flush=True)
    return last


def main() -> list[Figure]:
    torch.set_num_threads(1)
    print(f"total variation, {ROWS:,} texts; 3 symbols, 3 positions, leave-one-out oracle, λ in ±14")
    print(f"{'family':>12} {'sampler, steps →':<34}" + "".join(f"{s:>8}" for s in STEPS))
    names = ("masked", "low-uniform", "balanced", "high-uniform", "uniform", "duo")
    ancestral = max(row("ancestral", name, Ancestral()) for name in names)
    for name in ("masked", "balanced", "duo"):
        row("psi, eta = 1/steps", name, Psi(), 1.0)
        row("psi, eta = 0.1", name, Psi(eta=0.1))
        row("psi, kappa = 0.5", name, Psi(kappa=0.5))
    row("greedy-tail", "masked", GreedyTail())
    row("greedy-tail", "duo", GreedyTail())
    first = row("first-hitting (as many as masks)", "masked", FirstHitting())
    row("remdm cap, eta = 1/steps", "masked", ReMdm(), 1.0)
    row("remdm cap, eta = 0.1", "masked", ReMdm(eta=0.1))
    row("remdm rescale, eta = 0.1", "masked", ReMdm(strategy="rescale", eta=0.1))
    row("remdm conf", "masked", ReMdm(strategy="conf"))
    row("remdm loop, eta = 0.1", "masked", ReMdm(strategy="loop", eta=0.1))
    row("entropy-bounded, 0", "masked", EntropyBounded(0.0))
    row("entropy-bounded, 0.1", "masked", EntropyBounded(0.1))
    row("entropy-bounded, 1", "masked", EntropyBounded(1.0))
    for criterion in ("confidence", "margin", "entropy"):
        row(f"adaptive, {criterion}", "masked", Adaptive(criterion=criterion))
    row("adaptive", "uniform", Adaptive())
    row("adaptive, posterior", "uniform", Adaptive(confidence_from="posterior"))
    row("self-correction", "balanced", SelfCorrection(corrections=8))
    row("self-correction", "uniform", SelfCorrection(corrections=8))
    exact = sampling_error(ROWS)
    print(f"{'':>12} {'exact texts would give':<34}{exact:8.4f}")
    return [
        Figure(f"ancestral, {STEPS[-1]} steps: worst total variation", ancestral),
        Figure("first-hitting: total variation", first),
        Figure("the same of exact texts", exact),
    ]


if __name__ == "__main__":
    report(main)
