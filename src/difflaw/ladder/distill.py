"""A distillation as a run: its config from the parent's, the parent's weights in its folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from difflaw.errors import InputError
from difflaw.files import write_atomically
from difflaw.ladder.cell import build_family
from difflaw.training.config import RunConfig
from difflaw.training.distillation import PARENT, distilled
from difflaw.training.run_directory import RunDirectory

RATE_SHARE = 0.2
"""Of the parent's learning rate: the published runs train at 3e-4 and distil at 6e-5."""


def plan_distillation(
    parent: RunDirectory,
    *,
    rounds: int,
    steps_per_round: int,
    lr: float | None = None,
    batch_sequences: int | None = None,
) -> RunConfig:
    """The run that distils ``parent``; InputError when the parent cannot be distilled or a number makes no sense."""
    config = parent.config()
    distilled(build_family(config))
    if rounds < 1 or steps_per_round < 1:
        raise InputError(f"rounds {rounds}, steps {steps_per_round}: both must be at least 1")
    steps = rounds * steps_per_round
    raw = config.model_dump() | {
        "label": f"{config.label}-distilled",
        "steps": steps,
        "batch_sequences": batch_sequences or config.batch_sequences,
        "evaluation_steps": tuple(range(steps_per_round, steps + 1, steps_per_round)),
        "distillation": {"parent": config.name, "steps_per_round": steps_per_round},
        "family_options": {k: v for k, v in config.family_options.items() if k != "curriculum"},
        "optimizer": config.optimizer.model_dump()
        | {
            "lr": lr if lr is not None else RATE_SHARE * config.optimizer.lr,
            "warmup_steps": min(500, steps // 10),
            "cooldown_steps": 0,
        },
    }
    try:
        planned = RunConfig.model_validate(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InputError(f"{where}: {fault['msg'].removeprefix('Value error, ')}") from None
    assert planned.distillation is not None
    if 2 ** (rounds - 1) > planned.distillation.grid:
        most = planned.distillation.grid.bit_length()
        raise InputError(
            f"rounds {rounds}: the step to the teacher doubles each round and would pass the whole clock; "
            f"use at most {most}"
        )
    return planned


def create_distillation(parent: RunDirectory, planned: RunConfig, path: Path) -> RunDirectory:
    """Write the run's folder: config, and the parent's last weights; an existing one must be the same run."""
    checkpoints = sorted((parent.path / "checkpoints").glob("step-*/model.safetensors"))
    if not checkpoints:
        raise InputError(f"{parent.path}: holds no checkpoint to distil; train the run first")
    directory = RunDirectory(path)
    directory.create(planned)
    if not (path / PARENT).exists():
        write_atomically(path / PARENT, checkpoints[-1].read_bytes())
    return directory
