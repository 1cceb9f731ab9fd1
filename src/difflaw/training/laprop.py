"""LaProp: normalise first, momentum second, decoupled decay (Ziyin et al. 2020; as run in 2512.10858)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

FLAT = 1 << 22
"""Numbers in a group up to which its tensors are updated as one: a copy of the gradients is cheap there."""


class LaProp(Optimizer):
    """LaProp with debiased coefficients b̂(t) = 1 - (1-b)/(1-b^t), so that nothing else corrects the bias.

    ν ← b̂₂ν + (1-b̂₂)g²;  μ ← b̂₁μ + (1-b̂₁)·g/(√ν + eps);  θ ← θ - lr·(μ + weight_decay·θ).

    The first step therefore moves by lr·sign(g). Parameters whose gradient is None are left alone.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not (0 <= betas[0] < 1 and 0 <= betas[1] < 1):
            raise ValueError(f"betas must lie in [0, 1), got {betas}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every group."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads: list[Tensor] = [p.grad for p in params]
            for p in params:
                if not self.state[p]:
                    self.state[p] = {
                        "second": torch.zeros_like(p, dtype=torch.float32),
                        "first": torch.zeros_like(p, dtype=torch.float32),
                    }
            group["step"] = step = group.get("step", 0) + 1
            keep1, keep2 = (1.0 - (1.0 - beta) / (1.0 - beta**step) for beta in group["betas"])
            if sum(p.numel() for p in params) <= FLAT and all(g.dtype == torch.float32 for g in grads):
                self._flat_update(group, params, grads, keep1, keep2)
                continue
            second = [self.state[p]["second"] for p in params]
            first = [self.state[p]["first"] for p in params]
            torch._foreach_mul_(second, keep2)  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_addcmul_(second, grads, grads, value=1.0 - keep2)  # pyright: ignore[reportPrivateImportUsage]
            scaled = torch._foreach_sqrt(second)  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_add_(scaled, group["eps"])  # pyright: ignore[reportPrivateImportUsage]
            scaled = torch._foreach_div(grads, scaled)  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_lerp_(first, scaled, 1.0 - keep1)  # pyright: ignore[reportPrivateImportUsage]
            if group["weight_decay"]:
                torch._foreach_mul_(params, 1.0 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
            torch._foreach_add_(params, first, alpha=-group["lr"])  # pyright: ignore[reportPrivateImportUsage]
        return loss

    def _flat_update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], keep1: float, keep2: float
    ) -> None:
        """The same numbers, few operations over all tensors at once: of small ones their number sets the pace."""
        second, first = self._joined(params, "second"), self._joined(params, "first")
        grad = torch.cat([g.reshape(-1) for g in grads])
        second.mul_(keep2).addcmul_(grad, grad, value=1.0 - keep2)
        first.lerp_(grad.div_(second.sqrt().add_(group["eps"])), 1.0 - keep1)
        if group["weight_decay"]:
            torch._foreach_mul_(params, 1.0 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_add_(params, [self.state[p]["first"] for p in params], alpha=-group["lr"])  # pyright: ignore[reportPrivateImportUsage]

    def _joined(self, params: list[Tensor], name: str) -> Tensor:
        """One flat tensor of which every parameter's state is a view; made anew after the states were loaded."""
        views = [self.state[p][name] for p in params]
        whole = views[0]._base if views[0]._base is not None else views[0].new_empty(0)
        end = views[0].storage_offset() if views else 0
        for view in views:
            if view._base is not whole or view.storage_offset() != end:
                break
            end += view.numel()
        else:
            if whole.numel() == end:
                return whole
        whole = torch.cat([view.reshape(-1) for view in views])
        for p, part in zip(params, whole.split([p.numel() for p in params]), strict=True):
            self.state[p][name] = part.view(p.shape)
        return whole
