"""A request, a law and the allowed shapes together: what tokens are worth, the loss, the best size of a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from difflaw.errors import InputError
from difflaw.law.repeated_data import effective_tokens
from difflaw.law.search import lowest
from difflaw.planning.fitted import FittedForecast
from difflaw.planning.predict import Forecast
from difflaw.planning.request import Ask
from difflaw.planning.shapes import Count, Shape, Sized, allowed_shapes, counted, near

MATMUL = "matmul+head"
"""What hardware multiplies, whatever a law counts."""
USUAL_HALF_LIFE = 15.387756
"""R* of repeated text where a law brings none: Muennighoff et al. 2023 (2305.16264), autoregressive."""


@dataclass(frozen=True)
class Problem:
    """One family's law and what is asked of it; sizes are FLOPs per token M in the law's convention."""

    ask: Ask
    law: Forecast
    count: Count

    def __post_init__(self) -> None:
        if not self.law.has_loss and (self.ask.loss or self.ask.unique_tokens or self.inference):
            raise InputError(
                f"{self.law.origin}: has no law of the loss for {self.law.family}, which this question needs"
            )

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Shapes that may be chosen."""
        return self.ask.shapes or tuple(allowed_shapes())

    @property
    def conventions(self) -> tuple[str, str]:
        """Of params and FLOPs."""
        return self.law.params_convention, self.law.flops_convention

    @property
    def half_life(self) -> float:
        """R*, in repeats after the first epoch."""
        return self.law.repeats.R_D if self.law.repeats else USUAL_HALF_LIFE

    @property
    def inference(self) -> float:
        """Later use in tokens of training: a forward pass is a third of training's M."""
        passes = 1.0 if self.ask.inference_passes is None else self.ask.inference_passes
        return self.ask.inference_tokens * passes / 3

    @property
    def cooldown(self) -> float:
        """The law's loss over the loss after a cooldown."""
        return self.law.cooldown or 1.0

    def worth(self, tokens: float) -> float:
        """What tokens are worth, repeats counting for less."""
        return float(effective_tokens(tokens, self.ask.unique_tokens, self.half_life))

    def loss(self, m: float, tokens: float) -> float:
        """Loss at M and D before any cooldown; infinite without tokens."""
        if not tokens > 0:
            return math.inf
        return self.law.loss_of(m, tokens, self.ask.unique_tokens, self.worth(tokens))

    def sized(self, shape: Shape) -> Sized:
        """A shape with its size as the law counts: FLOPs as the table's sizes show them where nobody says how."""
        found = counted(shape, self.count, self.conventions)
        if isinstance(self.law, FittedForecast) and self.law.relation:
            return replace(found, flops_per_token=self.law.flops_per_token(found.params))
        return found

    def tokens_left(self, m: float, flops: float) -> float:
        """Tokens that fit a budget for training and inference together."""
        return flops / m - self.inference

    def best_size(self, flops: float) -> float:
        """M that is best for a budget, repeats and inference counted."""
        m = self.law.best_size(flops)
        tokens = self.tokens_left(m, flops)
        if not self.inference and self.worth(tokens) == tokens:
            return m
        around = math.log(m) + np.linspace(-8.0, 8.0, 61)
        return math.exp(lowest(lambda ln: self.loss(math.exp(ln), self.tokens_left(math.exp(ln), flops)), around))

    def snap(self, size: float, by: str) -> Sized:
        """The allowed shape to train for a size in ``by``; InputError (with the constraints) where none is near."""
        if self.ask.shapes:
            sized = [self.sized(s) for s in self.ask.shapes]
            return min(sized, key=lambda s: abs(math.log(getattr(s, by) / size)))
        try:
            return near(self.shapes, size, self.sized, by)[0]
        except InputError as error:
            raise InputError(f"{self.law.family}: {self.ask.constraints}: {error}") from None

    def hardware_ratio(self, sized: Sized) -> float:
        """FLOPs that hardware multiplies over those that the law counts."""
        return self.count(sized.shape).flops_per_token(MATMUL) / sized.flops_per_token
