"""Three numbers a token: all that any loss or bound needs from the vocabulary.

With p = softmax(logits), the mask suppressed, and a signal ratio r per token:

    log p[x],   log p[z],   G = Σ_{v ≠ x, mask} g(r·p_v),   g(u) = u - log(1+u)

(G is design's S(a, b) with the leading terms taken out, so that it does not cancel at low signal; r = a/b.)
They are computed from hidden states and the output matrix in chunks of tokens, with an analytic backward, so
tokens × vocabulary is never held at once. Shapes: T tokens, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 22
"""Logits held at once (16 MiB in float32). One chunk or less: softmax is kept for the backward, else recomputed."""


_SAFE = 1e-20
"""Below it e^(logit - top) loses digits to underflow and the difference of logits is the better form."""


class TokenNumbers(NamedTuple):
    """log p[x], log p[z] and G, each (T,) or the shape of x; the last two None when not asked for."""

    log_p_x: Tensor
    log_p_z: Tensor | None
    excess: Tensor | None


class _Wanted(NamedTuple):
    x: Tensor
    z: Tensor | None
    ratio: Tensor | None
    mask_id: int


def _softmax_numbers(logits_TV: Tensor, want: _Wanted) -> tuple[list[Tensor], Tensor]:
    """The numbers of one chunk, and p (T, V). ``logits_TV`` is overwritten."""
    logits_TV[:, want.mask_id] = -torch.inf
    x_T1 = want.x[:, None]
    top_T1 = logits_TV.amax(-1, keepdim=True)
    shifted = [logits_TV.gather(1, ids[:, None]) - top_T1 for ids in (want.x, want.z) if ids is not None]
    p_TV = logits_TV.sub_(top_T1).exp_()
    # summed without x: where p[x] is nearly one, a hundred thousand small terms would drown beside it
    at_x = p_TV.gather(1, x_T1)
    rest = p_TV.scatter_(1, x_T1, 0.0).sum(1, keepdim=True)
    total = rest + at_x
    log_p_x = torch.where(at_x > _SAFE, -torch.log1p(rest / at_x), shifted[0] - total.log())
    numbers = [log_p_x.squeeze(1)]
    if want.z is not None:
        log_p_z = torch.where(want.z[:, None] == x_T1, log_p_x, shifted[1] - total.log())
        numbers.append(log_p_z.squeeze(1))
    p_TV.scatter_(1, x_T1, at_x).div_(total)
    if want.ratio is not None:
        # g in its plain form: rounding of at most eps·u a term is at most eps·α in the bound, which has the factor c
        u = p_TV * want.ratio[:, None]
        terms = u.sub_(torch.log1p(u))
        terms.scatter_(1, want.x[:, None], 0.0)
        numbers.append(terms.sum(1))
    return numbers, p_TV


def _softmax_gradient(p_TV: Tensor, want: _Wanted, gradients: list[Tensor]) -> Tensor:
    """d(Σ gradient·number)/d logits for one chunk, (T, V)."""
    pull = list(gradients)
    from_x = pull.pop(0)
    from_z = pull.pop(0) if want.z is not None else None
    total = from_x if from_z is None else from_x + from_z
    if want.ratio is None:
        grad = p_TV * -total[:, None]
    else:
        # d g(r p_v)/d logit_j = p_j (1[v=j] - p_v)·r·u/(1+u) and p_v·r·u/(1+u) = u²/(1+u), u = r p_v
        u = p_TV * want.ratio[:, None]
        bend = u.square().div_(u.add_(1.0))
        bend.scatter_(1, want.x[:, None], 0.0)
        from_excess = pull.pop(0)[:, None]
        grad = bend * from_excess
        grad.addcmul_(p_TV, total[:, None] + from_excess * bend.sum(1, keepdim=True), value=-1)
    grad.scatter_add_(1, want.x[:, None], from_x[:, None])
    if want.z is not None and from_z is not None:
        # z may be the mask, whose logit is suppressed: its log p is -inf and must carry no gradient
        grad.scatter_add_(1, want.z[:, None], torch.where(want.z == want.mask_id, 0.0, from_z)[:, None])
    return grad


def _chunks(tokens: int, vocabulary: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // vocabulary)
    return [slice(start, min(start + size, tokens)) for start in range(0, max(tokens, 1), size)]


def _part(want: _Wanted, rows: slice) -> _Wanted:
    return _Wanted(
        want.x[rows],
        None if want.z is None else want.z[rows],
        None if want.ratio is None else want.ratio[rows],
        want.mask_id,
    )


class _FromLogits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_TV: Tensor, want: _Wanted) -> tuple[Tensor, ...]:  # type: ignore[override]
        numbers, p_TV = _softmax_numbers(logits_TV.clone(), want)
        ctx.save_for_backward(p_TV)
        ctx.want = want
        return tuple(numbers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _softmax_gradient(ctx.saved_tensors[0], ctx.want, list(gradients)), None


class _FromHidden(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, hidden_TD: Tensor, weight_VD: Tensor, scale: float, want: _Wanted
    ) -> tuple[Tensor, ...]:
        chunks = _chunks(hidden_TD.shape[0], weight_VD.shape[0])
        parts, kept = [], None
        for rows in chunks:
            logits = (hidden_TD[rows] @ weight_VD.T).float().mul_(scale)
            numbers, p_TV = _softmax_numbers(logits, _part(want, rows))
            parts.append(numbers)
            kept = p_TV if len(chunks) == 1 else None
        ctx.save_for_backward(hidden_TD, weight_VD, kept)
        ctx.scale, ctx.want, ctx.chunks = scale, want, chunks
        return tuple(torch.cat(column) for column in map(list, zip(*parts, strict=True)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        hidden_TD, weight_VD, kept = ctx.saved_tensors
        grad_hidden = torch.empty_like(hidden_TD)
        grad_weight = torch.zeros_like(weight_VD, dtype=torch.float32)
        for rows in ctx.chunks:
            want = _part(ctx.want, rows)
            if kept is not None:
                p_TV = kept
            else:
                logits = (hidden_TD[rows] @ weight_VD.T).float().mul_(ctx.scale)
                logits[:, want.mask_id] = -torch.inf
                p_TV = logits.softmax(-1)
            grad = _softmax_gradient(p_TV, want, [part[rows] for part in gradients])
            grad = grad.mul_(ctx.scale).to(hidden_TD.dtype)
            torch.mm(grad, weight_VD, out=grad_hidden[rows])
            grad_weight.addmm_(grad.T, hidden_TD[rows].to(grad.dtype))  # no second V × D
        return grad_hidden, grad_weight.to(weight_VD.dtype), None, None


def _as_numbers(columns: tuple[Tensor, ...], want: _Wanted, shape: torch.Size) -> TokenNumbers:
    rest = [column.reshape(shape) for column in columns]
    log_p_x = rest.pop(0)
    log_p_z = rest.pop(0) if want.z is not None else None
    return TokenNumbers(log_p_x, log_p_z, rest.pop(0) if want.ratio is not None else None)


def _want(x: Tensor, z: Tensor | None, log_ratio: Tensor | None, mask_id: int, dtype: torch.dtype) -> _Wanted:
    return _Wanted(
        x.reshape(-1),
        None if z is None else z.reshape(-1),
        None if log_ratio is None else log_ratio.reshape(-1).exp().to(dtype),
        mask_id,
    )


def numbers_from_logits(
    logits: Tensor, x: Tensor, mask_id: int, z: Tensor | None = None, log_ratio: Tensor | None = None
) -> TokenNumbers:
    """The three numbers from logits (..., V) in their own float type; x, z and log r have the leading shape."""
    want = _want(x, z, log_ratio, mask_id, logits.dtype)
    return _as_numbers(_FromLogits.apply(logits.reshape(-1, logits.shape[-1]), want), want, x.shape)  # type: ignore[arg-type]


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
    want = _want(x, z, log_ratio, mask_id, torch.float32)
    flat = hidden.reshape(-1, hidden.shape[-1])
    return _as_numbers(_FromHidden.apply(flat, weight_VD, scale, want), want, x.shape)  # type: ignore[arg-type]
