"""The validation bound's error shrinks as 1/√n in every family, and strata of λ beat independent draws.

The long version is benchmarks/bench_numerics.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluate.spread import (
    CASES,
    NOISY,
    family_of,
    network,
    slope,
    stratified,
    texts,
    unweighted,
    variances,
)

SIZES = [16, 64, 256]


@pytest.mark.parametrize("case", CASES)
def test_standard_error_shrinks_with_the_root_of_the_sequences(case: str) -> None:
    family = family_of(case)
    model, errors = network(family), []
    for n in SIZES:
        claimed = [stratified(model, family, texts(n, seed), seed)[1] for seed in range(6)]
        errors.append(float(np.sqrt(np.mean(np.square(claimed)))))
    # Eso-LM's first strata differ in their mean, which the claimed error counts as noise while n is small
    assert slope(SIZES, errors) == pytest.approx(-0.5, abs=0.15 if case == "esolm 0.3" else 0.1)


@pytest.mark.parametrize("case", NOISY)
def test_strata_beat_independent_draws(case: str) -> None:
    """Two- to fourfold in variance; nothing to gain for Eso-LM at α₀ = 0.3, whose integrand is as noisy at every λ."""
    family = family_of(case)
    independent, ours = variances(network(family), family, 4096, 0)
    assert independent / ours > (0.9 if case == "esolm 0.3" else 1.6)


@pytest.mark.parametrize("case", NOISY)
def test_weights_of_the_strata_change_no_bound(case: str) -> None:
    """Strata in use, equal strata and independent draws estimate one number."""
    family, x = family_of(case), texts(256, 0)
    model = network(family)
    ours = np.array([stratified(model, family, x, seed) for seed in range(4)])
    for strata in (True, False):
        other = np.array([unweighted(model, family, x, seed, strata=strata) for seed in range(4)])
        error = np.hypot(2.0 * ours[:, 1].max(), other.std(ddof=1)) / 2.0
        assert abs(ours[:, 0].mean() - other.mean()) < 4.0 * error
