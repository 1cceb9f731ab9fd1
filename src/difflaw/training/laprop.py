"""LaProp: normalise first, momentum second, decoupled decay (Ziyin et al. 2020; as run in 2512.10858)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch._utils import _flatten_dense_tensors
from torch.optim.optimizer import Optimizer

FLAT = 1 << 22
"""Numbers in a group up to which it is updated as one tensor with others: copying the gradients is cheap there."""


Kept = dict[Any, tuple[list[int], Tensor, list[Tensor]]]
"""Joined states: of which parameters, by their ids; all as one tensor; the views of it that each one's state is."""


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
        self._kept: Kept = {}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every group."""
        loss = closure() if closure is not None else None
        together: dict[tuple[Any, ...], list[tuple[dict[str, Any], list[Tensor]]]] = {}
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            for p in params:
                if not self.state[p]:
                    self.state[p] = {
                        "second": torch.zeros_like(p, dtype=torch.float32),
                        "first": torch.zeros_like(p, dtype=torch.float32),
                    }
            group["step"] = step = group.get("step", 0) + 1
            keep1, keep2 = (1.0 - (1.0 - beta) / (1.0 - beta**step) for beta in group["betas"])
            if sum(p.numel() for p in params) <= FLAT and all(p.grad.dtype == torch.float32 for p in params):
                together.setdefault((keep1, keep2, group["eps"], params[0].device), []).append((group, params))
            else:
                self._update_each(group, params, keep1, keep2)
        for (keep1, keep2, eps, _), members in together.items():
            self._update_together(members, keep1, keep2, eps)
        return loss

    def _update_each(self, group: dict[str, Any], params: list[Tensor], keep1: float, keep2: float) -> None:
        grads: list[Tensor] = [p.grad for p in params]  # type: ignore[misc]
        second = [self.state[p]["second"] for p in params]
        first = [self.state[p]["first"] for p in params]
        torch._foreach_mul_(second, keep2)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_addcmul_(second, grads, grads, value=1.0 - keep2)  # pyright: ignore[reportPrivateImportUsage]
        scaled = torch._foreach_sqrt(second)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_add_(scaled, group["eps"])  # pyright: ignore[reportPrivateImportUsage]
        scaled = torch._foreach_div(grads, scaled)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_lerp_(first, scaled, 1.0 - keep1)  # pyright: ignore[reportPrivateImportUsage]
        _move(group, params, first)

    def _update_together(
        self, members: list[tuple[dict[str, Any], list[Tensor]]], keep1: float, keep2: float, eps: float
    ) -> None:
        """The same numbers, few operations over all groups at once: of small tensors their number sets the pace."""
        params = [p for _, group_params in members for p in group_params]
        second, _ = joined(self.state, params, "second", self._kept)
        first, moves = joined(self.state, params, "first", self._kept)
        # of one gradient this is the gradient itself, which must stay as it is
        grad = _flatten_dense_tensors([p.grad for p in params])
        second.mul_(keep2).addcmul_(grad, grad, value=1.0 - keep2)
        scaled = second.sqrt().add_(eps)
        first.lerp_(torch.div(grad, scaled, out=scaled), 1.0 - keep1)
        start = 0
        for group, group_params in members:
            _move(group, group_params, moves[start : start + len(group_params)])
            start += len(group_params)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What loading and copying end with: other tensors are the states now, to be joined anew."""
        super().__setstate__(state)
        self._kept = {}


def _move(group: dict[str, Any], params: list[Tensor], moves: list[Tensor]) -> None:
    if group["weight_decay"]:
        torch._foreach_mul_(params, 1.0 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_add_(params, moves, alpha=-group["lr"])  # pyright: ignore[reportPrivateImportUsage]


def joined(
    state: dict[Tensor, dict[str, Any]], params: list[Tensor], name: str, kept: Kept
) -> tuple[Tensor, list[Tensor]]:
    """One flat tensor of the parameters' states ``name``, and the views of it that the states are from now on.

    ``kept`` holds the last one of the name: while the same parameters have gradients, nothing is copied.
    """
    members = [id(p) for p in params]
    if name not in kept or kept[name][0] != members:
        whole = torch.cat([state[p][name].reshape(-1) for p in params])
        views = [part.view(p.shape) for p, part in zip(params, whole.split([p.numel() for p in params]), strict=True)]
        for p, view in zip(params, views, strict=True):
            state[p][name] = view
        kept[name] = members, whole, views
    return kept[name][1:]
