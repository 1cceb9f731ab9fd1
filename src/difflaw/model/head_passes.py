"""What is done to one chunk of logits: the three numbers of each row, and their gradient. Formulas in `model.head`.

x and the mask are taken out of a row first (`suppress`), so the passes over the vocabulary know no special ids; what x
needs is put back by hand, a number a row. The passes are written once for two ways of running: as they stand,
overwriting the chunk where that saves a pass over memory, and traced by torch.compile into two fused loops. On a GPU
the same two loops are Triton kernels (`model.head_triton`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from difflaw.model.head_sums import Sums

_SAFE = 1e-20
"""Below it e^(logit - top) loses digits to underflow and the difference of logits is the better form."""


class Targets(NamedTuple):
    """Targets x (T,), read tokens z or None, signal ratio r or None, the mask's id."""

    x: Tensor
    z: Tensor | None
    ratio: Tensor | None
    mask_id: int

    def rows(self, rows: slice) -> Targets:
        """The same for some rows."""
        z = None if self.z is None else self.z[rows]
        return Targets(self.x[rows], z, None if self.ratio is None else self.ratio[rows], self.mask_id)


def suppress(logits_TV: Tensor, targets: Targets) -> tuple[Tensor, Tensor | None]:
    """Logits of x and z, float32 or wider, (T, 1); in the chunk those of x and of the mask become -∞."""
    wide = torch.promote_types(logits_TV.dtype, torch.float32)
    logits_TV[:, targets.mask_id] = -torch.inf
    at_z = None if targets.z is None else logits_TV.gather(1, targets.z[:, None]).to(wide)
    at_x = logits_TV.gather(1, targets.x[:, None]).to(wide)
    logits_TV.scatter_(1, targets.x[:, None], -torch.inf)
    return at_x, at_z


def row_sums(logits_TV: Tensor, at_x_T1: Tensor, ratio: Tensor | None, *, overwrite: bool) -> tuple[Sums, Tensor]:
    """The sums, and p without x (T, V), which takes the place of the logits if ``overwrite``."""
    top = torch.maximum(logits_TV.amax(-1, keepdim=True), at_x_T1)
    e_TV = logits_TV.sub_(top).exp_() if overwrite else (logits_TV - top).exp()
    # summed without x: where p[x] is nearly one, a hundred thousand small terms would drown beside it
    rest = e_TV.sum(1, keepdim=True)
    total = rest + (at_x_T1 - top).exp()
    p_TV = e_TV.div_(total) if overwrite else e_TV * (1.0 / total)
    if ratio is None:
        return Sums(top, rest, total, None, None), p_TV
    # g in its plain form: rounding of at most eps·u a term is at most eps·α in the bound, which has the factor c
    u = p_TV * ratio[:, None]
    if overwrite:
        excess = u.sub_(torch.log1p(u)).sum(1, keepdim=True)
        return Sums(top, rest, total, excess, None), p_TV
    return Sums(top, rest, total, (u - torch.log1p(u)).sum(1, keepdim=True), _slope(u).sum(1, keepdim=True)), p_TV


def _slope(u: Tensor) -> Tensor:
    """u·g'(u) = u²/(1+u); overwrites u where nothing is traced."""
    return u * u / (u + 1.0) if torch.compiler.is_compiling() else u.square().div_(u.add_(1.0))


def numbers_of(sums: Sums, at_x: Tensor, at_z: Tensor | None, targets: Targets) -> list[Tensor]:
    """Log p[x], log p[z] and G, (T,), as far as the targets ask for them."""
    e_x = (at_x - sums.top).exp()
    log_total = sums.total.log()
    log_p_x = torch.where(e_x > _SAFE, -torch.log1p(sums.rest / e_x), at_x - sums.top - log_total)
    numbers = [log_p_x.squeeze(1)]
    if targets.z is not None and at_z is not None:
        log_p_z = torch.where((targets.z == targets.x)[:, None], log_p_x, at_z - sums.top - log_total)
        numbers.append(log_p_z.squeeze(1))
    return numbers if sums.excess is None else [*numbers, sums.excess.squeeze(1)]


def softmax_numbers(logits_TV: Tensor, targets: Targets) -> tuple[list[Tensor], Tensor, Sums]:
    """The numbers of one chunk, p without x (T, V) in the place of its logits (float32 or wider), and the sums."""
    at_x, at_z = suppress(logits_TV, targets)
    sums, p_TV = row_sums(logits_TV, at_x, targets.ratio, overwrite=True)
    return numbers_of(sums, at_x, at_z, targets), p_TV, sums


