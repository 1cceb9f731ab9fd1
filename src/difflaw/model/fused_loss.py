"""Loss of a batch straight from hidden states: numbers, losses and gradient of a chunk while its logits are at hand.

A loss is a sum over tokens, so its gradient in the logits is known as soon as a chunk's numbers are: the backward
needs no second product with the output matrix, and one pass makes three products in all. The cost of a step is that
gradients are made even if nobody asks for them; use `head.numbers_from_hidden` to judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from difflaw.model.head import CHUNK_ELEMENTS, TokenNumbers, as_numbers, targets_of
from difflaw.model.head_passes import (
    Fused,
    Sums,
    Targets,
    fused,
    gradient_factors,
    numbers_of,
    put_back,
    softmax_gradient,
    softmax_numbers,
    suppress,
)

TokenLoss = Callable[[TokenNumbers, slice], Tensor]
"""(numbers of some rows, which rows) → their losses, differentiable in the numbers."""

LEAST_ROWS = 512
"""Rows a chunk aims at: each chunk adds to the whole gradient of the output matrix, which must not set the pace."""
LARGEST = 3 << 25
"""Bytes that a chunk's logits and what is made of them may take."""
VOCABULARY_BLOCK = 16_384
"""Rows of the output matrix whose gradient is made at once in bfloat16, before it is added in float32."""
HELD_TWICE = 1 << 24
"""Numbers of an output matrix up to which its rounded copy is kept for the step."""


class _Way(NamedTuple):
    scale: float
    targets: Targets
    token_loss: TokenLoss
    passes: Fused | None
    """Fused loops over a chunk; None: as PyTorch's own operations."""
    z_loss: Tensor | None = None


