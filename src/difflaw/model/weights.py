"""Weights on disk: safetensors, sharded or not, mapped into a network one tensor at a time. No pickles.

A tensor that needs no conversion stays a view of the mapped file: pages are read when first used, shared between
processes, and given back by the system under pressure. A converted one is the only copy in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from difflaw.errors import InputError
from difflaw.files import read_json
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer, rotary_table

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float32", "F64": "float32"}
"""Kind in a file → what ``auto`` makes of it."""
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies and what it is; nothing is read yet."""

    file: Path
    shape: tuple[int, ...]
    kind: str
    """Safetensors' name of the number type, e.g. BF16."""


def find_weights(folder: Path) -> dict[str, StoredTensor]:
    """Tensors of ``model.safetensors`` or of the shards its index names.

    InputError: none there (a pickle is refused, with the way to convert it), a missing or damaged shard, an index
    that points outside the folder.
    """
    if (folder / SINGLE).exists():
        return _read_header(folder / SINGLE)
    if (folder / INDEX).exists():
        return _read_index(folder)
    pickles = sorted(p.name for p in folder.glob("*") if p.suffix in PICKLES)
    if pickles:
        raise InputError(refuse_pickle(folder / pickles[0]))
    raise InputError(f"{folder}: no weights here: {SINGLE} is missing, and so is {INDEX}")


def refuse_pickle(path: Path) -> str:
    """What is said of a pickle: that it is not read, and how its owner turns it into safetensors."""
    read = f"torch.load('{path.name}', map_location='cpu', weights_only=True)"
    return (
        f"{path}: a pickle can run code when it is read, so difflaw never reads one. Convert it in its folder with\n"
        f"  python -c \"import torch, safetensors.torch as s; s.save_file({read}, '{SINGLE}')\""
    )


def _read_index(folder: Path) -> dict[str, StoredTensor]:
    index = folder / INDEX
    raw = read_json(index)
    places = raw.get("weight_map") if isinstance(raw, dict) else None
    if not isinstance(places, dict) or not places:
        raise InputError(f"{index}: weight_map: missing; it says which tensor is in which shard")
    found: dict[str, StoredTensor] = {}
    for file in dict.fromkeys(places.values()):
        names = [name for name, place in places.items() if place == file]
        if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
            raise InputError(f"{index}: weight_map: {file!r} is not a safetensors file of this folder")
        if not (folder / file).exists():
            raise InputError(
                f"{folder / file}: missing shard; {INDEX} puts {len(names)} tensors there, {names[0]!r} first"
            )
        header = _read_header(folder / file)
        absent = [name for name in names if name not in header]
        if absent:
            raise InputError(f"{folder / file}: has no tensor {absent[0]!r}, which {INDEX} puts there")
        found |= {name: header[name] for name in names}
    return found


