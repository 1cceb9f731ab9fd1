"""The page of YAML behind a ladder: families, rungs, budgets or horizons, batch and rate rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from difflaw.data.config import DataConfig
from difflaw.errors import InputError
from difflaw.families import check
from difflaw.ladder.presets import Preset, with_preset
from difflaw.model.accounting import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS
from difflaw.model.completep import AUXILIARY_RATE
from difflaw.model.config import default_heads, possible_heads
from difflaw.training.config import ConditioningConfig

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FamilyConfig(_Section):
    """A family and how it is called in tables; a bare name is enough."""

    name: str
    label: str = Field(pattern=NAME_PATTERN)
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            raw = {"name": raw}
        if isinstance(raw, dict) and isinstance(raw.get("name"), str):
            raw = {"label": raw["name"] if raw["name"] != "ar" else "autoregressive", **raw}
        return raw

    @model_validator(mode="after")
    def _can_be_built(self) -> FamilyConfig:
        try:
            check(self.name, self.options)
        except InputError as error:
            raise ValueError(str(error)) from None
        return self


class Rung(_Section):
    """One model size, and (if not all) the budgets it runs to."""

    width: int = Field(ge=2)
    depth: int = Field(ge=1)
    heads: int | None = None
    budgets: list[float] | None = None

    @model_validator(mode="after")
    def _heads_divide(self) -> Rung:
        heads = self.attention_heads
        fits = possible_heads(self.width)
        if heads not in fits:
            raise ValueError(
                f"rung {self.width}x{self.depth}: width {self.width} does not split into {heads} heads of even size; "
                f"heads that do: {fits}"
            )
        return self

    @property
    def attention_heads(self) -> int:
        """Heads given, or the rule's."""
        return self.heads if self.heads is not None else default_heads(self.width)


def _as_rule(raw: Any) -> Any:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return {"values": [raw]}
    if isinstance(raw, list):
        return {"values": raw}
    return {"law": raw} if isinstance(raw, str) else raw


class Rule(_Section):
    """A number, a list of numbers (a sub-sweep: every one is run), or the first paper's law.

    ``paper`` is the pooled law, ``paper-by-noise`` the noise type's own (batch only).
    """

    law: Literal["paper", "paper-by-noise"] | None = None
    values: list[float] | None = None
    factors: list[float] = [1.0]
    """With a law: multiples of its value to run (a sub-sweep around the law)."""

    @model_validator(mode="after")
    def _one_of(self) -> Rule:
        if (self.law is None) == (self.values is None):
            raise ValueError("give a number, a list of numbers, or a law: paper")
        if any(not v > 0 for v in [*(self.values or []), *self.factors]) or not self.factors or self.values == []:
            raise ValueError("values and factors must be positive")
        return self


RuleField = Annotated[Rule, BeforeValidator(_as_rule)]


class Evaluation(_Section):
    """How the bound is measured along a run."""

    sequences: int = Field(default=128, ge=2)
    points: int = Field(default=12, ge=1, le=200)
    """Evaluations between the end of warm-up and the horizon, evenly in log tokens; budgets come on top."""
    seed: int = Field(default=0, ge=0)


class LadderConfig(_Section):
    """A whole ladder. Budgets are FLOPs in ``flops``'s convention; horizons are tokens."""

    name: str = Field(pattern=NAME_PATTERN)
    description: str = ""
    preset: Preset = Field(default="paper", exclude=True)
    """Where keys that are not given take their values from; not stored, the values are."""
    data: DataConfig = DataConfig()
    context: int = Field(default=128, ge=2, le=131_072)
    families: list[FamilyConfig] = Field(min_length=1)
    conditioning: Literal["none", "intended", "as-run"] | ConditioningConfig = "none"
    rungs: list[Rung] = Field(min_length=1)
    budgets: list[float] = []
    horizons: list[float] = []
    batch: RuleField = Rule(law="paper")
    lr: RuleField = Rule(law="paper")
    warmup: float = Field(default=0.05, ge=0)
    """Steps, or below 1 a share of the run's steps."""
    cooldown: float = Field(default=0.0, ge=0)
    optimizer: Literal["laprop", "adamw", "muon"] = "laprop"
    beta2: float | None = None
    """None: 0.99, and 0.98 for batches of 256 sequences and more (the first paper's rule)."""
    weight_decay: float = Field(default=0.0, ge=0)
    auxiliary_rate: float = Field(default=AUXILIARY_RATE, gt=0)
    """Share of ``lr`` at which everything but hidden matrices learns."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto: bfloat16 where the device has it and no rung is narrower than 64."""
    z_loss: float = Field(default=0.0, ge=0)
    """Weight of (log Σ e^logit)² in the training loss, 0 in both papers; PaLM used 1e-4."""
    seeds: list[int] = Field(default=[0], min_length=1)
    max_epochs: float = Field(default=4.0, gt=0)
    evaluation: Evaluation = Evaluation()
    flops: str = "matmul+head"
    params: str = "non-embedding"
    model: dict[str, Any] = {}
    """Overrides of the backbone's constants (`model.config.ModelConfig`), e.g. soft_cap."""

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        return with_preset(raw, single=False)

    @field_validator("flops", "params")
    @classmethod
    def _convention_known(cls, value: str, info: ValidationInfo) -> str:
        known = FLOP_CONVENTIONS if info.field_name == "flops" else PARAMETER_CONVENTIONS
        if value not in known:
            raise ValueError(f"unknown convention {value!r}: use one of {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> LadderConfig:
        if bool(self.budgets) == bool(self.horizons):
            raise ValueError("give either budgets (FLOPs) or horizons (tokens)")
        if any(not v > 0 for v in [*self.budgets, *self.horizons]):
            raise ValueError("budgets and horizons must be positive numbers")
        labels = [family.label for family in self.families]
        if len(set(labels)) < len(labels):
            raise ValueError(f"families: two share the label {max(labels, key=labels.count)!r}; give each its own")
        shapes = [(rung.width, rung.depth) for rung in self.rungs]
        if len(set(shapes)) < len(shapes):
            raise ValueError("rungs: the same width and depth is given twice")
        for rung in self.rungs:
            foreign = set(rung.budgets or []) - set(self.budgets)
            if foreign:
                raise ValueError(f"rung {rung.width}x{rung.depth}: budget {min(foreign):g} is not among the ladder's")
        return self
