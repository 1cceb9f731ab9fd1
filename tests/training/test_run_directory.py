"""The run directory: what survives a kill, who may write, what damage is called."""

from __future__ import annotations

import pytest

from difflaw.errors import InputError
from difflaw.training.run_directory import RunDirectory


def test_the_last_word_on_a_step_wins_and_a_cut_line_is_closed(tmp_path) -> None:
    run = RunDirectory(tmp_path)
    run.append({"kind": "train", "step": 1, "loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "step": 2, "lo')
    run.append({"kind": "train", "step": 1, "loss": 0.5})
    run.append({"kind": "train", "step": 0, "loss": 2.0})
    assert [(r["step"], r["loss"]) for r in run.records("train")] == [(0, 2.0), (1, 0.5)]


def test_nan_never_reaches_the_file(tmp_path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        RunDirectory(tmp_path).append({"kind": "train", "step": 1, "loss": float("nan")})


def test_status_follows_lock_and_summary(tmp_path) -> None:
    run = RunDirectory(tmp_path)
    assert run.status() == "queued"
    with run.writing():
        assert run.status() == "running"
    assert run.status() == "queued"
    run.finish({"status": "done"})
    assert run.status() == "done"
    (tmp_path / "summary.json").write_text('{"sta')
    assert run.status() == "queued"


def test_damaged_config_is_named(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"family": "gidd"}')
    with pytest.raises(InputError, match=r"config\.json"):
        RunDirectory(tmp_path).config()
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        RunDirectory(tmp_path).config()


def test_a_vocabulary_is_kept_once(tmp_path) -> None:
    run, source = RunDirectory(tmp_path / "run"), tmp_path / "tokenizer.json"
    run.keep_tokenizer(source)  # synthetic data have none
    assert not (run.path / "tokenizer.json").exists()
    source.write_text("first")
    run.keep_tokenizer(source)
    source.write_text("second")
    run.keep_tokenizer(source)
    assert (run.path / "tokenizer.json").read_text() == "first"
    assert [path.name for path in run.path.iterdir()] == ["tokenizer.json"]
