"""Plain transformers reads what we export, without remote code, and says the same to the last bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import difflaw
from difflaw.errors import InputError
from difflaw.training.export import export

if not os.environ.get("CI"):
    pytest.importorskip("transformers")

import transformers

from difflaw.huggingface import DifflawForCausalLM, GiddConfig

Z = torch.arange(24).view(2, 12)


def opened(folder, **options):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, **options)


@pytest.mark.parametrize("family", ["balanced", "autoregressive"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_same_bits(make_run, tmp_path, family: str, dtype: str) -> None:
    folder = export(make_run(family=family), tmp_path / "out", shard_size="10KB", dtype=dtype).folder  # type: ignore[arg-type]
    ours, theirs = difflaw.load(folder), opened(folder, dtype="auto")
    assert type(theirs) is DifflawForCausalLM
    pairs = zip(ours.model.named_parameters(), theirs.named_parameters(), strict=True)
    assert all(m == n and p.dtype == q.dtype and torch.equal(p, q) for (m, p), (n, q) in pairs)
    assert torch.equal(theirs(Z).logits, ours.logits(Z))
    positions = torch.arange(12).flip(0).expand(2, -1)
    assert torch.equal(theirs(Z, position_ids=positions).logits, ours.logits(Z, positions=positions))


@pytest.mark.parametrize("name", ["ckptlike", "fanin_nobias", "noqk_tied"])
def test_golden_logits(shared, name: str) -> None:
    """The weights are a file, too large to carry; tests/facts has a small network from a seed."""
    folder = shared / "golden/gidd_model" / name
    model, io = opened(folder, dtype=torch.float32), np.load(folder / "io.npz")
    ids = torch.tensor(io["input_ids"])
    masks = {"logits_full": None}
    masks |= {f"logits_{kind}": torch.tensor(io[f"mask_{kind}"]) for kind in ("pad2d", "block3d", "random3d")}
    with torch.no_grad():
        for key, mask in masks.items():
            logits = model(ids, attention_mask=mask).logits.numpy()
            assert np.abs(logits - io[key]).max() <= 2e-5 * np.abs(io[key]).max(), key


def test_a_tied_head_is_stored_once(shared, tmp_path) -> None:
    """Not carried in tests/facts: as above."""
    with pytest.warns(UserWarning, match="golden_seed"):
        folder = export(shared / "golden/gidd_model/noqk_tied", tmp_path / "out").folder
    model, ids = opened(folder), torch.arange(60)[None]
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert torch.equal(model(ids).logits, difflaw.load(folder).logits(ids))


def test_one_import_is_enough_and_no_code_is_run(make_run, tmp_path) -> None:
    folder = export(make_run(), tmp_path / "out").folder
    code = (
        "import sys, torch, difflaw.huggingface\n"
        "from transformers import AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=False)\n"
        "print(type(model).__name__, tuple(model(torch.arange(5)[None]).logits.shape))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "DifflawForCausalLM (1, 5, 270)"


def test_saved_by_transformers_and_read_by_us(make_run, tmp_path) -> None:
    run = make_run()
    opened(export(run, tmp_path / "out").folder).save_pretrained(tmp_path / "again")
    ours, again = difflaw.load(run), difflaw.load(tmp_path / "again")
    assert again.config == ours.config
    assert torch.equal(again.logits(Z), ours.logits(Z))
    assert {**again.info, "source": ""} == {**ours.info, "source": ""}


def test_the_tokenizer_loses_nothing(make_run, tmp_path) -> None:
    folder = export(make_run(), tmp_path / "out").folder
    theirs, ours = transformers.AutoTokenizer.from_pretrained(folder), difflaw.load(folder).tokenizer
    assert ours is not None
    for text in ("the cat sat on the log", "a <|mask|> b<|end_of_text|>", " naïve\n\ttwo  spaces ", "don 't , stop ."):
        ids = theirs(text)["input_ids"]
        assert ids == ours.encode(text, add_special_tokens=False).ids
        assert 3 not in ids
        assert theirs.decode(ids) == text
    ids = (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id, theirs.mask_token_id)
    assert ids == (0, 1, 2, 3)


def test_padding_of_a_causal_model_leaks_nothing(make_run, tmp_path) -> None:
    for sink in (True, False):
        folder = export(make_run(f"r{sink}", "autoregressive", sink=sink), tmp_path / f"out{sink}").folder
        model = opened(folder)
        mask = torch.ones(2, 12, dtype=torch.long)
        mask[0, :4] = 0
        changed = Z.clone()
        changed[0, :4] = 200
        with torch.no_grad():
            a, b = model(Z, attention_mask=mask).logits, model(changed, attention_mask=mask).logits
        assert a.isfinite().all()
        assert torch.equal(a[0, 4:], b[0, 4:])
        assert torch.equal(a[1], model(Z).logits[1])


def test_a_model_from_a_config_starts_as_ours_does(make_run, tmp_path) -> None:
    folder = export(make_run(), tmp_path / "out").folder
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder))
    assert not model.lm_head.weight.any()
    assert not model.model.layers[0].attn_layernorm.weight.any()
    assert not model.model.layers[0].self_attn.k_bias.any()
    assert float(model.model.layers[0].mlp.up_proj.weight.detach().std()) == pytest.approx(0.1, rel=0.1)
    assert float(model.model.embed_tokens.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_unsupported_keys_are_named_here_too(make_run, tmp_path) -> None:
    folder = export(make_run(), tmp_path / "out").folder
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "head_dim": 5}))
    with pytest.raises(InputError, match="head_dim: 5 is not supported"):
        opened(folder)
    assert GiddConfig().published().model.context == 1024


def test_without_transformers_the_message_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "difflaw.huggingface")
    with pytest.raises(InputError, match=r"pip install 'difflaw\[hf\]'"):
        import difflaw.huggingface  # noqa: F401
