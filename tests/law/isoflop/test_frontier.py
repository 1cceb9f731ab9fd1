"""Laws of the minima: planted exponents, sums of exponents, and intervals that cover."""

import numpy as np
import pytest

from difflaw.law import fit_laws, predict_interval, table_from_frame


def family_of(frame, **options):
    return fit_laws(table_from_frame(frame), surface=False, **options).families["masked"]


def test_planted_exponents_without_noise(truth):
    family = family_of(truth.ladder(step=1.3))
    assert family.params_law.exponent == pytest.approx(truth.a, abs=1e-3)
    assert family.tokens_law.exponent == pytest.approx(1 - truth.a, abs=1e-3)
    assert (family.params_law.x, family.params_law.y) == ("flops", "params")
    assert (family.token_bound_law.x, family.token_bound_law.y) == ("tokens", "loss")


def test_exponents_of_m_and_d_sum_to_one_in_any_convention(truth):
    frame = truth.ladder(seed=4, sd=0.003)
    frame["tokens"] = frame["flops"] / (10 * frame["params"] ** 0.9)
    family = family_of(frame)
    assert family.flops_per_token_law.exponent + family.tokens_law.exponent == pytest.approx(1, abs=1e-12)
    assert family.params_law.exponent + family.tokens_law.exponent != pytest.approx(1, abs=1e-3)
    m, d = family.flops_per_token_law.interval, family.tokens_law.interval
    assert m.high - m.low == pytest.approx(d.high - d.low, rel=1e-9)


def test_token_bound_law_composes_the_other_two(truth):
    family = family_of(truth.ladder(step=1.3))
    ratio = family.loss_law.exponent / family.tokens_law.exponent
    assert family.token_bound_law.exponent == pytest.approx(ratio, rel=0.02)


@pytest.mark.parametrize("budgets", [(1e17, 3e17, 1e18, 3e18, 1e19), (1e17, 1e18, 1e19)])
def test_interval_of_the_size_exponent_covers(truth, budgets):
    hits, ahead, widths, errors = 0, 0, [], []
    for seed in range(60):
        law = family_of(truth.ladder(seed=seed, sd=0.003, budgets=budgets, step=1.8)).params_law
        hits += law.interval.low <= truth.a <= law.interval.high
        i = predict_interval(law, 5e20)
        ahead += i.low <= truth.best_size(5e20) <= i.high
        widths.append(law.interval.high - law.interval.low)
        errors.append(law.exponent - truth.a)
    assert 0.85 <= hits / 60 <= 1.0
    assert 0.85 <= ahead / 60 <= 1.0
    assert np.median(widths) < 12 * np.std(errors)  # covering by being useless does not count


def test_interval_widens_when_sizes_share_an_error(truth):
    fixed = truth.best_size(1e18) * 1.7 ** np.arange(-4.0, 5.0)
    hits = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame = truth.ladder(seed=seed, sd=0.0005, fixed=fixed, budgets=(3e17, 1e18, 3e18))
        offsets = dict(zip(fixed, 0.003 * rng.standard_normal(len(fixed)), strict=True))
        frame["loss"] *= np.exp(frame["params"].map(offsets))
        law = family_of(frame).params_law
        hits += law.interval.low <= truth.a <= law.interval.high
    assert hits / 40 >= 0.85


def test_one_budget_has_no_law_and_says_what_to_add(truth):
    family = family_of(truth.ladder(budgets=(1e18,)))
    assert family.params_law is None
    assert any("only one budget" in w and "add budgets" in w for w in family.warnings)


def test_two_budgets_have_an_interval_from_the_profiles(truth):
    law = family_of(truth.ladder(seed=1, sd=0.002, budgets=(1e18, 1e19))).params_law
    assert law.points == 2
    assert law.interval is not None
    assert "HC3" not in law.interval.kind


def test_runs_read_along_their_tokens(truth):
    family = family_of(truth.curves(), budgets=[1e17, 3e17, 1e18])
    assert [p.status for p in family.profiles] == ["interior"] * 3
    assert family.params_law.exponent == pytest.approx(truth.a, abs=0.02)
