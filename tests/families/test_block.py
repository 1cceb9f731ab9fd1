"""Block diffusion against enumeration and its two ends: autoregression and MDLM."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from difflaw.errors import InputError
from difflaw.evaluate.bound import validation_bound
from difflaw.families import get
from difflaw.families.score import hidden_states, score
from tests.families import masked_oracle as oracle
from tests.families.helpers import random_network, total_probability

V, MASK = 11, 3


@pytest.mark.parametrize("block_length", [1, 2, 4])
def test_oracle_bound_is_the_entropy(block_length: int) -> None:
    """Each token predicted from its block's visible tokens and all earlier blocks."""
    p = oracle.source()
    family = get("block", oracle.VOCABULARY, oracle.MASK, block_length=block_length)
    number = np.arange(oracle.POSITIONS) // block_length
    logits = oracle.conditional_logits(p, lambda masked, l: (number < number[l]) | ((number == number[l]) & ~masked))
    total = oracle.integrate(
        lambda lam: oracle.expected_integrand(family, p, logits, lam, 1 / (1 + math.exp(-lam))), -20.0, 20.0
    )
    assert total == pytest.approx(oracle.entropy(p), abs=1e-3)


def test_blocks_of_one_are_an_exact_likelihood() -> None:
    """Probabilities of all texts sum to one through a network with random weights; no noise is left."""
    family = get("block", 5, MASK, block_length=1)
    assert family.exact
    assert total_probability(family, 4, 5, MASK) == pytest.approx(1.0, abs=1e-5)
    model = random_network(V, 8)
    rows = np.random.default_rng(0).integers(4, V, (16, 8))
    family = get("block", V, MASK, block_length=1)
    one, other = (validation_bound(model, family, rows, seed=s) for s in (0, 1))
    assert one.nats == other.nats == one.training_loss


def test_one_block_is_mdlm() -> None:
    """The same noise gives the same z, λ, states and bound."""
    length = 8
    model = random_network(V, length)
    rows = np.random.default_rng(0).integers(4, V, (64, length))
    block, mdlm = get("block", V, MASK, block_length=length), get("mdlm", V, MASK)
    assert block.passes(length) == mdlm.passes(length)
    assert validation_bound(model, block, rows, seed=0) == validation_bound(model, mdlm, rows, seed=0)
    x = torch.from_numpy(rows)
    ours, theirs = block.corrupt(x, np.arange(64), 5), mdlm.corrupt(x, np.arange(64), 5)
    assert torch.equal(ours.z_BL, theirs.z_BL)
    assert torch.equal(score(model, block, ours).log_p_x, score(model, mdlm, theirs).log_p_x)


def test_a_block_sees_earlier_clean_blocks_and_itself_only() -> None:
    length, block_length = 8, 2
    family = get("block", V, MASK, block_length=block_length)
    model = random_network(V, length)
    x = torch.randint(4, V, (1, length), generator=torch.Generator().manual_seed(0))
    batch = family.corrupt(x, np.array([0]), 0)
    assert batch.clean_BL is not None
    states = hidden_states(model, family, batch)
    for place in range(length):
        other = batch.clean_BL.clone()
        other[0, place] = 4 + (other[0, place] - 3) % (V - 4)
        moved = hidden_states(model, family, replace(batch, clean_BL=other))
        end = (place // block_length + 1) * block_length
        assert torch.equal(moved[0, :end], states[0, :end])
        if end < length:
            assert not torch.equal(moved[0, end:], states[0, end:])
        noisy = batch.z_BL.clone()
        noisy[0, place] = 4 + (noisy[0, place] - 2) % (V - 4)
        moved = hidden_states(model, family, replace(batch, z_BL=noisy))
        start = end - block_length
        assert torch.equal(moved[0, :start], states[0, :start])
        assert torch.equal(moved[0, end:], states[0, end:])
        assert not torch.equal(moved[0, start:end], states[0, start:end])


def test_one_level_of_noise_per_block() -> None:
    family = get("block", V, MASK, block_length=4)
    lam = family.corrupt(torch.full((50, 16), 5), np.arange(50), 0).log_snr_BL.reshape(50, 4, 4)
    assert torch.equal(lam, lam[..., :1].expand_as(lam))
    assert len(lam[..., 0].unique()) == 200


def test_bad_block_lengths() -> None:
    for bad in (0, -4, 2.5, "x"):
        with pytest.raises(InputError, match="block_length"):
            get("block", V, MASK, block_length=bad)
    family = get("block", V, MASK, block_length=5)
    for ask in (lambda: family.corrupt(torch.full((2, 16), 5), np.arange(2), 0), lambda: family.passes(16)):
        with pytest.raises(InputError, match=r"block_length 5 does not divide the context of 16.*1, 2, 4, 8, 16"):
            ask()
