"""A run that grows is one run however often it is stopped and taken further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from safetensors.torch import load_file

from difflaw.data.config import DataConfig
from difflaw.data.store import TokenStore, prepare
from difflaw.errors import InputError
from difflaw.ladder.cell import run_cell
from difflaw.model.config import ModelConfig
from difflaw.training.config import OptimizerConfig, RunConfig
from difflaw.training.loop import Execution
from difflaw.training.run_directory import RunDirectory

STORE = {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 40_000}}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> TokenStore:
    return prepare(DataConfig.model_validate(STORE), tmp_path_factory.mktemp("cache"))


def config(store: TokenStore, steps: int, points: tuple[int, ...], **changes: Any) -> RunConfig:
    given: dict[str, Any] = {
        "family": "gidd",
        "label": "masked",
        "model": ModelConfig(vocab_size=store.vocab_size, layers=1, width=8, heads=1, context=16),
        "data_hash": store.folder.name,
        "mask_id": store.mask_id,
        "batch_sequences": 8,
        "optimizer": OptimizerConfig(name="muon", lr=0.1, warmup_steps=5),
        "evaluation_sequences": 8,
        "steps": steps,
        "evaluation_steps": points,
        "grows": True,
    }
    return RunConfig(**{**given, **changes})


def bounds(path: Path) -> dict[int, float]:
    return {record["step"]: record["bound"] for record in RunDirectory(path).records("evaluation")}


def weights(path: Path) -> dict[str, Any]:
    return load_file(sorted((path / "checkpoints").glob("step-*"))[-1] / "model.safetensors")


def test_the_horizon_is_no_part_of_what_a_run_is(store) -> None:
    short, long = config(store, 20, (10,)), config(store, 60, (10, 40))
    assert short.name == long.name
    assert short.canonical() != long.canonical()
    assert config(store, 20, (), grows=False).name != config(store, 60, (), grows=False).name
    assert config(store, 20, (), grows=False).name != short.name
    assert short.longer(long).steps == 60
    assert long.longer(short).evaluation_steps == (10, 40)
    with pytest.raises(ValueError, match="not the same run"):
        short.longer(config(store, 60, (), seed=1))


def test_a_run_taken_further_ends_as_one_that_went_straight_there(store, tmp_path) -> None:
    grown, straight = tmp_path / "grown", tmp_path / "straight"
    for steps, points in ((20, (10,)), (30, (10, 30)), (60, (10, 40))):
        RunDirectory(grown).create(config(store, steps, points))
        assert run_cell(grown, store)["tokens"] == steps * 8 * 16
    RunDirectory(straight).create(config(store, 60, (10, 20, 30, 40)))
    run_cell(straight, store)
    assert bounds(grown) == bounds(straight)
    first, second = weights(grown), weights(straight)
    assert all((first[key] == second[key]).all() for key in second)


def test_nothing_is_trained_twice(store, tmp_path) -> None:
    directory = RunDirectory(tmp_path)
    directory.create(config(store, 20, ()))
    run_cell(tmp_path, store)
    directory.create(config(store, 50, ()))
    run_cell(tmp_path, store, Execution(checkpoint_seconds=1e9))
    progress = directory.progress()
    assert progress is not None
    assert progress["first_step"] == 20
    # asked for less than it has, or for the same, it has nothing to do
    for steps in (20, 50):
        directory.create(config(store, steps, ()))
        assert directory.summary() is not None
        assert directory.config().steps == 50


def test_a_run_that_failed_is_not_taken_further(store, tmp_path) -> None:
    directory = RunDirectory(tmp_path)
    directory.create(config(store, 20, ()))
    directory.finish({"status": "failed", "note": "planted"})
    directory.create(config(store, 50, ()))
    assert directory.status() == "failed"


def test_what_depends_on_a_run_s_length_cannot_grow(store, tmp_path) -> None:
    with pytest.raises(ValidationError, match="cooldown"):
        config(store, 50, (), optimizer=OptimizerConfig(lr=0.1, warmup_steps=5, cooldown_steps=5))
    RunDirectory(tmp_path).create(config(store, 20, ()))
    with pytest.raises(InputError, match="another run"):
        RunDirectory(tmp_path).create(config(store, 20, (), seed=3))
    duo = config(store, 20, (), family="duo", family_options={"curriculum": 0.5}, seed=4)
    RunDirectory(tmp_path / "duo").create(duo)
    summary = run_cell(tmp_path / "duo", store)
    assert summary["status"] == "failed"
    assert "curriculum" in summary["note"]
