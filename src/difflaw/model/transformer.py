"""The backbone all families share: pre-norm transformer of 2512.10858, names as in its published checkpoints.

h = E[z];  h += (r/L)·attn(norm(h));  h += (r/L)·mlp(norm(h));  logits = (512/d)·W·norm(h). Zero-centred RMSNorm gains,
query-key norm over the whole width before the heads are split, rotary halves, soft-capped attention with a learned
sink, ReLU² in between. Nothing tells the network λ. B sequences, L positions, D width, V vocabulary, H heads.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from difflaw.model.attention import capped_softmax, key_mask
from difflaw.model.cache import KeyValueCache
from difflaw.model.columns import normed_columns, to_columns
from difflaw.model.config import CONDITION_WIDTH, SINUSOIDS, ModelConfig
from difflaw.model.fused_attention import AttentionWeights, Surroundings, fused_attention, surroundings
from difflaw.model.fused_feed_forward import FeedForwardWeights, fused_feed_forward
from difflaw.model.soft import SoftTokens


class _RootMeanSquare(torch.autograd.Function):
    """x / rms(x) · (1 + gain) over the last axis, statistics in float32; gain (..., D) matches x's trailing axes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float) -> Tensor:  # type: ignore[override]
        wide = x.float()
        rstd = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        unit = wide * rstd
        ctx.save_for_backward(unit, rstd, gain)
        ctx.dtype = x.dtype
        return torch.addcmul(unit, unit, gain).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        unit, rstd, gain = ctx.saved_tensors
        gradient = gradient.float()
        grad_gain = (gradient * unit).reshape(-1, *gain.shape).sum(0)
        inner = torch.addcmul(gradient, gradient, gain)
        along = torch.linalg.vecdot(inner, unit).div_(unit.shape[-1]).unsqueeze(-1)
        return inner.addcmul_(unit, along, value=-1).mul_(rstd).to(ctx.dtype), grad_gain, None


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """x/√(mean x² + eps)·(1 + gain) over the last axis."""
    return _RootMeanSquare.apply(x, gain, eps)  # type: ignore[return-value]


class _SquaredReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        positive = x.relu()
        ctx.save_for_backward(positive)
        return positive.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return (gradient * ctx.saved_tensors[0]).mul_(2.0)


class RMSNorm(nn.Module):
    """x/√(mean x² + eps)·(1 + weight), weight stored around zero."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) → the same."""
        return rms_norm(x, self.weight, self.eps)


class ScaledLinear(nn.Linear):
    """y = scale·(x Wᵀ) + bias; the bias is not scaled."""

    def __init__(self, fan_in: int, fan_out: int, bias: bool, scaling: float | str) -> None:
        super().__init__(fan_in, fan_out, bias=bias)
        self.scale = {"fan_in": fan_in**-0.5, "fan_out": fan_out**-0.5}.get(str(scaling)) or float(scaling)

    def forward(self, input: Tensor) -> Tensor:
        """(..., fan_in) → (..., fan_out)."""
        if self.scale == 1.0:
            return F.linear(input, self.weight, self.bias)
        out = F.linear(input, self.weight) * self.scale
        return out if self.bias is None else out + self.bias


