"""Quantities with conventions: conversions by hand-counted shapes, and every mixture refused."""

from __future__ import annotations

import pytest

from difflaw.conventions import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS, Flops, FlopsPerToken, Params
from difflaw.errors import InputError
from difflaw.model.accounting import account
from difflaw.model.config import ModelConfig

TEN_B = account(ModelConfig(vocab_size=131_072, layers=34, width=4608, heads=36, context=2048))


def test_conversion_by_shape():
    n = Params(8.6655e9, "notebook")
    assert n.to("non-embedding", TEN_B).value == pytest.approx(8.6651e9, rel=1e-4)
    assert n.to("total", TEN_B).value == pytest.approx(9.8735e9, rel=1e-4)
    m = FlopsPerToken(5.583e10, "method-1")
    assert m.to("6N", TEN_B).value == pytest.approx(6 * 8.6651e9, rel=1e-4)
    run = Flops(1.0e22, "method-1").to("matmul+head", TEN_B)
    assert run.value / 1e22 == pytest.approx(
        TEN_B.flops_per_token("matmul+head") / TEN_B.flops_per_token("method-1"), rel=1e-12
    )
    assert run.value > 1.05e22  # the output matrix is 6 % of this model's work


def test_two_names_of_one_count():
    assert FlopsPerToken(6e9, "method-2") / FlopsPerToken(3e9, "6N") == 2.0
    assert Flops(1e20, "6N").to("method-2").value == 1e20


def test_arithmetic_keeps_the_convention():
    m = Params(1e9, "non-embedding").six_n()
    assert m.convention == "6N"
    assert (m * 20e9).tokens(m) == pytest.approx(20e9)
    assert (Flops(1e20, "6N") + Flops(2e20, "6N")).value == 3e20


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: Flops(1e20, "6N") / Flops(1e20, "matmul"), "cannot be combined"),
        (lambda: Flops(1e20, "6N").tokens(FlopsPerToken(1e9, "6N+head")), "cannot be combined"),
        (lambda: Flops(1e20, "6N") + Flops(1e20, "6N+attention"), "cannot be combined"),
        (lambda: Params(1e9, "unstated") / Params(1e9, "unstated"), "cannot be combined"),
        (lambda: Params(1e9, "total").to("non-embedding"), "needs the model's shape"),
        (lambda: Params(1e9, "unstated").to("total", TEN_B), "unstated"),
        (lambda: Params(1e9, "notebook").to("total", TEN_B), "shape of this model"),
        (lambda: Params(1e9, "total").six_n(), "6·N is defined"),
        (lambda: Params(1e9, "7N"), "unknown convention"),
        (lambda: Flops(-1.0, "6N"), "positive"),
    ],
)
def test_mixtures_are_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()


def test_every_name_can_be_counted():
    assert all(TEN_B.params(name) > 0 for name in PARAMETER_CONVENTIONS)
    assert all(TEN_B.flops_per_token(name) > 0 for name in FLOP_CONVENTIONS)


def test_head_convention_is_the_second_papers_axis():
    """2602.15014's 113M config: total minus one embedding is 116.989 M with its 32,001 entries."""
    config = ModelConfig(vocab_size=32_001, layers=12, width=768, heads=12, context=2048, adaln=True)
    assert account(config).params("non-embedding+head") == pytest.approx(116.989e6, rel=2e-3)
