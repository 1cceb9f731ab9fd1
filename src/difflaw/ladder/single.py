"""The config file of one run: a ladder with one rung, one family and one horizon."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from difflaw.data.store import TokenStore
from difflaw.errors import InputError
from difflaw.ladder.config import CommonConfig, FamilyConfig, LadderConfig
from difflaw.ladder.plan import Cell, make_plan
from difflaw.training.presets import with_preset
from difflaw.yaml_config import validate


class TrainConfig(CommonConfig):
    """What `difflaw train` reads; keys mean what they mean in a ladder, and have the same defaults."""

    family: FamilyConfig
    width: int = Field(ge=2)
    depth: int = Field(ge=1)
    heads: int | None = None
    tokens: float | None = None
    budget: float | None = None
    """FLOPs; give this or ``tokens``."""
    seed: int = 0

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
        shared = {key: value for key, value in self.model_dump().items() if key in CommonConfig.model_fields}
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
