"""Leave-one-out ↔ posterior against the enumerated source."""

from __future__ import annotations

import pytest
import torch

from difflaw.errors import InputError
from difflaw.families import get
from difflaw.families.diffusion import Diffusion
from tests.families import oracle

HYBRID = ["low-uniform", "balanced", "high-uniform", "uniform", "duo"]


def family_of(name: str) -> Diffusion:
    family = get(name, oracle.VOCABULARY, oracle.MASK)
    assert isinstance(family, Diffusion)
    return family


def possible(family: Diffusion, p: torch.Tensor, lam: float) -> torch.Tensor:
    """Rows of Z that can occur."""
    return (oracle.likelihoods(family, lam) * p[:, None]).sum(0) > 1e-12


@pytest.mark.parametrize("name", ["masked", "mdlm", *HYBRID])
@pytest.mark.parametrize("lam", [-4.0, 0.0, 3.0])
def test_posterior_is_the_enumerated_one(name: str, lam: float) -> None:
    family, p = family_of(name), oracle.source()
    rows = possible(family, p, lam)
    loo = oracle.leave_one_out_logits(family, p, lam)
    expected = family.predict(oracle.posterior_logits(family, p, lam))
    ours = family.posterior(loo, oracle.Z, torch.tensor(lam))
    assert torch.allclose(ours[rows], expected[rows], atol=1e-9)


@pytest.mark.parametrize("name", HYBRID)
def test_the_way_back(name: str) -> None:
    family, p, lam = family_of(name), oracle.source(), torch.tensor(0.5, dtype=torch.float64)
    loo = family.predict(oracle.leave_one_out_logits(family, p, 0.5))
    rows = (oracle.Z != oracle.MASK).all(1)  # GIDD's uniform noise never makes the mask
    z = oracle.Z[rows]
    posterior = family.posterior(oracle.leave_one_out_logits(family, p, 0.5)[rows], z, lam)
    assert torch.allclose(family.leave_one_out(posterior, z, lam), loo[rows], atol=1e-9)
    assert not torch.allclose(posterior, loo[rows], atol=0.05)


def test_a_visible_token_under_masked_noise_has_lost_it() -> None:
    family = family_of("masked")
    posterior = torch.full((1, 3, oracle.VOCABULARY), 0.25, dtype=torch.float64)
    with pytest.raises(InputError, match="posterior"):
        family.leave_one_out(posterior, torch.tensor([[0, oracle.MASK, 1]]), torch.tensor(0.0))
