"""Three numbers a token against the plain full-vocabulary formulas in float64, for every family."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from difflaw.families import Gidd, get
from difflaw.families.base import Family
from difflaw.model.head import numbers_from_hidden

MASK, WIDTH, TOKENS = 3, 16, 44


def plain_gidd(family: Gidd, p: Tensor, x: Tensor, z: Tensor, lam: Tensor) -> Tensor:
    """(w/p(λ))·(Σ_v Q log(Q/P) + ρ - log ρ - 1), every sum over the whole vocabulary (2512.10858)."""
    rows = torch.arange(len(x))
    alpha = torch.sigmoid(lam)[:, None]
    pi = family.mixing.probabilities(lam)
    noise = (1 - alpha) * pi
    q = noise.clone()
    q[rows, x] += alpha[:, 0]
    signal = alpha * p
    # log(Q/P) = -log1p((P-Q)/Q), in which what Q and P share drops out before anything is rounded
    difference = signal.clone()
    difference[rows, x] -= alpha[:, 0]
    log_ratio = -torch.log1p(torch.where(q > 0, difference / q.clamp(min=1e-300), 0.0))
    kl = (q * log_ratio + difference).sum(1)  # Σ(P - Q) = 0 makes every term small
    rho_less_1 = -difference[rows, z] / (noise + signal)[rows, z]
    itakura_saito = rho_less_1 - torch.log1p(rho_less_1)
    share = family.mixing.log_uniform_share(lam).exp()
    slope = family.mixing.scale * share * (1 - share)
    slope = torch.where(z == family.mask_id, -slope, slope / (family.vocab_size - 1))
    weight = (pi[rows, z] - slope) / (pi[rows, z] + lam.exp() * (x == z))
    return weight * (kl + itakura_saito) / (alpha * (1 - alpha))[:, 0]


def plain_duo(family: Family, p: Tensor, x: Tensor, z: Tensor, lam: Tensor) -> Tensor:
    """(1/(Vα))·[V/x̄_θ,i - V/x̄_i + Σ_j (x̄_j/x̄_i)·log(x̄_θ,i·x̄_j/(x̄_θ,j·x̄_i))] at i = z, for α' = -1 (2506.10892)."""
    v, rows = family.vocab_size, torch.arange(len(x))
    alpha = torch.sigmoid(lam)[:, None]
    rest = torch.sigmoid(-lam)[:, None]
    bar = rest.expand(-1, v).clone()
    bar[rows, x] += v * alpha[:, 0]
    bar_model = rest + v * alpha * p
    log_bar = torch.log(rest).expand(-1, v).clone()
    log_bar[rows, x] = torch.log(rest + v * alpha)[:, 0]
    log_model = torch.log(rest) + torch.log1p(v * alpha * p / rest)
    at, at_model = bar[rows, z], bar_model[rows, z]
    inner = log_model[rows, z][:, None] + log_bar - log_model - log_bar[rows, z][:, None]
    total = v / at_model - v / at + ((bar / at[:, None]) * inner).sum(1)
    return total / (v * alpha[:, 0])


def plain_masked(family: Family, p: Tensor, x: Tensor, z: Tensor, lam: Tensor) -> Tensor:
    """-log p[x]/(1-α) on masks."""
    nll = -p[torch.arange(len(x)), x].log()
    return torch.where(z == family.mask_id, nll / torch.sigmoid(-lam), 0.0)


def plain_likelihood(family: Family, p: Tensor, x: Tensor, z: Tensor, lam: Tensor) -> Tensor:
    """-log p[x]."""
    return -p[torch.arange(len(x)), x].log()


FORMULAS = {
    "autoregressive": plain_likelihood,
    "mdlm": plain_masked,
    "esolm": plain_masked,
    "block": plain_masked,
    "duo": plain_duo,
    **dict.fromkeys(("masked", "low-uniform", "balanced", "high-uniform", "uniform"), plain_gidd),
}


@pytest.mark.parametrize("vocab_size", [7, 97, 50_257])
@pytest.mark.parametrize("name", FORMULAS)
def test_bound_from_hidden_states_is_the_plain_formula(name: str, vocab_size: int) -> None:
    """Float32 states and output matrix; the plain formula gets the same logits in float64."""
    generator = torch.Generator().manual_seed(0)
    family = get(name, vocab_size, MASK)
    hidden = torch.randn(TOKENS, WIDTH, generator=generator)
    weight = torch.randn(vocab_size, WIDTH, generator=generator)
    x = torch.randint(4, vocab_size, (TOKENS,), generator=generator)
    lam = torch.linspace(-9, 9, TOKENS // 4, dtype=torch.float64).repeat_interleave(4)
    other = torch.randint(4, vocab_size, (TOKENS,), generator=generator)
    z = torch.where(torch.arange(TOKENS) % 4 == 0, x, torch.where(torch.arange(TOKENS) % 4 == 1, MASK, other))
    if name == "uniform":  # its noise never makes the mask
        z = torch.where(z == MASK, other, z)
    if name in ("masked", "mdlm", "esolm", "block"):  # theirs makes nothing else
        z = torch.where(z == x, x, torch.tensor(MASK))
    numbers = numbers_from_hidden(hidden, weight, 0.5, x, MASK, z if family.reads_z else None, family.log_ratio(lam))
    ours = family.bound_of(numbers, x, z, lam).double()
    logits = 0.5 * hidden.double() @ weight.double().T
    logits[:, MASK] = -math.inf
    expected = FORMULAS[name](family, logits.softmax(-1), x, z, lam)
    error = (ours - expected).abs()
    assert torch.isfinite(ours).all()
    worst = float((error / (1e-3 * expected.abs() + 1e-6)).max())
    assert worst < 1, (worst, ours[error.argmax()], expected[error.argmax()], lam[error.argmax()])
    assert float(ours.sum() / expected.sum() - 1) == pytest.approx(0.0, abs=1e-5)
