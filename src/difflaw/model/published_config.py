"""The config of published GIDD checkpoints (`model_type: gidd`) and ours: one table of names, read both ways.

Names and class defaults are those of the published `config.json` (2512.10858). What it has no name for
(family, conditioning, ids, figures of the run) lies under our own key, ``difflaw``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from difflaw.errors import InputError
from difflaw.model.config import ModelConfig

MODEL_TYPE = "gidd"

NAMES = {
    "vocab_size": "vocab_size",
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "context": "max_position_embeddings",
    "resid_scale": "resid_scale",
    "head_scale": "head_scaling",
    "init_scale": "init_scale",
    "embedding_std": "emb_init_scale",
    "weight_scaling": "weight_scaling",
    "qk_norm": "use_qk_norm",
    "sink": "attention_bias",
    "mlp_bias": "mlp_bias",
    "soft_cap": "attn_soft_cap",
    "rope_theta": "rope_theta",
    "norm_eps": "rms_norm_eps",
    "tied": "tie_word_embeddings",
}
"""Our field → theirs. ``init_scale`` is there the standard deviation itself, 0.4/√width."""

DEFAULTS: dict[str, Any] = {
    "resid_scale": 4.0,
    "head_scaling": 1.0,
    "init_scale": 0.4,
    "emb_init_scale": 0.1,
    "weight_scaling": "fan_in",
    "use_qk_norm": True,
    "attention_bias": False,
    "mlp_bias": False,
    "attn_soft_cap": 30.0,
    "rope_theta": 10_000.0,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
"""What a key means when the published class finds none; the five shapes have no default here."""

_BOOKKEEPING = {
    "architectures",
    "auto_map",
    "model_type",
    "transformers_version",
    "torch_dtype",
    "dtype",
    "_name_or_path",
}
_TRANSFORMERS = {"use_cache", "return_dict", "output_hidden_states", "output_attentions", "chunk_size_feed_forward"}
_TASKS = {"is_encoder_decoder", "id2label", "label2id", "problem_type"}
_INITIAL = {"head_init_scale", "initializer_range"}
_READ_ELSEWHERE = {"noise_type", "min_log_snr", "max_log_snr", "difflaw", "rope_parameters"}
_IDS = {"bos_token_id", "eos_token_id", "pad_token_id", "mask_token_id"}
_CHECKED = {"intermediate_size", "head_dim", "is_causal", "rope_scaling", "attn_performer"}
_KNOWN = {*NAMES.values(), *_BOOKKEEPING, *_TRANSFORMERS, *_TASKS, *_INITIAL, *_READ_ELSEWHERE, *_IDS, *_CHECKED}


@dataclass(frozen=True)
class Published:
    """A published config, read: the network, the noise (``shift`` is their ``noise_type``), λ's range, special ids."""

    model: ModelConfig
    shift: float = 0.0
    low: float = -9.0
    high: float = 9.0
    bos_id: int = 0
    eos_id: int = 1
    pad_id: int = 2
    mask_id: int = 3
    own: dict[str, Any] | None = None
    """Our key ``difflaw``, if the folder is an export of ours."""
    ignored: tuple[str, ...] = field(default=(), compare=False)
    """Keys that mean nothing to the published class either."""


def from_published(raw: Any, path: Path) -> Published:
    """Read a published ``config.json``; ``path`` is for messages.

    InputError names a key that is missing, of the wrong kind, or asks for what this network does not have.
    """
    if not isinstance(raw, dict) or raw.get("model_type") != MODEL_TYPE:
        kind = raw.get("model_type") if isinstance(raw, dict) else None
        raise InputError(f"{path}: model_type is {kind!r}, and only {MODEL_TYPE!r} (or a run of difflaw) can be read")
    own = raw.get("difflaw")
    if own is not None and not isinstance(own, dict):
        raise InputError(f"{path}: difflaw: must be an object, found {type(own).__name__}")
    theirs = {**DEFAULTS, **_rope(raw, path), **{k: raw[k] for k in NAMES.values() if k in raw}}
    missing = [name for name in NAMES.values() if name not in theirs]
    if missing:
        raise InputError(f"{path}: {missing[0]}: missing; a published config has it")
    ours: dict[str, Any] = {name: theirs[key] for name, key in NAMES.items()} | _nameless(own or {}, path)
    model = _model(ours, path)
    _refuse_unsupported(raw, model, own is not None, path)
    ids = {f"{name}_id": raw.get(f"{name}_token_id") for name in ("bos", "eos", "pad", "mask")}
    for name, value in ids.items():
        if value is not None and (not isinstance(value, int) or not 0 <= value < model.vocab_size):
            raise InputError(f"{path}: {name[:-3]}_token_id: {value!r} is no id of a vocabulary of {model.vocab_size}")
    return Published(
        model,
        _number(raw, "noise_type", 0.0, path),
        _number(raw, "min_log_snr", -9.0, path),
        _number(raw, "max_log_snr", 9.0, path),
        **{name: value for name, value in ids.items() if value is not None},
        own=own,
        ignored=tuple(sorted(set(raw) - _KNOWN)),
    )


