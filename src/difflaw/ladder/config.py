"""The config file behind a ladder: families, rungs, budgets or horizons, data, and the recipe of every run."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from difflaw.conventions import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS
from difflaw.data.config import DataConfig
from difflaw.errors import InputError
from difflaw.families import check
from difflaw.model.config import default_heads, possible_heads
from difflaw.training.presets import Preset, with_preset
from difflaw.training.recipe import Recipe, Section

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class FamilyConfig(Section):
    """A family and how it is called in tables; a bare name is enough."""

    name: str
    label: str = Field(pattern=NAME_PATTERN)
    options: dict[str, Any] = Field(default={})

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


class Rung(Section):
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


class Evaluation(Section):
    """How the bound is measured along a run."""

    sequences: int = Field(default=128, ge=2)
    points: int = Field(default=12, ge=1, le=200)
    """Evaluations between the end of warm-up and the horizon, evenly in log tokens; budgets come on top."""
    seed: int = Field(default=0, ge=0)


class CommonConfig(Recipe):
    """What config files of ladders and of single runs share: the recipe, the data, and how things are counted."""

    name: str = Field(pattern=NAME_PATTERN)
    preset: Preset = Field(default="paper", exclude=True)
    """Where keys that are not given take their values from; not stored, the values are."""
    data: DataConfig = DataConfig()
    context: int = Field(default=128, ge=2, le=131_072)
    max_epochs: float = Field(default=4.0, gt=0)
    evaluation: Evaluation = Evaluation()
    flops: str = "matmul+head"
    params: str = "non-embedding"

    @field_validator("flops", "params")
    @classmethod
    def _convention_known(cls, value: str, info: ValidationInfo) -> str:
        known = FLOP_CONVENTIONS if info.field_name == "flops" else PARAMETER_CONVENTIONS
        if value not in known:
            raise ValueError(f"unknown convention {value!r}: use one of {', '.join(known)}")
        return value


class LadderConfig(CommonConfig):
    """A whole ladder. Budgets are FLOPs in ``flops``'s convention; horizons are tokens."""

    description: str = ""
    families: list[FamilyConfig] = Field(min_length=1)
    rungs: list[Rung] = Field(min_length=1)
    budgets: list[float] = Field(default=[])
    horizons: list[float] = Field(default=[])
    seeds: list[int] = Field(default=[0], min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        return with_preset(raw, single=False)

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
