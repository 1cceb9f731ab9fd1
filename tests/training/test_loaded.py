"""`difflaw.load`: golden logits, runs, exports, the Hub; what cannot be read is refused by name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import difflaw
from difflaw.errors import InputError
from difflaw.noise.conditioning import prompt_attention
from difflaw.training.export import export
from difflaw.training.loaded import HUB_FILES

GOLDEN = {"ckptlike": ("balanced", 0.0), "fanin_nobias": ("masked", -1000.0), "noqk_tied": ("uniform", 1000.0)}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_logits_under_every_mask(shared, name: str) -> None:
    """The weights are a file, too large to carry; tests/facts has a small network from a seed."""
    folder = shared / "golden/gidd_model" / name
    with pytest.warns(UserWarning, match="golden_seed"):
        loaded = difflaw.load(folder)
    io = np.load(folder / "io.npz")
    ids = torch.tensor(io["input_ids"])
    pad = torch.tensor(io["mask_pad2d"])[:, None, :].expand(-1, ids.shape[1], -1)
    block = torch.tensor(io["mask_block3d"])
    ours = {
        "logits_full": loaded.logits(ids),
        "logits_pad2d": loaded.logits(ids, attention=pad),
        "logits_block3d": loaded.logits(ids, attention=block),
        "logits_random3d": loaded.logits(ids, attention=torch.tensor(io["mask_random3d"])),
        "logits_posids": loaded.logits(ids, positions=torch.tensor(io["position_ids"])),
        "logits_len64": loaded.logits(torch.tensor(io["input_ids_len64"])),
    }
    for key, logits in ours.items():
        assert np.abs(logits.numpy() - io[key]).max() <= 2e-5 * np.abs(io[key]).max(), key
    assert loaded.family.name == "gidd"
    assert loaded.info["family_options"] == {"noise_type": GOLDEN[name][0]}
    assert loaded.family.mixing.shift == GOLDEN[name][1]
    assert (loaded.bos_id, loaded.eos_id, loaded.pad_id, loaded.mask_id) == (0, 1, 2, 3)
    assert loaded.tokenizer is None


def test_published_models_were_trained_with_clean_prompts(shared) -> None:
    """Their folders do not say so; the runs did (`as-run`), and prompts are cached only where that is known.

    Not carried: weights as above.
    """
    with pytest.warns(UserWarning, match="golden_seed"):
        loaded = difflaw.load(shared / "golden/gidd_model/ckptlike")
    assert loaded.family.conditioning.prompt_probability == 0.2


def test_prompt_rule_gives_the_golden_block_logits(shared) -> None:
    """`noised_BL` alone gives logits under noise_mask[q] ≥ noise_mask[k]. Not carried: weights as above."""
    folder = shared / "golden/gidd_model/ckptlike"
    with pytest.warns(UserWarning, match="golden_seed"):
        loaded = difflaw.load(folder)
    io = np.load(folder / "io.npz")
    block = torch.tensor(io["mask_block3d"])
    # A noised token sees all keys; where all do, nothing is clean.
    noised = block.all(-1)
    rule = prompt_attention(noised.numpy())
    assert np.array_equal(rule, block.numpy())
    logits = loaded.logits(torch.tensor(io["input_ids"]), noised)
    assert np.abs(logits.numpy() - io["logits_block3d"]).max() <= 2e-5 * np.abs(io["logits_block3d"]).max()


def test_a_run_gives_its_latest_checkpoint_and_what_is_known_of_it(make_run) -> None:
    run = make_run("mine", "low-uniform")
    loaded = difflaw.load(run)
    latest = load_file(run / "checkpoints/step-000000020/model.safetensors")
    assert all(torch.equal(p, latest[name]) for name, p in loaded.model.named_parameters())
    assert loaded.family.mixing.shift == -2.0
    assert loaded.family.conditioning.prompt_probability == 0.2
    assert loaded.tokenizer is not None
    assert loaded.tokenizer.token_to_id("<|mask|>") == loaded.mask_id == 3
    info = loaded.info
    assert (info["label"], info["step"], info["tokens"]) == ("mine", 20, 20 * 2 * 12)
    assert (info["bound"], info["standard_error"], info["bits_per_byte"]) == (3.0, 0.25, 2.0)
    assert (info["flops"], info["flops_convention"]) == (20e3, "matmul+head")
    assert loaded.logits(torch.arange(12)[None]).shape == (1, 12, 270)


def test_one_checkpoint_of_a_run(make_run) -> None:
    loaded = difflaw.load(make_run() / "checkpoints/step-000000010", dtype="bfloat16", device="cpu")
    assert (loaded.info["step"], loaded.info["tokens"], loaded.info["bound"]) == (10, 240, 4.0)
    assert loaded.dtype == loaded.logits(torch.zeros(1, 3, dtype=torch.long)).dtype == torch.bfloat16
    assert loaded.device.type == "cpu"


def test_without_the_data_there_is_no_tokenizer(make_run, tmp_path) -> None:
    run = make_run()
    assert difflaw.load(run, cache=tmp_path / "elsewhere").tokenizer is None
    shutil.copy(tmp_path / "cache/hash-of-run/tokenizer.json", run)
    assert difflaw.load(run, cache=tmp_path / "elsewhere").tokenizer is not None


def test_a_causal_family_needs_no_prompt_rule(make_run) -> None:
    loaded = difflaw.load(make_run(family="autoregressive"))
    z = torch.arange(12)[None]
    noised = z >= 5
    assert torch.equal(loaded.logits(z, noised), loaded.logits(z))
    changed = z.clone()
    changed[:, 7:] = 9
    assert torch.equal(loaded.logits(z)[:, :7], loaded.logits(changed)[:, :7])


def test_attention_and_prompt_rule_narrow_each_other(make_run) -> None:
    loaded = difflaw.load(make_run())
    z = torch.arange(12)[None].repeat(2, 1)
    noised = torch.arange(12).repeat(2, 1) >= 4
    rule = torch.tensor(prompt_attention(noised.numpy()))
    padding = torch.ones(2, 12, 12, dtype=torch.bool)
    padding[:, :, 10:] = False
    both = loaded.logits(z, attention=rule & padding)
    assert torch.equal(loaded.logits(z, noised, padding), both)
    assert not torch.equal(loaded.logits(z, noised), both)
    assert torch.equal(loaded.logits(z, torch.ones_like(noised)), loaded.logits(z))


def test_a_network_told_lambda_hears_it(make_run) -> None:
    if "adaln" not in difflaw.load(make_run("plain")).config.model_dump():
        pytest.skip("no network with adaLN here")
    loaded = difflaw.load(make_run("told", family="duo", adaln=True))
    z = torch.arange(12)[None]
    quiet, loud = torch.tensor([[4.0]]), torch.tensor([[-4.0]])
    assert torch.equal(loaded.logits(z, log_snr_BL=quiet), loaded.logits(z, log_snr_BL=quiet))
    told = loaded.family.condition(quiet.expand(1, 12))
    expected = loaded.model.logits(z, sigma=told)
    assert torch.equal(loaded.logits(z, log_snr_BL=quiet), expected)
    heard = not torch.equal(told, loaded.family.condition(loud.expand(1, 12)))
    assert heard != torch.equal(loaded.logits(z, log_snr_BL=quiet), loaded.logits(z, log_snr_BL=loud))
    with pytest.raises(InputError, match="float32 only"):
        difflaw.load(make_run("told2", family="duo", adaln=True), dtype="bfloat16")


# -- what cannot be read ------------------------------------------------------------------------------------------


def refusal(path, **options) -> str:
    with pytest.raises(InputError) as refused:
        difflaw.load(path, **options)
    assert len(str(refused.value).splitlines()) <= 2
    return str(refused.value)


def test_places_without_a_model(make_run, tmp_path, monkeypatch) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no config.json" in refusal(tmp_path / "empty")
    run = make_run("ladder/runs/cell")
    (tmp_path / "ladder/ladder.json").write_text("{}")
    message = refusal(tmp_path / "ladder")
    assert "a ladder's folder" in message
    assert str(run) in message
    assert "is a file" in refusal(run / "config.json")
    shutil.rmtree(run / "checkpoints")
    assert "no checkpoint yet; the run is queued" in refusal(run)


def test_pickles(make_run, tmp_path) -> None:
    (tmp_path / "model.pt").write_bytes(b"\x80")
    assert "a pickle can run code" in refusal(tmp_path / "model.pt")
    assert "model.pt: a pickle" in refusal(tmp_path)
    export(make_run(), tmp_path / "out")
    (tmp_path / "out/model.safetensors").rename(tmp_path / "out/pytorch_model.bin")
    assert "pytorch_model.bin: a pickle" in refusal(tmp_path / "out")


def test_damaged_runs(make_run) -> None:
    run = make_run()
    weights = run / "checkpoints/step-000000020/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    message = refusal(run)
    assert str(weights) in message
    assert "truncated in tensor" in message
    config = json.loads((run / "config.json").read_text())
    for change, word in (({"data_hash": "../x"}, "data_hash"), ({"family": "gid"}, "unknown family"), ({"x": 1}, "x")):
        (run / "config.json").write_text(json.dumps({**config, **change}))
        assert word in refusal(run)
    assert "dtype 'half'" in refusal(make_run("other"), dtype="half")


def test_another_vocabulary(make_run, tmp_path) -> None:
    folder = export(make_run(), tmp_path / "out").folder
    state = json.loads((folder / "tokenizer.json").read_text())
    state["model"]["vocab"]["extra"] = 270
    (folder / "tokenizer.json").write_text(json.dumps(state))
    assert "another vocabulary: it has id 270, the network only 270 ids" in refusal(folder)
    config = json.loads((folder / "config.json").read_text())
    del state["model"]["vocab"]["extra"]
    (folder / "tokenizer.json").write_text(json.dumps(state))
    (folder / "config.json").write_text(json.dumps({**config, "mask_token_id": 9}))
    assert "its mask is id 3, the network's is 9" in refusal(folder)
    (folder / "tokenizer.json").write_text("{")
    assert "not a tokenizer" in refusal(folder)


@pytest.mark.parametrize(
    ("own", "word"),
    [
        ({"family": 3}, "difflaw.family"),
        ({"family": "nobody"}, "unknown family"),
        ({"family": "gidd", "family_options": {"speed": 1}}, "no option 'speed'"),
        ({"family": "gidd", "conditioning": {"prompt_probability": 2}}, "difflaw.conditioning"),
    ],
)
def test_our_own_key_is_checked(make_run, tmp_path, own: dict, word: str) -> None:
    folder = export(make_run(), tmp_path / "out").folder
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "difflaw": own}))
    assert word in refusal(folder)


def test_code_beside_a_checkpoint_is_not_run(make_run, tmp_path) -> None:
    folder = export(make_run(), tmp_path / "out").folder
    for name in ("modeling_gidd.py", "configuration_gidd.py"):
        (folder / name).write_text("raise SystemExit('code of a checkpoint was run')")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_gidd.GiddForDiffusionLM"}
    (folder / "config.json").write_text(json.dumps(config))
    assert difflaw.load(folder).info["label"] == "run"


# -- the Hub ------------------------------------------------------------------------------------------------------


def test_the_hub_is_asked_for_safe_files_only(make_run, tmp_path, monkeypatch) -> None:
    folder = export(make_run(), tmp_path / "out").folder
    asked = {}

    def snapshot(repo, **options):
        asked.update(options, repo=repo)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert difflaw.load("somebody/gidd-unif-3b").info["label"] == "run"
    assert asked == {"repo": "somebody/gidd-unif-3b", "allow_patterns": list(HUB_FILES)}
    unwanted = ("pytorch_model.bin", "modeling_gidd.py", "weights.pt", "README.md")
    assert not any(Path(name).match(pattern) for name in unwanted for pattern in HUB_FILES)
    wanted = ("model-00001-of-00004.safetensors", "model.safetensors.index.json", "tokenizer.json", "config.json")
    assert all(any(Path(name).match(pattern) for pattern in HUB_FILES) for name in wanted)


@pytest.mark.parametrize("kind", ["offline", "gone"])
def test_the_hub_may_not_answer(monkeypatch, kind: str) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def snapshot(repo, **options):
        raise LocalEntryNotFoundError("no connection\nmore") if kind == "offline" else OSError("gone")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    message = refusal("runs/typo")
    assert message.startswith("runs/typo: no such folder here, and not from the Hub either: ")
    assert "more" not in message


def test_the_package_stays_cheap_to_import() -> None:
    code = "import sys, difflaw; print('torch' in sys.modules, 'load' in dir(difflaw) or callable(difflaw.load))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="nothing"):
        difflaw.nothing  # noqa: B018
