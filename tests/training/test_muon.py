"""Muon: how orthogonal its updates are, their size at every width, and a plain reference, matrix by matrix."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.training import checkpoint
from difflaw.training.config import OptimizerConfig, RunConfig
from difflaw.training.laprop import LaProp
from difflaw.training.muon import COEFFICIENTS, ITERATIONS, NORM_SHARE, Muon, orthogonal_flops, orthogonalised
from difflaw.training.optimizer import build_optimizer

ETA = 0.04


def matrix(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(width: int, name: str = "muon", **options: float) -> tuple[Transformer, torch.optim.Optimizer]:
    model = ModelConfig(vocab_size=20, layers=2, width=width, heads=2, context=8)
    optimizer = OptimizerConfig.model_validate({"name": name, "lr": ETA, "warmup_steps": 0, **options})
    fields = {"family": "gidd", "label": "masked", "model": model, "data_hash": "none", "batch_sequences": 1}
    config = RunConfig.model_validate({**fields, "steps": 1, "optimizer": optimizer})
    network = Transformer(model).initialise(0)
    return network, build_optimizer(config, network)


def give_gradients(model: Transformer, step: int) -> None:
    for index, p in enumerate(model.parameters()):
        p.grad = matrix(*p.shape, seed=1000 * step + index) * 10.0 ** (index % 5 - 4)


@pytest.mark.parametrize("shape", [(64, 256), (256, 64), (3, 2, 48, 192), (1, 7), (128, 160)])
def test_singular_values_come_near_one(shape: tuple[int, ...]) -> None:
    values = torch.linalg.svdvals(orthogonalised(matrix(*shape) * 1e-6))
    assert values.min() > 0.67
    assert values.max() < 1.2


@pytest.mark.parametrize("size", [16, 64, 128])
def test_square_matrices_too_above_the_floor_of_five_steps(size: int) -> None:
    u, s, v = torch.linalg.svd(matrix(size, size))
    s = s.clamp(min=0.003 * float(s.square().sum().sqrt()))
    values = torch.linalg.svdvals(orthogonalised((u * s) @ v))
    assert values.min() > 0.67
    assert values.max() < 1.2


def test_directions_are_those_of_the_nearest_orthogonal_matrix() -> None:
    g = matrix(24, 96)
    u, _, v = torch.linalg.svd(g, full_matrices=False)
    inner = u.mT @ orthogonalised(g) @ v.mT
    off = inner - torch.diag(inner.diag())
    assert off.abs().max() < 1e-4
    assert inner.diag().min() > 0.67


def test_a_zero_gradient_moves_nothing() -> None:
    assert not orthogonalised(torch.zeros(2, 4, 6)).any()


def reference(p: torch.Tensor, momentum: torch.Tensor, grad: torch.Tensor, lr: float, decay: float) -> torch.Tensor:
    """The docstring's update of one matrix in float64."""
    a, b, c = COEFFICIENTS
    momentum.mul_(0.9).add_(0.1 * grad.double())
    x = 0.9 * momentum + 0.1 * grad.double()
    x = x / x.norm()
    for _ in range(ITERATIONS):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return p - lr * (NORM_SHARE * math.sqrt(p.shape[0] * p.shape[1]) * x + decay * p)


def test_equals_a_plain_update_of_each_matrix_and_laprop_elsewhere() -> None:
    model, optimizer = network(16, weight_decay=0.02)
    other, laprop = network(16, "laprop", weight_decay=0.02)
    assert isinstance(optimizer, Muon)
    hidden = {n for n, p in model.named_parameters() if p.dim() == 2 and "_proj" in n}
    assert len(hidden) == 12
    expected = {n: p.detach().double() for n, p in model.named_parameters() if n in hidden}
    momenta = {n: torch.zeros_like(p) for n, p in expected.items()}
    for step in range(4):
        give_gradients(model, step)
        give_gradients(other, step)
        optimizer.step()
        laprop.step()
        for name, p in model.named_parameters():
            if name in hidden:
                assert p.grad is not None
                expected[name] = reference(expected[name], momenta[name], p.grad, ETA / 16, 0.02 * 16)
                assert torch.allclose(p.detach().double(), expected[name], atol=1e-6), name
    theirs = dict(other.named_parameters())
    for name, p in model.named_parameters():
        assert torch.equal(p, theirs[name]) == (name not in hidden), name


def test_the_size_of_an_update_transfers() -> None:
    """Spectral norm κη for q, k, v, o and 2κη for up and down, entries of κη/√width, at every width."""
    for width in (32, 128):
        model, optimizer = network(width)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        give_gradients(model, 0)
        optimizer.step()
        for name, p in model.named_parameters():
            if p.dim() != 2 or "_proj" not in name:
                continue
            move = (p.detach() - before[name]) / (NORM_SHARE * ETA)
            wide = 2.0 if "up_proj" in name or "down_proj" in name else 1.0
            assert abs(float(torch.linalg.matrix_norm(move, 2)) / wide - 1.0) < 0.22, (name, width)
            assert abs(float(move.square().mean().sqrt()) * math.sqrt(width) - 1.0) < 0.2, (name, width)


def test_laprops_aligned_update_has_the_norm_that_is_matched() -> None:
    for width in (32, 128):
        model, optimizer = network(width, "laprop")
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step()
        for name, p in model.named_parameters():
            if p.dim() == 2 and "_proj" in name:
                wide = 2.0 if "up_proj" in name or "down_proj" in name else 1.0
                norm = float(torch.linalg.matrix_norm(p.detach() - before[name], 2))
                assert abs(norm / (wide * ETA) - 1.0) < 1e-3


@pytest.mark.parametrize("through_files", [False, True])
def test_going_on_is_bit_equal(tmp_path, through_files: bool) -> None:
    model, optimizer = network(16)
    for step in range(3):
        give_gradients(model, step)
        optimizer.step()
    again, restored = network(16)
    if through_files:
        checkpoint.save(tmp_path, 3, model, optimizer, {})
        assert checkpoint.load_latest(tmp_path, again, restored) is not None
    else:
        again.load_state_dict(copy.deepcopy(model.state_dict()))
        restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for step in range(3, 6):
        for one, its in ((model, optimizer), (again, restored)):
            give_gradients(one, step)
            its.step()
    for p, q in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q)


def test_matrices_without_gradient_stay_and_vectors_are_refused() -> None:
    model, optimizer = network(16)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    with pytest.raises(ValueError, match="not a matrix"):
        Muon([{"params": [torch.nn.Parameter(torch.zeros(3))], "orthogonal": True}])
    assert not LaProp([torch.nn.Parameter(torch.zeros(3))]).param_groups[0].get("orthogonal")


def test_flops_of_an_update() -> None:
    """300·L·d³ for a network's hidden matrices."""
    d = 8
    layer = [(d, d)] * 4 + [(4 * d, d), (d, 4 * d)]
    assert orthogonal_flops(layer * 3) == 300.0 * 3 * d**3
