"""CompleteP's groups against the train script's own (golden) groups."""

from __future__ import annotations

import json

import pytest

from difflaw.model.completep import group_of, parameter_groups
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer

NAMES = {
    "bulk": "bulk_params",
    "norm": "ln_params",
    "bias": "bias_params",
    "embedding": "emb_unemb_params",
    "head": "emb_unemb_params",
}


def test_golden_groups(shared) -> None:
    golden = json.loads((shared / "golden/laprop/mup_groups.json").read_text())
    for name, label in golden["labels"].items():
        dimensions = 1 if "norm" in name or name.endswith("bias") else 2
        assert NAMES[group_of(name, dimensions)] == label, name
    model = Transformer(ModelConfig(vocab_size=11, layers=golden["num_layers"], width=8, heads=2, context=8))
    groups = parameter_groups(
        model,
        width=golden["hidden_size"],
        layers=golden["num_layers"],
        lr=golden["lr"],
        weight_decay=golden["weight_decay"],
        norm_weight_decay=golden["ln_wd"],
        bias_weight_decay=golden["bias_wd"],
        eps=golden["adam_eps"],
    )
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    for group in groups:
        expected = golden["groups"][NAMES[group["name"]]]
        assert group["peak_lr"] == pytest.approx(expected["peak_lr"])
        assert group["weight_decay"] == pytest.approx(expected["weight_decay"])
        assert group["eps"] == pytest.approx(expected["eps"])


def test_another_auxiliary_rate_moves_all_but_the_hidden_matrices() -> None:
    model = Transformer(ModelConfig(vocab_size=11, layers=2, width=8, heads=2, context=8, adaln=True))
    groups = parameter_groups(model, width=8, layers=2, lr=0.5, auxiliary_rate=0.05)
    rates = {group["name"]: group["peak_lr"] for group in groups}
    assert rates.pop("bulk") == 0.5 / 8
    assert set(rates) == {"norm", "bias", "embedding", "head", "conditioning"}
    assert set(rates.values()) == {0.05 * 0.5}


def test_a_vector_without_a_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="without a CompleteP rule"):
        group_of("model.scale", 1)


def test_adaln_learns_as_an_input_layer() -> None:
    config = ModelConfig(vocab_size=11, layers=2, width=8, heads=2, context=8, adaln=True)
    groups = {g["name"]: g for g in parameter_groups(Transformer(config), width=8, layers=2, lr=1.0, weight_decay=0.1)}
    assert groups["conditioning"]["peak_lr"] == groups["embedding"]["peak_lr"] == 0.02
    assert groups["conditioning"]["weight_decay"] == 0.0
    assert len(groups["conditioning"]["params"]) == 2 * 2 + 2 + 4
