"""The named counts: hand-counted shapes of the papers, and every name countable."""

from __future__ import annotations

import pytest

from difflaw.conventions import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS
from difflaw.model.accounting import account
from difflaw.model.config import ModelConfig

TEN_B = account(ModelConfig(vocab_size=131_072, layers=34, width=4608, heads=36, context=2048))


def test_the_papers_ten_billion_parameter_shape():
    """2512.10858's largest model: three counts of its parameters, and its FLOPs per token by two methods."""
    assert TEN_B.params("notebook") == pytest.approx(8.6655e9, rel=1e-4)
    assert TEN_B.params("non-embedding") == pytest.approx(8.6651e9, rel=1e-4)
    assert TEN_B.params("total") == pytest.approx(9.8735e9, rel=1e-4)
    assert TEN_B.flops_per_token("method-1") == pytest.approx(5.583e10, rel=1e-4)
    assert TEN_B.flops_per_token("6N") == pytest.approx(6 * 8.6651e9, rel=1e-4)
    # The output matrix is 6 % of this model's work.
    assert TEN_B.flops_per_token("matmul+head") > 1.05 * TEN_B.flops_per_token("method-1")


def test_two_names_of_one_count():
    assert TEN_B.flops_per_token("method-2") == TEN_B.flops_per_token("6N")


def test_every_name_can_be_counted():
    assert all(TEN_B.params(name) > 0 for name in PARAMETER_CONVENTIONS)
    assert all(TEN_B.flops_per_token(name) > 0 for name in FLOP_CONVENTIONS)


def test_head_convention_is_the_second_papers_axis():
    """2602.15014's 113M config: total minus one embedding is 116.989 M with its 32,001 entries."""
    config = ModelConfig(vocab_size=32_001, layers=12, width=768, heads=12, context=2048, adaln=True)
    assert account(config).params("non-embedding+head") == pytest.approx(116.989e6, rel=2e-3)
