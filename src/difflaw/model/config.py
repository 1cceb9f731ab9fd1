"""Shape and constants of the backbone (2512.10858), as a frozen record with its checks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

AUXILIARY_RATE = 0.02
"""Rate of everything but hidden matrices, as a share of η: the default of the published train script."""
CONDITION_WIDTH = 128
"""Width of adaLN's condition, the same at every size (2602.15014's network)."""
SINUSOIDS = 256
"""Sines and cosines of σ that adaLN's condition starts from."""

LARGEST_CAP = 60.0
"""Soft cap up to which exp(±cap), and the sum of a million of them, is a normal number in float32."""


class ModelConfig(BaseModel):
    """The transformer of 2512.10858; defaults are the published ones, field by field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocab_size: int = Field(ge=5)
    layers: int = Field(ge=1)
    width: int = Field(ge=2)
    heads: int = Field(ge=1)
    context: int = Field(ge=2)
    resid_scale: float = 4.0
    feed_forward_width: int | None = Field(default=None, ge=1)
    """Width between the two matrices of the feed-forward part; None means four times the width (the papers' rule)."""
    head_scale: float | Literal["fan_in", "fan_out"] | None = None
    """Factor on the logits; None means 512/width (CompleteP). See `output_scale`."""
    init_scale: float = 0.4
    """Hidden matrices start as N(0, (init_scale/√width)²)."""
    embedding_std: float = 0.02
    weight_scaling: float | Literal["fan_in", "fan_out"] = 1.0
    qk_norm: bool = True
    sink: bool = True
    """One learned key and value per head in front of all others."""
    mlp_bias: bool = True
    soft_cap: float = 30.0
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    tied: bool = False
    adaln: bool = False
    """Adaptive layer norm on σ = -log α, as in all families of 2602.15014; families that tell nothing feed σ = 0."""

    @model_validator(mode="after")
    def _shapes(self) -> ModelConfig:
        if self.width % self.heads:
            fits = possible_heads(self.width)
            raise ValueError(f"width {self.width} is not divisible by {self.heads} heads: use one of {fits}")
        if self.head_dim % 2:
            raise ValueError(f"width/heads = {self.head_dim} is odd, and rotary positions need an even number")
        return self

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def fuses(self) -> bool:
        """Whether its layers are what `model.fused_attention` and `model.fused_feed_forward` do: the published ones."""
        published = self.qk_norm and self.sink and self.mlp_bias and self.weight_scaling == 1.0
        return published and not self.adaln and self.soft_cap <= LARGEST_CAP

    @property
    def inner_width(self) -> int:
        """Width between the two matrices of the feed-forward part."""
        return 4 * self.width if self.feed_forward_width is None else self.feed_forward_width

    @property
    def output_scale(self) -> float:
        """Factor on the logits: 512/width unless set.

        "fan_in" is 1/√width and "fan_out" 1/√vocab_size, the two sides of the output matrix, as ``weight_scaling``
        means them for a hidden one (``ScaledLinear`` of the code published with 2512.10858).
        """
        if self.head_scale is None:
            return 512.0 / self.width
        sides = {"fan_in": self.width, "fan_out": self.vocab_size}
        return sides[self.head_scale] ** -0.5 if isinstance(self.head_scale, str) else self.head_scale


def possible_heads(width: int) -> list[int]:
    """Numbers of heads that split ``width`` into even parts, as rotary positions need."""
    return [heads for heads in range(1, width // 2 + 1) if width % heads == 0 and (width // heads) % 2 == 0]


def default_heads(width: int) -> int:
    """Heads of 64 up to width 1024 and of 128 above (the papers' rule); below 128, heads of about 32."""
    target = 128 if width > 1024 else 64 if width >= 128 else 32
    fits = possible_heads(width)
    return min(fits, key=lambda h: (abs(width / h - target), h)) if fits else 1
