"""A run as a Hugging Face folder: config in the published names, safetensors, tokenizer, model card."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from difflaw.data.special import SPECIAL_TOKENS
from difflaw.errors import InputError
from difflaw.files import room_on_disk, write_json
from difflaw.model.published_config import Published, to_published
from difflaw.model.weights import write_weights
from difflaw.training.card import model_card
from difflaw.training.loaded import LoadedModel, Number, load

SHARD_SIZE = "5GB"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    files: tuple[str, ...]
    bytes: int
    has_tokenizer: bool
    info: dict[str, Any]


def parse_size(text: str) -> int:
    """Bytes in ``5GB``, ``500 MB``, ``2GiB`` or ``1000``; InputError otherwise."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None or float(match[1]) * unit < 1:
        raise InputError(f"shard size {text!r}: write a number with B, KB, MB, GB, KiB, MiB or GiB, e.g. {SHARD_SIZE}")
    return int(float(match[1]) * unit)


def export(
    run: str | Path,
    folder: Path,
    *,
    dtype: Number = "auto",
    shard_size: str = SHARD_SIZE,
    cache: Path | None = None,
) -> Exported:
    """Write ``folder``, which `difflaw.load` and, with ``import difflaw.huggingface``, transformers read back.

    >>> import difflaw, pathlib, tempfile
    >>> done = difflaw.export(difflaw.example_run(), pathlib.Path(tempfile.mkdtemp()) / "exported")
    >>> sorted(done.files)
    ['README.md', 'config.json', 'model.safetensors']

    The folder appears whole or not at all. ``dtype`` auto keeps every bit. Raises InputError as `difflaw.load`, and
    when the folder is not empty or the disk is full.
    """
    shard_bytes = parse_size(shard_size)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(f"{folder}: is not empty; export into a folder of its own")
    loaded = load(run, dtype=dtype, cache=cache)
    target = folder.resolve()
    part = target.parent / f".{target.name}.{os.getpid()}.part"
    with room_on_disk(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            _write(part, loaded, shard_bytes)
            os.replace(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    files = sorted(folder.iterdir())
    size = sum(file.stat().st_size for file in files)
    return Exported(folder, tuple(file.name for file in files), size, loaded.tokenizer is not None, loaded.info)


def _write(folder: Path, loaded: LoadedModel, shard_bytes: int) -> None:
    write_json(folder / "config.json", hugging_face_config(loaded))
    for file in write_weights(folder, loaded.model.named_parameters(), shard_bytes):  # a tied head is named once
        shutil.copymode(folder / "config.json", file)  # safetensors makes files that only their owner can read
    if loaded.tokenizer is not None:
        (folder / "tokenizer.json").write_text(loaded.tokenizer.to_str(), encoding="utf-8")
        write_json(folder / "tokenizer_config.json", _tokenizer_config(loaded))
    (folder / "README.md").write_text(model_card(loaded), encoding="utf-8")


def hugging_face_config(loaded: LoadedModel) -> dict[str, Any]:
    """The ``config.json`` of a model."""
    span = loaded.family.span
    own = {key: value for key, value in loaded.info.items() if key not in ("source", "total_params")}
    form = Published(
        loaded.config,
        loaded.family.published_shift,
        span.low,
        span.high,
        loaded.bos_id,
        loaded.eos_id,
        loaded.pad_id,
        loaded.mask_id,
        {"format": 1, **own},
    )
    kind = "bfloat16" if loaded.dtype == torch.bfloat16 else "float32"
    return to_published(form, causal=loaded.family.causal, dtype=kind)


def _tokenizer_config(loaded: LoadedModel) -> dict[str, Any]:
    """For transformers: which string is which special token, and that text never turns into one."""
    names = {"bos": loaded.bos_id, "eos": loaded.eos_id, "pad": loaded.pad_id, "mask": loaded.mask_id}
    tokenizer = loaded.tokenizer
    assert tokenizer is not None
    strings = {f"{name}_token": tokenizer.id_to_token(token) for name, token in names.items()}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{name: string for name, string in strings.items() if string in SPECIAL_TOKENS},
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
        "model_max_length": loaded.config.context,
    }


def as_json(done: Exported) -> str:
    """One line for ``--json``."""
    known = {"folder": str(done.folder), "files": done.files, "bytes": done.bytes, "tokenizer": done.has_tokenizer}
    return json.dumps({**known, **{k: v for k, v in done.info.items() if k != "source"}})
