"""How a run is trained, whatever its family, size and length: one recipe for ladder cells, single runs and plans."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from difflaw.model.config import AUXILIARY_RATE
from difflaw.noise.conditioning import Conditioning
from difflaw.noise.levels import NoiseLevels
from difflaw.training.config import ConditioningConfig, OptimizerConfig


class Section(BaseModel):
    """A part of a config file: frozen, unknown keys refused, no NaN and no infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _as_rule(raw: Any) -> Any:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return {"values": [raw]}
    if isinstance(raw, list):
        return {"values": raw}
    return {"law": raw} if isinstance(raw, str) else raw


class Rule(Section):
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

    @property
    def only_value(self) -> float | None:
        """The number, where the rule is one number."""
        return self.values[0] if self.values is not None and len(self.values) == 1 else None


RuleField = Annotated[Rule, BeforeValidator(_as_rule)]


class Recipe(Section):
    """The keys that decide how a run is trained; defaults are those of the first paper's sweep (2512.10858, §5)."""

    conditioning: Literal["none", "intended", "as-run"] | ConditioningConfig = "none"
    batch: RuleField = Rule(law="paper")
    """Tokens a step."""
    lr: RuleField = Rule(law="paper")
    """CompleteP's base rate η."""
    warmup: float = Field(default=0.05, ge=0)
    """Steps, or below 1 a share of the run's steps."""
    cooldown: float = Field(default=0.0, ge=0)
    """Steps, or below 1 a share of the run's steps."""
    optimizer: Literal["laprop", "adamw", "muon"] = "laprop"
    beta2: float | None = None
    """None: 0.99, and 0.98 for batches of 256 sequences and more (the first paper's rule)."""
    weight_decay: float = Field(default=0.0, ge=0)
    auxiliary_rate: float = Field(default=AUXILIARY_RATE, gt=0)
    """Share of ``lr`` at which everything but hidden matrices learns."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto: bfloat16 where the device has it and no model is narrower than 64."""
    z_loss: float = Field(default=0.0, ge=0)
    """Weight of (log Σ e^logit)² in the training loss, 0 in both papers; PaLM used 1e-4."""
    noise_levels: NoiseLevels = "independent"
    """How the times of training samples are drawn: independently, or spread evenly over consecutive samples."""
    model: dict[str, Any] = {}
    """Overrides of the backbone's constants (`model.config.ModelConfig`), e.g. soft_cap."""

    @property
    def recipe(self) -> Recipe:
        """These keys alone, of whatever config file they are part of."""
        return Recipe(**{key: getattr(self, key) for key in Recipe.model_fields})

    def written(self) -> dict[str, Any]:
        """The keys as a config file gives them, rules written short; reading them back gives the same recipe."""
        values = self.recipe.model_dump(mode="json")
        for key in ("batch", "lr"):
            rule: Rule = getattr(self, key)
            if rule.only_value is not None:
                values[key] = rule.only_value
            elif rule.law is not None and rule.factors == [1.0]:
                values[key] = rule.law
            else:
                values[key] = {k: v for k, v in values[key].items() if v is not None}
        return values

    # -- resolved for a run of given length -----------------------------------------------------------------------

    def conditioning_config(self) -> ConditioningConfig:
        """The three probabilities behind ``conditioning``."""
        if isinstance(self.conditioning, ConditioningConfig):
            return self.conditioning
        preset = Conditioning.preset(self.conditioning)
        return ConditioningConfig(**{key: getattr(preset, key) for key in ConditioningConfig.model_fields})

    def beta2_for(self, sequences: int) -> float:
        """Beta2 for a batch of so many sequences."""
        return self.beta2 if self.beta2 is not None else (0.98 if sequences >= 256 else 0.99)

    def optimizer_config(self, steps: int, sequences: int, lr: float) -> OptimizerConfig:
        """Optimizer and schedule of a run of ``steps`` steps of ``sequences`` sequences at base rate ``lr``.

        Warm-up is at most half of the run and cooldown at most the rest. The rate is rounded to four digits: it is no
        finer than that, and a run's hash must not depend on the last bit of a power.
        """
        warmup = min(_steps(self.warmup, steps), steps // 2)
        return OptimizerConfig(
            name=self.optimizer,
            lr=float(f"{lr:.4g}"),
            beta2=self.beta2_for(sequences),
            weight_decay=self.weight_decay,
            auxiliary_rate=self.auxiliary_rate,
            warmup_steps=warmup,
            cooldown_steps=min(_steps(self.cooldown, steps), steps - warmup),
        )


def _steps(given: float, total: int) -> int:
    return round(given * total) if given < 1 else round(given)


def differences(planned: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """Where a run was trained otherwise than planned, a line each; batch and rate are left to the caller.

    Args:
        planned: keys of a `Recipe`, as `Recipe.written` gives them.
        run: the run's config.json (`RunConfig.canonical`); keys it has not are not compared.
    """
    recipe, optimizer, model = Recipe.model_validate(dict(planned)), run.get("optimizer", {}), run.get("model", {})
    pairs: list[tuple[str, Any, Any]] = [
        (f"conditioning: {name}", value, run.get("conditioning", {}).get(name))
        for name, value in recipe.conditioning_config().model_dump().items()
    ]
    if "steps" in run:
        want = recipe.optimizer_config(run["steps"], run.get("batch_sequences", 1), optimizer["lr"])
        names = ("name", "beta2", "weight_decay", "auxiliary_rate", "warmup_steps", "cooldown_steps")
        pairs += [(f"optimizer: {name}", getattr(want, name), optimizer.get(name)) for name in names]
    # a run's config leaves these out where they are at their default
    pairs += [("z_loss", recipe.z_loss, run.get("z_loss", 0.0))]
    pairs += [("noise_levels", recipe.noise_levels, run.get("noise_levels", "independent"))]
    pairs += [(f"model: {name}", value, model.get(name)) for name, value in recipe.model.items()]
    if recipe.precision != "auto":
        pairs.append(("precision", recipe.precision, run.get("precision")))
    return [
        f"{name}: {want} planned, {got} run" for name, want, got in pairs if got is not None and not _same(want, got)
    ]


def _same(want: Any, got: Any) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (want, got))
    return math.isclose(want, got, rel_tol=1e-6) if numbers else want == got
