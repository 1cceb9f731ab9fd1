"""LaProp against the reference optimizer's twenty steps, and against its textbook form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difflaw.training import laprop
from difflaw.training.laprop import LaProp


@pytest.mark.parametrize("index", [0, 1])
def test_golden_steps(shared, index: int) -> None:
    golden = np.load(shared / f"golden/laprop/laprop_{index}.npz")
    parameters = {key: torch.nn.Parameter(torch.tensor(golden["p0/" + key])) for key in "abc"}
    optimizer = LaProp(
        parameters.values(),
        lr=float(golden["lr"]),
        betas=(float(golden["b1"]), float(golden["b2"])),
        eps=float(golden["eps"]),
        weight_decay=float(golden["wd"]),
    )
    for step in range(20):
        for key, parameter in parameters.items():
            parameter.grad = torch.tensor(golden["grads/" + key][step])
        optimizer.step()
        for key, parameter in parameters.items():
            assert np.abs(parameter.detach().numpy() - golden["params/" + key][step]).max() < 5e-6


def test_equals_bias_corrected_averages() -> None:
    """Both moving averages divided by 1 - β^t, normalised before the momentum (Ziyin et al.)."""
    b1, b2, lr, eps = 0.8, 0.95, 0.03, 1e-8
    p = torch.nn.Parameter(torch.randn(5, generator=torch.Generator().manual_seed(0)))
    expected = p.detach().double().clone()
    optimizer = LaProp([p], lr=lr, betas=(b1, b2), eps=eps)
    m = v = torch.zeros(5, dtype=torch.float64)
    for t in range(1, 30):
        grad = torch.randn(5, generator=torch.Generator().manual_seed(t))
        p.grad = grad
        optimizer.step()
        g = grad.double()
        v = b2 * v + (1 - b2) * g * g
        m = b1 * m + (1 - b1) * g / ((v / (1 - b2**t)).sqrt() + eps)
        expected -= lr * m / (1 - b1**t)
    assert torch.allclose(p.detach().double(), expected, atol=1e-5)


def test_bad_betas() -> None:
    with pytest.raises(ValueError, match="betas"):
        LaProp([torch.nn.Parameter(torch.zeros(1))], betas=(1.0, 0.9))


def groups_of(parameters: list[torch.nn.Parameter]) -> list[dict]:
    return [
        {"params": parameters[:2], "lr": 0.1, "weight_decay": 0.05},
        {"params": parameters[2:], "lr": 0.003},
    ]


def give_gradients(parameters: list[torch.nn.Parameter], step: int) -> None:
    for index, p in enumerate(parameters):
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(10 * step + index))
    if step == 2:
        parameters[1].grad = None


def test_groups_updated_together_are_updated_as_each_alone(monkeypatch) -> None:
    """Over several steps, one of which leaves a parameter out; the states are where `state_dict` looks for them."""
    shapes = [(3, 4), (5,), (2, 2), (7,)]
    both = [[torch.nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2)]
    together, each = (LaProp(groups_of(parameters)) for parameters in both)
    for step in range(5):
        for parameters, optimizer, most in ((both[0], together, laprop.FLAT), (both[1], each, 0)):
            monkeypatch.setattr(laprop, "FLAT", most)
            give_gradients(parameters, step)
            optimizer.step()
    for p, q in zip(*both, strict=True):
        assert torch.equal(p, q)
        for name in ("first", "second"):
            assert torch.equal(together.state[p][name], each.state[q][name])
    stored = together.state_dict()["state"]
    assert [tuple(stored[index]["first"].shape) for index in range(4)] == shapes


def test_gradients_stay_as_they_are() -> None:
    p = torch.nn.Parameter(torch.zeros(3))
    p.grad = torch.tensor([1.0, -2.0, 3.0])
    LaProp([p]).step()
    assert p.grad.tolist() == [1.0, -2.0, 3.0]
