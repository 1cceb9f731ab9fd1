"""One recommended run as a record, and the order of several: the lowest forecast loss first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from difflaw.law.published import Derived
from difflaw.law.results import Interval
from difflaw.planning.hardware import Memory


@dataclass(frozen=True)
class Alternative:
    """Another shape that does nearly as well."""

    layers: int
    width: int
    params: float
    flops_per_token: float
    tokens: float
    regret: float


@dataclass(frozen=True)
class RunPlan:
    """One recommended run. Intervals are for the law's optimum; ``run_interval`` is for the loss of one new run."""

    family: str
    law: str
    layers: int
    width: int
    context: int
    vocab_size: int
    params: float
    params_convention: str
    params_interval: Interval | None
    total_params: float
    flops: float
    flops_convention: str
    flops_per_token: float
    flops_per_token_interval: Interval | None
    hardware_flops: float
    tokens: float
    tokens_interval: Interval | None
    epochs: float | None
    effective_tokens: float
    batch_tokens: float
    batch_sequences: int
    batch_flat: tuple[float, float] | None
    lr: float | None
    steps: int
    loss: float | None
    loss_before_cooldown: float | None
    loss_interval: Interval | None
    run_interval: Interval | None
    regret: float
    """ln of the forecast loss over the best at the same FLOPs: rounding and constraints together."""
    best_flops_per_token: float
    gpu: str
    mfu: float
    gpu_hours: float
    wall_hours: float | None
    memory: Memory
    inference_flops: float
    bound: str
    tokenizer: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """How the run is to be trained, batch and rate apart (keys of `training.recipe.Recipe`)."""
    family_config: Mapping[str, Any] = field(default_factory=dict)
    """Name, label and options of the family, where ``family`` is a ladder's own label."""
    probability: float | None = None
    """Of having the lowest loss among the families planned for, where their laws come from one table."""
    alternatives: tuple[Alternative, ...] = ()
    derived: tuple[Derived, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def rank(plans: Sequence[RunPlan]) -> list[RunPlan]:
    """Plans by their odds of the lowest loss where those are known, else by the loss forecast; without one last."""
    return sorted(plans, key=lambda p: (p.loss is None, -(p.probability or 0.0), p.loss or 0.0))
