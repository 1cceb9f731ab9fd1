"""Weights on disk: every bit comes back, nothing is in memory twice, and each kind of damage has its name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from difflaw.errors import InputError
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.model.weights import INDEX, SINGLE, load_transformer, write_weights

CONFIG = ModelConfig(vocab_size=31, layers=2, width=16, heads=2, context=8)


def network(config: ModelConfig = CONFIG) -> Transformer:
    model, stream = Transformer(config), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=stream)
    return model


def same(a: Transformer, b: Transformer) -> bool:
    pairs = zip(a.named_parameters(), b.named_parameters(), strict=True)
    return all(m == n and torch.equal(p, q) for (m, p), (n, q) in pairs)


@pytest.mark.parametrize("shard_bytes", [10**9, 4000, 1])
@pytest.mark.parametrize("tied", [False, True])
def test_every_bit_comes_back(tmp_path: Path, shard_bytes: int, tied: bool) -> None:
    model = network(CONFIG.model_copy(update={"tied": tied}))
    files = write_weights(tmp_path, model.named_parameters(), shard_bytes)
    assert (len(files) == 1) == (shard_bytes == 10**9)
    assert (tmp_path / INDEX).exists() == (len(files) > 1)
    again = load_transformer(model.config, False, tmp_path)
    assert same(model, again)
    z = torch.arange(8)[None]
    assert torch.equal(model.logits(z), again.logits(z))
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())


def test_shards_hold_the_size_asked_for(tmp_path: Path) -> None:
    files = write_weights(tmp_path, network().named_parameters(), 5000)
    largest = max(p.nbytes for p in network().parameters())
    for file in files:
        tensors = load_file(file)
        assert sum(t.nbytes for t in tensors.values()) <= max(5000, largest)
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"]["total_size"] == sum(p.nbytes for p in network().parameters())


def test_number_types(tmp_path: Path) -> None:
    write_weights(tmp_path, network().named_parameters(), 10**9)
    half = load_transformer(CONFIG, False, tmp_path, "bfloat16")
    for name, parameter in half.named_parameters():
        assert parameter.dtype == (torch.float32 if "norm" in name else torch.bfloat16), name
    assert torch.equal(half.lm_head.weight, network().lm_head.weight.bfloat16())
    write_weights(tmp_path, half.named_parameters(), 10**9)
    assert load_transformer(CONFIG, False, tmp_path).lm_head.weight.dtype == torch.bfloat16
    wide = load_transformer(CONFIG, False, tmp_path, "float32")
    assert torch.equal(wide.lm_head.weight, half.lm_head.weight.float())
    with pytest.raises(InputError, match="int8"):
        load_transformer(CONFIG, False, tmp_path, "int8")


def test_a_stored_tied_head_is_not_needed_and_not_used(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"tied": True})
    tensors = dict(network(config).named_parameters()) | {"lm_head.weight": torch.zeros(31, 16)}
    write_weights(tmp_path, tensors.items(), 10**9)
    again = load_transformer(config, False, tmp_path)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert again.lm_head.weight.any()


_MEASURE = """
import sys, torch
from pathlib import Path
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.model.weights import load_transformer, write_weights

def memory(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key)) / 1024

