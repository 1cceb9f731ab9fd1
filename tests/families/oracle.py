"""A tiny source whose every probability can be enumerated: 3 symbols and the mask, 3 positions."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from difflaw.families.diffusion import Diffusion

SYMBOLS, POSITIONS, MASK = 3, 3, 3
VOCABULARY = SYMBOLS + 1
X = torch.tensor(list(product(range(SYMBOLS), repeat=POSITIONS)))  # (27, 3)
Z = torch.tensor(list(product(range(VOCABULARY), repeat=POSITIONS)))  # (64, 3)


def source(seed: int = 0) -> Tensor:
    """Probability of each row of X, float64; far from independent positions."""
    weights = np.random.default_rng(seed).gamma(0.4, size=len(X))
    return torch.from_numpy(weights / weights.sum())


def entropy(p: Tensor) -> float:
    """Nats per sequence."""
    return float(-(p * p.clamp(min=1e-300).log()).sum())


def marginals(family: Diffusion, lam: float) -> Tensor:
    """q(z_l | x_l) = α·1[z = x] + (1-α)·π(z) as a (symbol, z) matrix at λ."""
    at = torch.full((1, VOCABULARY), lam, dtype=torch.float64)
    noise = family.noise_at(torch.arange(VOCABULARY)[None], at)
    return torch.sigmoid(at) * torch.eye(SYMBOLS, VOCABULARY, dtype=torch.float64) + noise


def likelihoods(family: Diffusion, lam: float) -> Tensor:
    """q(z|x) for all pairs, (27, 64)."""
    q = marginals(family, lam)
    return torch.stack([q[X[:, l]][:, Z[:, l]] for l in range(POSITIONS)]).prod(0)


def leave_one_out_logits(family: Diffusion, p: Tensor, lam: float) -> Tensor:
    """Log p(x_l | z without position l) for each row of Z, (64, 3, V); the mask gets a low logit."""
    q = marginals(family, lam)
    factors = torch.stack([q[X[:, l]][:, Z[:, l]] for l in range(POSITIONS)])  # (3, 27, 64)
    logits = torch.full((len(Z), POSITIONS, VOCABULARY), -50.0, dtype=torch.float64)
    for l in range(POSITIONS):
        others = torch.stack([factors[k] for k in range(POSITIONS) if k != l]).prod(0) * p[:, None]
        for symbol in range(SYMBOLS):
            logits[:, l, symbol] = others[X[:, l] == symbol].sum(0).clamp(min=1e-300).log()
    return logits


def posterior_logits(family: Diffusion, p: Tensor, lam: float) -> Tensor:
    """Log p(x_l | all of z), what the network must not be fed with for uniform noise."""
    joint = likelihoods(family, lam) * p[:, None]
    logits = torch.full((len(Z), POSITIONS, VOCABULARY), -50.0, dtype=torch.float64)
    for l, symbol in product(range(POSITIONS), range(SYMBOLS)):
        logits[:, l, symbol] = joint[X[:, l] == symbol].sum(0).clamp(min=1e-300).log()
    return logits


def integrate_bound(family: Diffusion, p: Tensor, logits_at, reach: float = 14.0, points: int = 281) -> float:
    """∫ E[bound integrand·p(λ)] dλ over ±reach by Simpson's rule, nats per sequence."""
    lams = np.linspace(-reach, reach, points)
    values = []
    for lam in lams:
        joint = (likelihoods(family, lam) * p[:, None]).reshape(-1)
        x = X.repeat_interleave(len(Z), 0)
        z = Z.repeat(len(X), 1)
        logits = logits_at(lam).repeat(len(X), 1, 1)
        integrand = family.bound(logits, x, z, torch.full(x.shape, lam, dtype=torch.float64)).sum(1)
        density = 1.0 / (2.0 + np.exp(lam) + np.exp(-lam))
        values.append(float((torch.where(joint > 0, integrand, 0.0) * joint).sum()) * density)
    weights = np.ones(points)
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    return float(np.dot(values, weights) * (lams[1] - lams[0]) / 3)