def backward_pass(p_TV: Tensor, ratio: Tensor | None, total_T1: Tensor, from_excess_T1: Tensor | None) -> Tensor:
    """-total·p + from_excess·u·g'(u), (T, V): the part of the gradient that all ids but x and z have."""
    if ratio is None or from_excess_T1 is None:
        return p_TV * -total_T1
    slope = _slope(p_TV * ratio[:, None])
    return torch.addcmul(slope * from_excess_T1, p_TV, total_T1, value=-1)


def softmax_gradient(
    p_TV: Tensor,
    p_x: Tensor,
    targets: Targets,
    gradients: list[Tensor],
    from_log_sum_T1: Tensor | None = None,
    *,
    overwrite: bool = False,
) -> Tensor:
    """d(Σ gradient·number)/d logits of one chunk, (T, V), from p without x, lost if ``overwrite``, and p[x] (T,).

    ``from_log_sum`` is the gradient of log Σ e^logit, where that carries loss too.
    """
    total, from_excess = gradient_factors(targets, gradients)
    if from_log_sum_T1 is not None:
        total = total - from_log_sum_T1
    if from_excess is None or targets.ratio is None:
        grad_TV = p_TV.mul_(-total) if overwrite else p_TV * -total
    else:
        # d G/d logit_j = (1[j≠x] u_j·g'(u_j)) - p_j Σ u·g'(u)
        slope = _slope(p_TV * targets.ratio[:, None])
        total = total + from_excess * slope.sum(1, keepdim=True)
        grad_TV = slope.mul_(from_excess).sub_(p_TV.mul_(total) if overwrite else p_TV * total)
    return put_back(grad_TV, p_x, total, targets, gradients)


def gradient_factors(targets: Targets, gradients: list[Tensor]) -> tuple[Tensor, Tensor | None]:
    """What p is multiplied by as far as log p[x] and log p[z] go, and the gradient of G, each (T, 1)."""
    total = gradients[0] if targets.z is None else gradients[0] + gradients[1]
    return total[:, None], None if targets.ratio is None else gradients[-1][:, None]


def put_back(grad_TV: Tensor, p_x: Tensor, total_T1: Tensor, targets: Targets, gradients: list[Tensor]) -> Tensor:
    """The gradient with x's and z's own terms, in place."""
    at_x = gradients[0][:, None] - p_x[:, None] * total_T1
    grad_TV.scatter_(1, targets.x[:, None], at_x.to(grad_TV.dtype))
    if targets.z is not None:
        # z may be the mask, whose logit is suppressed: its log p is -inf and must carry no gradient
        from_z = torch.where(targets.z == targets.mask_id, 0.0, gradients[1])[:, None]
        grad_TV.scatter_add_(1, targets.z[:, None], from_z.to(grad_TV.dtype))
    return grad_TV


def _traced_sums(logits_TV: Tensor, at_x_T1: Tensor, ratio: Tensor | None) -> Sums:
    return row_sums(logits_TV.float(), at_x_T1, ratio, overwrite=False)[0]


def _traced_gradient(
    logits_TV: Tensor, top: Tensor, total: Tensor, ratio: Tensor | None, from_log_p: Tensor, from_excess: Tensor | None
) -> None:
    p_TV = (logits_TV.float() - top).exp() * (1.0 / total)
    logits_TV.copy_(backward_pass(p_TV, ratio, from_log_p, from_excess))


class Fused(NamedTuple):
    """The two passes as fused loops over a chunk that x and the mask have been taken out of."""

    sums: Callable[[Tensor, Tensor, Tensor | None], Sums]
    """(logits (T, V), logit of x (T, 1), ratio (T,) or None) → the sums."""
    gradient: Callable[[Tensor, Tensor, Tensor, Tensor | None, Tensor, Tensor | None], None]
    """(logits, top, total, ratio, from_log_p, from_excess) → the gradient, written over the logits."""


@cache
def traced() -> Fused:
    """Both as torch.compile makes them."""
    sums, gradient = torch.compile(_traced_sums), torch.compile(_traced_gradient)

    def sums_of(logits_TV: Tensor, at_x_T1: Tensor, ratio: Tensor | None) -> Sums:
        for tensor in (logits_TV, at_x_T1, ratio):
            if tensor is not None:
                torch._dynamo.maybe_mark_dynamic(tensor, 0)
        return sums(logits_TV, at_x_T1, ratio)

    return Fused(sums_of, gradient)


def fused(device: torch.device, compiled: bool) -> Fused | None:
    """Triton's kernels on a GPU that has it (nothing is traced, so it costs no start); else as ``compiled`` says."""
    if device.type == "cuda" and importlib.util.find_spec("triton"):
        from difflaw.model import head_triton

        return Fused(head_triton.row_sums, head_triton.backward_pass)
    return traced() if compiled else None
