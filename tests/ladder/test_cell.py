"""One cell: what it learns, what a full disk does to it, what it does with what it cannot run."""

from __future__ import annotations

import errno
import json

import numpy as np
import pytest

from difflaw.data.config import DataConfig
from difflaw.data.store import prepare
from difflaw.errors import InputError
from difflaw.files import NoRoom
from difflaw.ladder.cell import run_cell
from difflaw.ladder.single import TrainConfig, plan_single
from difflaw.training.run_directory import RunDirectory

BASE = {
    "name": "one",
    "data": {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 400_000, "concentration": 0.3}},
    "context": 32,
    "family": "autoregressive",
    "width": 16,
    "depth": 1,
    "tokens": 20_480,
    "batch": 512,
    "lr": 0.3,
    "conditioning": "none",
    "evaluation": {"sequences": 64, "points": 3},
}


def planned(tmp_path, cache, **changes):
    config = TrainConfig.model_validate({**BASE, **changes})
    store = prepare(config.data, cache)
    directory = RunDirectory(tmp_path / "run")
    directory.create(plan_single(config, store).run)
    return directory, store


def test_autoregression_comes_down_to_the_entropy_and_not_below(tmp_path, cache) -> None:
    directory, store = planned(tmp_path, cache, tokens=307_200, evaluation={"sequences": 512, "points": 4})
    summary = run_cell(directory.path, store)
    floor = store.entropy_floor(32)
    assert floor is not None
    bounds = [record["bound"] for record in directory.records("evaluation")]
    assert bounds == sorted(bounds, reverse=True)
    assert (
        floor - 3 * summary["standard_error"] < summary["bound"] < floor + 0.05 * (store.unigram_entropy - floor) + 0.03
    )


def test_loss_and_bound_are_both_logged(tmp_path, cache) -> None:
    directory, store = planned(tmp_path, cache, family="uniform")
    run_cell(directory.path, store)
    train, evaluation = directory.records("train")[-1], directory.records("evaluation")[-1]
    assert train["loss"] < train["bound"]  # the loss is the bound's integrand times p(λ) ≤ 1/4
    assert evaluation["training_loss"] < evaluation["bound"]
    assert set(json.loads((directory.path / "account.json").read_text())["flops_per_token"]) >= {
        "method-1",
        "matmul+head",
    }


def test_a_full_disk_stops_and_loses_nothing(tmp_path, cache, monkeypatch) -> None:
    directory, store = planned(tmp_path, cache)
    append, calls = RunDirectory.append, []

    def full(self, record) -> None:
        calls.append(record)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, record)

    monkeypatch.setattr(RunDirectory, "append", full)
    with pytest.raises(NoRoom, match="disk is full"):
        run_cell(directory.path, store)
    assert directory.summary() is None
    monkeypatch.setattr(RunDirectory, "append", append)
    assert run_cell(directory.path, store)["status"] == "done"


def test_wrong_data_fails_by_name(tmp_path, cache) -> None:
    directory, _ = planned(tmp_path, cache)
    other = prepare(DataConfig.model_validate({**BASE["data"], "synthetic": {"symbols": 9, "tokens": 5000}}), cache)
    summary = run_cell(directory.path, other)
    assert summary["status"] == "failed"
    assert "planned for data" in summary["note"]


def test_conditioned_training_runs_and_is_judged_unconditionally(tmp_path, cache) -> None:
    directory, store = planned(tmp_path, cache, family="balanced", conditioning="intended")
    summary = run_cell(directory.path, store)
    assert summary["status"] == "done"
    assert np.isfinite(summary["bound"])


@pytest.mark.parametrize(
    ("family", "model"),
    [
        ("masked", {}),
        ("uniform", {}),
        ("mdlm", {}),
        ({"name": "duo", "options": {"curriculum": 0.5, "top_k": 2}}, {"adaln": True}),
        ("esolm", {}),
        ({"name": "esolm", "options": {"alpha_0": 0.5}}, {"adaln": True}),
        ({"name": "block", "options": {"block_length": 8}}, {}),
        ({"name": "block", "options": {"block_length": 1}}, {}),
    ],
)
def test_every_family_learns_from_a_config(tmp_path, cache, family, model) -> None:
    directory, store = planned(tmp_path, cache, family=family, model=model, conditioning="intended")
    summary = run_cell(directory.path, store)
    assert summary["status"] == "done", summary["note"]
    floor = store.entropy_floor(32)
    assert floor is not None
    # better than knowing the frequencies of the symbols, and not better than anything can be
    assert floor - 4 * summary["standard_error"] < summary["bound"] < np.log(store.vocab_size)


def test_a_pass_over_twice_the_length_is_paid_for(tmp_path, cache) -> None:
    """At one budget in FLOPs, block diffusion gets fewer steps than masked diffusion at the same size."""
    steps = {}
    for name in ("masked", "block"):
        config = TrainConfig.model_validate(
            {**{k: v for k, v in BASE.items() if k != "tokens"}, "family": name, "budget": 1e9}
        )
        steps[name] = plan_single(config, prepare(config.data, cache)).run.steps
    assert 1.4 < steps["masked"] / steps["block"] < 2.5


def test_a_block_that_does_not_fit_is_refused_in_the_plan(tmp_path, cache) -> None:
    with pytest.raises(InputError, match="block_length 5 does not divide the context of 32"):
        planned(tmp_path, cache, family={"name": "block", "options": {"block_length": 5}})


def test_threads_are_chosen_recorded_and_given_back(tmp_path, cache, monkeypatch) -> None:
    """A resumed run keeps its number of threads, whatever is asked then, and ends bit-equal to one that was not cut."""
    import torch

    from difflaw.training.loop import Execution

    class Stop(Exception):
        pass

    def ended(directory: RunDirectory) -> list[float]:
        return [record["bound"] for record in directory.records("evaluation")]

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    (tmp_path / "whole").mkdir()
    whole, store = planned(tmp_path / "whole", cache)
    run_cell(whole.path, store, Execution(threads=2))
    assert torch.get_num_threads() == before

    directory, store = planned(tmp_path, cache)
    append, used = RunDirectory.append, []

    def once(self, record) -> None:
        used.append(torch.get_num_threads())
        if record["kind"] == "evaluation" and record["step"] > 5:
            raise Stop
        append(self, record)

    monkeypatch.setattr(RunDirectory, "append", once)
    with pytest.raises(Stop):
        run_cell(directory.path, store, Execution(threads=2, checkpoint_seconds=0.0))
    assert torch.get_num_threads() == before
    monkeypatch.setattr(RunDirectory, "append", append)
    run_cell(directory.path, store)
    assert set(used) == {2}
    assert json.loads((directory.path / "engine.json").read_text())["threads"] == 2
    assert ended(directory) == ended(whole)


def test_a_small_run_gets_one_thread_by_itself(tmp_path, cache) -> None:
    directory, store = planned(tmp_path, cache)
    run_cell(directory.path, store)
    assert json.loads((directory.path / "engine.json").read_text())["threads"] == 1
    assert not (directory.path / "tokenizer.json").exists()  # symbols are no text
