"""Three numbers a token: all that any loss or bound needs from the vocabulary.

With p = softmax(logits), the mask suppressed, and a signal ratio r per token:

    log p[x],   log p[z],   G = Σ_{v ≠ x, mask} g(r·p_v),   g(u) = u - log(1+u)

(G is Σ_v log(a·p_v + b), r = a/b, with its leading terms taken out, so that it does not cancel at low signal; how every
bound follows from the three: docs/derivations.md#three-numbers.)
They are computed from hidden states and the output matrix in chunks of tokens, with an analytic backward, so
tokens × vocabulary is never held at once. Shapes: T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from difflaw.model.head_passes import Targets, softmax_gradient, softmax_numbers

CHUNK_ELEMENTS = 1 << 22
"""Logits held at once (16 MiB in float32). One chunk or less: softmax is kept for the backward, else recomputed."""


class TokenNumbers(NamedTuple):
    """log p[x], log p[z] and G, each (T,) or the shape of x; the last two None when not asked for."""

    log_p_x: Tensor
    log_p_z: Tensor | None
    excess: Tensor | None


def chunks_of(tokens: int, vocabulary: int) -> list[slice]:
    """Rows whose logits are `CHUNK_ELEMENTS` at most; one empty chunk where there is no row."""
    size = max(1, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, min(start + size, tokens)) for start in range(0, max(tokens, 1), size)]


class _FromLogits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_TV: Tensor, targets: Targets) -> tuple[Tensor, ...]:  # type: ignore[override]
        numbers, p_TV, _ = softmax_numbers(logits_TV.clone(), targets)
        ctx.save_for_backward(p_TV, numbers[0])
        ctx.targets = targets
        return tuple(numbers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        p_TV, log_p_x = ctx.saved_tensors
        return softmax_gradient(p_TV, log_p_x.exp(), ctx.targets, list(gradients)), None


class _FromHidden(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, hidden_TD: Tensor, weight_VD: Tensor, scale: float, targets: Targets
    ) -> tuple[Tensor, ...]:
        chunks, scaled = chunks_of(hidden_TD.shape[0], weight_VD.shape[0]), hidden_TD * scale
        parts, kept = [], None
        for rows in chunks:
            numbers, p_TV, _ = softmax_numbers(_logits(scaled[rows], weight_VD), targets.rows(rows))
            parts.append(numbers)
            kept = p_TV if len(chunks) == 1 else None
        columns = [torch.cat(column) for column in map(list, zip(*parts, strict=True))]
        ctx.save_for_backward(scaled, weight_VD, columns[0], kept)
        ctx.scale, ctx.targets, ctx.chunks = scale, targets, chunks
        return tuple(columns)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        scaled, weight_VD, log_p_x, kept = ctx.saved_tensors
        grad_hidden = torch.empty_like(scaled)
        grad_weight = torch.zeros_like(weight_VD, dtype=torch.float32)
        for rows in ctx.chunks:
            targets, p_TV = ctx.targets.rows(rows), kept
            if p_TV is None:
                only_x = Targets(targets.x, None, None, targets.mask_id)
                p_TV = softmax_numbers(_logits(scaled[rows], weight_VD), only_x)[1]
            grad = softmax_gradient(p_TV, log_p_x[rows].exp(), targets, [part[rows] for part in gradients])
            grad = grad.to(scaled.dtype)
            torch.mm(grad, weight_VD, out=grad_hidden[rows])
            grad_weight.addmm_(grad.T.float(), scaled[rows].float())  # no second V × D
        return grad_hidden.mul_(ctx.scale), grad_weight.to(weight_VD.dtype), None, None


def _logits(scaled_TD: Tensor, weight_VD: Tensor) -> Tensor:
    return (scaled_TD @ weight_VD.T).float()


def as_numbers(columns: tuple[Tensor, ...], targets: Targets, shape: torch.Size) -> TokenNumbers:
    """Columns (T,) by their names, in ``shape``."""
    rest = [column.reshape(shape) for column in columns]
    log_p_x = rest.pop(0)
    log_p_z = rest.pop(0) if targets.z is not None else None
    return TokenNumbers(log_p_x, log_p_z, rest.pop(0) if targets.ratio is not None else None)


def targets_of(x: Tensor, z: Tensor | None, log_ratio: Tensor | None, mask_id: int, dtype: torch.dtype) -> Targets:
    """The arguments of the public functions, flat, with r in place of log r."""
    return Targets(
        x.reshape(-1),
        None if z is None else z.reshape(-1),
        None if log_ratio is None else log_ratio.reshape(-1).exp().to(dtype),
        mask_id,
    )


def numbers_from_logits(
    logits: Tensor, x: Tensor, mask_id: int, z: Tensor | None = None, log_ratio: Tensor | None = None
) -> TokenNumbers:
    """The three numbers from logits (..., V) in their own float type; x, z and log r have the leading shape."""
    targets = targets_of(x, z, log_ratio, mask_id, logits.dtype)
    return as_numbers(_FromLogits.apply(logits.reshape(-1, logits.shape[-1]), targets), targets, x.shape)  # type: ignore[arg-type]


def numbers_from_hidden(
    hidden: Tensor,
    weight_VD: Tensor,
    scale: float,
    x: Tensor,
    mask_id: int,
    z: Tensor | None = None,
    log_ratio: Tensor | None = None,
) -> TokenNumbers:
    """The three numbers in float32 from hidden states (..., D); logits = scale · hidden · weightᵀ, in chunks."""
    targets = targets_of(x, z, log_ratio, mask_id, torch.float32)
    flat = hidden.reshape(-1, hidden.shape[-1])
    return as_numbers(_FromHidden.apply(flat, weight_VD, scale, targets), targets, x.shape)  # type: ignore[arg-type]
