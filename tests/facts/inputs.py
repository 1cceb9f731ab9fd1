"""Inputs of the carried facts, made from seeds with NumPy alone: what `make.py` puts in and `test_facts.py` repeats."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

V, MASK, PLACES = 23, 3, 12
NOISE = {
    "masked": (-1000.0, 1.0, 1.0),
    "low-uniform": (-2.0, 1.0, 1.0),
    "balanced": (0.0, 1.0, 1.0),
    "high-uniform": (2.0, 1.0, 1.0),
    "uniform": (1000.0, 1.0, 1.0),
    "a quarter of IS": (0.0, 1.0, 0.25),
    "scale one half": (-1.0, 0.5, 1.0),
}
"""Shift, scale and beta_is_div, as in the golden files."""
SHAPINGS = ((1.0, None, None), (0.5, None, None), (0.0, None, None), (1.0, 4, None), (1.0, None, 0.7), (0.8, 5, 0.6))
"""Temperature, top-k, top-p."""
BETAS = ((0.9, 0.99, 0.0), (0.8, 0.95, 0.1))
"""β₁, β₂ and weight decay of LaProp."""

NETWORKS = {
    "ckptlike": {"resid_scale": 4.0, "head_scale": 8.0, "soft_cap": 30.0},
    "fanin_nobias": {"head_scale": 1.0, "soft_cap": 5.0, "weight_scaling": "fan_in", "sink": False, "mlp_bias": False},
    "noqk_tied": {"head_scale": 3.0, "weight_scaling": 0.6, "rope_theta": 500.0, "qk_norm": False, "tied": True},
}
"""What sets the golden networks apart, as options of `ModelConfig`; the rest is `SHAPE` and its defaults."""
SHAPE = {"vocab_size": 11, "layers": 2, "width": 16, "heads": 2, "context": 8}
LENGTH = 6


class Places(NamedTuple):
    """Logits (n, V), x, z, λ (n,), and a direction (n, V) for derivatives; float64 and int64."""

    logits: np.ndarray
    x: np.ndarray
    z: np.ndarray
    log_snr: np.ndarray
    direction: np.ndarray


def places(seed: int, shift: float) -> Places:
    """Where z is in turn the mask, the clean token and another one, as far as the noise can make it."""
    rng = np.random.default_rng(seed)
    logits, direction = 2 * rng.standard_normal((PLACES, V)), rng.standard_normal((PLACES, V))
    x = rng.integers(4, V, PLACES)
    other = 4 + (x - 4 + rng.integers(1, V - 4, PLACES)) % (V - 4)
    turn = np.arange(PLACES) % 3
    mask = other if shift > 500 else np.full(PLACES, MASK)
    z = np.choose(turn, [mask, x, mask if shift < -500 else other])
    return Places(logits, x, z, np.linspace(-8.5, 8.5, PLACES), direction)


def gradients(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First parameters (6,) and gradients of twenty steps (20, 6), of sizes 1e-3 to 1e2; one starts at zero."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((20, 6)) * 10.0 ** np.arange(-3, 3)
    steps[:3, 2] = 0.0
    return rng.standard_normal(6), steps


def weights(shapes: dict[str, tuple[int, ...]], seed: int, tied: bool) -> dict[str, np.ndarray]:
    """A random array for every parameter, in the order of their names; none at its initial value."""
    rng = np.random.default_rng(seed)
    made = {name: 0.4 * rng.standard_normal(shapes[name]) for name in sorted(shapes)}
    return made | {"lm_head.weight": made["model.embed_tokens.weight"]} if tied else made


def text(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids (LENGTH,) and which of them are noised; the others are a clean prompt."""
    return np.random.default_rng(seed).integers(0, SHAPE["vocab_size"], LENGTH), np.arange(LENGTH) >= 2
