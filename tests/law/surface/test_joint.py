"""Five planted families: exact without noise, better together than apart, never forced together, honest odds."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.errors import InputError
from difflaw.law.published import published_set
from difflaw.law.surface.joint import fit_joint, standings, standings_text

SIZES = np.array([2.5166e8, 4.5220e8, 7.3610e8, 1.6106e9, 4.1524e9])
BUDGETS = np.geomspace(5e17, 2e20, 5)
SURFACES = {name: family.surface for name, family in published_set("gidd").families.items()}


def ladder(sd, seed=0, change=None):
    rng = np.random.default_rng(seed)
    m, c = (v.ravel() for v in np.meshgrid(SIZES, BUDGETS))
    columns = ([], [], [], [])
    for name, s in SURFACES.items():
        alpha = (change or {}).get(name, s.alpha)
        loss = s.E + s.A * (SIZES[0] ** (alpha - s.alpha)) * m**-alpha + s.B * (c / m) ** -s.beta
        for column, values in zip(columns, (m, c / m, loss * np.exp(sd * rng.standard_normal(len(m)))), strict=False):
            column.extend(values)
        columns[3].extend([name] * len(m))
    return columns


def best(s, flops):
    m = (s.alpha * s.A / (s.beta * s.B)) ** (1 / (s.alpha + s.beta)) * flops ** (s.beta / (s.alpha + s.beta))
    return m, s.E + s.A * m**-s.alpha + s.B * (flops / m) ** -s.beta


def test_without_noise_it_is_exact():
    fit = fit_joint(*ladder(0.0), flops_factor=1.0)
    for member in fit.families:
        s = SURFACES[member.family]
        assert (member.alpha, member.beta, member.E) == pytest.approx((s.alpha, s.beta, s.E), abs=2e-3)
    won = standings(fit, 5e21)[0]
    assert won.family == min(SURFACES, key=lambda name: best(SURFACES[name], 5e21)[1])
    assert won.probability > 0.99
    assert won.best_params is None  # nothing says how many parameters so many FLOPs per token are
    assert won.best_flops_per_token == pytest.approx(best(SURFACES[won.family], 5e21)[0], rel=0.01)


def test_rows_in_any_order_and_same_seed_give_the_same():
    columns = ladder(0.003)
    order = np.random.default_rng(1).permutation(len(columns[0]))
    one = standings(fit_joint(*columns, flops_factor=1.0), 5e21)
    other = standings(fit_joint(*[[c[i] for i in order] for c in columns], flops_factor=1.0), 5e21)
    assert [s.family for s in one] == [s.family for s in other]
    assert [s.best_loss for s in one] == pytest.approx([s.best_loss for s in other], rel=1e-9)


def test_a_family_that_differs_keeps_its_exponent():
    fit = fit_joint(*ladder(0.001, change={"uniform": 0.45}), flops_factor=1.0)
    found = {member.family: member.alpha for member in fit.families}
    assert found["uniform"] > 0.42
    assert found["masked"] < 0.33
    assert fit.spreads[1] > 0.03  # and the spread that was estimated says so


def test_odds_and_intervals_are_honest():
    """Over 40 ladders: 95 % intervals of L* cover 85 to 100 %, and odds of the winner are right about as often."""
    covered, odds, right = [], [], []
    truth = {name: best(s, 5e21) for name, s in SURFACES.items()}
    winner = min(truth, key=lambda name: truth[name][1])
    for seed in range(40):
        found = standings(fit_joint(*ladder(0.003, seed), flops_factor=1.0), 5e21, draws=1000)
        covered += [s.loss.low <= truth[s.family][1] <= s.loss.high for s in found]
        odds.append(found[0].probability)
        right.append(found[0].family == winner)
    assert 0.85 < np.mean(covered) <= 1.0
    assert np.mean(right) > 0.85
    assert abs(np.mean(odds) - np.mean(right)) < 0.15


def test_words():
    fit = fit_joint(*ladder(0.003), flops_factor=1.0)
    lines = standings_text(standings(fit, 5e21), 5e21, fit)
    assert "probability" in lines[0]
    assert "25 times the largest run" in lines[1]


def test_refusals():
    columns = ladder(0.003)
    with pytest.raises(InputError, match="at least two families"):
        fit_joint(*columns[:3], ["all"] * len(columns[0]))
    keep = [i for i, f in enumerate(columns[3]) if f != "uniform" or i % 9 == 0]
    with pytest.raises(InputError, match="uniform"):
        fit_joint(*[[c[i] for i in keep] for c in columns])
