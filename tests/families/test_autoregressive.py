"""The one-token shift and the exact likelihood."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difflaw.families import get


def test_shift_and_likelihood() -> None:
    family = get("autoregressive", 11, 3)
    x = torch.tensor([[5, 6, 7]])
    batch = family.corrupt(x, np.array([0]), 0)
    assert batch.z_BL.tolist() == [[0, 5, 6]]
    assert batch.noised_BL.all()
    logits = torch.randn(1, 3, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = -family.predict(logits).gather(-1, x[..., None])[..., 0].log()
    assert torch.allclose(family.bound(logits, x, batch.z_BL, batch.log_snr_BL), expected)
    assert torch.allclose(family.loss(logits, x, batch.z_BL, batch.log_snr_BL), expected)


def test_the_mask_is_never_predicted() -> None:
    family = get("ar", 11, 3)
    assert (
        float(family.reverse(torch.zeros(1, 1, 11), torch.tensor([[4]]), torch.tensor(0.0), torch.tensor(1.0))[0, 0, 3])
        == 0
    )


def test_sum_over_all_sequences_is_one() -> None:
    """exp(-NLL) summed over every sequence of a random causal model is 1: the likelihood is a likelihood."""
    from itertools import product

    from difflaw.families.score import score
    from difflaw.model.config import ModelConfig
    from difflaw.model.transformer import Transformer

    family = get("ar", 6, 3)
    model = Transformer(ModelConfig(vocab_size=6, layers=2, width=8, heads=2, context=3), causal=True).initialise(0)
    with torch.no_grad():
        model.lm_head.weight.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    x = torch.tensor(list(product([0, 1, 2, 4, 5], repeat=3)))
    batch = family.corrupt(x, np.arange(len(x)), 0)
    with torch.no_grad():
        nll = family.bound_of(score(model, family, batch), x, batch.z_BL, batch.log_snr_BL).sum(1)
    assert float(torch.exp(-nll).sum()) == pytest.approx(1.0, abs=1e-4)
