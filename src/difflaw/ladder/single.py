"""One run as a page of YAML: a ladder with one rung, one family and one horizon."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from difflaw.data.config import DataConfig
from difflaw.data.store import TokenStore
from difflaw.errors import InputError
from difflaw.ladder.config import NAME_PATTERN, Evaluation, FamilyConfig, LadderConfig, Rule, RuleField
from difflaw.ladder.plan import Cell, make_plan
from difflaw.ladder.presets import Preset, with_preset
from difflaw.model.completep import AUXILIARY_RATE
from difflaw.training.config import ConditioningConfig
from difflaw.yaml_config import validate


class TrainConfig(BaseModel):
    """What `difflaw train` reads; keys mean what they mean in a ladder."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=NAME_PATTERN)
    preset: Preset = Field(default="paper", exclude=True)
    """Where keys that are not given take their values from."""
    data: DataConfig = DataConfig()
    family: FamilyConfig
    width: int
    depth: int
    heads: int | None = None
    context: int = 128
    tokens: float | None = None
    budget: float | None = None
    """FLOPs; give this or ``tokens``."""
    conditioning: Literal["none", "intended", "as-run"] | ConditioningConfig = "intended"
    batch: RuleField = Rule(law="paper")
    lr: RuleField = Rule(law="paper")
    warmup: float = 0.05
    cooldown: float = 0.2
    optimizer: Literal["laprop", "adamw", "muon"] = "laprop"
    beta2: float | None = None
    weight_decay: float = 0.0
    auxiliary_rate: float = AUXILIARY_RATE
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    z_loss: float = Field(default=0.0, ge=0)
    seed: int = 0
    max_epochs: float = 4.0
    evaluation: Evaluation = Evaluation()
    flops: str = "matmul+head"
    params: str = "non-embedding"
    model: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        return with_preset(raw, single=True)

    @model_validator(mode="after")
    def _one_length(self) -> TrainConfig:
        if (self.tokens is None) == (self.budget is None):
            raise ValueError("give either tokens or budget (FLOPs)")
        return self

    def as_ladder(self) -> LadderConfig:
        """The same run as a ladder of one cell; InputError names what a ladder would refuse."""
        own = {"family", "width", "depth", "heads", "tokens", "budget", "seed"}
        shared = {k: v for k, v in self.model_dump().items() if k not in own}
        length = {"horizons": [self.tokens]} if self.tokens is not None else {"budgets": [self.budget]}
        rung = {"width": self.width, "depth": self.depth, "heads": self.heads}
        raw = {**shared, **length, "families": [self.family.model_dump()], "rungs": [rung], "seeds": [self.seed]}
        return validate(raw, LadderConfig, self.name)


def plan_single(config: TrainConfig, store: TokenStore) -> Cell:
    """The one cell; InputError when the rules give several."""
    cells = make_plan(config.as_ladder(), store).cells
    if len(cells) != 1:
        raise InputError(
            f"{config.name}: batch and lr describe {len(cells)} runs; give one value each, or use a ladder"
        )
    return cells[0]
