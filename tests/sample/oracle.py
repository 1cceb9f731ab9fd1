"""Samplers on an enumerable source: the oracle in the network's place, and how far the result is from it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from difflaw.families import Family, get
from difflaw.noise.clock import LogSnrRange
from difflaw.sample.blockwise import WindowSampler
from difflaw.sample.categorical import Shaping
from difflaw.sample.draws import Draws
from difflaw.sample.prior import prior
from difflaw.sample.window import Window
from tests.families.oracle import MASK, POSITIONS, VOCABULARY, X, leave_one_out_logits, source

WEIGHTS = torch.tensor([VOCABULARY ** (POSITIONS - 1 - l) for l in range(POSITIONS)])


class Oracle:
    """p(x_l | all other tokens of z at λ), from the source itself."""

    noise_conditioned = True

    def __init__(self, family: Family, p: Tensor) -> None:
        self._family, self._p = family, p

    def states(self, z_BN: Tensor, log_snr: float) -> Tensor:
        """Logits, (B, 3, V)."""
        table = leave_one_out_logits(self._family, self._p, log_snr)  # type: ignore[arg-type]
        return table[(z_BN * WEIGHTS).sum(1)]

    def logits(self, states: Tensor) -> Tensor:
        """The states are the logits."""
        return states.clone()


def family_of(name: str) -> Family:
    """λ in ±14, so that the ends of the range leave no trace."""
    options = {"block_length": POSITIONS} if name == "block" else {}
    return get(name, VOCABULARY, MASK, span=LogSnrRange(-14.0, 14.0), **options)


def sample(family: Family, sampler: WindowSampler, rows: int, seed: int = 0) -> Tensor:
    """Texts (rows, 3)."""
    draws = Draws(seed, np.arange(rows))
    positions = torch.arange(POSITIONS).expand(rows, -1)
    every = torch.ones(rows, POSITIONS, dtype=torch.bool)
    window = Window(
        family,
        Oracle(family, source()),
        prior(family, positions, draws),
        every,
        positions,
        ~every,
        draws,
        Shaping(),
    )
    sampler.run(window)
    return window.z


def total_variation(texts: Tensor, p: Tensor | None = None) -> float:
    """½ Σ |frequency - p| over the 27 texts; a text outside of them (a mask left) counts whole."""
    p = source() if p is None else p
    counts = torch.stack([(texts == x).all(1).sum() for x in X]).double() / len(texts)
    return float(0.5 * (counts - p).abs().sum() + 0.5 * (1.0 - counts.sum()))


def sampling_error(rows: int) -> float:
    """What total variation is expected to be for exact texts: ½ Σ √(2p(1-p)/(πn))."""
    p = source()
    return float(0.5 * (2 * p * (1 - p) / (np.pi * rows)).sqrt().sum())
