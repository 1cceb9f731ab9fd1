"""At which λ a training sequence is noised, and what else it may get: own λ per token, a clean prompt, empty tokens.

Diffusion forcing, noise-free prompts with their attention rule, and empty (padding) tokens for variable
length: 2512.10858 and its code, diffusion_trainer.py. That code wired two of the probabilities to the wrong arguments;
its effective values are the ``as-run`` preset, the intended ones ``intended``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difflaw.noise.clock import LogSnrRange
from difflaw.noise.levels import NoiseLevels, times
from difflaw.noise.streams import Stream, uniforms


@dataclass(frozen=True)
class Conditioning:
    """Probabilities per sequence, the largest share of empty tokens, and how λ is drawn."""

    own_noise_probability: float = 0.0
    """Diffusion forcing: each token has its own λ."""
    prompt_probability: float = 0.0
    """A clean prefix; its share of the sequence is arccos(1-2r)/π with r uniform."""
    max_empty_fraction: float = 0.0
    """Up to this share of the sequence becomes padding tokens at random places."""
    noise_levels: NoiseLevels = "independent"
    """How the times behind λ are drawn; own λ of tokens are independent in any case."""

    def __post_init__(self) -> None:
        for name in ("own_noise_probability", "prompt_probability", "max_empty_fraction"):
            value = getattr(self, name)
            upper = 1.0 if name != "max_empty_fraction" else 0.9
            if not 0.0 <= value <= upper:
                raise ValueError(f"{name} must lie in [0, {upper:g}], got {value}")

    @classmethod
    def preset(cls, name: str) -> Conditioning:
        """``none``, ``intended`` (0.5, 0.2, 0.2) or ``as-run`` (0.2, 0.2, 0: what the published runs did)."""
        try:
            return {
                "none": cls(),
                "intended": cls(own_noise_probability=0.5, prompt_probability=0.2, max_empty_fraction=0.2),
                "as-run": cls(own_noise_probability=0.2, prompt_probability=0.2, max_empty_fraction=0.0),
            }[name]
        except KeyError:
            raise ValueError(f"unknown conditioning preset {name!r}: use none, intended or as-run") from None

    def times(self, index: np.ndarray, seed: int, count: int = 1) -> np.ndarray:
        """``count`` times of each sequence in [0, 1), shape (B, count): uniform one by one (`noise.levels`)."""
        return times(self.noise_levels, seed, index, count)

    def log_snr(self, span: LogSnrRange, length: int, index: np.ndarray, seed: int) -> np.ndarray:
        """λ per token, shape (B, L): own draws for forced sequences, else one time for all tokens."""
        common = self.times(index, seed)
        if self.own_noise_probability == 0.0:
            return np.repeat(span.from_uniform(common), length, axis=1)
        u = uniforms(seed, Stream.LOG_SNR, index, length + 1)
        own = u[:, :1] < self.own_noise_probability
        return span.from_uniform(np.where(own, u[:, 1:], common))

    def noised(self, length: int, index: np.ndarray, seed: int) -> np.ndarray:
        """True where a token is noised and scored, shape (B, L); clean prompts are False.

        A prompt of share f covers positions i ≤ f·(L-1), so position 0 is always clean when there is one.
        """
        if self.prompt_probability == 0.0:
            return np.ones((len(index), length), dtype=bool)
        u = uniforms(seed, Stream.CONDITIONING, index, 2)
        share = np.arccos(1.0 - 2.0 * u[:, 1]) / math.pi
        prompt = (np.arange(length) <= share[:, None] * (length - 1)) & (u[:, :1] < self.prompt_probability)
        return ~prompt

    def with_empty_tokens(self, x: np.ndarray, pad_id: int, index: np.ndarray, seed: int) -> np.ndarray:
        """X (B, L) with padding tokens inserted at random places and cut back to L.

        With share e ~ U(0, max), ceil(L·e/(1-e)) padding tokens are put before a random subset of the L
        positions (at most one each, as in the public code); what is pushed past the end is dropped.
        """
        if self.max_empty_fraction == 0.0:
            return x
        length = x.shape[1]
        u = uniforms(seed, Stream.EMPTY_TOKENS, index, length + 1)
        share = self.max_empty_fraction * u[:, 0]
        count = np.minimum(np.ceil(length * share / (1.0 - share)).astype(np.int64), length)
        rank = np.argsort(np.argsort(u[:, 1:], axis=1), axis=1)
        rows = []
        for row, row_rank, row_count in zip(x, rank, count, strict=True):
            rows.append(np.insert(row, np.flatnonzero(row_rank < row_count), pad_id)[:length])
        return np.stack(rows)


def prompt_attention(noised: np.ndarray) -> np.ndarray | None:
    """Who may attend to whom, (B, L, L) with axes (row, query, key), True = may; None when nothing is clean.

    noised[query] ≥ noised[key]: clean tokens see clean tokens only, noised ones see all. So a prompt's keys
    and values do not depend on what follows and can be cached when sampling.
    """
    if noised.all():
        return None
    return noised[:, :, None] >= noised[:, None, :]
