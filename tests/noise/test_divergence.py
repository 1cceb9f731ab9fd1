"""The cancelling functions against 60-digit arithmetic."""

from decimal import Decimal, getcontext

import pytest
import torch

from difflaw.model.head import TokenNumbers
from difflaw.noise.divergence import divergences, g_below, h

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


def test_derivatives_in_the_three_numbers() -> None:
    """Against finite differences: clean tokens, others, silent ones, from little signal to much; silent p[z] is 0."""
    log_snr = torch.linspace(-6.0, 6.0, 12, dtype=torch.float64)
    log_r = log_snr + 2.0
    is_clean = torch.arange(12) % 3 == 0
    silent = torch.arange(12) % 3 == 1
    drawn = torch.rand(3, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.05
    log_p_x, log_p_z, excess = (-drawn[0]).requires_grad_(), -3.0 * drawn[1], drawn[2].requires_grad_()
    log_p_z = torch.where(is_clean, log_p_x.detach(), log_p_z).requires_grad_()

    def both(log_p_x: torch.Tensor, log_p_z: torch.Tensor, excess: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return divergences(TokenNumbers(log_p_x, log_p_z, excess), log_snr, log_r, is_clean, silent)

    assert torch.autograd.gradcheck(both, (log_p_x, log_p_z, excess))
    never = log_p_z.detach().masked_fill(silent, -torch.inf).requires_grad_()
    torch.stack(both(log_p_x, never, excess)).sum().backward()
    assert never.grad is not None
    assert never.grad.isfinite().all()
    assert not never.grad[silent].any()
