"""The three numbers and their gradients against plain autograd over the whole vocabulary."""

from __future__ import annotations

import pytest
import torch

from difflaw.model import head
from difflaw.model.head import numbers_from_hidden, numbers_from_logits

T, D, V, MASK = 37, 8, 53, 3


def plain(logits: torch.Tensor, x: torch.Tensor, z: torch.Tensor, log_ratio: torch.Tensor) -> list[torch.Tensor]:
    suppressed = logits.index_fill(-1, torch.tensor([MASK]), -torch.inf)
    log_p = suppressed.log_softmax(-1)
    u = log_p.exp() * log_ratio.exp()[:, None]
    others = torch.ones_like(u).scatter(1, x[:, None], 0.0)
    others[:, MASK] = 0.0
    pick = lambda ids: log_p.gather(1, ids[:, None])[:, 0]  # noqa: E731
    return [pick(x), pick(z), ((u - torch.log1p(u)) * others).sum(1)]


def inputs() -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(0)
    x = torch.randint(4, V, (T,), generator=g)
    z = torch.where(torch.rand(T, generator=g) < 0.5, x, torch.randint(4, V, (T,), generator=g))
    log_ratio = torch.linspace(-5, 20, T, dtype=torch.float64)
    logits = 2 * torch.randn(T, V, generator=g, dtype=torch.float64)
    weights = torch.randn(3, T, generator=g, dtype=torch.float64)
    weights[2] *= (-log_ratio).exp()  # as in a bound, where the third number comes with c = α/r
    return x, z, log_ratio, logits, weights


def test_numbers_and_gradient_from_logits() -> None:
    x, z, log_ratio, logits, weights = inputs()
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    numbers = numbers_from_logits(ours, x, MASK, z, log_ratio)
    expected = plain(theirs, x, z, log_ratio)
    for a, b in zip(numbers, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)
    sum((n * w).sum() for n, w in zip(numbers, weights, strict=True)).backward()
    sum((n * w).sum() for n, w in zip(expected, weights, strict=True)).backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, torch.nan_to_num(theirs.grad), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("chunk", [V * 5, 1 << 22])
def test_chunks_do_not_change_anything(monkeypatch, chunk: int) -> None:
    monkeypatch.setattr(head, "CHUNK_ELEMENTS", chunk)
    x, z, log_ratio, _, weights = inputs()
    g = torch.Generator().manual_seed(1)
    hidden = torch.randn(T, D, generator=g, requires_grad=True)
    weight = torch.randn(V, D, generator=g, requires_grad=True)
    numbers = numbers_from_hidden(hidden, weight, 0.7, x, MASK, z, log_ratio)
    sum((n * w.float()).sum() for n, w in zip(numbers, weights, strict=True)).backward()
    h64, w64 = hidden.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    expected = plain(0.7 * h64 @ w64.T, x, z, log_ratio)
    sum((n * w).sum() for n, w in zip(expected, weights, strict=True)).backward()
    assert torch.allclose(hidden.grad.double(), torch.nan_to_num(h64.grad), rtol=1e-4, atol=1e-5)
    assert torch.allclose(weight.grad.double(), torch.nan_to_num(w64.grad), rtol=1e-4, atol=1e-4)


def test_a_mask_at_z_carries_no_gradient() -> None:
    x, z, log_ratio, logits, _ = inputs()
    logits = logits.float().requires_grad_()
    numbers = numbers_from_logits(logits, x, MASK, torch.full_like(z, MASK), log_ratio)
    assert numbers.excess is not None
    (numbers.log_p_x.sum() + torch.where(torch.tensor(True), 0.0, numbers.log_p_z).sum()).backward()
    assert torch.isfinite(logits.grad).all()


def test_no_token_at_all_is_no_fault() -> None:
    """A batch without a single mask has no row to score, and still a gradient: zero."""
    hidden, weight = torch.zeros(0, D, requires_grad=True), torch.randn(V, D, requires_grad=True)
    numbers = numbers_from_hidden(hidden, weight, 1.0, torch.zeros(0, dtype=torch.long), MASK)
    numbers.log_p_x.sum().backward()
    assert weight.grad is not None
    assert not weight.grad.any()
