"""A loss made chunk by chunk with its gradient, against plain autograd over the whole vocabulary."""

from __future__ import annotations

import pytest
import torch

from difflaw.model import fused_loss as module
from difflaw.model.fused_loss import fused_loss, rows_of_chunks
from difflaw.model.head import TokenNumbers
from difflaw.training.engine import compiler

T, D, V, MASK = 41, 16, 301, 3

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")


def inputs() -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(0)
    x = torch.randint(4, V, (T,), generator=g)
    z = torch.where(torch.rand(T, generator=g) < 0.5, x, torch.randint(3, V, (T,), generator=g))
    z[::5] = MASK
    log_ratio = torch.linspace(-5, 15, T)
    return x, z, log_ratio, torch.randn(T, D, generator=g), torch.randn(V, D, generator=g)


def loss_of(log_p_x, log_p_z, excess, log_ratio, is_mask, weight) -> torch.Tensor:
    """Any smooth function of the three numbers will do; not linear, so that each token's gradient is its own."""
    from_z = torch.where(is_mask, 0.0, torch.where(is_mask, 0.0, log_p_z).exp())
    return weight * (log_p_x.square() / 10 + from_z + torch.log1p(excess * (-log_ratio).exp()))


def z_weights() -> torch.Tensor:
    return torch.linspace(0, 0.5, T)


def plain(kind: str, z_loss: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, z, log_ratio, hidden, weight = (t.double() if t.is_floating_point() else t for t in inputs())
    hidden.requires_grad_(), weight.requires_grad_()
    logits = (0.5 * hidden @ weight.T).index_fill(1, torch.tensor([MASK]), -torch.inf)
    log_p = logits.log_softmax(-1)
    at_x, at_z = (log_p.gather(1, ids[:, None])[:, 0] for ids in (x, z))
    if kind == "x":
        loss = (at_x.square() / 10 * torch.arange(T)).sum()
    else:
        u = log_p.exp() * log_ratio.exp()[:, None]
        others = torch.ones_like(u).scatter(1, x[:, None], 0.0)
        excess = ((u - torch.log1p(u)) * others).sum(1)
        loss = loss_of(at_x, at_z, excess, log_ratio, z == MASK, torch.arange(T)).sum()
    if z_loss:
        loss = loss + (z_weights() * logits.logsumexp(-1).square()).sum()
    loss.backward()
    assert hidden.grad is not None
    assert weight.grad is not None
    return loss.detach(), hidden.grad, weight.grad


def ours(kind: str, **options) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, z, log_ratio, hidden, weight = inputs()
    hidden.requires_grad_(), weight.requires_grad_()

    def token_loss(n: TokenNumbers, rows: slice) -> torch.Tensor:
        if n.log_p_z is None or n.excess is None:
            return n.log_p_x.square() / 10 * torch.arange(T)[rows]
        return loss_of(n.log_p_x, n.log_p_z, n.excess, log_ratio[rows], z[rows] == MASK, torch.arange(T)[rows])

    more = {} if kind == "x" else {"z": z, "log_ratio": log_ratio}
    loss, numbers = fused_loss(hidden, weight, 0.5, x, MASK, token_loss, **more, **options)
    assert not numbers.log_p_x.requires_grad
    (3.0 * loss).backward()
    assert hidden.grad is not None
    assert weight.grad is not None
    return loss.detach(), hidden.grad / 3, weight.grad / 3


def assert_close(found, expected, relative: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.isfinite(ours).all()
        assert float((ours.double() - theirs).norm() / theirs.norm()) < relative


@pytest.mark.parametrize("kind", ["x", "all three"])
@pytest.mark.parametrize("rows", [7, 512])
def test_loss_and_gradient(monkeypatch, kind: str, rows: int) -> None:
    monkeypatch.setattr(module, "LEAST_ROWS", rows)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 1)
    assert_close(ours(kind), plain(kind), 2e-6)


@needs_compiler
@pytest.mark.parametrize("kind", ["x", "all three"])
def test_compiled_passes_say_the_same(monkeypatch, kind: str) -> None:
    monkeypatch.setattr(module, "LEAST_ROWS", 11)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 1)
    assert_close(ours(kind, compiled=True), plain(kind), 2e-6)


@pytest.mark.parametrize("kind", ["x", "all three"])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_compiler)])
def test_z_loss(monkeypatch, kind: str, compiled: bool) -> None:
    monkeypatch.setattr(module, "LEAST_ROWS", 11)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 1)
    assert_close(ours(kind, compiled=compiled, z_loss=z_weights()), plain(kind, z_loss=True), 2e-6)


@pytest.mark.parametrize("held", [0, 1 << 24])
def test_bfloat16_products_are_off_by_their_rounding_alone(monkeypatch, held: int) -> None:
    """A large output matrix is rounded block by block, a small one once."""
    monkeypatch.setattr(module, "VOCABULARY_BLOCK", 64)
    monkeypatch.setattr(module, "HELD_TWICE", held)
    for kind in ("x", "all three"):
        assert_close(ours(kind, matmul=torch.bfloat16), plain(kind), 2e-2)


def test_no_token_at_all() -> None:
    hidden, weight = torch.zeros(0, D, requires_grad=True), torch.randn(V, D, requires_grad=True)
    loss, numbers = fused_loss(hidden, weight, 1.0, torch.zeros(0, dtype=torch.long), MASK, lambda n, rows: -n.log_p_x)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert numbers.log_p_x.numel() == 0
    assert weight.grad is not None
    assert not weight.grad.any()


@pytest.mark.parametrize(("tokens", "vocabulary", "each"), [(1024, 384, 8), (8192, 131_072, 2), (5, 7, 4), (0, 9, 4)])
def test_chunks_cover_every_row_and_fit(tokens: int, vocabulary: int, each: int) -> None:
    chunks = rows_of_chunks(tokens, vocabulary, each)
    assert [row for chunk in chunks for row in range(chunk.start, chunk.stop)] == list(range(tokens))
    assert all((chunk.stop - chunk.start) * vocabulary * each <= module.LARGEST for chunk in chunks)
