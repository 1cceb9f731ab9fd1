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

SHARES = 9.0
"""FLOPs a search plans for a family, in units of its largest budget: about four sizes to the top, those that were left
behind at lower budgets, the first bracket, and a quarter for second seeds and what the law asks for."""
SEARCH_WARMUP = 100
"""Steps of warm-up in a search where none are given."""
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


class Until(Section):
    """How sure a law must be for the search to stop."""

    params_exponent: float = Field(gt=0)
    """Half the width of the 95 % interval of the exponent of N*, to be met by every family."""


class SearchConfig(Section):
    """What a ladder that chooses its own sizes and budgets is given (docs/ladder.md#search)."""

    flops: float | None = Field(default=None, gt=0)
    """FLOPs of the whole ladder; default `SHARES` times ``largest`` for every family."""
    largest: float | None = Field(default=None, gt=0)
    """Largest budget; default the FLOPs of a family divided by `SHARES`. It is passed only where minima are missing."""
    budgets: int = Field(default=5, ge=3, le=20)
    """Number of budgets up to ``largest``."""
    factor: float = Field(default=2.0, ge=1.2, le=16)
    """From one budget to the next."""
    until: Until | None = None
    """Stop early once every family's law is this sure; default: all FLOPs are spent."""
    seeds: int = Field(default=3, ge=1, le=16)
    """Runs of one size at most."""
    points: int = Field(default=2, ge=1, le=20)
    """Evaluations from one budget to the next."""
    widths: tuple[int, int] = (8, 4096)
    """Narrowest and widest network that may be chosen."""

    @model_validator(mode="after")
    def _some_size(self) -> SearchConfig:
        if self.flops is None and self.largest is None:
            raise ValueError("give flops (of the whole ladder), largest (the largest budget), or both")
        if not 2 <= self.widths[0] < self.widths[1]:
            raise ValueError(f"widths: give the narrowest and the widest, such as [8, 512], got {list(self.widths)}")
        return self


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
    search: SearchConfig | None = None
    """Instead of rungs, budgets and seeds: the ladder finds them itself."""
    rungs: list[Rung] = Field(default=[])
    budgets: list[float] = Field(default=[])
    horizons: list[float] = Field(default=[])
    seeds: list[int] = Field(default=[0], min_length=1)
    unique_tokens: list[float] = Field(default=[])
    """Every cell once per value, on so many different tokens; empty: once, on all of the text."""

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        raw = with_preset(raw, single=False)
        if isinstance(raw, dict) and raw.get("search") is not None:
            raw = {"warmup": SEARCH_WARMUP, **raw}
        return raw

    @model_validator(mode="after")
    def _searchable(self) -> LadderConfig:
        """A search chooses what a fixed ladder lists, and its runs grow, so nothing may depend on their length."""
        if self.search is None:
            return self
        given = [key for key in ("rungs", "budgets", "horizons", "unique_tokens") if getattr(self, key)]
        if given:
            raise ValueError(f"search and {given[0]} are both given; a search chooses {given[0]} itself")
        if self.seeds != [0]:
            raise ValueError("search and seeds are both given; search.seeds says how many a size may have")
        if self.cooldown:
            raise ValueError("search: its runs grow and have no end to cool down towards; leave cooldown out")
        if self.warmup < 1:
            raise ValueError(f"search: its runs grow, so warmup is in steps, not a share of them; got {self.warmup:g}")
        if self.batch.only_value is None:
            raise ValueError("search: give batch as one number of tokens: a law of the run's length cannot size it")
        if (self.lr.values is not None and len(self.lr.values) > 1) or len(self.lr.factors) > 1:
            raise ValueError("search: give one lr; find it first with a ladder like ladders/lr-transfer.yaml")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> LadderConfig:
        if self.search is not None:
            return self._labelled()
        if not self.rungs:
            raise ValueError("give rungs (sizes) and budgets or horizons, or a search that finds them")
        if bool(self.budgets) == bool(self.horizons):
            raise ValueError("give either budgets (FLOPs) or horizons (tokens)")
        if any(not v > 0 for v in [*self.budgets, *self.horizons]):
            raise ValueError("budgets and horizons must be positive numbers")
        if any(not 1 <= u < float("inf") for u in self.unique_tokens):
            raise ValueError("unique_tokens must be numbers of at least 1")
        if len(set(self.unique_tokens)) < len(self.unique_tokens):
            raise ValueError("unique_tokens: the same number is given twice")
        self._labelled()
        shapes = [(rung.width, rung.depth) for rung in self.rungs]
        if len(set(shapes)) < len(shapes):
            raise ValueError("rungs: the same width and depth is given twice")
        for rung in self.rungs:
            foreign = set(rung.budgets or []) - set(self.budgets)
            if foreign:
                raise ValueError(f"rung {rung.width}x{rung.depth}: budget {min(foreign):g} is not among the ladder's")
        return self

    def _labelled(self) -> LadderConfig:
        labels = [family.label for family in self.families]
        if len(set(labels)) < len(labels):
            raise ValueError(f"families: two share the label {max(labels, key=labels.count)!r}; give each its own")
        return self