def to_published(form: Published, *, causal: bool, dtype: str) -> dict[str, Any]:
    """The ``config.json`` of a model, from which `from_published` gives ``form`` back.

    Fields without a published name go under our own key, unless they are at their defaults.
    """
    model = form.model
    dumped = model.model_dump()
    theirs = {key: dumped[name] for name, key in NAMES.items()}
    theirs |= {"head_scaling": model.output_scale, "init_scale": model.init_scale / math.sqrt(model.width)}
    fields = ModelConfig.model_fields
    nameless = {name: value for name, value in dumped.items() if name not in NAMES and value != fields[name].default}
    own = {**(form.own or {}), **({"model": nameless} if nameless else {})}
    return {
        "model_type": MODEL_TYPE,
        "architectures": ["DifflawForCausalLM"],
        "dtype": dtype,
        **theirs,
        "intermediate_size": 4 * model.width,
        "head_dim": model.head_dim,
        "is_causal": causal,
        "noise_type": form.shift,
        "min_log_snr": form.low,
        "max_log_snr": form.high,
        "bos_token_id": form.bos_id,
        "eos_token_id": form.eos_id,
        "pad_token_id": form.pad_id,
        "mask_token_id": form.mask_id,
        **({"difflaw": own} if own else {}),
    }


def _nameless(own: dict[str, Any], path: Path) -> dict[str, Any]:
    """Fields of ours that have no published name, from our own key; the published ones are never overridden."""
    fields = own.get("model", {})
    if not isinstance(fields, dict) or set(fields) & set(NAMES):
        raise InputError(f"{path}: difflaw.model: only for fields without a published name")
    return fields


def _model(ours: dict[str, Any], path: Path) -> ModelConfig:
    width = ours["width"]
    if isinstance(width, int) and width > 0:
        if ours["head_scale"] == 512.0 / width:
            ours["head_scale"] = None
        if isinstance(ours["init_scale"], float):
            ours["init_scale"] = round(ours["init_scale"] * math.sqrt(width), 12)
    try:
        return ModelConfig.model_validate(ours)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise InputError(f"{path}: {NAMES.get(name, name) or 'shapes'}: {first['msg']}") from None


def _rope(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    """Transformers from version 5 on may keep the rotary base under ``rope_parameters``."""
    rope = raw.get("rope_parameters")
    if rope is None:
        return {}
    if not isinstance(rope, dict) or rope.get("rope_type", "default") != "default":
        raise InputError(f"{path}: rope_parameters: only rope_type 'default' is supported, found {rope!r}")
    return {"rope_theta": rope["rope_theta"]} if "rope_theta" in rope else {}


def _refuse_unsupported(raw: dict[str, Any], model: ModelConfig, is_ours: bool, path: Path) -> None:
    only: dict[str, tuple[Any, ...]] = {
        "intermediate_size": (4 * model.width,),
        "head_dim": (model.head_dim, None),
        "rope_scaling": (None,),
        "attn_performer": ("eager", "flex", "sdpa"),
        "is_causal": (False, True) if is_ours else (False,),
    }
    for key, allowed in only.items():
        if key in raw and raw[key] not in allowed:
            raise InputError(f"{path}: {key}: {raw[key]!r} is not supported, only {' or '.join(map(repr, allowed))}")


def _number(raw: dict[str, Any], key: str, default: float, path: Path) -> float:
    value = raw.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{path}: {key}: must be a number, found {value!r}")
    return float(value)
