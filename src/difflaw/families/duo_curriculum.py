"""Duo's curriculum: the network first reads tempered softmaxes of a Gaussian latent, whose argmax is the noisy token.

γ runs linearly over a short range; the discrete process under it is uniform-state with α = T(γ) (2506.10892
§4; its code: algo.py). The loss stays the bound's integrand at λ = logit α. Since λ then has the density |dγ/dλ|/Δγ in
place of p(λ) = α(1-α), it is multiplied by p·Δγ·|dλ/dγ| = Δγ·|dα/dγ|, so that its mean is the bound's share of that
range of λ (docs/derivations.md#gaussian).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from difflaw.noise.gaussian import GaussianOperator
from difflaw.noise.tempered import tempered, tempered_dense


@dataclass(frozen=True)
class Curriculum:
    """How the first part of a run reads its noise; defaults are the published OWT run's, with the efficient top-k."""

    share: float = 0.0
    """Share of the run's sequences, from its start."""
    tau: float = 1e-3
    """Temperature of the softmax."""
    gamma_min: float = -3.55
    gamma_max: float = -1.85
    top_k: int | None = 8
    """Entries of the softmax that are drawn; None draws all, which costs B·L·V."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"curriculum must lie in [0, 1], the share of the run it covers, got {self.share}")
        if not self.tau > 0.0:
            raise ValueError(f"tau must be positive, got {self.tau}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if not self.gamma_min < self.gamma_max:
            raise ValueError(f"gamma_min {self.gamma_min} must lie below gamma_max {self.gamma_max}")


@dataclass(frozen=True)
class CurriculumDraw:
    """z (B, L), λ (B, 1), the importance of λ (B, 1), and the inputs' ids and weights (B, L, k)."""

    z: np.ndarray
    log_snr: np.ndarray
    importance: np.ndarray
    ids: np.ndarray
    weights: np.ndarray


def draw(
    rule: Curriculum, x: np.ndarray, time_B1: np.ndarray, index: np.ndarray, seed: int, vocab_size: int
) -> CurriculumDraw:
    """One latent a token, one γ a sequence from its time in [0, 1); row i depends on (seed, index[i]) alone.

    With ``top_k`` the mass of the entries that are not drawn is left out, as in the paper.
    """
    operator = GaussianOperator(vocab_size, rule.gamma_min, rule.gamma_max)
    gamma = operator.gamma_at(time_B1)
    if rule.top_k is None:
        dense = tempered_dense(x, gamma, rule.tau, index, seed, vocab_size)
        z, weights = dense.z, dense.weights
        ids = np.broadcast_to(np.arange(vocab_size), weights.shape)
    else:
        found = tempered(x, gamma, rule.tau, index, seed, vocab_size, min(rule.top_k, vocab_size))
        z, ids, weights = found.z, found.ids, found.weights
    importance = (rule.gamma_max - rule.gamma_min) * -operator.derivative(gamma)
    return CurriculumDraw(z, operator.log_snr(gamma), importance, ids, weights)
