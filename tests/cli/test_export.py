"""`difflaw export`: what it prints, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture
def difflaw_here(difflaw, monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFLAW_CACHE", str(tmp_path / "cache"))
    return difflaw


def test_a_line_or_an_object(make_run, difflaw_here, tmp_path) -> None:
    run = make_run("mine")
    outcome = difflaw_here("export", run, tmp_path / "a")
    assert outcome.code == 0, outcome.err
    assert "mine" in outcome.out
    assert "bound 3.0000 ± 0.2500 nats per token" in outcome.out
    assert outcome.err == ""
    outcome = difflaw_here("export", run, tmp_path / "b", "--shard-size", "10KB", "--dtype", "bfloat16", "--json")
    report = json.loads(outcome.out)
    assert report["folder"] == str(tmp_path / "b")
    assert report["tokenizer"] is True
    assert report["bound"] == 3.0
    assert "model.safetensors.index.json" in report["files"]
    from difflaw import load

    assert load(tmp_path / "b").dtype == torch.bfloat16


def test_a_run_whose_data_is_gone(make_run, difflaw_here, tmp_path) -> None:
    outcome = difflaw_here("export", make_run(tokenizer=False), tmp_path / "out")
    assert outcome.code == 0
    assert "written without a tokenizer: the run's data, hash-of-run, is synthetic or no longer" in outcome.err
    assert (tmp_path / "out/model.safetensors").exists()


def test_refusals(make_run, difflaw_here, tmp_path) -> None:
    run = make_run()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    for arguments, word in (
        ((tmp_path / "nowhere", tmp_path / "out"), "no such folder"),
        ((run, tmp_path / "full"), "is not empty"),
        ((run, tmp_path / "out", "--shard-size", "big"), "shard size 'big'"),
        ((run, tmp_path / "out", "--dtype", "int8"), "'int8' is not one of 'auto', 'float32'"),
    ):
        outcome = difflaw_here("export", *arguments)
        assert outcome.code == 2, arguments
        assert word in outcome.err, outcome.err
        assert "Traceback" not in outcome.err
        assert not (tmp_path / "out").exists()
