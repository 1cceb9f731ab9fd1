"""One recipe for cells, single runs and plans: same defaults, round trip, and differences that are named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from difflaw.data.store import prepare
from difflaw.ladder.cell import build_family
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.plan import make_plan
from difflaw.ladder.single import TrainConfig, plan_single
from difflaw.training.config import RunConfig
from difflaw.training.recipe import Recipe, differences
from difflaw.yaml_config import validate

DATA = {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 60_000}}
RUN: dict[str, Any] = {
    **{"name": "one", "data": DATA, "context": 16, "family": "masked", "width": 8, "depth": 1},
    **{"tokens": 10_240, "batch": 256, "lr": 0.2},
}
LADDER: dict[str, Any] = {
    **{"name": "one", "data": DATA, "context": 16, "families": ["masked"], "rungs": [{"width": 8, "depth": 1}]},
    **{"horizons": [10_240], "batch": 256, "lr": 0.2},
}


@pytest.mark.parametrize(
    "changes", [{}, {"conditioning": "intended", "cooldown": 0.2}, {"optimizer": "muon", "warmup": 7, "z_loss": 1e-4}]
)
def test_a_single_run_is_the_ladders_cell(cache, changes) -> None:
    single = validate({**RUN, **changes}, TrainConfig, "here")
    ladder = validate({**LADDER, **changes}, LadderConfig, "here")
    assert single.recipe == ladder.recipe
    store = prepare(single.data, cache)
    (cell,) = make_plan(ladder, store).cells
    assert plan_single(single, store).run == cell.run


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"batch": 512, "lr": [0.1, 0.2], "conditioning": "as-run", "cooldown": 0.1, "model": {"soft_cap": 20.0}},
        {"lr": {"law": "paper", "factors": [0.5, 2.0]}, "conditioning": {"prompt_probability": 0.3}},
        {"noise_levels": "spread"},
    ],
)
def test_written_and_read_back(raw) -> None:
    recipe = Recipe.model_validate(raw)
    assert Recipe.model_validate(json.loads(json.dumps(recipe.written()))) == recipe


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, None),
        ({"conditioning": "intended"}, "conditioning: prompt_probability: 0.0 planned, 0.2 run"),
        ({"cooldown": 0.2}, "optimizer: cooldown_steps: 0 planned, 8 run"),
        ({"optimizer": "muon"}, "optimizer: name: laprop planned, muon run"),
        ({"weight_decay": 0.1}, "optimizer: weight_decay: 0.0 planned, 0.1 run"),
        ({"z_loss": 1e-4}, "z_loss: 0.0 planned, 0.0001 run"),
        ({"warmup": 0.5}, "optimizer: warmup_steps: 2 planned, 20 run"),
        ({"noise_levels": "spread"}, "noise_levels: independent planned, spread run"),
    ],
)
def test_differences_are_named(cache, changes, named) -> None:
    planned = validate(RUN, TrainConfig, "here")
    made = validate({**RUN, **changes}, TrainConfig, "here")
    run = plan_single(made, prepare(made.data, cache)).run
    found = differences(planned.written(), json.loads(run.canonical()))
    assert (named is None and found == []) or named in found


def test_spread_runs_are_built_so_and_old_ones_keep_their_names(cache) -> None:
    store = prepare(validate(RUN, TrainConfig, "here").data, cache)
    old, new = (
        plan_single(validate({**RUN, **more}, TrainConfig, "here"), store).run
        for more in ({}, {"noise_levels": "spread"})
    )
    assert "noise_levels" not in json.loads(old.canonical())
    assert json.loads(new.canonical())["noise_levels"] == "spread"
    for run, rule in ((old, "independent"), (new, "spread")):
        assert build_family(run).conditioning.noise_levels == rule
        assert RunConfig.model_validate(json.loads(run.canonical())) == run
    planned = validate({**RUN, "noise_levels": "spread"}, TrainConfig, "here").written()
    assert differences(planned, json.loads(old.canonical())) == ["noise_levels: spread planned, independent run"]
