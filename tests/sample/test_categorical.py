"""Shaping against the reference's numbers, draws against their probabilities, tails included."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from difflaw.errors import InputError
from difflaw.sample.categorical import Shaping, choose


def test_golden_temperature_top_k_top_p(shared) -> None:
    golden = np.load(shared / "golden/gidd_sampler/topk_topp.npz")
    logits = torch.tensor(golden["logits"])
    for i, (temperature, p, k) in enumerate(zip(golden["temperature"], golden["top_p"], golden["top_k"], strict=True)):
        shaping = Shaping(float(temperature), None if k < 1 else int(k), None if math.isnan(p) else float(p))
        assert np.abs(shaping(logits).softmax(-1).numpy() - golden[f"probs_{i}"]).max() < 1e-6, i


def test_an_id_of_weight_zero_is_never_chosen() -> None:
    p = torch.tensor([[0.0, 0.5, 0.0, 0.25, 0.0]]).expand(4, -1)
    u = torch.tensor([0.0, 2 / 3, 1 - 2.0**-53, 0.5], dtype=torch.float64)
    assert choose(p, u).tolist() == [1, 3, 3, 1]


def test_the_tail_is_drawn() -> None:
    """An id of weight 2^-40 comes up for u beyond 1 - 2^-40: float32 would round both away."""
    p = torch.tensor([[1.0, 2.0**-40]])
    assert choose(p, torch.tensor([1 - 2.0**-41], dtype=torch.float64)).tolist() == [1]
    assert choose(p, torch.tensor([1 - 2.0**-39], dtype=torch.float64)).tolist() == [0]


def test_frequencies() -> None:
    p = torch.tensor([0.1, 0.2, 0.0, 0.7])
    u = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    counts = torch.bincount(choose(p.expand(10_000, -1), u), minlength=4)
    assert counts.tolist() == [1000, 2000, 0, 7000]


@pytest.mark.parametrize("options", [{"temperature": -1.0}, {"temperature": math.nan}, {"top_k": 0}, {"top_p": 0.0}])
def test_bad_options_are_named(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Shaping(**options)