def rotary_table(positions: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cos and sin, (..., L, head_dim), halves repeated (NeoX); sin carries the sign of the rotated half."""
    half = head_dim // 2
    frequency = theta ** (-torch.arange(half, device=positions.device, dtype=torch.float32) / half)
    angle = positions.float().unsqueeze(-1) * frequency
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of (..., L, head_dim): x·cos + swap_halves(x)·sin with the signed sine."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin).to(x.dtype)


class Attention(nn.Module):
    """Multi-head attention with query-key norm, rotary positions, soft cap and sink."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, scaling = config.width, config.weight_scaling
        self.heads, self.head_dim, self.cap = config.heads, config.head_dim, config.soft_cap
        self.q_proj = ScaledLinear(width, width, False, scaling)
        self.k_proj = ScaledLinear(width, width, False, scaling)
        self.v_proj = ScaledLinear(width, width, False, scaling)
        self.o_proj = ScaledLinear(width, width, False, scaling)
        if config.qk_norm:
            self.q_norm = RMSNorm(width, config.norm_eps)
            self.k_norm = RMSNorm(width, config.norm_eps)
        self.eps = config.norm_eps if config.qk_norm else None
        self.has_sink = config.sink
        if config.sink:
            self.k_bias = nn.Parameter(torch.zeros(config.heads, config.head_dim))
            self.v_bias = nn.Parameter(torch.zeros(config.heads, config.head_dim))

    def _queries_keys_values(self, h_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """Normed queries and keys (2, B, H, L, head_dim), values (B, H, L, head_dim): one product for all three."""
        width = h_BLD.shape[-1]
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        out = F.linear(h_BLD, weight)
        if self.q_proj.scale != 1.0:
            out = out * self.q_proj.scale
        qk_BL2D = out[..., : 2 * width].unflatten(-1, (2, width))
        if self.eps is not None:
            qk_BL2D = rms_norm(qk_BL2D, torch.stack([self.q_norm.weight, self.k_norm.weight]), self.eps)
        qk = qk_BL2D.unflatten(-1, (self.heads, self.head_dim)).permute(2, 0, 3, 1, 4)
        return qk, out[..., 2 * width :].unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)

    def _with_sink(self, x: Tensor, sink: Tensor) -> Tensor:
        first = sink.to(x.dtype).view(1, self.heads, 1, self.head_dim).expand(x.shape[0], -1, -1, -1)
        return torch.cat([first, x], dim=2)

    def _separately(self, h_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """The same as `_queries_keys_values` in three products: for few tokens, joining the weights costs more."""
        q, k, v = self.q_proj(h_BLD), self.k_proj(h_BLD), self.v_proj(h_BLD)
        if self.eps is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = (x.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for x in (q, k, v))
        return torch.stack([q, k]), v

    def forward(
        self,
        h_BLD: Tensor,
        cos: Tensor,
        sin: Tensor,
        key_mask: Tensor | None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
    ) -> Tensor:
        """(B, L, D) → (B, L, D); ``key_mask`` from `attention.key_mask`, or from ``cache``, which holds the sink."""
        qk, v = self._queries_keys_values(h_BLD) if cache is None else self._separately(h_BLD)
        q, k = rotate(qk, cos, sin).unbind(0)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        elif self.has_sink:
            k, v = self._with_sink(k, self.k_bias), self._with_sink(v, self.v_bias)
        scores = (q * (self.head_dim**-0.5 / self.cap)) @ k.transpose(-1, -2)
        out = capped_softmax(scores, self.cap, key_mask).to(v.dtype) @ v
        return self.o_proj(out.transpose(1, 2).flatten(2))

    def remember(self, h_BLD: Tensor, cos: Tensor, sin: Tensor, cache: KeyValueCache, layer: int) -> None:
        """Keys and values into the cache, no output."""
        qk, v = self._separately(h_BLD)
        cache.extend(layer, rotate(qk, cos, sin)[1], v)


class FeedForward(nn.Module):
    """down(relu(up(x))²), in between at `ModelConfig.inner_width`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up_proj = ScaledLinear(config.width, config.inner_width, config.mlp_bias, config.weight_scaling)
        self.down_proj = ScaledLinear(config.inner_width, config.width, config.mlp_bias, config.weight_scaling)

    def forward(self, h_BLD: Tensor) -> Tensor:
        """(B, L, D) → (B, L, D)."""
        return self.down_proj(_SquaredReLU.apply(self.up_proj(h_BLD)))  # type: ignore[arg-type]


class Condition(nn.Module):
    """σ → SiLU(MLP(sines and cosines of σ)), the input of every adaLN layer (2602.15014's network)."""

    def __init__(self) -> None:
        super().__init__()
        self.time_in = nn.Linear(SINUSOIDS, CONDITION_WIDTH)
        self.time_out = nn.Linear(CONDITION_WIDTH, CONDITION_WIDTH)

    def forward(self, sigma: Tensor) -> Tensor:
        """(B, 1 or L) → (B, 1 or L, CONDITION_WIDTH)."""
        half = SINUSOIDS // 2
        frequency = 10_000.0 ** (-torch.arange(half, device=sigma.device, dtype=torch.float32) / half)
        angle = sigma.float().unsqueeze(-1) * frequency
        return F.silu(self.time_out(F.silu(self.time_in(torch.cat([angle.cos(), angle.sin()], -1)))))


def modulate(h_BLD: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """h·(1 + scale) + shift."""
    return torch.addcmul(h_BLD + shift, h_BLD, scale)


class TransformerLayer(nn.Module):
    """One layer: attention, then feed-forward, each on a normed input and added with weight r/L.

    With adaLN the condition shifts and scales both inputs and scales both outputs by 1 + gate. All six start at zero,
    so that the conditioned network starts as the plain one (in 2602.15014 the gates themselves start at zero).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attn_layernorm = RMSNorm(config.width, config.norm_eps)
        self.self_attn = Attention(config)
        self.mlp_layernorm = RMSNorm(config.width, config.norm_eps)
        self.mlp = FeedForward(config)
        self.residual = config.resid_scale / config.layers
        self.adaln = nn.Linear(CONDITION_WIDTH, 6 * config.width) if config.adaln else None

    def forward(
        self,
        h_BLD: Tensor,
        cos: Tensor,
        sin: Tensor,
        key_mask: Tensor | None,
        condition: Tensor | None = None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
    ) -> Tensor:
        """(B, L, D) → (B, L, D)."""
        if self.adaln is not None and condition is not None:
            shift, scale, gate, shift_up, scale_up, gate_up = self.adaln(condition).chunk(6, -1)
            inner = modulate(self.attn_layernorm(h_BLD), shift, scale)
            inner = self.self_attn(inner, cos, sin, key_mask, cache, layer)
            h_BLD = torch.add(h_BLD, torch.addcmul(inner, inner, gate), alpha=self.residual)
            inner = self.mlp(modulate(self.mlp_layernorm(h_BLD), shift_up, scale_up))
            return torch.add(h_BLD, torch.addcmul(inner, inner, gate_up), alpha=self.residual)
        inner = self.self_attn(self.attn_layernorm(h_BLD), cos, sin, key_mask, cache, layer)
        h_BLD = torch.add(h_BLD, inner, alpha=self.residual)
        return torch.add(h_BLD, self.mlp(self.mlp_layernorm(h_BLD)), alpha=self.residual)

    def on_columns(self, h: Tensor, around: Surroundings) -> Tensor:
        """(D, B·L) → (D, B·L): the same layer as two functions of columns, where `ModelConfig.fuses`."""
        mine, mlp = self.self_attn, self.mlp
        weights = AttentionWeights(
            *(self.attn_layernorm.weight, mine.q_proj.weight, mine.k_proj.weight, mine.v_proj.weight),
            *(mine.q_norm.weight, mine.k_norm.weight, mine.k_bias, mine.v_bias, mine.o_proj.weight),
        )
        h = fused_attention(h, around, weights, self.residual, self.attn_layernorm.eps, mine.cap)
        up, down = mlp.up_proj, mlp.down_proj
        inner = FeedForwardWeights(self.mlp_layernorm.weight, up.weight, up.bias, down.weight, down.bias)
        return fused_feed_forward(h, inner, self.residual, self.mlp_layernorm.eps)

    def remember(
        self, h_BLD: Tensor, cos: Tensor, sin: Tensor, condition: Tensor | None, cache: KeyValueCache, layer: int
    ) -> None:
        """What the layer leaves in the cache, and no more: enough for the last one of a pass that nobody reads."""
        inner = self.attn_layernorm(h_BLD)
        if self.adaln is not None and condition is not None:
            inner = modulate(inner, *self.adaln(condition).chunk(6, -1)[:2])
        self.self_attn.remember(inner, cos, sin, cache, layer)


class _Body(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)
        self.condition = Condition() if config.adaln else None
        self.adaln = nn.Linear(CONDITION_WIDTH, 2 * config.width) if config.adaln else None


class Transformer(nn.Module):
    """The network: token ids in, hidden states or logits out. ``causal`` fixes the default attention."""

    def __init__(self, config: ModelConfig, causal: bool = False) -> None:
        super().__init__()
        self.config, self.causal = config, causal
        self.model = _Body(config)
        self.lm_head = nn.Linear(config.width, config.vocab_size, bias=False)
        if config.tied:
            self.lm_head.weight = self.model.embed_tokens.weight
        cos, sin = rotary_table(torch.arange(config.context), config.head_dim, config.rope_theta)
        for name, table in (("cos", cos), ("sin", sin)):  # along positions, as the fused layers read them
            self.register_buffer(name, table.t().contiguous().t(), persistent=False)

    @property
    def output_scale(self) -> float:
        """Factor between hidden · weightᵀ and the logits; a tied head has none (as published)."""
        return 1.0 if self.config.tied else self.config.output_scale

    def hidden(
        self,
        z_BL: Tensor,
        attention: Tensor | None = None,
        positions: Tensor | None = None,
        *,
        sigma: Tensor | None = None,
        soft: SoftTokens | None = None,
        cache: KeyValueCache | None = None,
        only_remember: bool = False,
    ) -> Tensor:
        """Final normed states (B, L, D).

        ``attention`` is "may attend", (L, L) or (B, L, L), True = yes; None means all (or the past, when causal).
        ``positions`` (B, L) default to 0 … L-1. ``sigma`` (B, 1 or L) goes to adaLN, zero if not given and ignored by
        a network without it. ``soft`` replaces the embeddings of z by mixtures of embeddings. With a ``cache``
        (from `new_cache`) the tokens also see what it holds, ``attention`` is among the new ones alone, and
        ``positions`` must be given; what of them stays is up to `KeyValueCache.keep`. With ``only_remember`` the pass
        is made for the cache alone: the last layer stops at its keys and values, and an empty tensor comes back.
        """
        h_BLD, cos, sin, mask, condition = self.inputs(z_BL, attention, positions, sigma=sigma, soft=soft, cache=cache)
        return self.states(h_BLD, cos, sin, mask, condition, cache, only_remember)

    def inputs(
        self,
        z_BL: Tensor,
        attention: Tensor | None = None,
        positions: Tensor | None = None,
        *,
        sigma: Tensor | None = None,
        soft: SoftTokens | None = None,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
        """What the layers read: embeddings (B, L, D), cos and sin, mask of keys or None, adaLN's condition or None."""
        length = z_BL.shape[1]
        if length > self.config.context and positions is None:
            raise ValueError(f"{length} positions are more than the context of {self.config.context}")
        if positions is None:
            cos, sin = self.cos[:length], self.sin[:length]  # type: ignore[index]
        else:
            cos, sin = rotary_table(positions, self.config.head_dim, self.config.rope_theta)
            cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
        if attention is None and self.causal:
            attention = torch.ones(length, length, dtype=torch.bool, device=z_BL.device).tril()
        if cache is not None:
            if positions is None:
                raise ValueError("positions: must be given with a cache")
            mask = cache.key_mask(attention, *z_BL.shape)
        else:
            mask = None if attention is None else key_mask(attention, self.config.sink)
        condition = None
        if self.model.condition is not None:
            sigma = torch.zeros_like(z_BL[:, :1], dtype=torch.float32) if sigma is None else sigma
            condition = self.model.condition(sigma)
        return self._embed(z_BL, soft), cos, sin, mask, condition

    def states(
        self,
        h_BLD: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None = None,
        condition: Tensor | None = None,
        cache: KeyValueCache | None = None,
        only_remember: bool = False,
    ) -> Tensor:
        """All layers and the last norm, on what `inputs` gives: the part of a pass that is worth compiling."""
        if cache is None and condition is None and self._fuses(h_BLD):
            return self._fused_states(h_BLD, cos, sin, mask)
        last = len(self.model.layers) - 1
        for index, layer in enumerate(self.model.layers):
            if only_remember and cache is not None and index == last:
                layer.remember(h_BLD, cos, sin, condition, cache, index)  # type: ignore[operator]
                return h_BLD.new_empty(0)
            h_BLD = layer(h_BLD, cos, sin, mask, condition, cache, index)
        h_BLD = self.model.norm(h_BLD)
        if self.model.adaln is None:
            return h_BLD
        return modulate(h_BLD, *self.model.adaln(condition).chunk(2, -1))

    def _fuses(self, h_BLD: Tensor) -> bool:
        """Whether the fused layers can do it: eager steps of the published network on a processor, no reduced type."""
        return (
            h_BLD.device.type == "cpu"
            and h_BLD.dtype == self.model.norm.weight.dtype
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
            and self.config.fuses
        )

    def _fused_states(self, h_BLD: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        rows, length, width = h_BLD.shape
        around, h = surroundings(rows, length, cos, sin, mask), to_columns(h_BLD)
        for layer in self.model.layers:
            h = layer.on_columns(h, around)  # type: ignore[operator]
        return normed_columns(h, self.model.norm.weight, self.config.norm_eps).t().view(rows, length, width)

    def new_cache(self, rows: int, capacity: int) -> KeyValueCache:
        """An empty cache for ``rows`` sequences and at first ``capacity`` tokens; it holds the sink, if any."""
        config, like = self.config, self.model.embed_tokens.weight
        shape = (rows, config.heads, capacity + 1, config.head_dim)
        keys, values = ([like.new_empty(shape) for _ in range(config.layers)] for _ in range(2))
        if config.sink:
            for layer, k, v in zip(self.model.layers, keys, values, strict=True):
                k[:, :, 0], v[:, :, 0] = layer.self_attn.k_bias, layer.self_attn.v_bias  # type: ignore[union-attr]
        seen = torch.ones(rows, int(config.sink), dtype=torch.bool, device=like.device)
        return KeyValueCache(keys, values, seen)

    def _embed(self, z_BL: Tensor, soft: SoftTokens | None) -> Tensor:
        if soft is None:
            return self.model.embed_tokens(z_BL)
        weight = self.model.embed_tokens.weight
        k = soft.ids.shape[-1]
        rows = F.embedding_bag(
            soft.ids.reshape(-1, k), weight, per_sample_weights=soft.weights.reshape(-1, k), mode="sum"
        )
        return rows.reshape(*z_BL.shape, -1)

    def logits(
        self,
        z_BL: Tensor,
        attention: Tensor | None = None,
        positions: Tensor | None = None,
        *,
        sigma: Tensor | None = None,
    ) -> Tensor:
        """(B, L, V); arguments as in `hidden`."""
        return self.lm_head(self.hidden(z_BL, attention, positions, sigma=sigma)) * self.output_scale

    @torch.no_grad()
    def initialise(self, seed: int) -> Transformer:
        """CompleteP's start: hidden N(0, (0.4/√d)²), embedding N(0, 0.02²), all else zero. Depends on seed alone.

        One generator per parameter, so the same seed gives nested models comparable starts in any order.
        """
        for index, (name, parameter) in enumerate(sorted(self.named_parameters())):
            if parameter.dim() < 2 or "bias" in name or "adaln" in name or name == "lm_head.weight":
                parameter.zero_()
                continue
            if "embed_tokens" in name:
                std = self.config.embedding_std
            elif "condition" in name:
                std = parameter.shape[1] ** -0.5
            else:
                std = self.config.init_scale / math.sqrt(self.config.width)
            stream = torch.Generator().manual_seed((seed * 1_000_003 + index) & 0x7FFF_FFFF_FFFF_FFFF)
            parameter.copy_(torch.randn(parameter.shape, generator=stream) * std)
        return self
