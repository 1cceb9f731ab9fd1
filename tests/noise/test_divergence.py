"""The cancelling functions against 60-digit arithmetic."""

from decimal import Decimal, getcontext

import pytest
import torch

from difflaw.noise.divergence import g_below, h

getcontext().prec = 60


@pytest.mark.parametrize("y", [1e-12, 1e-6, 1e-3, 0.049, 0.051, 0.5, 0.99])
def test_g_below(y: float) -> None:
    exact = -Decimal(y) - (1 - Decimal(y)).ln()
    y_tensor = torch.tensor([y], dtype=torch.float64)
    ours = g_below(y_tensor, torch.log1p(-y_tensor))
    assert float(ours) == pytest.approx(float(exact), rel=1e-7)


@pytest.mark.parametrize("w", [-0.99, -0.3, -0.049, -1e-6, 1e-12, 1e-3, 0.0499, 0.0501, 3.0, 1e6])
def test_h(w: float) -> None:
    exact = (1 + Decimal(w)).ln() - Decimal(w) / (1 + Decimal(w))
    w_tensor = torch.tensor([w], dtype=torch.float64)
    assert float(h(w_tensor, torch.log1p(w_tensor))) == pytest.approx(float(exact), rel=1e-7)
