"""Networks with every weight random, and the total probability they give to all texts."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from difflaw.families import Family
from difflaw.families.score import score
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer


def random_network(vocab_size: int, context: int, *, causal: bool = False, seed: int = 0, **options) -> Transformer:
    """Nothing in it is zero, so that every path of information is open."""
    config = ModelConfig(vocab_size=vocab_size, layers=2, width=16, heads=2, context=context, **options)
    model = Transformer(config, causal=causal).initialise(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model


@torch.no_grad()
def total_probability(family: Family, context: int, vocab_size: int, mask_id: int) -> float:
    """Σ over all texts of exp(-NLL): one, if and only if the family's exact bound is a likelihood."""
    model = random_network(vocab_size, context, causal=family.causal)
    tokens = [v for v in range(vocab_size) if v != mask_id]
    texts = torch.tensor(list(product(tokens, repeat=context)))
    batch = family.corrupt(texts, np.arange(len(texts)), 0)
    numbers = score(model, family, batch)
    nll = family.bound_of(numbers, batch.x_BL, batch.z_BL, batch.log_snr_BL).double().sum(1)
    return float(torch.exp(-nll).sum())
