"""LaProp: normalise first, momentum second, decoupled decay (Ziyin et al. 2020; as run in 2512.10858 §5.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer


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
