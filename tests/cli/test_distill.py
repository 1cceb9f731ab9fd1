"""`difflaw distill`: from a trained run to a distilled one, and its refusals."""

from __future__ import annotations

import json

import yaml

RUN = {
    "name": "one",
    "data": {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 40_000}},
    "context": 16,
    "family": "duo",
    "width": 8,
    "depth": 1,
    "tokens": 10_240,
    "batch": 256,
    "lr": 0.2,
    "evaluation": {"sequences": 16, "points": 2},
}


def test_distil_and_again(difflaw, tmp_path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN))
    assert difflaw("train", tmp_path / "run.yaml", "-o", tmp_path / "out").code == 0
    ask = ("distill", tmp_path / "out", "--rounds", "2", "--steps", "5", "--json")
    first = difflaw(*ask)
    assert first.code == 0, first.err
    summary = json.loads(first.out)
    assert summary["status"] == "done"
    assert summary["directory"].endswith("out-distilled")
    assert json.loads(difflaw(*ask).out)["bound"] == summary["bound"]
    config = json.loads((tmp_path / "out-distilled/config.json").read_text())
    assert config["distillation"]["steps_per_round"] == 5
    assert abs(config["optimizer"]["lr"] - 0.04) < 1e-12
    other = difflaw(*ask[:-2], "6")
    assert other.code == 2
    assert "holds another run" in other.err


def test_refusals(difflaw, tmp_path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**RUN, "family": "masked"}))
    assert difflaw("train", tmp_path / "run.yaml", "-o", tmp_path / "masked").code == 0
    for arguments, words in (
        ((tmp_path / "masked",), "cannot be distilled"),
        ((tmp_path / "nowhere",), "no such file"),
        ((tmp_path / "masked", "--rounds", "0"), "cannot be distilled"),
    ):
        result = difflaw("distill", *arguments)
        assert result.code == 2, arguments
        assert words in result.err
        assert "Traceback" not in result.err
