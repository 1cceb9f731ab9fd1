"""An export loads back bit by bit, says what the run was, and appears whole or not at all."""

from __future__ import annotations

import json
import os

import pytest
import torch

import difflaw
from difflaw.errors import InputError
from difflaw.training import export as module
from difflaw.training.export import export, parse_size


@pytest.mark.parametrize("family", ["balanced", "low-uniform", "mdlm", "duo", "autoregressive", "esolm", "block"])
@pytest.mark.parametrize("shard_size", ["5GB", "10KB"])
def test_bit_by_bit(make_run, tmp_path, family: str, shard_size: str) -> None:
    run = make_run(family=family)
    done = export(run, tmp_path / "out", shard_size=shard_size)
    assert ("model.safetensors.index.json" in done.files) == (shard_size == "10KB")
    before, after = difflaw.load(run), difflaw.load(tmp_path / "out")
    pairs = zip(before.model.named_parameters(), after.model.named_parameters(), strict=True)
    assert all(m == n and torch.equal(p, q) for (m, p), (n, q) in pairs)
    assert after.config == before.config
    z = torch.arange(24).view(2, 12)
    assert torch.equal(before.logits(z), after.logits(z))
    assert type(after.family) is type(before.family)
    assert after.family.conditioning == before.family.conditioning
    assert after.family.span == before.family.span
    assert getattr(after.family, "mixing", None) == getattr(before.family, "mixing", None)
    assert {**after.info, "source": ""} == {**before.info, "source": ""}
    assert before.tokenizer is not None
    assert after.tokenizer is not None
    assert after.tokenizer.to_str() == before.tokenizer.to_str()


def test_what_the_folder_says(make_run, tmp_path) -> None:
    done = export(make_run("mine", "low-uniform"), tmp_path / "a/out")
    assert done.files == ("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    config = json.loads((done.folder / "config.json").read_text())
    expected = {"model_type": "gidd", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    expected |= {"max_position_embeddings": 12, "noise_type": -2.0, "head_scaling": 32.0, "is_causal": False}
    expected |= {"vocab_size": 270, "mask_token_id": 3, "intermediate_size": 64, "dtype": "float32"}
    assert expected.items() <= config.items()
    assert config["difflaw"]["family_options"] == {"noise_type": "low-uniform"}
    assert config["difflaw"]["conditioning"]["prompt_probability"] == 0.2
    tokens = json.loads((done.folder / "tokenizer_config.json").read_text())
    assert tokens["mask_token"] == "<|mask|>"
    modes = {os.stat(done.folder / name).st_mode & 0o777 for name in done.files}
    assert len(modes) == 1


def test_half_the_size_on_request(make_run, tmp_path) -> None:
    run = make_run()
    done = export(run, tmp_path / "out", dtype="bfloat16")
    loaded = difflaw.load(tmp_path / "out")
    assert loaded.dtype == torch.bfloat16
    assert json.loads((done.folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert torch.equal(loaded.model.lm_head.weight, difflaw.load(run, dtype="bfloat16").model.lm_head.weight)
    assert torch.equal(loaded.model.model.norm.weight, difflaw.load(run).model.model.norm.weight)


def test_a_published_checkpoint_can_be_exported_again(shared, tmp_path) -> None:
    """Not carried in tests/facts: a folder in the published form, weights included."""
    source = shared / "golden/gidd_model/noqk_tied"
    with pytest.warns(UserWarning, match="golden_seed"):
        before = difflaw.load(source)
    with pytest.warns(UserWarning, match="golden_seed"):
        export(source, tmp_path / "out")
    after = difflaw.load(tmp_path / "out")
    z = torch.arange(60)[None]
    assert torch.equal(before.logits(z), after.logits(z))
    assert after.family.mixing == before.family.mixing


def test_without_vocabulary_it_says_so(make_run, tmp_path) -> None:
    done = export(make_run(tokenizer=False), tmp_path / "out")
    assert not done.has_tokenizer
    assert "tokenizer.json" not in done.files
    assert "There is no tokenizer here" in (done.folder / "README.md").read_text()


def test_whole_or_not_at_all(make_run, tmp_path, monkeypatch) -> None:
    run = make_run()

    def fails(loaded):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "model_card", fails)
        with pytest.raises(InputError, match="disk is full"):
            export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))
    (tmp_path / "out").mkdir()
    export(run, tmp_path / "out")
    with pytest.raises(InputError, match="is not empty"):
        export(run, tmp_path / "out")
    with pytest.raises(InputError, match="is not empty"):
        export(run, run / "config.json")


def test_sizes() -> None:
    assert parse_size("5GB") == 5 * 10**9
    assert parse_size(" 1.5 gib") == 3 * 2**29
    assert parse_size("1000") == 1000
    for text in ("", "GB", "5 apples", "0", "-1GB", "1e9"):
        with pytest.raises(InputError, match="shard size"):
            parse_size(text)


def test_another_feed_forward_width_and_a_head_scaled_by_its_side_come_back(make_run, tmp_path) -> None:
    run = make_run(feed_forward_width=20, head_scale="fan_in")
    done = export(run, tmp_path / "out")
    raw = json.loads((done.folder / "config.json").read_text())
    assert (raw["intermediate_size"], raw["head_scaling"]) == (20, "fan_in")
    z = torch.arange(4, 16)[None]
    assert torch.equal(difflaw.load(done.folder).logits(z), difflaw.load(run).logits(z))
    assert difflaw.load(done.folder).config == difflaw.load(run).config
