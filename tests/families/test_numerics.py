"""Float32 holds at every λ and vocabulary: no NaN, mean bound within 1e-4 of float64, no cancellation at low SNR.

The long version is benchmarks/bench_numerics.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difflaw.families import Gidd
from tests.families.precision import CASES, Compared, compare, family_of, kept_at_low_snr, noised, textbook_float32

LIMIT = 1e-4
DRAWS = [(97, 10_000), (131_072, 32)]


def check(found: Compared) -> None:
    """The limits of the benchmark."""
    assert found.finite
    assert np.isfinite(found.exact).all()
    assert found.exact.sum() > 0
    assert found.relative_error() < LIMIT
    assert found.gradient() < LIMIT


@pytest.mark.parametrize(("vocab_size", "draws"), DRAWS)
@pytest.mark.parametrize("case", CASES)
def test_float32_is_float64_on_the_family_s_own_noise(case: str, vocab_size: int, draws: int) -> None:
    family = family_of(case, vocab_size)
    check(compare(case, family, noised(family, draws, 1), 2))


@pytest.mark.parametrize(("vocab_size", "draws"), [(97, 2000), (131_072, 32)])
@pytest.mark.parametrize("case", ["low-uniform", "balanced", "high-uniform", "uniform", "duo"])
def test_tokens_kept_at_low_snr(case: str, vocab_size: int, draws: int) -> None:
    """Survivors, z = x, at λ from -9 on: each token with 1 - p[x] > 0.01 is right to half a percent."""
    family = family_of(case, vocab_size)
    found = compare(case, family, kept_at_low_snr(family, draws, 1), 2)
    check(found)
    assert found.worst_relative()[0] < 5e-3


@pytest.mark.parametrize("kept", [True, False])
def test_uniform_at_the_lowest_snr_does_not_cancel(kept: bool) -> None:
    """Nearly flat predictions at λ = -9: the textbook form has lost its digits in float32, ours has not."""
    family = family_of("uniform", 97)
    logits = 0.3 * torch.randn(400, 97, generator=torch.Generator().manual_seed(0))
    x, lam = torch.arange(400) % 90 + 5, torch.full((400,), -9.0)
    z = x if kept else (x + 1) % 90 + 5
    z = torch.where(z == x, x, z)
    exact = family.bound(logits.double(), x, z, lam.double())
    p = logits.double().index_fill(1, torch.tensor([family.mask_id]), -torch.inf).softmax(1)
    torch.testing.assert_close(exact, CASES["uniform"][2](family, p, x, z, lam.double()), rtol=1e-6, atol=0.0)
    ours, textbook = (
        form(logits, x, z, lam).double() for form in (family.bound, lambda *a: textbook_float32(family, *a))
    )
    assert float((ours / exact - 1).abs().max()) < 1e-4
    assert float((textbook / exact - 1).abs().max()) > (0.005 if kept else 0.2)


def test_golden_cancellation_in_float32(shared) -> None:
    """The reference's own example: 0.00016 in its float32, 0.00188 in float64, and here in float32."""
    golden = np.load(shared / "golden/gidd_loss/shift_p1000.npz")
    place = np.unravel_index(np.argmax(np.abs(golden["elbo"] / golden["f64_elbo"] - 1) * golden["possible"]), (4, 16))
    assert golden["log_snr"][place] == -9.0
    assert golden["elbo"][place] == pytest.approx(0.00016, abs=1e-5)
    family = Gidd(97, int(golden["mask_id"]), noise_type="uniform")
    x, z = (torch.tensor(golden[key]).long() for key in ("labels", "z"))
    ours = family.bound(torch.tensor(golden["logits"]), x, z, torch.tensor(golden["log_snr"]))
    assert ours.dtype == torch.float32
    double = family.bound(torch.tensor(golden["logits"]).double(), x, z, torch.tensor(golden["log_snr"]).double())
    assert float(ours[place]) == pytest.approx(float(double[place]), rel=1e-5)
    # the reference adds 1e-12 to P: 8e-7 at this weight
    assert float(ours[place]) == pytest.approx(float(golden["f64_elbo"][place]), abs=1e-6)
