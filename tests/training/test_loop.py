"""The loop: micro-batches, restarts and damaged checkpoints change no number."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from difflaw.data.batches import Batches
from difflaw.families import get
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.training import checkpoint
from difflaw.training.config import OptimizerConfig, RunConfig
from difflaw.training.loop import Diverged, Execution, train
from difflaw.training.optimizer import build_optimizer
from difflaw.training.run_directory import RunDirectory

TOKENS = np.random.default_rng(0).integers(4, 12, 4000).astype(np.uint16)
CONFIG = RunConfig(
    family="gidd",
    label="balanced",
    model=ModelConfig(vocab_size=12, layers=1, width=8, heads=1, context=8),
    data_hash="none",
    batch_sequences=6,
    steps=30,
    optimizer=OptimizerConfig(lr=0.2, warmup_steps=3, cooldown_steps=5),
    evaluation_steps=(10, 20),
)


class Stop(Exception):
    pass


def run(
    path: Path, execution: Execution = Execution(), stop_at: int | None = None
) -> tuple[torch.nn.Module, RunDirectory]:
    directory = RunDirectory(path)
    directory.create(CONFIG)

    def evaluate(model, step: int) -> dict[str, float]:
        if step == stop_at:
            raise Stop
        return {"bound": float(sum(p.double().sum() for p in model.parameters()))}

    batches = Batches(TOKENS, 8, 6, CONFIG.seed)
    return train(CONFIG, directory, get("balanced", 12, 3), batches, evaluate, execution), directory


def test_a_restart_is_bit_equal(tmp_path) -> None:
    whole, reference = run(tmp_path / "whole")
    often = Execution(checkpoint_seconds=0.0)
    with pytest.raises(Stop):
        run(tmp_path / "parts", often, stop_at=20)
    again, directory = run(tmp_path / "parts", often)
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    strip = lambda records: [{k: v for k, v in r.items() if k != "seconds"} for r in records]  # noqa: E731
    for kind in ("train", "evaluation"):
        assert strip(directory.records(kind)) == strip(reference.records(kind))


def test_the_state_of_a_run_says_where_it_began_and_what_is_left(tmp_path) -> None:
    often = Execution(checkpoint_seconds=0.0)
    with pytest.raises(Stop):
        run(tmp_path / "parts", often, stop_at=20)
    _, directory = run(tmp_path / "parts", often)
    state = directory.progress()
    assert state is not None
    assert (state["step"], state["first_step"], state["process"]) == (30, 19, os.getpid())
    assert state["seconds_left"] == 0.0
    assert 0 < state["seconds_per_step"] < 10
    assert state["tokens_per_second"] == pytest.approx(48 / state["seconds_per_step"])


def test_a_truncated_checkpoint_falls_back_to_the_one_before(tmp_path) -> None:
    whole, _ = run(tmp_path / "whole")
    often = Execution(checkpoint_seconds=0.0)
    with pytest.raises(Stop):
        run(tmp_path / "parts", often, stop_at=20)
    newest = sorted((tmp_path / "parts/checkpoints").glob("step-*"))[-1]
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    again, _ = run(tmp_path / "parts", often)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_micro_batches_give_the_same_model(tmp_path) -> None:
    whole, _ = run(tmp_path / "whole")
    parts, _ = run(tmp_path / "parts", Execution(micro_batch=2))
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-3)  # LaProp divides by √ν, so rounding of tiny gradients shows


def test_nan_is_divergence(tmp_path, monkeypatch) -> None:
    from difflaw.families.gidd import Gidd

    monkeypatch.setattr(Gidd, "loss_of", lambda self, numbers, x, z, lam: numbers.log_p_x * float("nan"))
    with pytest.raises(Diverged, match="nan"):
        run(tmp_path / "run")


def test_warmup_longer_than_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match="more than the 30 steps"):
        CONFIG.model_validate({**CONFIG.model_dump(), "optimizer": {"lr": 0.1, "warmup_steps": 31}})


def test_the_name_changes_with_every_setting() -> None:
    assert CONFIG.name == CONFIG.model_copy().name
    changed = RunConfig.model_validate({**CONFIG.model_dump(), "seed": 1})
    assert changed.name != CONFIG.name
    assert CONFIG.name.startswith("balanced-8x1-")


def test_younger_keys_leave_old_names_alone() -> None:
    """The name this config had before there were an auxiliary rate and a feed-forward width; set, both are in it."""
    assert CONFIG.name == "balanced-8x1-c8d7f9a3"
    for section, key, value in (("optimizer", "auxiliary_rate", 0.05), ("model", "feed_forward_width", 20)):
        raw = CONFIG.model_dump()
        changed = RunConfig.model_validate({**raw, section: {**raw[section], key: value}})
        assert changed.name != CONFIG.name
        stored = json.loads(changed.canonical())
        assert stored[section][key] == value
        assert RunConfig.model_validate(stored) == changed
        assert key not in json.loads(CONFIG.canonical())[section]


def test_the_auxiliary_rate_reaches_the_optimizer() -> None:
    raw = CONFIG.model_dump()
    changed = RunConfig.model_validate({**raw, "optimizer": {**raw["optimizer"], "auxiliary_rate": 0.05}})
    groups = build_optimizer(changed, Transformer(changed.model)).param_groups
    assert {group["name"]: group["peak_lr"] for group in groups}["head"] == pytest.approx(0.05 * 0.2)


def test_a_tied_head_is_saved_once_and_comes_back(tmp_path) -> None:
    model = Transformer(ModelConfig(vocab_size=12, layers=1, width=8, heads=1, context=8, tied=True)).initialise(0)
    optimizer = torch.optim.SGD(model.parameters())
    checkpoint.save(tmp_path, 3, model, optimizer, {})
    other = Transformer(model.config)
    state = checkpoint.load_latest(tmp_path, other, torch.optim.SGD(other.parameters()))
    assert state is not None
    assert torch.equal(other.lm_head.weight, model.model.embed_tokens.weight)
    assert other.lm_head.weight is other.model.embed_tokens.weight
