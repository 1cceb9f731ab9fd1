"""The layers on columns: their hand-written backwards against finite differences, and the plain layers."""

from __future__ import annotations

import pytest
import torch

from difflaw.model.attention import key_mask
from difflaw.model.columns import normed_columns, to_columns
from difflaw.model.config import LARGEST_CAP, ModelConfig
from difflaw.model.fused_attention import AttentionWeights, fused_attention, surroundings
from difflaw.model.fused_feed_forward import FeedForwardWeights, fused_feed_forward
from difflaw.model.transformer import Transformer, rotary_table

ROWS, LENGTH, WIDTH, HEADS, INNER = 2, 3, 8, 2, 5
EPS = 1e-2
"""Large, so that a gradient that leaves it out is found."""


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape)))
    return noise.requires_grad_()


def random_attention(rows: int, length: int) -> torch.Tensor:
    return torch.rand(rows, length, length, generator=torch.Generator().manual_seed(1)) > 0.5


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("own_positions", [False, True])
def test_backward_of_attention(masked: bool, own_positions: bool) -> None:
    dim = WIDTH // HEADS
    positions = torch.tensor([[2, 0, 1], [0, 2, 1]]) if own_positions else torch.arange(LENGTH)
    cos, sin = (table.double() for table in rotary_table(positions, dim, 10.0))
    if own_positions:
        cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    mask = key_mask(random_attention(ROWS, LENGTH), True) if masked else None
    around = surroundings(ROWS, LENGTH, cos, sin, mask)
    shapes = [(WIDTH,), *[(WIDTH, WIDTH)] * 3, (WIDTH,), (WIDTH,), (HEADS, dim), (HEADS, dim), (WIDTH, WIDTH)]
    weights = [drawn(*shape, seed=10 * n) for n, shape in enumerate(shapes)]

    def layer(h: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        return fused_attention(h, around, AttentionWeights(*weights), 0.7, EPS, 3.0)

    assert torch.autograd.gradcheck(layer, (drawn(WIDTH, ROWS * LENGTH), *weights))


def test_backward_of_the_feed_forward_part() -> None:
    shapes = [(WIDTH,), (INNER, WIDTH), (INNER,), (WIDTH, INNER), (WIDTH,)]
    weights = [drawn(*shape, seed=10 * n) for n, shape in enumerate(shapes)]

    def layer(h: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        return fused_feed_forward(h, FeedForwardWeights(*weights), 0.7, EPS)

    assert torch.autograd.gradcheck(layer, (drawn(WIDTH, 6), *weights))


def test_backward_of_the_norm() -> None:
    assert torch.autograd.gradcheck(lambda h, gain: normed_columns(h, gain, EPS), (drawn(WIDTH, 6), drawn(WIDTH)))


def test_columns_are_tokens_in_their_order() -> None:
    h = torch.randn(2, 3, 4)
    assert torch.equal(to_columns(h)[:, 4], h[1, 1])


def network(causal: bool = False, **options: float) -> Transformer:
    shape = {"vocab_size": 19, "layers": 2, "width": 16, "heads": 2, "context": 12, "resid_scale": 2.0}
    model = Transformer(ModelConfig.model_validate({**shape, **options}), causal=causal).initialise(0)
    with torch.no_grad():
        for index, p in enumerate(model.parameters()):
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(index)))
    return model


def states_and_gradients(model: Transformer, **given: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    z = torch.randint(4, 19, (3, 10), generator=torch.Generator().manual_seed(0))
    model.zero_grad()
    states = model.hidden(z, **given)  # type: ignore[arg-type]
    (states * torch.randn(states.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    return states.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("case", ["plain", "causal", "mask", "positions"])
def test_states_and_gradients_are_those_of_the_plain_layers(monkeypatch, heads: int, case: str) -> None:
    model = network(causal=case == "causal", heads=heads)
    given = {}
    if case == "mask":
        given["attention"] = random_attention(3, 10)
    if case == "positions":
        given["positions"] = torch.stack([torch.randperm(12)[:10] for _ in range(3)])
    fused, fused_gradients = states_and_gradients(model, **given)
    monkeypatch.setattr(ModelConfig, "fuses", False)
    plain, plain_gradients = states_and_gradients(model, **given)
    assert not torch.equal(fused, plain)  # else the same layers ran twice
    assert torch.allclose(fused, plain, atol=1e-5)
    assert fused_gradients.keys() == plain_gradients.keys()
    for name, gradient in plain_gradients.items():
        assert (fused_gradients[name] - gradient).abs().max() <= 2e-5 * gradient.abs().max(), name


def test_scores_at_the_soft_cap_neither_overflow_nor_vanish() -> None:
    """Keys aligned with queries up to the cap, and against it: states stay those of the plain layers."""
    model = network(soft_cap=LARGEST_CAP)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_norm.weight.fill_(200.0)  # type: ignore[union-attr]
            layer.self_attn.k_norm.weight.fill_(200.0)  # type: ignore[union-attr]
    states, gradients = states_and_gradients(model)
    assert states.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize(
    "other",
    [
        {"qk_norm": False},
        {"sink": False},
        {"mlp_bias": False},
        {"weight_scaling": 0.5},
        {"adaln": True},
        {"soft_cap": 2 * LARGEST_CAP},
    ],
)
def test_other_networks_run_through_the_plain_layers(other: dict) -> None:
    assert network().config.fuses
    assert not network(**other).config.fuses


def test_reduced_types_run_through_the_plain_layers(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("fused")

    model = network()
    monkeypatch.setattr(Transformer, "_fused_states", refuse)
    z = torch.randint(4, 19, (1, 4))
    with torch.autocast("cpu", torch.bfloat16):
        assert model.hidden(z).isfinite().all()
    cache = model.new_cache(1, 4)
    assert model.hidden(z, positions=torch.arange(4)[None], cache=cache).isfinite().all()
    with pytest.raises(AssertionError, match="fused"):
        model.hidden(z)
