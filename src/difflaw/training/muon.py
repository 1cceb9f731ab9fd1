"""Muon: hidden matrices move by the orthogonal matrix nearest to their momentum, the rest by LaProp (Jordan 2024).

**Update.** With momentum μ ← β₁μ + (1-β₁)g and Nesterov's look ahead v = β₁μ + (1-β₁)g, a hidden matrix of fan_out m
and fan_in n moves by

    W ← W - lr·(κ·√(mn)·O + weight_decay·W),   O = UVᵀ of v = UΣVᵀ, by five steps of a quintic Newton-Schulz iteration.

**Why √(mn).** CompleteP's rate for hidden matrices is lr = η/width, and LaProp's update, once its gradients agree, has
entries of one size, lr, and rank one: spectral norm lr·√(mn), which is η for q, k, v, o and 2η for up and down, at any
width. That is the spectral condition under which features learn at the same speed at every width (Yang, Simon &
Bernstein 2023): ‖ΔW‖ ∝ √(m/n), whose constant per kind of matrix is free. O has all singular values one, so lr·√(mn)·O
has the norm LaProp's update has, and one base rate η serves both parts and every width. The entries of O have root mean
square 1/√max(m, n), so those of the update have lr·κ·√min(m, n) = κ·η/√width: the same for all hidden matrices of a
network, which is what Moonlight (2502.16982) asks for. Its factor 0.2·√max(m, n), equal entries at *every* width, is
not taken: at rate η/width its norm would fall as width^-½, and without the 1/width grow as width^½; neither transfers.
Depth needs no factor: the residual branches' 4/L already makes the sum of L changes of norm η a change of order η
(CompleteP, α = 1), for this update as for LaProp's.

**Why κ.** A gradient is noisy, so LaProp's momentum is smaller than lr and of higher rank, and its norm with it; κ
makes up for that, so that the best η of the two lie within a factor of two. It was measured at width 32 (docs/log.md),
not derived; there it makes the update's entries 0.28 of lr, within the 0.2 to 0.4 that Moonlight reports of AdamW.

**FLOPs.** A step of the iteration costs 4·a²b + 2a³ for a matrix with a ≤ b: five cost 30·d³ for each of q, k, v, o and
90·d³ for up and down, 300·L·d³ an update. The network's hidden matrices take 72·L·d² a token, so with B tokens an
update the share is 4.2·d/B: 1 % at d = 2048 and B = 10⁶, but 26 % at d = 32 and 52 % at d = 64 with the laptop ladder's
512 tokens. The accounting of a run (`model.accounting`) counts the network alone, under every optimizer; who compares
optimizers at such batches must add `orthogonal_flops`, as benchmarks/quality.py does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from difflaw.training.laprop import LaProp

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic a·s + b·s³ + c·s⁵, steep at zero: singular values end between 0.68 and 1.13, not at one (Jordan)."""
ITERATIONS = 5
NORM_SHARE = 0.05
"""κ: see above."""


def orthogonalised(matrices: Tensor, iterations: int = ITERATIONS, dtype: torch.dtype = torch.float32) -> Tensor:
    """About UVᵀ of each UΣVᵀ in ``matrices`` (..., m, n), in ``dtype`` inside; zero stays zero.

    Singular values below about 0.003 of the Frobenius norm have not come up to one yet.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).to(dtype)
    x = x / (x.square().sum((-2, -1), keepdim=True).sqrt() + torch.finfo(torch.float32).tiny)
    x = x.reshape(-1, *x.shape[-2:])
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    x = x.reshape(*matrices.shape[:-2], *x.shape[-2:])
    return (x.mT if tall else x).to(matrices.dtype)


def orthogonal_flops(shapes: Iterable[tuple[int, int]], iterations: int = ITERATIONS) -> float:
    """FLOPs of one update's Newton-Schulz iterations over matrices of these shapes."""
    sides = [(min(shape), max(shape)) for shape in shapes]
    return float(iterations * sum(4 * a * a * b + 2 * a**3 for a, b in sides))


class Muon(LaProp):
    """Muon for the groups marked ``orthogonal``, whose parameters must all be matrices; LaProp for all others.

    A group's lr, betas, eps and weight decay mean what they mean in LaProp; Muon's momentum is betas[0].
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], **options: Any) -> None:
        super().__init__(params, **options)
        for group in self.param_groups:
            group.setdefault("orthogonal", False)
            if group["orthogonal"] and any(p.dim() != 2 for p in group["params"]):
                raise ValueError("a group marked orthogonal holds a parameter that is not a matrix")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every group."""
        everything = self.param_groups
        try:
            self.param_groups = [group for group in everything if not group["orthogonal"]]
            loss = super().step(closure)
        finally:
            self.param_groups = everything
        for group in everything:
            if group["orthogonal"]:
                self._move_matrices(group)
        return loss

    def _move_matrices(self, group: dict[str, Any]) -> None:
        params = [p for p in group["params"] if p.grad is not None]
        for p in params:
            if not self.state[p]:
                self.state[p] = {"momentum": torch.zeros_like(p, dtype=torch.float32)}
        if group["weight_decay"] and params:
            torch._foreach_mul_(params, 1.0 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
        alike: dict[tuple[int, int], list[Tensor]] = {}
        for p in params:
            alike.setdefault((min(p.shape), max(p.shape)), []).append(p)
        keep = group["betas"][0]
        for (short, long), members in alike.items():
            momentum = self._stacked(members)
            grads = torch.stack([_wide(p.grad.float()) for p in members])  # type: ignore[union-attr]
            momentum.lerp_(grads, 1.0 - keep)
            turned = orthogonalised(
                grads.lerp_(momentum, keep), dtype=torch.bfloat16 if grads.is_cuda else torch.float32
            )
            moves = [o.mT if p.shape[0] > p.shape[1] else o for p, o in zip(members, turned, strict=True)]
            size = group["lr"] * NORM_SHARE * math.sqrt(short * long)
            torch._foreach_add_(members, moves, alpha=-size)  # pyright: ignore[reportPrivateImportUsage]

    def _stacked(self, members: list[Tensor]) -> Tensor:
        """The momenta of matrices of one kind, wide, (n, short, long); each one's state is a view of it."""
        kind, ids = ("momentum", *sorted(members[0].shape)), [id(p) for p in members]
        if kind not in self._kept or self._kept[kind][0] != ids:
            whole = torch.stack([_wide(self.state[p]["momentum"]) for p in members])
            views = [v.mT if p.shape[0] > p.shape[1] else v for p, v in zip(members, whole, strict=True)]
            for p, view in zip(members, views, strict=True):
                self.state[p]["momentum"] = view
            self._kept[kind] = ids, whole, views
        return self._kept[kind][1]


def _wide(matrix: Tensor) -> Tensor:
    """A tall matrix transposed, any other as it is."""
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
