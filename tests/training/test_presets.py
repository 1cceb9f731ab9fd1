"""A preset fills in what a page does not say, and is gone once it has: what is stored are values."""

from __future__ import annotations

from typing import Any

import pytest

from difflaw.data.store import prepare
from difflaw.errors import InputError
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.plan import make_plan
from difflaw.ladder.single import TrainConfig, plan_single
from difflaw.training.presets import EVERYWHERE, SINGLE_RUN
from difflaw.yaml_config import load, validate

RUN = {
    "name": "one",
    "data": {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 60_000}},
    **{"context": 16, "family": "masked", "width": 8, "depth": 1, "tokens": 10_240, "batch": 256, "lr": 0.2},
}


def run_of(cache, **changes: Any):
    config = validate({**RUN, **changes}, TrainConfig, "here")
    return plan_single(config, prepare(config.data, cache)).run


def test_every_key_of_a_preset_is_a_key_of_the_page() -> None:
    for preset in ("paper", "modern"):
        assert set(EVERYWHERE[preset]) <= set(LadderConfig.model_fields)
        assert set(EVERYWHERE[preset] | SINGLE_RUN[preset]) <= set(TrainConfig.model_fields)


def test_paper_is_what_is_meant_when_nothing_is_said(cache, write_ladder) -> None:
    assert run_of(cache).name == run_of(cache, preset="paper").name
    assert load(write_ladder(), LadderConfig) == load(write_ladder(preset="paper"), LadderConfig)


def test_modern_is_the_same_as_its_values_written_out(cache, write_ladder) -> None:
    modern = run_of(cache, preset="modern")
    assert modern.name == run_of(cache, **EVERYWHERE["modern"], **SINGLE_RUN["modern"]).name
    assert modern.name != run_of(cache).name
    assert modern.optimizer.name == "muon"
    assert modern.optimizer.cooldown_steps == round(SINGLE_RUN["modern"]["cooldown"] * modern.steps)
    assert "preset" not in modern.canonical()
    ladder = load(write_ladder(preset="modern"), LadderConfig)
    plain = load(write_ladder(**EVERYWHERE["modern"]), LadderConfig)
    assert ladder.model_dump() == plain.model_dump()
    assert "preset" not in ladder.model_dump()
    assert LadderConfig.model_validate(ladder.model_dump()).optimizer == "muon"


def test_a_ladder_keeps_its_rate_constant(write_ladder, cache) -> None:
    config = load(write_ladder(preset="modern"), LadderConfig)
    cells = make_plan(config, prepare(config.data, cache)).cells
    assert {cell.run.optimizer.cooldown_steps for cell in cells} == {0}


def test_keys_that_are_given_win(cache, write_ladder) -> None:
    run = run_of(cache, preset="modern", optimizer="adamw", cooldown=0)
    assert run.optimizer.name == "adamw"
    assert run.optimizer.cooldown_steps == 0
    given = load(write_ladder(preset="modern"), LadderConfig, ["optimizer=laprop"])
    assert given.optimizer == "laprop"


@pytest.mark.parametrize("preset", ["modrn", 3, ["modern"], None])
def test_another_name_is_refused(write_ladder, preset: Any) -> None:
    with pytest.raises(InputError, match="preset: Input should be 'paper' or 'modern'"):
        load(write_ladder(preset=preset), LadderConfig)
    with pytest.raises(InputError, match="preset: Input should be 'paper' or 'modern'"):
        validate({**RUN, "preset": preset}, TrainConfig, "here")
