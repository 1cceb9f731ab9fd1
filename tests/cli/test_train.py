"""`difflaw train`: one run, its resume, its refusals."""

from __future__ import annotations

import json
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