def _read_header(path: Path) -> dict[str, StoredTensor]:
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {n: StoredTensor(path, tuple(s.get_shape()), str(s.get_dtype())) for n, s in slices.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: {_damage(path) or error}; copy or download it again") from None


def _damage(path: Path) -> str | None:
    """Which tensor a file cut short ends in, if its header can be read."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= path.stat().st_size else {}
        data = path.stat().st_size - 8 - length
        ends = {name: int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not ends:
        return "not a whole safetensors file: it ends inside its header"
    cut = min((name for name, end in ends.items() if end > data), key=lambda name: ends[name], default=None)
    return None if cut is None else f"truncated in tensor {cut!r} ({max(ends.values()) - data:,} bytes are missing)"


def dtype_of(tensors: dict[str, StoredTensor], wanted: str) -> torch.dtype:
    """The number type of a network: ``wanted``, or for ``auto`` that of the stored embedding (float16 → float32)."""
    if wanted == "auto":
        embedding = tensors.get("model.embed_tokens.weight")
        wanted = _STORED.get(embedding.kind, "float32") if embedding else "float32"
    if wanted not in DTYPES:
        raise InputError(f"dtype {wanted!r}: use auto, {' or '.join(DTYPES)}")
    return DTYPES[wanted]


def _check(expected: dict[str, tuple[int, ...]], tensors: dict[str, StoredTensor], vocab_size: int) -> None:
    folder = next(iter(tensors.values())).file.parent if tensors else Path()
    for name, shape in expected.items():
        found = tensors.get(name)
        if found is None:
            raise InputError(f"{folder}: tensor {name!r} {shape} is in none of its files")
        if found.shape != shape:
            is_vocabulary = name in ("model.embed_tokens.weight", "lm_head.weight") and found.shape[1:] == shape[1:]
            why = f"another vocabulary: {found.shape[0]} ids, the config says {vocab_size}" if is_vocabulary else ""
            raise InputError(
                f"{found.file}: tensor {name!r}: {why or f'shape {found.shape}, the config makes it {shape}'}"
            )
        if found.kind not in _STORED:
            raise InputError(f"{found.file}: tensor {name!r}: numbers of type {found.kind}, not one of {list(_STORED)}")
    for name in tensors:
        if name not in expected and name != "lm_head.weight":
            raise InputError(f"{tensors[name].file}: tensor {name!r}: the config makes no such tensor")


def load_transformer(
    config: ModelConfig, causal: bool, folder: Path, dtype: str = "auto", device: str | torch.device = "cpu"
) -> Transformer:
    """The network of ``config`` with the weights of ``folder``, frozen, in evaluation mode.

    ``dtype`` is auto, float32 or bfloat16; norm gains are float32 whatever it is, as published. Nothing is read
    before every name, shape and file has been checked. Raises InputError as `find_weights`, and naming the tensor.
    """
    tensors = find_weights(folder)
    with torch.device("meta"):
        model = Transformer(config, causal)
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    _check(expected, tensors, config.vocab_size)
    number = dtype_of(tensors, dtype)
    if getattr(config, "adaln", False) and number != torch.float32:
        raise InputError(f"{folder}: a network with adaLN runs in float32 only; load it with dtype float32")
    for name in expected:
        place, _, last = name.rpartition(".")
        owner = model.get_submodule(place)
        tensor = _read(tensors[name], name, torch.float32 if "norm" in name else number, device)
        setattr(owner, last, nn.Parameter(tensor, requires_grad=False))
    if config.tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    fill_rotary(model, device)
    return model.eval()


def _read(stored: StoredTensor, name: str, dtype: torch.dtype, device: str | torch.device) -> Tensor:
    try:
        with safe_open(stored.file, framework="pt") as file:  # one mapping a tensor: dropped as soon as it is converted
            return file.get_tensor(name).to(device=device, dtype=dtype)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{stored.file}: tensor {name!r}: {error}") from None


def fill_rotary(model: Transformer, device: str | torch.device) -> None:
    """Compute the rotary tables of a network built without memory (on the meta device)."""
    config = model.config
    cos, sin = rotary_table(torch.arange(config.context, device="cpu"), config.head_dim, config.rope_theta)
    model.cos, model.sin = cos.to(device), sin.to(device)
    empty = [name for name, buffer in model.named_buffers() if buffer.is_meta]
    if empty:
        raise RuntimeError(f"buffer {empty[0]!r} of the network is not filled when weights are loaded")


def write_weights(folder: Path, tensors: Iterable[tuple[str, Tensor]], shard_bytes: int) -> list[Path]:
    """Write ``model.safetensors``, or shards of at most ``shard_bytes`` (a larger tensor is alone) with their index."""
    shards: list[dict[str, Tensor]] = [{}]
    size = total = 0
    for name, tensor in tensors:
        if shards[-1] and size + tensor.nbytes > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensor.detach().contiguous()
        size += tensor.nbytes
        total += tensor.nbytes
    if len(shards) == 1:
        save_file(shards[0], folder / SINGLE, metadata={"format": "pt"})
        return [folder / SINGLE]
    files = [folder / f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)]
    for file, shard in zip(files, shards, strict=True):
        save_file(shard, file, metadata={"format": "pt"})
    places = {name: file.name for file, shard in zip(files, shards, strict=True) for name in shard}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=1) + "\n")
    return files
