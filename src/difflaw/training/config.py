"""A run as data: everything that decides its numbers, and nothing else. Its hash is the run's name."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from difflaw.model.config import AUXILIARY_RATE, ModelConfig
from difflaw.noise.conditioning import Conditioning
from difflaw.noise.levels import NoiseLevels

YOUNGER = (
    ("z_loss",),
    ("grows",),
    ("noise_levels",),
    ("unique_tokens",),
    ("optimizer", "auxiliary_rate"),
    ("model", "feed_forward_width"),
)
"""Keys younger than runs that are kept: left out of the canonical text where they are at their default."""

HORIZON = ("steps", "evaluation_steps")
"""Keys that say how far a run goes. They are no part of what a run that grows *is*."""


class OptimizerConfig(BaseModel):
    """LaProp, AdamW or Muon under CompleteP; ``lr`` is the base rate η."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["laprop", "adamw", "muon"] = "laprop"
    lr: float = Field(gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    auxiliary_rate: float = Field(default=AUXILIARY_RATE, gt=0)
    """Share of ``lr`` at which everything but hidden matrices learns (`model.completep`)."""
    warmup_steps: int = Field(default=2000, ge=0)
    cooldown_steps: int = Field(default=0, ge=0)


class ConditioningConfig(BaseModel):
    """See `noise.conditioning.Conditioning`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    own_noise_probability: float = 0.0
    prompt_probability: float = 0.0
    max_empty_fraction: float = 0.0

    @model_validator(mode="after")
    def _in_range(self) -> ConditioningConfig:
        self.build()
        return self

    def build(self, noise_levels: NoiseLevels = "independent") -> Conditioning:
        """The rule itself, with how λ is drawn; ValueError names a value out of range."""
        return Conditioning(**self.model_dump(), noise_levels=noise_levels)


class DistillationConfig(BaseModel):
    """Discrete Consistency Distillation; defaults are the published OWT run's (Duo's code, scripts/distil_owt.sh)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    parent: str
    """Name of the run whose last weights are student and first teacher."""
    steps_per_round: int = Field(default=10_000, ge=1)
    grid: int = Field(default=512, ge=2)
    """The clock's steps; the teacher is 2^round of them closer to the text."""
    gamma_min: float = -4.0
    gamma_max: float = -1.0
    divergence: Literal["student-teacher", "teacher-student"] = "student-teacher"

    @model_validator(mode="after")
    def _ordered(self) -> DistillationConfig:
        if self.gamma_min >= self.gamma_max:
            raise ValueError(f"gamma_min {self.gamma_min} must lie below gamma_max {self.gamma_max}")
        return self


class RunConfig(BaseModel):
    """One run: family × model × data × batch × rate × seed × tokens. Frozen; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    family_options: dict[str, Any] = {}
    label: str
    """Name of the family in tables, e.g. ``uniform`` for GIDD with uniform noise."""
    model: ModelConfig
    data_hash: str
    mask_id: int = 3
    bos_id: int = 0
    pad_id: int = 2
    conditioning: ConditioningConfig = ConditioningConfig()
    batch_sequences: int = Field(ge=1)
    steps: int = Field(ge=1)
    optimizer: OptimizerConfig
    precision: Literal["float32", "bfloat16"] = "float32"
    z_loss: float = Field(default=0.0, ge=0)
    """Weight of (log Σ e^logit)² in the training loss."""
    noise_levels: NoiseLevels = "independent"
    """How the times of training samples are drawn (`noise.levels`)."""
    seed: int = 0
    unique_tokens: int | None = Field(default=None, ge=1)
    """Different tokens trained on, in whole contexts, the same for every seed (`data.batches`); None for all."""
    evaluation_sequences: int = Field(default=128, ge=2)
    evaluation_seed: int = 0
    evaluation_steps: tuple[int, ...] = ()
    """Steps after which the bound is measured; the last step always is."""
    distillation: DistillationConfig | None = None
    """Set where the run distils another one."""
    grows: bool = False
    """Whether ``steps`` is only how far the run has been asked to go so far: it may be made longer (`longer`)."""
    params_convention: str = "non-embedding"
    flops_convention: str = "matmul+head"

    @model_validator(mode="after")
    def _schedule_fits(self) -> RunConfig:
        if self.optimizer.warmup_steps + self.optimizer.cooldown_steps > self.steps:
            raise ValueError(
                f"warm-up ({self.optimizer.warmup_steps}) and cooldown ({self.optimizer.cooldown_steps}) "
                f"are more than the {self.steps} steps of the run"
            )
        if self.grows and self.optimizer.cooldown_steps:
            raise ValueError("a run that grows has no cooldown: nothing says where it ends")
        return self

    def canonical(self) -> str:
        """The config as JSON with sorted keys: the text that is hashed and stored.

        A key younger than runs that are kept (`YOUNGER`) is left out at its default, so that they keep their names.
        """
        values = self.model_dump(mode="json")
        for *path, key in YOUNGER:
            owner, section = self, values
            for part in path:
                owner, section = getattr(owner, part), section[part]
            if getattr(owner, key) == type(owner).model_fields[key].default:
                del section[key]
        return json.dumps(values, sort_keys=True, indent=1)

    def identity(self) -> str:
        """What the run is: the canonical text, for a run that grows without how far it goes."""
        if not self.grows:
            return self.canonical()
        values = json.loads(self.canonical())
        return json.dumps({k: v for k, v in values.items() if k not in HORIZON}, sort_keys=True, indent=1)

    def longer(self, other: RunConfig) -> RunConfig:
        """The run taken as far as it and ``other``, the same by `identity`, go; ValueError where they are not."""
        if self.identity() != other.identity():
            raise ValueError(f"{self.name} and {other.name} are not the same run")
        steps = tuple(sorted({*self.evaluation_steps, *other.evaluation_steps}))
        return self.model_copy(update={"steps": max(self.steps, other.steps), "evaluation_steps": steps})

    @property
    def name(self) -> str:
        """Readable and unique: family, shape and eight digits of the hash of `identity`."""
        digest = hashlib.sha256(self.identity().encode()).hexdigest()[:8]
        return f"{self.label}-{self.model.width}x{self.model.layers}-{digest}"

    @property
    def tokens_per_step(self) -> int:
        """Batch size in tokens."""
        return self.batch_sequences * self.model.context
