"""How far a validation bound scatters: over seeds, by the way λ is drawn, and by the number of sequences."""

from __future__ import annotations

import numpy as np
import torch

from difflaw.evaluate.bound import evaluation_log_snr, successive_difference_error, validation_bound
from difflaw.families import get
from difflaw.families.base import Family
from difflaw.families.score import score
from difflaw.model.transformer import Transformer
from difflaw.noise.streams import Stream, generator
from tests.families.helpers import random_network

V, CONTEXT, MASK = 97, 32, 3
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "autoregressive": ("autoregressive", {}),
    **{name: (name, {}) for name in ("masked", "low-uniform", "balanced", "high-uniform", "uniform", "mdlm", "duo")},
    "esolm 1": ("esolm", {"alpha_0": 1.0}),
    "esolm 0.3": ("esolm", {"alpha_0": 0.3}),
    "block 4": ("block", {"block_length": 4}),
}
NOISY = [case for case in CASES if case != "autoregressive"]
"""Families whose bound is drawn: the likelihood of the other has no λ."""


def family_of(case: str) -> Family:
    """The family of one of `CASES`."""
    name, options = CASES[case]
    return get(name, V, MASK, **options)


def network(family: Family) -> Transformer:
    """2 layers of width 16, every weight N(0, 0.5²), head_scale 1/4; the same weights for all families."""
    return random_network(V, CONTEXT, causal=family.causal, head_scale=0.25)


def texts(count: int, seed: int) -> np.ndarray:
    """Random tokens, (count, CONTEXT)."""
    return np.random.default_rng(seed).integers(4, V, (count, CONTEXT))


def stratified(model: Transformer, family: Family, x: np.ndarray, seed: int) -> tuple[float, float]:
    """The bound of `validation_bound` and the standard error it claims."""
    estimate = validation_bound(model, family, x, seed=seed, micro_batch=256)
    return estimate.nats, estimate.standard_error


@torch.no_grad()
def per_sequence(model: Transformer, family: Family, x: np.ndarray, log_snr: np.ndarray, seed: int) -> np.ndarray:
    """The integrand of each row at its λ, (n,), mean over its tokens."""
    values = []
    for rows in np.array_split(np.arange(len(x)), -(-len(x) // 256)):
        batch = family.corrupt_at(torch.from_numpy(x[rows]), log_snr[rows], rows, seed)
        numbers = score(model, family, batch)
        values.append(family.bound_of(numbers, batch.x_BL, batch.z_BL, batch.log_snr_BL).double().mean(1))
    return torch.cat(values).numpy()


def unweighted(model: Transformer, family: Family, x: np.ndarray, seed: int, *, strata: bool) -> float:
    """The bound from λ ~ p(λ): one λ in each of n equal strata of p, or n independent ones."""
    count, draw = len(x), generator(seed, Stream.EVALUATION, len(x))
    u = (draw.permutation(count) + draw.random()) / count if strata else draw.random(count)
    return float(per_sequence(model, family, x, family.span.from_uniform(u), seed).mean()) * family.span.mass


def variances(model: Transformer, family: Family, count: int, seed: int) -> tuple[float, float]:
    """n·Var of the bound from n independent λ, and from the strata in use, both from ``count`` rows of the strata.

    Independent λ would need far more rows: what their variance comes from, hardly noised rows of weight 1/t, is rare
    under p(λ) and less rare here: E_p[y²] = E[weight·y²].
    """
    log_snr, weight, order = evaluation_log_snr(family, count, seed)
    y, mass = per_sequence(model, family, texts(count, seed), log_snr, seed), family.span.mass
    mean = float((weight * y).mean()) * mass
    independent = float((weight * y**2).mean()) * mass - mean**2
    return independent, count * successive_difference_error((weight * y * mass)[np.argsort(order)]) ** 2


def slope(sizes: list[int], errors: list[float]) -> float:
    """Exponent of error ∝ n^slope, least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])
