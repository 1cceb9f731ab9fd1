"""Runs off the law are named, and leaving them out by weights is what a fit without them says."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.law.posterior import suspects
from difflaw.law.posterior.fit import columns, fit_posterior
from difflaw.law.posterior.suspects import LIKELY
from tests.law.posterior.conftest import additive


def rows(off):
    n, d, y = additive()
    y = y.copy()
    for i, factor in off.items():
        y[i] *= factor
    return n, d, y, np.array([f"run {i}" for i in range(len(n))])


def fitted(n, d, y, names):
    return fit_posterior(columns(n, d, y, runs=names), forms=("additive",))


def test_the_worst_comes_first():
    found = [s for s in fitted(*rows({4: 1.03, 30: 1.2})).suspects if s.sound < LIKELY]
    assert [s.run for s in found] == ["run 30", "run 4"]
    assert [s.off for s in found] == pytest.approx([0.2, 0.03], abs=0.005)


def test_without_them_is_a_fit_without_them():
    n, d, y, names = rows({4: 1.03, 30: 1.02})
    post = fitted(n, d, y, names)
    assert post.weight_without is not None
    assert post.weight_without.sum() == pytest.approx(1, abs=1e-4)
    kept = ~np.isin(names, [s.run for s in post.suspects if s.sound < LIKELY])
    assert kept.sum() == 33
    again, without = fitted(n[kept], d[kept], y[kept], names[kept]).best(1e20), post.without_suspects().best(1e20)
    for ours, theirs in ((without.ln_params, again.ln_params), (without.ln_loss, again.ln_loss)):
        assert abs(np.median(ours) - np.median(theirs)) < 0.3 * theirs.std()


def test_how_far_the_law_hangs_on_a_run(monkeypatch):
    """Best sizes without a run, by weights of the draws against fits without it, for the eight that matter most."""
    monkeypatch.setattr(suspects, "HANGS", 0.0)
    monkeypatch.setattr(suspects, "LEAST_SHIFT", 0.0)
    n, d, y, names = rows({})
    post = fitted(n, d, y, names)
    assert len(post.suspects) == len(n)
    flops = 10 * post.budgets[1]
    size = post.best(flops).ln_params
    weighty = sorted(post.suspects, key=lambda s: -abs(s.shift))[:8]
    moved = []
    for s in weighty:
        left = names != s.run
        moved.append(fitted(n[left], d[left], y[left], names[left]).best(flops).ln_params.mean() - size.mean())
    ours = np.array([s.shift for s in weighty])
    assert np.corrcoef(ours, moved)[0, 1] > 0.8
    assert np.all(np.abs(ours - moved) < 0.5 * size.std())


def test_nothing_is_named_where_nothing_is_off(planted):
    assert not [s for s in planted.suspects if s.sound < LIKELY]
    assert planted.without_suspects().theta.shape == planted.theta.shape
