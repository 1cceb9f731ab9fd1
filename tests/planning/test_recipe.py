"""A planned run is the run that was planned: the law's recipe goes into the config, and a run is held against it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import difflaw
from difflaw.data.store import prepare
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.single import TrainConfig, plan_single
from difflaw.law.document import Laws
from difflaw.planning.preregister import score, store
from difflaw.planning.recommend import write_train_config
from difflaw.training.recipe import Recipe
from difflaw.training.run_directory import RunDirectory
from difflaw.yaml_config import load

RECIPE = {
    "conditioning": "intended",
    "cooldown": 0.1,
    "optimizer": "muon",
    "batch": 1024,
    "lr": 0.05,
    "warmup": 30,
    "noise_levels": "spread",
}
OWN = {"label": "noisy", "name": "esolm", "options": {"alpha_0": 0.3}}


@pytest.fixture(scope="module")
def laws(tmp_path_factory) -> Laws:
    """Laws of a ladder that was trained its own way, one family under a label of its own."""
    table = difflaw.example_table()
    table["family"] = table["family"].replace({"uniform": "noisy"})
    table[["params", "tokens"]] /= 3e3  # budgets from 1e10 on, so that a plan is a run of minutes
    table["flops"] /= 9e6
    folder = tmp_path_factory.mktemp("ladder")
    path = difflaw.fit(table).write(folder / "laws.json")
    raw = json.loads(path.read_text())
    raw |= {"recipe": Recipe.model_validate(RECIPE).written(), "family_configs": {"noisy": OWN}}
    path.write_text(json.dumps(raw))
    return Laws.read(path)


def test_the_config_has_the_ladders_recipe(laws, tmp_path) -> None:
    for chosen in difflaw.plan(laws, flops=3e11):
        path = tmp_path / f"{chosen.family}.yaml"
        write_train_config(path, chosen, "my/texts")
        config = load(path, TrainConfig)
        for key in Recipe.model_fields:
            if key not in ("batch", "lr"):
                assert getattr(config, key) == getattr(Recipe.model_validate(RECIPE), key), key
        assert config.batch.only_value == chosen.batch_tokens == 1024
        assert config.lr.only_value == 0.05
    assert config.family.label in ("masked", "noisy")
    noisy = load(tmp_path / "noisy.yaml", TrainConfig).family
    assert (noisy.name, noisy.options) == ("esolm", {"alpha_0": 0.3})


def test_a_published_law_is_planned_as_it_was_trained(tmp_path) -> None:
    """2512.10858 trains on a mixture of diffusion forcing and prompts; its losses are those after a cooldown."""
    write_train_config(tmp_path / "run.yaml", difflaw.plan("published:gidd", flops=1e20)[0], "my/texts")
    config = load(tmp_path / "run.yaml", TrainConfig)
    assert (config.conditioning, config.cooldown, config.warmup) == ("as-run", 0.2, 2000)


def test_every_key_of_the_recipe_is_compared(laws, tmp_path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog sat on the log; " * 4000)
    plans = difflaw.plan(laws, flops=3e11, families=["masked"], vocab_size=270, context=32)
    store(tmp_path / "plan.json", plans, str(laws.path))
    write_train_config(tmp_path / "run.yaml", plans[0], str(tmp_path / "text.txt"))
    for overrides, named in (
        ([], None),
        (["conditioning=none"], "conditioning: prompt_probability: 0.2 planned, 0.0 run"),
        (["cooldown=0"], "optimizer: cooldown_steps"),
        (["optimizer=laprop"], "optimizer: name: muon planned, laprop run"),
        (["weight_decay=0.1"], "optimizer: weight_decay: 0.0 planned, 0.1 run"),
        (["lr=0.1"], "lr: 0.05 planned, 0.1 run"),
        (["noise_levels=independent"], "noise_levels: spread planned, independent run"),
    ):
        config = load(tmp_path / "run.yaml", TrainConfig, [*overrides, "max_epochs=1e9"])
        found = _finished(config, tmp_path / f"run-{len(overrides)}-{named}", tmp_path / "cache")
        differences = score(tmp_path / "plan.json", found).differences
        assert (named is None and not differences) or any(named in line for line in differences), (named, differences)


def test_ladders_and_runs_have_the_same_defaults() -> None:
    for key in Recipe.model_fields:
        assert LadderConfig.model_fields[key].default == TrainConfig.model_fields[key].default, key


def _finished(config: TrainConfig, path: Path, cache: Path) -> Path:
    """The folder of a run that was made as ``config`` says, its training left out."""
    run = plan_single(config, prepare(config.data, cache)).run
    directory = RunDirectory(path)
    directory.create(run)
    tokens = run.steps * run.tokens_per_step
    directory.finish({"status": "done", "bound": 3.0, "tokens": tokens, "note": ""})
    return path
