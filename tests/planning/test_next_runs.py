"""The proposed runs are worth more than one run at the optimum, stay in the budget and near the frontier."""

from __future__ import annotations

import math

import numpy as np
import pytest

from difflaw.errors import InputError
from difflaw.law.surface.fit import fit_surface
from difflaw.planning.next_runs import NEAR, next_runs


def six(n):
    return 6.0 * n


def planted(truth, sd=0.003, extra=()):
    rng = np.random.default_rng(0)
    n, c = (v.ravel() for v in np.meshgrid(np.geomspace(2e7, 5e8, 5), np.geomspace(5e17, 1e20, 5)))
    d = c / 6 / n
    if extra:
        n, d = np.append(n, [e[0] for e in extra]), np.append(d, [e[1] for e in extra])
    return n, d, truth.loss(n, d) * np.exp(sd * rng.standard_normal(len(n)))


def test_better_than_one_run_at_the_optimum(truth):
    n, d, loss = planted(truth)
    surface, _ = fit_surface(n, d, loss)
    found = next_runs(surface, n, d, 1e20, 5e21, six)
    assert found.flops <= 1e20 * (1 + 1e-9)
    assert found.flops == pytest.approx(sum(r.flops * r.times for r in found.runs))
    assert found.loss_se[1] < found.at_optimum_se < found.loss_se[0]
    assert found.loss_se[1] < 0.7 * found.loss_se[0]
    for run in found.runs:
        # Near the law's own optimum at the run's FLOPs.
        a, b = surface.alpha, surface.beta
        best = (a * surface.A / (b * surface.B)) ** (1 / (a + b)) * (run.flops / 6) ** (b / (a + b))
        assert abs(math.log(run.params / best)) < math.log(NEAR) + 0.05


def test_the_promise_is_kept_when_the_runs_are_made(truth):
    """Fit again with the proposed runs: the surface's own error of N*'s exponent falls."""
    n, d, loss = planted(truth)
    surface, _ = fit_surface(n, d, loss)
    found = next_runs(surface, n, d, 1e20, 5e21, six)
    extra = [(run.params, run.tokens) for run in found.runs for _ in range(run.times)]
    after, _ = fit_surface(*planted(truth, extra=extra))
    old, new = (s.intervals["params_exponent"] for s in (surface, after))
    assert new.high - new.low < 0.9 * (old.high - old.low)


def test_an_optimum_nobody_knows_is_refused(truth):
    n, d, loss = planted(truth, sd=0.05)
    surface, _ = fit_surface(n, d, loss)
    if surface is not None:
        with pytest.raises(InputError, match="does not know its optimum"):
            next_runs(surface, n, d, 1e20, 5e21, six, noise=1.0)


def test_too_small_a_budget(truth):
    n, d, loss = planted(truth)
    surface, _ = fit_surface(n, d, loss)
    with pytest.raises(InputError, match="smallest useful run"):
        next_runs(surface, n, d, 1e10, 5e21, six)
