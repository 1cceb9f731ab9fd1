"""The noise process: marginals normalise, compose, and have the right limits; samples follow them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from difflaw.noise.mixing import NOISE_TYPES, HybridMixing

V, MASK = 7, 3
# training, in the same process, flushes subnormal numbers to zero
shifts = st.sampled_from(sorted(NOISE_TYPES.values())) | st.floats(-8, 8, allow_subnormal=False)
log_snrs = st.floats(-9, 9, allow_subnormal=False)


@settings(deadline=None, max_examples=60)
@given(shifts, log_snrs, st.integers(0, V - 1))
def test_marginals_normalise(shift: float, lam: float, x: int) -> None:
    q = HybridMixing(shift, V, MASK).marginal(torch.tensor([x]), torch.tensor([lam], dtype=torch.float64))
    assert q.min() >= 0
    assert float(q.sum()) == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(shifts, log_snrs, log_snrs)
def test_transitions_compose(shift: float, one: float, other: float) -> None:
    """Σ_s q(t|s)·q(s|x) = q(t|x) for every x: the process is Markov with these marginals."""
    mixing = HybridMixing(shift, V, MASK)
    lam_t, lam_s = (torch.tensor([v], dtype=torch.float64) for v in sorted((one, other)))
    keep, noise = mixing.transition_noise(lam_t, lam_s)
    kernel = keep * torch.eye(V, dtype=torch.float64) + noise  # rows: s, columns: t
    assert torch.allclose(kernel.sum(-1), torch.ones(V, dtype=torch.float64), atol=1e-10)
    for x in (0, 5):
        q_s, q_t = (mixing.marginal(torch.tensor([x]), lam)[0] for lam in (lam_s, lam_t))
        assert torch.allclose(q_s @ kernel, q_t, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "noise_at_low"), [("masked", "mask"), ("low-uniform", "mask"), ("uniform", "uniform")]
)
def test_limits_at_both_ends(name: str, noise_at_low: str) -> None:
    mixing = HybridMixing(NOISE_TYPES[name], V, MASK)
    clean = mixing.marginal(torch.tensor([2]), torch.tensor([40.0], dtype=torch.float64))[0]
    assert float(clean[2]) == pytest.approx(1.0, abs=1e-12)
    noise = mixing.marginal(torch.tensor([2]), torch.tensor([-40.0], dtype=torch.float64))[0]
    if noise_at_low == "mask":
        assert float(noise[MASK]) == pytest.approx(1.0, abs=1e-12)
    else:
        assert float(noise[MASK]) == pytest.approx(0.0, abs=1e-12)
        assert float(noise[5]) == pytest.approx(1 / (V - 1), abs=1e-12)


@pytest.mark.parametrize("name", NOISE_TYPES)
def test_samples_follow_the_marginal(name: str) -> None:
    mixing, n = HybridMixing(NOISE_TYPES[name], V, MASK), 200_000
    u = np.random.default_rng(1).random((3, n))
    for lam in (-2.0, 0.5):
        z = mixing.sample(np.full(n, 5), np.full(n, lam), u)
        expected = mixing.marginal(torch.tensor([5]), torch.tensor([lam], dtype=torch.float64))[0].numpy()
        assert np.abs(np.bincount(z, minlength=V) / n - expected).max() < 5 / np.sqrt(n)


def test_golden_mixing(shared) -> None:
    for name in ("p0", "m2", "p2", "p1000", "m1000"):
        golden = np.load(shared / f"golden/gidd_loss/shift_{name}.npz")
        mixing = HybridMixing(float(golden["shift"]), int(golden["vocab_size"]), int(golden["mask_id"]))
        lam = torch.tensor(golden["log_snr"])
        assert np.abs(mixing.probabilities(lam).numpy() - golden["pi"]).max() < 5e-7
        x = torch.tensor(golden["labels"]).long()
        assert np.abs(mixing.marginal(x, lam).numpy() - golden["marginal_q"]).max() < 5e-7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 7, 7), "mask_id"),
        ((0.0, 2, 0), "vocab_size"),
        ((0.0, 7, 3, 1.5), "scale"),
        ((float("inf"), 7, 3), "shift"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HybridMixing(*arguments)
