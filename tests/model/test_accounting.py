"""Parameters and FLOPs against a built model and the published tables."""

from __future__ import annotations

from typing import Any

import pytest

from difflaw.model.accounting import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS, account
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sink": False},
        {"mlp_bias": False},
        {"qk_norm": False},
        {"tied": True},
        {"adaln": True},
        {"feed_forward_width": 50},
        {"feed_forward_width": 7, "mlp_bias": False},
    ],
)
def test_groups_add_up_to_the_model(options: dict) -> None:
    config = ModelConfig(vocab_size=61, layers=3, width=24, heads=2, context=10, **options)
    counted = account(config)
    built = sum(p.numel() for p in Transformer(config).parameters())
    assert counted.params("total") == built == sum(counted.parameters.values())


@pytest.mark.parametrize(
    ("layers", "width", "notebook", "true", "total", "method_1"),
    [
        (8, 512, 25_223_680, 25_211_392, 159_441_408, 2.5166e8),
        (10, 640, 49_242_240, 49_223_040, 217_014_400, 4.5220e8),
        (20, 1536, 566_662_656, 566_570_496, 969_315_840, 4.1524e9),
        (34, 4608, 8.6655e9, 8.6651e9, 9.8735e9, 5.5830e10),
    ],
)
def test_published_sizes(layers: int, width: int, notebook: float, true: float, total: float, method_1: float) -> None:
    """Table of model sizes in 2512.10858's notebooks (V = 131,072, context 2,048)."""
    heads = width // 64 if width <= 1024 else width // 128
    counted = account(ModelConfig(vocab_size=131_072, layers=layers, width=width, heads=heads, context=2048))
    assert counted.params("notebook") == pytest.approx(notebook, rel=1e-4)
    assert counted.params("non-embedding") == pytest.approx(true, rel=1e-4)
    assert counted.params("total") == pytest.approx(total, rel=1e-4)
    assert counted.flops_per_token("method-1") == pytest.approx(method_1, rel=1e-4)
    assert counted.flops_per_token("method-2") == 6.0 * counted.params("non-embedding")


@pytest.mark.parametrize(
    ("family", "family_options", "model_options"),
    [
        ("masked", {}, {}),
        ("autoregressive", {}, {}),
        ("duo", {}, {"adaln": True}),
        ("masked", {}, {"feed_forward_width": 50}),
        ("esolm", {"alpha_0": 1.0}, {"feed_forward_width": 7}),
        ("block", {"block_length": 4}, {}),
        ("block", {"block_length": 16}, {}),
        ("esolm", {"alpha_0": 0.0}, {"adaln": True}),
        ("esolm", {"alpha_0": 1.0}, {}),
    ],
)
def test_matmul_flops_are_what_the_network_multiplies(family: str, family_options: dict, model_options: dict) -> None:
    """Forward FLOPs of a whole training batch counted by PyTorch's own counter, times three."""
    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from difflaw.families import get
    from difflaw.families.score import hidden_states

    config = ModelConfig(vocab_size=61, layers=2, width=24, heads=2, context=16, **model_options)
    made = get(family, 61, 3, **family_options)
    model = Transformer(config, causal=made.causal).initialise(0)
    batch = made.corrupt(torch.randint(4, 61, (3, 16)), np.arange(3), 0)
    with FlopCounterMode(display=False) as counter:
        model.lm_head(hidden_states(model, made, batch))
    counted = account(config, made.passes(16)).flops_per_token("matmul+head")
    assert 3 * counter.get_total_flops() == pytest.approx(counted * 3 * 16, rel=1e-12)


def test_every_convention_counts_the_width_that_is_there() -> None:
    """Against the same network with four times its width: the difference is what the missing units would cost."""
    shape: Any = {"vocab_size": 61, "layers": 3, "width": 24, "heads": 2, "context": 10}
    plain, narrow = account(ModelConfig(**shape)), account(ModelConfig(**shape, feed_forward_width=50))
    weights = 3 * 2 * 24 * (96 - 50)
    biases = 3 * (96 - 50)
    for convention, biases_counted in (("non-embedding", 1), ("matrices", 0), ("notebook", 2), ("total", 1)):
        missing = plain.params(convention) - narrow.params(convention)
        assert missing == weights + biases_counted * biases, convention
    for convention in ("matmul+head", "matmul", "method-1"):
        missing = plain.flops_per_token(convention) - narrow.flops_per_token(convention)
        assert missing == pytest.approx(6.0 * weights, rel=1e-12), convention


def test_all_conventions_are_recorded() -> None:
    record = account(ModelConfig(vocab_size=61, layers=2, width=24, heads=2, context=16)).record()
    assert set(record["params"]) == set(PARAMETER_CONVENTIONS)  # type: ignore[arg-type]
    assert set(record["flops_per_token"]) == set(FLOP_CONVENTIONS)  # type: ignore[arg-type]


def test_unknown_convention_lists_the_known() -> None:
    with pytest.raises(KeyError, match="method-1"):
        account(ModelConfig(vocab_size=61, layers=2, width=24, heads=2, context=16)).flops_per_token("7N")