def rows_of_chunks(tokens: int, vocabulary: int, bytes_each: int) -> list[slice]:
    """Equal chunks of about `LEAST_ROWS` rows or `CHUNK_ELEMENTS` logits, whichever is more, within `LARGEST` bytes."""
    most = min(max(LEAST_ROWS, CHUNK_ELEMENTS // vocabulary), max(1, LARGEST // (vocabulary * bytes_each)))
    size = -(-tokens // max(1, -(-tokens // most)))
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, max(1, size))]


def _bytes_each(matmul: torch.dtype, targets: Targets, in_place: bool) -> int:
    """Bytes held for each logit: its gradient takes its place in fused passes, else p, u and their like lie beside."""
    if in_place:
        return matmul.itemsize
    return 4 * (2 if targets.ratio is None else 3) + (0 if matmul == torch.float32 else 2 * matmul.itemsize)


def _of_chunk(logits_TV: Tensor, rows: slice, way: _Way) -> Any:
    """(sum of losses, numbers, gradient in the logits) of one chunk; the logits are overwritten."""
    targets = way.targets.rows(rows)

    def chunk_loss(numbers: TokenNumbers) -> Tensor:
        return way.token_loss(numbers, rows)

    if way.passes is None:
        numbers, p_TV, sums = softmax_numbers(logits_TV.float(), targets)
        loss, gradients = _loss_and_gradients(numbers, targets, chunk_loss)
        penalty, from_log_sum = _z_loss(sums, way.z_loss, rows)
        grad = softmax_gradient(p_TV, numbers[0].exp(), targets, gradients, from_log_sum, overwrite=True)
        return loss + penalty, numbers, grad.to(logits_TV.dtype)
    at_x, at_z = suppress(logits_TV, targets)
    sums = way.passes.sums(logits_TV, at_x, targets.ratio)
    numbers = numbers_of(sums, at_x, at_z, targets)
    loss, gradients = _loss_and_gradients(numbers, targets, chunk_loss)
    total, from_excess = gradient_factors(targets, gradients)
    penalty, from_log_sum = _z_loss(sums, way.z_loss, rows)
    if from_log_sum is not None:
        total = total - from_log_sum
    if from_excess is not None and sums.slope is not None:
        total = total + from_excess * sums.slope
    way.passes.gradient(logits_TV, sums.top, sums.total, targets.ratio, total, from_excess)
    return loss + penalty, numbers, put_back(logits_TV, numbers[0].exp(), total, targets, gradients)


def _z_loss(sums: Sums, weight_T: Tensor | None, rows: slice) -> tuple[Tensor | float, Tensor | None]:
    """Σ weight·(log Σ e^logit)², and its gradient in the logarithm, (T, 1)."""
    if weight_T is None:
        return 0.0, None
    log_sum, weight = sums.top + sums.total.log(), weight_T[rows, None]
    return (weight * log_sum.square()).sum(), 2.0 * weight * log_sum


def _loss_and_gradients(
    numbers: list[Tensor], targets: Targets, chunk_loss: Callable[[TokenNumbers], Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Sum of the losses, and its gradient in each number."""
    with torch.enable_grad():
        leaves = [column.detach().requires_grad_() for column in numbers]
        loss = chunk_loss(as_numbers(tuple(leaves), targets, targets.x.shape)).sum()
        found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return loss.detach(), [torch.zeros_like(n) if g is None else g for n, g in zip(numbers, found, strict=True)]


class _OutputMatrix:
    """The output matrix in the products' type, and its three products with a chunk.

    A large one is never held twice: its blocks are rounded anew for every product, a few per cent of its time.
    """

    def __init__(self, weight_VD: Tensor, matmul: torch.dtype) -> None:
        self.weight, self.matmul = weight_VD, matmul
        whole = matmul == weight_VD.dtype or weight_VD.numel() <= HELD_TWICE
        size = len(weight_VD) if whole else VOCABULARY_BLOCK
        self.blocks = [slice(start, start + size) for start in range(0, len(weight_VD), size)]
        self.rounded = weight_VD.to(matmul) if whole else None

    def _rows(self, block: slice) -> Tensor:
        return self.weight[block].to(self.matmul) if self.rounded is None else self.rounded

    def logits(self, hidden_TD: Tensor, out_TV: Tensor) -> Tensor:
        """Hidden · weightᵀ, in ``out``."""
        if self.rounded is not None:
            return torch.mm(hidden_TD, self.rounded.T, out=out_TV)
        for block in self.blocks:
            out_TV[:, block] = hidden_TD @ self._rows(block).T
        return out_TV

    def hidden_gradient(self, grad_TV: Tensor, out_TD: Tensor) -> None:
        """Gradient · weight, in ``out``; blocks are summed in float32."""
        if self.rounded is not None:
            torch.mm(grad_TV, self.rounded, out=out_TD)
            return
        total = torch.zeros(out_TD.shape, dtype=torch.float32, device=out_TD.device)
        for block in self.blocks:
            total += grad_TV[:, block] @ self._rows(block)
        out_TD.copy_(total)

    def weight_gradient(self, grad_TV: Tensor, hidden_TD: Tensor, total_VD: Tensor) -> None:
        """Total += gradientᵀ · hidden, summed over chunks in float32, without a second vocabulary × width."""
        if grad_TV.dtype == torch.float32:
            total_VD.addmm_(grad_TV.T, hidden_TD)
            return
        for start in range(0, len(total_VD), VOCABULARY_BLOCK):
            block = slice(start, start + VOCABULARY_BLOCK)
            total_VD[block] += grad_TV[:, block].T @ hidden_TD


class _FusedLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_TD: Tensor, weight_VD: Tensor, way: _Way, matmul: torch.dtype) -> Any:  # type: ignore[override]
        tokens, vocabulary = hidden_TD.shape[0], weight_VD.shape[0]
        scaled, matrix = (hidden_TD * way.scale).to(matmul), _OutputMatrix(weight_VD, matmul)
        grad_hidden = torch.empty_like(scaled)
        grad_weight = torch.zeros(weight_VD.shape, dtype=torch.float32, device=weight_VD.device)
        loss, kept = hidden_TD.new_zeros((), dtype=torch.float32), []
        chunks = rows_of_chunks(tokens, vocabulary, _bytes_each(matmul, way.targets, way.passes is not None))
        held = scaled.new_empty(max((rows.stop - rows.start for rows in chunks), default=0), vocabulary)
        for rows in chunks:
            logits = matrix.logits(scaled[rows], held[: rows.stop - rows.start])
            part, numbers, grad = _of_chunk(logits, rows, way)
            loss += part
            kept.append(numbers)
            matrix.hidden_gradient(grad, grad_hidden[rows])
            matrix.weight_gradient(grad, scaled[rows], grad_weight)
        ctx.save_for_backward(grad_hidden.to(hidden_TD.dtype).mul_(way.scale), grad_weight)
        ctx.dtype = weight_VD.dtype
        columns = [torch.cat(column).detach() for column in map(list, zip(*kept, strict=True))]
        ctx.mark_non_differentiable(*columns)
        return loss, *columns

    @staticmethod
    def backward(ctx: Any, from_loss: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        grad_hidden, grad_weight = ctx.saved_tensors
        if from_loss.device.type != "cpu" or float(from_loss) != 1.0:
            grad_hidden, grad_weight = grad_hidden * from_loss, grad_weight * from_loss
        return grad_hidden, grad_weight.to(ctx.dtype), None, None


def fused_loss(
    hidden: Tensor,
    weight_VD: Tensor,
    scale: float,
    x: Tensor,
    mask_id: int,
    token_loss: TokenLoss,
    z: Tensor | None = None,
    log_ratio: Tensor | None = None,
    *,
    matmul: torch.dtype = torch.float32,
    compiled: bool = False,
    z_loss: Tensor | None = None,
) -> tuple[Tensor, TokenNumbers]:
    """Sum over tokens of ``token_loss`` with its gradient, and the numbers (T,) it was made of, without one.

    ``hidden`` (T, D), ``x``, ``z`` and ``log_ratio`` (T,); logits = scale · hidden · weightᵀ. The three products run in
    ``matmul`` (bfloat16 rounds logits to eight bits: for training, not for judging), all else in float32. ``z_loss``
    (T,) adds z_loss·(log Σ e^logit)², which keeps logits from drifting upwards together (PaLM, 2204.02311 §5).
    """
    targets = targets_of(x, z, log_ratio, mask_id, torch.float32)
    way = _Way(scale, targets, token_loss, fused(hidden.device, compiled), z_loss)
    loss, *columns = _FusedLoss.apply(hidden, weight_VD, way, matmul)  # type: ignore[misc]
    if not columns:  # no token at all
        columns = [hidden.new_zeros(0)] * (1 + (z is not None) + (log_ratio is not None))
    return loss, as_numbers(tuple(columns), targets, x.shape)