folder, dtype = Path(sys.argv[1]), sys.argv[2]
config = ModelConfig.model_validate_json((folder / "ours.json").read_text())
tiny = config.model_copy(update={"vocab_size": 9, "layers": 1, "width": 8, "heads": 1})
(folder / "tiny").mkdir()
write_weights(folder / "tiny", Transformer(tiny).named_parameters(), 10**9)
load_transformer(tiny, False, folder / "tiny", dtype)  # what torch loads when it is first used is not what is asked
anonymous, peak = memory("RssAnon"), memory("VmHWM")
model = load_transformer(config, False, folder, dtype)
loaded = memory("RssAnon") - anonymous
total = sum(float(p[:1].sum()) + float(p.sum()) for p in model.parameters())
print(loaded, memory("RssAnon") - anonymous, memory("VmHWM") - peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's memory from /proc")
@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_never_two_copies_in_memory(tmp_path: Path, dtype: str) -> None:
    """In MiB: 240 of float32 on disk. Mapped: next to nothing of its own. Converted: its 120 and one tensor more."""
    config = ModelConfig(vocab_size=40_000, layers=8, width=512, heads=8, context=16)
    (tmp_path / "ours.json").write_text(config.model_dump_json())
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in Transformer(config).named_parameters()}
    save_file({name: torch.ones(shape) for name, shape in shapes.items()}, tmp_path / SINGLE)
    disk = (tmp_path / SINGLE).stat().st_size / 2**20
    run = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path), dtype], capture_output=True, text=True, check=True
    )
    loaded, touched, peak = map(float, run.stdout.split())
    print(f"{dtype}: {disk:.0f} MiB on disk; own memory {loaded:.0f} loaded, {touched:.0f} used; peak +{peak:.0f}")
    if dtype == "auto":
        assert touched < 0.1 * disk
        assert peak < 1.15 * disk
    else:
        assert loaded < 0.6 * disk
        assert peak < 1.0 * disk  # 0.5 for the result, at most one tensor of 78 MiB mapped; two copies would be 1.5


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def test_damage_has_a_name(tmp_path: Path) -> None:
    def written(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        write_weights(folder, network().named_parameters(), 10**9)
        return folder

    def refusal(folder: Path, config: ModelConfig = CONFIG) -> str:
        with pytest.raises(InputError) as refused:
            load_transformer(config, False, folder)
        return str(refused.value)

    folder = written("truncated")
    cut(folder / SINGLE, (folder / SINGLE).stat().st_size - 10)
    assert "truncated in tensor 'model." in refusal(folder) or "truncated in tensor 'lm_head" in refusal(folder)
    assert "10 bytes are missing" in refusal(folder)
    cut(folder / SINGLE, 50)
    assert "model.safetensors: not a whole safetensors file" in refusal(folder)
    cut(folder / SINGLE, 0)
    assert "model.safetensors" in refusal(folder)

    tensors = load_file(written("tensors") / SINGLE)
    key = "model.layers.1.mlp.up_proj.weight"
    missing = {name: value for name, value in tensors.items() if name != key}
    save_file(missing, tmp_path / "tensors" / SINGLE)
    assert f"tensor {key!r}" in refusal(tmp_path / "tensors")
    save_file({**tensors, key: torch.zeros(3, 3)}, tmp_path / "tensors" / SINGLE)
    assert key in refusal(tmp_path / "tensors")
    assert "shape (3, 3), the config makes it (64, 16)" in refusal(tmp_path / "tensors")
    save_file({**tensors, key: torch.zeros(64, 16, dtype=torch.int8)}, tmp_path / "tensors" / SINGLE)
    assert "type I8" in refusal(tmp_path / "tensors")
    save_file({**tensors, "model.extra": torch.zeros(1)}, tmp_path / "tensors" / SINGLE)
    assert "'model.extra': the config makes no such tensor" in refusal(tmp_path / "tensors")

    other = CONFIG.model_copy(update={"vocab_size": 40})
    assert "another vocabulary: 31 ids, the config says 40" in refusal(written("vocabulary"), other)

    (tmp_path / "empty").mkdir()
    assert "no weights here" in refusal(tmp_path / "empty")


def test_damaged_shards_have_a_name(tmp_path: Path) -> None:
    files = write_weights(tmp_path, network().named_parameters(), 5000)

    def refusal() -> str:
        with pytest.raises(InputError) as refused:
            load_transformer(CONFIG, False, tmp_path)
        return str(refused.value)

    whole, index = files[1].read_bytes(), (tmp_path / INDEX).read_text()
    files[1].unlink()
    assert f"{files[1]}: missing shard" in refusal()
    save_file({"something": torch.zeros(1)}, files[1])
    assert f"{files[1]}: has no tensor" in refusal()
    files[1].write_bytes(whole[:-3])
    assert str(files[1]) in refusal()
    assert "truncated in tensor" in refusal()
    files[1].write_bytes(whole)
    (tmp_path / INDEX).write_text(index.replace(files[1].name, "../" + files[1].name))
    assert "is not a safetensors file of this folder" in refusal()
    (tmp_path / INDEX).write_text("{}")
    assert "weight_map: missing" in refusal()
    (tmp_path / INDEX).write_text(index)
    assert same(network(), load_transformer(CONFIG, False, tmp_path))


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (marker,))

    torch.save(Bomb(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin: a pickle can run code") as refused:
        load_transformer(CONFIG, False, tmp_path)
    assert "weights_only=True" in str(refused.value)
    assert not marker.exists()


def test_the_conversion_that_is_suggested_works(tmp_path: Path) -> None:
    torch.save(dict(network().state_dict()), tmp_path / "weights.pt")
    with pytest.raises(InputError) as refused:
        load_transformer(CONFIG, False, tmp_path)
    code = str(refused.value).splitlines()[1].split(' -c "')[1].removesuffix('"')
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert same(network(), load_transformer(CONFIG, False, tmp_path))
