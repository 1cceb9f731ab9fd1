"""The two passes over a chunk of logits as Triton kernels: `head_passes.row_sums` and `backward_pass` on a GPU.

A row is one program in the first pass: it is read once for its highest logit and its sum together, and once more, from
cache, for G. The second pass writes the gradient where the logits were. All sums are float32, whatever the logits are.
"""

# Triton's language is Python for its own compiler, and it need not be installed where there is no GPU:
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportMissingImports=false

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from difflaw.model.head_sums import Sums

BLOCK = 4096
"""Logits of a row that a program holds at once."""


@triton.jit
def _log1p(u):
    # log(1+u) with the rounding of 1+u divided out again: right to the last digits for small u
    w = 1.0 + u
    return tl.where(w == 1.0, u, tl.log(w) * (u / tl.where(w == 1.0, 1.0, w - 1.0)))


@triton.jit
def _row_sums(
    logits, stride, at_x, ratio, top_out, rest_out, total_out, excess_out, slope_out, vocabulary,
    HAS_RATIO: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    line = logits + row * stride
    x = tl.load(at_x + row)
    top, rest = x, 0.0
    for start in range(0, vocabulary, BLOCK):
        ids = start + tl.arange(0, BLOCK)
        block = tl.load(line + ids, mask=ids < vocabulary, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(top, tl.max(block, 0))
        rest = rest * tl.exp(top - higher) + tl.sum(tl.exp(block - higher), 0)
        top = higher
    total = rest + tl.exp(x - top)
    tl.store(top_out + row, top)
    tl.store(rest_out + row, rest)
    tl.store(total_out + row, total)
    if HAS_RATIO:
        scale, excess, slope = tl.load(ratio + row) / total, 0.0, 0.0
        for start in range(0, vocabulary, BLOCK):
            ids = start + tl.arange(0, BLOCK)
            block = tl.load(line + ids, mask=ids < vocabulary, other=-float("inf")).to(tl.float32)
            u = scale * tl.exp(block - top)
            excess += tl.sum(u - _log1p(u), 0)
            slope += tl.sum(u * u / (1.0 + u), 0)
        tl.store(excess_out + row, excess)
        tl.store(slope_out + row, slope)


@triton.jit
def _backward_pass(
    logits, stride, top, total, ratio, from_log_p, from_excess, vocabulary, HAS_RATIO: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    ids = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    place = logits + row * stride + ids
    block = tl.load(place, mask=ids < vocabulary, other=-float("inf")).to(tl.float32)
    p = tl.exp(block - tl.load(top + row)) / tl.load(total + row)
    grad = -tl.load(from_log_p + row) * p
    if HAS_RATIO:
        u = p * tl.load(ratio + row)
        grad += tl.load(from_excess + row) * u * u / (1.0 + u)
    tl.store(place, grad.to(logits.dtype.element_ty), mask=ids < vocabulary)


def row_sums(logits_TV: Tensor, at_x_T1: Tensor, ratio: Tensor | None) -> Sums:
    """The sums of each row, x and the mask taken out of it (T, V); ratio (T,)."""
    rows, vocabulary = logits_TV.shape
    top, rest, total, excess, slope = logits_TV.new_empty(5, rows, 1, dtype=at_x_T1.dtype).unbind()
    if rows:
        _row_sums[(rows,)](
            logits_TV, logits_TV.stride(0), at_x_T1.contiguous(), top if ratio is None else ratio.contiguous(),
            top, rest, total, excess, slope, vocabulary, HAS_RATIO=ratio is not None, BLOCK=BLOCK,
        )  # fmt: skip
    return Sums(top, rest, total, None, None) if ratio is None else Sums(top, rest, total, excess, slope)


def backward_pass(
    logits_TV: Tensor, top: Tensor, total: Tensor, ratio: Tensor | None, from_log_p: Tensor, from_excess: Tensor | None
) -> None:
    """Logits become -from_log_p·p + from_excess·u·g'(u); all but the logits (T, 1) or (T,)."""
    rows, vocabulary = logits_TV.shape
    has_ratio = ratio is not None and from_excess is not None
    if rows:
        _backward_pass[(rows, triton.cdiv(vocabulary, BLOCK))](
            logits_TV, logits_TV.stride(0), top.contiguous(), total.contiguous(),
            ratio.contiguous() if ratio is not None and has_ratio else top, from_log_p.contiguous(),
            from_excess.contiguous() if from_excess is not None and has_ratio else from_log_p,
            vocabulary, HAS_RATIO=has_ratio, BLOCK=BLOCK,
        )  # fmt: skip
