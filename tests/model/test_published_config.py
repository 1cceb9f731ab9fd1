"""The published config against ours: both ways, its defaults, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from difflaw.errors import InputError
from difflaw.model.config import ModelConfig
from difflaw.model.published_config import Published, from_published, to_published

HERE = Path("somewhere/config.json")
SMALL = ModelConfig(vocab_size=97, layers=2, width=48, heads=2, context=16)


def written(model: ModelConfig = SMALL, **form: Any) -> dict[str, Any]:
    return to_published(Published(model, **form), causal=False, dtype="float32")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"resid_scale": 2.0, "head_scale": 3.0, "soft_cap": 5.0, "rope_theta": 500.0, "norm_eps": 1e-5},
        {"qk_norm": False, "sink": False, "mlp_bias": False, "weight_scaling": "fan_out"},
        {"tied": True, "init_scale": 0.7, "embedding_std": 0.1},
        {"width": 36, "adaln": True},
    ],
)
def test_every_field_comes_back_through_json(change: dict[str, Any]) -> None:
    form = Published(SMALL.model_copy(update=change), 2.0, -8.0, 8.5, 5, 6, 7, 8, own={"family": "gidd"})
    raw = json.loads(json.dumps(to_published(form, causal=False, dtype="bfloat16")))
    again = from_published(raw, HERE)
    assert again.model == form.model
    assert (again.shift, again.low, again.high) == (2.0, -8.0, 8.5)
    assert (again.bos_id, again.eos_id, again.pad_id, again.mask_id) == (5, 6, 7, 8)


def test_the_published_3b_config() -> None:
    raw: dict[str, Any] = {
        "model_type": "gidd",
        "architectures": ["GiddForDiffusionLM"],
        "auto_map": {"AutoModelForCausalLM": "modeling_gidd.GiddForDiffusionLM"},
        "torch_dtype": "bfloat16",
        "vocab_size": 131072,
        "hidden_size": 3072,
        "intermediate_size": 12288,
        "num_hidden_layers": 18,
        "num_attention_heads": 24,
        "max_position_embeddings": 2048,
        "resid_scale": 4.0,
        "init_scale": 0.4 / 3072**0.5,
        "weight_scaling": 1.0,
        "head_scaling": 512 / 3072,
        "use_qk_norm": True,
        "attention_bias": True,
        "mlp_bias": True,
        "noise_type": -1000,
        "attn_performer": "eager",
        "rope_scaling": None,
    }
    form = from_published(raw, HERE)
    ours = ModelConfig(vocab_size=131072, layers=18, width=3072, heads=24, context=2048)
    assert form.model.model_copy(update={"embedding_std": 0.02}) == ours
    assert form.shift == -1000.0
    assert form.mask_id == 3
    assert form.own is None
    assert form.ignored == ()


def test_absent_keys_mean_what_the_published_class_means() -> None:
    shapes = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
    raw = {key: value for key, value in written().items() if key in (*shapes, "max_position_embeddings")}
    model = from_published(raw, HERE).model
    assert (model.weight_scaling, model.sink, model.mlp_bias, model.qk_norm) == ("fan_in", False, False, True)
    assert model.output_scale == 1.0


def test_rotary_base_of_newer_transformers() -> None:
    raw = written()
    del raw["rope_theta"]
    raw["rope_parameters"] = {"rope_type": "default", "rope_theta": 123.0}
    assert from_published(raw, HERE).model.rope_theta == 123.0


def test_a_purely_published_config_stays_one() -> None:
    assert "difflaw" not in written()
    assert from_published(written(), HERE).own is None


def test_unknown_keys_are_listed_not_hidden() -> None:
    assert from_published({**written(), "golden_seed": 1, "note": "x"}, HERE).ignored == ("golden_seed", "note")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"intermediate_size": 100}, "intermediate_size: 100 is not supported, only 192"),
        ({"head_dim": 8}, "head_dim: 8"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters"),
        ({"attn_performer": "performer"}, "attn_performer"),
        ({"is_causal": True, "difflaw": None}, "is_causal: True"),
        ({"noise_type": "masked"}, "noise_type: must be a number"),
        ({"max_log_snr": float("nan")}, "max_log_snr"),
        ({"num_attention_heads": 5}, "not divisible"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"weight_scaling": "none"}, "weight_scaling"),
        ({"mask_token_id": 97}, "mask_token_id: 97"),
        ({"difflaw": 3}, "difflaw: must be an object"),
        ({"difflaw": {"model": {"layers": 9}}}, "difflaw.model"),
        ({"difflaw": {"model": {"tricks": 9}}}, "tricks"),
    ],
)
def test_what_is_refused_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as refused:
        from_published({**written(), **change}, HERE)
    assert named in str(refused.value)
    assert str(HERE) in str(refused.value)


def test_a_missing_shape_is_named() -> None:
    raw = written()
    del raw["num_hidden_layers"]
    with pytest.raises(InputError, match="num_hidden_layers: missing"):
        from_published(raw, HERE)
    with pytest.raises(InputError, match="model_type is None"):
        from_published([1], HERE)
