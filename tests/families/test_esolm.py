"""Eso-LM against enumeration, the reference's masks, and its two ends: masked diffusion and autoregression."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from difflaw.errors import InputError
from difflaw.families import attention_masks, get
from difflaw.families.esolm import reading_order
from difflaw.families.score import hidden_states
from tests.families import masked_oracle as oracle
from tests.families.helpers import random_network, total_probability

V, MASK = 11, 3


def logit(share: float) -> float:
    return math.log(share) - math.log1p(-share)


@pytest.mark.parametrize("alpha_0", [0.0, 0.125, 0.5, 0.9, 1.0])
def test_oracle_bound_is_the_entropy(alpha_0: float) -> None:
    """Diffusion below α₀ with the visible tokens, above it with those and all true tokens to the left."""
    p = oracle.source()
    family = get("esolm", oracle.VOCABULARY, oracle.MASK, alpha_0=alpha_0)
    diffusion = oracle.conditional_logits(p, lambda masked, l: ~masked)
    sequential = oracle.conditional_logits(p, lambda masked, l: ~masked | (np.arange(oracle.POSITIONS) < l))
    total = 0.0
    if alpha_0 > 0:
        end = min(logit(alpha_0), 20.0) if alpha_0 < 1 else 20.0
        total += oracle.integrate(
            lambda lam: oracle.expected_integrand(family, p, diffusion, lam, 1 / (1 + math.exp(-lam))), -20.0, end
        )
    if alpha_0 < 1:
        start = logit(alpha_0) if alpha_0 > 0 else -20.0
        total += oracle.integrate(
            lambda lam: oracle.expected_integrand(family, p, sequential, lam, alpha_0), start, 20.0
        )
    assert total == pytest.approx(oracle.entropy(p), abs=1e-3)


def test_all_of_it_at_one_is_mdlm() -> None:
    esolm, mdlm = get("esolm", V, MASK), get("mdlm", V, MASK)
    logits = torch.randn(4, 6, V, dtype=torch.float64)
    x = torch.randint(4, V, (4, 6))
    z = torch.where(torch.rand(4, 6) < 0.5, MASK, x)
    lam = torch.linspace(-9, 9, 24, dtype=torch.float64).reshape(4, 6)
    assert torch.allclose(esolm.bound(logits, x, z, lam), mdlm.bound(logits, x, z, lam), rtol=1e-12)
    assert torch.equal(esolm.loss(logits, x, z, lam), mdlm.loss(logits, x, z, lam))


@pytest.mark.parametrize("variant", ["A", "B"])
def test_none_of_it_is_an_exact_likelihood(variant: str) -> None:
    """α₀ = 0: probabilities of all texts sum to one through a network with random weights, which no leak would let."""
    family = get("esolm", 5, MASK, alpha_0=0.0, variant=variant)
    assert family.exact
    assert total_probability(family, 4, 5, MASK) == pytest.approx(1.0, abs=1e-5)


def test_sequential_rows_do_not_see_what_they_predict() -> None:
    """The states of a masked token do not move when it, or a later masked token, changes in the clean copy."""
    family, length = get("esolm", V, MASK, alpha_0=0.5), 8
    model = random_network(V, length, causal=True)
    x = torch.randint(4, V, (1, length), generator=torch.Generator().manual_seed(0))
    batch = next(
        c
        for c in (family.corrupt(x, np.array([i]), 0) for i in range(99))
        if c.reads_clean_B is not None and c.reads_clean_B.all()
    )
    assert batch.clean_BL is not None
    states = hidden_states(model, family, batch)
    masked = (batch.z_BL[0] == MASK).nonzero()[:, 0]
    for place in masked:
        other = batch.clean_BL.clone()
        other[0, place] = 4 + (other[0, place] - 3) % (V - 4)
        assert other[0, place] != batch.clean_BL[0, place]
        moved = hidden_states(model, family, replace(batch, clean_BL=other))
        assert torch.equal(moved[0, : place + 1], states[0, : place + 1])
        if place < length - 1:
            assert not torch.equal(moved[0, place + 1 :], states[0, place + 1 :])


def test_mixed_batches_are_rows_read_apart() -> None:
    family, length = get("esolm", V, MASK, alpha_0=0.5), 8
    model = random_network(V, length, causal=True)
    x = torch.randint(4, V, (12, length), generator=torch.Generator().manual_seed(0))
    whole = family.corrupt(x, np.arange(12), 3)
    assert whole.reads_clean_B is not None
    assert 0 < int(whole.reads_clean_B.sum()) < 12
    states = hidden_states(model, family, whole)
    for i in range(12):
        alone = hidden_states(model, family, family.corrupt(x[i : i + 1], np.array([i]), 3))
        assert torch.allclose(states[i], alone[0], atol=1e-5)


def test_share_of_phases_and_cost() -> None:
    family = get("esolm", V, MASK, alpha_0=0.25)
    batch = family.corrupt(torch.full((4000, 4), 5), np.arange(4000), 0)
    assert batch.reads_clean_B is not None
    assert float(batch.reads_clean_B.double().mean()) == pytest.approx(0.75, abs=0.03)
    assert float((batch.z_BL[batch.reads_clean_B] == MASK).double().mean()) == pytest.approx(0.75, abs=0.02)
    assert family.passes(16) == ((0.25, 1), (0.75, 2))
    assert get("esolm", V, MASK).passes(16) == ((1.0, 1),)


def test_positions_follow_tokens() -> None:
    """The network sees the same text whatever the order of reading, up to what the causal mask hides."""
    family, length = get("esolm", V, MASK), 8
    x = torch.randint(4, V, (6, length))
    batch = family.corrupt(x, np.arange(6), 0)
    assert batch.positions_BL is not None
    assert torch.equal(torch.gather(x, 1, batch.positions_BL), batch.x_BL)
    masked = batch.z_BL == MASK
    assert torch.equal(masked.int().sort(1).values, masked.int())  # clean tokens first
    assert torch.equal(batch.z_BL[~masked], batch.x_BL[~masked])


# -- the reference's masks and orders -----------------------------------------------------------------------------


def test_golden_masks(shared) -> None:
    golden = np.load(shared / "golden/esolm/masks.npz")
    cutoffs, length = torch.from_numpy(golden["cutoffs"]), int(golden["seq_len"])
    expected = {
        "causal": attention_masks.causal(length)[None],
        "mixed2": attention_masks.clean_bidirectional(length, cutoffs),
        "seq_causal": attention_masks.sequential(length)[None],
        "seq_prefix_lm": attention_masks.sequential_prefix(length, cutoffs),
        "block_diff_bs4": attention_masks.block_diffusion(length, 4)[None],
    }
    for name, ours in expected.items():
        assert np.array_equal(ours.numpy(), golden[name]), name


def test_golden_orders(shared) -> None:
    golden = np.load(shared / "golden/esolm/masks.npz")
    masked = golden["z"] == 96
    u = np.random.default_rng(0).random(masked.shape)
    for sequential in (True, False):
        order = reading_order(masked, np.full(len(masked), sequential), u)
        sorted_masks = np.take_along_axis(masked, order, 1)
        assert np.array_equal(sorted_masks, np.sort(masked, 1))
        for row, row_masked in zip(order, sorted_masks, strict=True):
            in_order = list(row[row_masked]) == sorted(row[row_masked])
            assert in_order == sequential or row_masked.sum() < 2
    left = np.broadcast_to(np.arange(masked.shape[1]) / masked.shape[1], masked.shape)
    assert np.array_equal(reading_order(masked, np.full(len(masked), True), left), golden["sort_idx_noshuffle"])


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha_0": 1.5}, "alpha_0"),
        ({"alpha_0": -0.1}, "alpha_0"),
        ({"variant": "C"}, "variant"),
        ({"objective": "x"}, "objective"),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get("esolm", V, MASK, **options)
