"""`difflaw train`: one run, its resume, its refusals."""

from __future__ import annotations

import json
import shutil
from functools import partial
from typing import Any

import yaml

RUN: dict[str, Any] = {
    "name": "one",
    "data": {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 40_000}},
    "context": 16,
    "family": "balanced",
    "width": 8,
    "depth": 1,
    "tokens": 10_240,
    "batch": 256,
    "lr": 0.2,
    "evaluation": {"sequences": 16, "points": 2},
}


def test_one_run_and_again(difflaw, tmp_path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN))
    first = difflaw("train", tmp_path / "run.yaml", "-o", tmp_path / "out", "--json")
    assert first.code == 0, first.err
    summary = json.loads(first.out)
    assert summary["status"] == "done"
    assert summary["bound"] > 0
    config = json.loads((tmp_path / "out/config.json").read_text())
    # the same recipe as a ladder's cell, unless the file says otherwise
    assert config["conditioning"] == {
        "own_noise_probability": 0.0,
        "prompt_probability": 0.0,
        "max_empty_fraction": 0.0,
    }
    assert config["optimizer"]["cooldown_steps"] == 0
    assert (
        json.loads(difflaw("train", tmp_path / "run.yaml", "-o", tmp_path / "out", "--json").out)["bound"]
        == summary["bound"]
    )


def test_refusals(difflaw, tmp_path) -> None:
    path = tmp_path / "run.yaml"
    for changes, word in (
        ({"budget": 1e9}, "either tokens or budget"),
        ({"family": "mask"}, "unknown family"),
        ({"width": 9, "heads": 2}, "width 9"),
        ({"lr": [0.1, 0.2]}, "describe 2 runs"),
        ({"steps": 5}, "unknown key 'steps'"),
        ({"optimizer": "moun"}, "optimizer: Input should be 'laprop', 'adamw' or 'muon'"),
    ):
        path.write_text(yaml.safe_dump({**RUN, **changes}))
        outcome = difflaw("train", path, "-o", tmp_path / "out")
        assert outcome.code == 2, changes
        assert word in outcome.err, outcome.err
        assert "Traceback" not in outcome.err


def test_another_runs_folder(difflaw, tmp_path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(RUN))
    assert difflaw("train", path, "-o", tmp_path / "out", "--json").code == 0
    path.write_text(yaml.safe_dump({**RUN, "lr": 0.3}))
    outcome = difflaw("train", path, "-o", tmp_path / "out")
    assert outcome.code == 2
    assert "another run" in outcome.err


TEXT_RUN: dict[str, Any] = {
    **RUN,
    "data": {"vocab_size": 270},
    "tokens": 6144,
    "family": "masked",
}


def train_on_text(difflaw, tmp_path, **changes: Any):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("the cat sat on the mat and the dog sat on the log\n\n" * 2000)
    data = {**TEXT_RUN["data"], "corpus": str(corpus)}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**TEXT_RUN, "data": data, "max_epochs": 100, **changes}))
    return difflaw("train", tmp_path / "run.yaml", "-o", tmp_path / "out")


def test_a_run_stands_alone(difflaw, tmp_path) -> None:
    """Without the data it was made from it still reads prompts, writes text and exports its vocabulary."""
    done = train_on_text(difflaw, tmp_path)
    assert done.code == 0, done.err
    shutil.rmtree(tmp_path / "cache")
    said = difflaw("sample", tmp_path / "out", "--prompt", "the cat", "--max-tokens", 4, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["texts"][0]["text"].startswith("the cat")
    report = difflaw("export", tmp_path / "out", tmp_path / "exported", "--json")
    assert json.loads(report.out)["tokenizer"] is True
    kept = (tmp_path / "out/tokenizer.json").read_text()
    assert json.loads((tmp_path / "exported/tokenizer.json").read_text()) == json.loads(kept)
    # a run made before, whose folder has none: as it was
    (tmp_path / "out/tokenizer.json").unlink()
    assert difflaw("sample", tmp_path / "out", "--max-tokens", 4, "--json").code == 0
    refused = difflaw("sample", tmp_path / "out", "--prompt", "the cat")
    assert refused.code == 2


def test_a_distilled_run_stands_alone(difflaw, tmp_path) -> None:
    assert train_on_text(difflaw, tmp_path, family="duo").code == 0
    done = difflaw("distill", tmp_path / "out", "--rounds", 1, "--steps", 3, "--threads", 1, "--json")
    assert done.code == 0, done.err
    shutil.rmtree(tmp_path / "cache")
    said = difflaw("sample", tmp_path / "out-distilled", "--prompt", "the", "--max-tokens", 4, "--json")
    assert json.loads(said.out)["texts"][0]["text"].startswith("the")


def test_every_bound_is_shown_and_a_resumed_run_says_so(difflaw, tmp_path, monkeypatch) -> None:
    from difflaw.api import runs
    from difflaw.training import loop

    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**RUN, "evaluation": {"sequences": 16, "points": 3}}))
    command = ("train", tmp_path / "run.yaml", "-o", tmp_path / "out", "--threads", 1)
    step, made = loop._update, []

    def interrupted(*given: Any) -> Any:
        made.append(given)
        if len(made) > 30:
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(loop, "_update", interrupted)
    monkeypatch.setattr(runs, "Execution", partial(loop.Execution, checkpoint_seconds=0.0))
    first = difflaw(*command)
    assert first.code == 130
    assert "step 0: validation bound" in first.err
    assert "resuming" not in first.err
    monkeypatch.setattr(loop, "_update", step)
    second = difflaw(*command)
    assert second.code == 0, second.err
    assert "resuming at step 30 of 40" in second.err
    assert "step 40: validation bound" in second.err
    assert "nats per token" in second.err
    assert "step 0: validation bound" not in second.err


def test_words_that_compile_does_not_know(difflaw, tmp_path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN))
    outcome = difflaw("train", tmp_path / "run.yaml", "--compile", "perhaps")
    assert outcome.code == 2
    assert "'auto', 'on', 'off'" in outcome.err
    assert outcome.err.count("\n") == 1
