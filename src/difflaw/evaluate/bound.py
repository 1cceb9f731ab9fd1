"""Validation bound: stratified λ, common random numbers, and its standard error.

NELBO = ∫ E_z[w·(KL+IS)] dλ over the range = mass · E_{λ~p}[integrand], with one λ for all tokens of a sequence
(independent λ per token would not bound the likelihood), drawn more densely where the integrand is noisy
(`LogSnrRange.stratified`; docs/derivations.md#strata). Prior and reconstruction terms beyond the range are
left out, as in 2512.10858 (α = 1.2e-4 and 1 - α = 1.2e-4 remain at the ends of ±9).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from difflaw.families.base import Family
from difflaw.families.score import score
from difflaw.model.transformer import Transformer
from difflaw.noise.streams import Stream, generator


@dataclass(frozen=True)
class BoundEstimate:
    """A bound in nats per token; its error covers the draws of noise and the choice of validation sequences."""

    nats: float
    standard_error: float
    training_loss: float
    """The training objective on the same draws: a different quantity, not comparable with ``nats``."""
    sequences: int
    tokens: int
    parts: dict[str, float]
    """Terms of the bound by name, nats per token, if the family has several: ``kl`` and ``itakura_saito``."""

    def bits_per_byte(self, bytes_per_token: float) -> float:
        """The bound in bits per byte of text."""
        return self.nats / (math.log(2.0) * bytes_per_token)


def evaluation_log_snr(family: Family, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """λ, its weight and its stratum for each of ``count`` rows; the same for every model and family."""
    draw = generator(seed, Stream.EVALUATION, count)
    order = draw.permutation(count)
    log_snr, weight = family.span.stratified(count, float(draw.random()), order)
    return log_snr, weight, order


def successive_difference_error(values_in_order: np.ndarray) -> float:
    """Standard error of the mean of one draw per stratum, values in the order of their strata.

    Σ(y_{i+1} - y_i)²/(2(n-1)) estimates the variance inside a stratum, slightly from above since it counts the
    trend between neighbours (Wolter, Introduction to Variance Estimation, ch. 8).
    """
    n = len(values_in_order)
    if n < 2:
        return math.inf
    return math.sqrt(float(np.square(np.diff(values_in_order)).sum()) / (2 * (n - 1)) / n)


@torch.no_grad()
def validation_bound(
    model: Transformer,
    family: Family,
    x_NL: np.ndarray,
    *,
    seed: int,
    micro_batch: int = 32,
    precision: str = "float32",
) -> BoundEstimate:
    """Bound of ``model`` on token rows ``x_NL`` (n, L): unconditional, every token noised, no prompt.

    A pure function of the model, the rows and ``seed``: two models see the same λ and the same noise.
    """
    device = model.lm_head.weight.device
    count, length = x_NL.shape
    log_snr, weight, stratum = evaluation_log_snr(family, count, seed)
    bounds, losses = np.empty(count), np.empty(count)
    parts: dict[str, list[float]] = {}
    for start in range(0, count, micro_batch):
        rows = np.arange(start, min(start + micro_batch, count))
        x = torch.from_numpy(np.asarray(x_NL[rows], dtype=np.int64)).to(device)
        batch = family.corrupt_at(x, log_snr[rows], rows, seed)
        numbers = score(model, family, batch, precision)
        seen = numbers, batch.x_BL, batch.z_BL, batch.log_snr_BL
        bounds[rows] = family.bound_of(*seen).double().mean(1).cpu().numpy()
        losses[rows] = family.loss_of(*seen).double().mean(1).cpu().numpy()
        for name, values in family.bound_parts(*seen).items():
            parts.setdefault(name, []).extend((values.mean(1).cpu().numpy() * weight[rows] * family.span.mass).tolist())
    if family.exact:  # no noise was drawn, so λ and its weight mean nothing
        error = float(bounds.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
        nats = float(bounds.mean())
    else:
        bounds, losses = bounds * weight * family.span.mass, losses * weight
        error, nats = successive_difference_error(bounds[np.argsort(stratum)]), float(bounds.mean())
    means = {name: float(np.mean(values)) for name, values in parts.items()}
    return BoundEstimate(nats, error, float(losses.mean()), count, count * length, means)
