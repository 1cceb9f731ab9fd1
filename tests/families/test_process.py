"""Properties of every tokenwise noise process, over random levels, vocabularies and predictions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from difflaw.families import get
from difflaw.families.diffusion import Diffusion
from difflaw.noise.mixing import NOISE_TYPES

TOKENWISE = [*NOISE_TYPES, "mdlm", "duo"]
levels = st.tuples(st.floats(-9, 9, allow_subnormal=False), st.floats(0.01, 6)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
sizes = st.integers(5, 12)


def process(name: str, v: int) -> Diffusion:
    family = get(name, v, 3)
    assert isinstance(family, Diffusion)
    return family


def marginal(family: Diffusion, lam: float) -> torch.Tensor:
    """q_λ(z|x), (V clean, V noisy)."""
    v = family.vocab_size
    at = torch.full((1, v), lam, dtype=torch.float64)
    return torch.sigmoid(at) * torch.eye(v, dtype=torch.float64) + family.noise_at(torch.arange(v)[None], at)


def steps(family: Diffusion, logits: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """p(z_s|z_t) for every z_t under one prediction, (V noisy, V less noisy)."""
    v = family.vocab_size
    lam_t, lam_s = (torch.tensor(value, dtype=torch.float64) for value in (low, high))
    return family.reverse(logits.expand(1, v, v), torch.arange(v)[None], lam_t, lam_s)[0]


def known(v: int, x: int) -> torch.Tensor:
    logits = torch.full((v,), -1e9, dtype=torch.float64)
    logits[x] = 0.0
    return logits


@pytest.mark.parametrize("name", TOKENWISE)
@settings(max_examples=25, deadline=None)
@given(v=sizes, level=levels, seed=st.integers(0, 2**20))
def test_everything_is_a_distribution(name: str, v: int, level: tuple[float, float], seed: int) -> None:
    family = process(name, v)
    logits = 5 * torch.randn(v, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(marginal(family, level[0]).sum(1), torch.ones(v, dtype=torch.float64))
    step = steps(family, logits, *level)
    assert bool((step >= 0).all())
    assert torch.allclose(step.sum(1), torch.ones(v, dtype=torch.float64))


@pytest.mark.parametrize("name", TOKENWISE)
@settings(max_examples=25, deadline=None)
@given(v=sizes, level=levels)
def test_a_step_back_meets_the_marginal(name: str, v: int, level: tuple[float, float]) -> None:
    """Σ_{z_t} q(z_t|x)·q(z_s|z_t,x) = q(z_s|x): posteriors and marginals are of one process."""
    family, x = process(name, v), 4
    low, high = level
    back = marginal(family, low)[x] @ steps(family, known(v, x), low, high)
    assert torch.allclose(back, marginal(family, high)[x], atol=1e-12)


@pytest.mark.parametrize("name", TOKENWISE)
@settings(max_examples=25, deadline=None)
@given(v=sizes, level=levels, further=st.floats(0.01, 6))
def test_steps_compose(name: str, v: int, level: tuple[float, float], further: float) -> None:
    """q(t|s)·q(s|r) = q(t|r), read off the posteriors by Bayes from a flat prior over x = z_r."""
    family = process(name, v)
    low, middle = level
    high = middle + further

    def forward(noisier: float, cleaner: float) -> torch.Tensor:
        """q(z_t|z_s) = q(z_s|z_t,x)·q(z_t|x)/q(z_s|x) for x = z_s, which q_s never rules out."""
        q_t, q_s = marginal(family, noisier), marginal(family, cleaner)
        rows = []
        for state in range(v):
            posterior = steps(family, known(v, state), noisier, cleaner)[:, state]
            rows.append(posterior * q_t[state] / q_s[state, state])
        return torch.stack(rows)

    possible = [i for i in range(v) if i != 3]  # x is never the mask
    first, second, both = (forward(*pair) for pair in ((middle, high), (low, middle), (low, high)))
    reached = first.clone()
    # from the mask, where q(t|s) cannot be read off (x ≠ mask), a masked token stays or is replaced as the rows sum
    reached_mask = first[possible][:, 3:4]
    total = reached[possible][:, possible] @ second[possible]
    missing = both[possible] - total
    assert bool((missing > -1e-9).all())
    assert torch.allclose(missing.sum(1, keepdim=True), reached_mask, atol=1e-9)


@pytest.mark.parametrize("name", TOKENWISE)
def test_both_ends(name: str) -> None:
    """Clean at the top of λ, pure noise at the bottom, no move in a step of no length."""
    family, v = process(name, 9), 9
    assert float((marginal(family, 40.0) - torch.eye(v, dtype=torch.float64)).abs().max()) < 1e-9
    bottom = marginal(family, -40.0)
    assert torch.allclose(bottom, bottom[:1].expand(v, -1), atol=1e-9)
    if name in ("masked", "mdlm", "low-uniform", "balanced", "high-uniform"):
        assert float(bottom[0, 3]) == pytest.approx(1.0, abs=1e-6)  # hybrid noise ends in masks as well
    else:
        expected = 1 / v if name == "duo" else 1 / (v - 1)
        assert float(bottom[0, 4]) == pytest.approx(expected)
    logits = torch.randn(v, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    still = steps(family, logits, 0.0, 1e-9)
    states = [i for i in range(v) if float(family.noise_at(torch.tensor([[i]]), torch.zeros(1, 1))) > 0 or i != 3]
    assert float((still - torch.eye(v, dtype=torch.float64))[states].abs().max()) < 1e-6
