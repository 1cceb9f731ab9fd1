"""The bundled publications: complete, consistent with the runs they describe, and never silently compared."""

from __future__ import annotations

import math

import pytest

from difflaw.errors import InputError
from difflaw.law.published import published_for, published_laws, published_set, published_sets

EXPECTED = {"gidd", "beyond-masked", "chinchilla", "chinchilla-refit", "deepseek", "muennighoff", "step-law", "porian"}


def test_every_value_says_how_it_was_checked():
    sets = published_sets()
    assert set(sets) >= EXPECTED
    for s in sets.values():
        assert s.source, s.name
        assert all((s.tokenizer, s.bound, s.params_convention, s.flops_convention)), s.name
        for family in s.families.values():
            parts = [*family.laws, family.surface, family.batch, family.lr, family.repeats]
            assert all(part.checked for part in parts if part is not None), (s.name, family.name)
            assert family.curvature is None or family.curvature_checked
        assert all(run.checked for run in s.runs)


def test_the_large_runs_lie_where_their_budget_says():
    """Shape, batch and steps of the 3B and 10B runs against their nominal budgets in the paper's own count."""
    for run in published_set("gidd").runs:
        m = 72 * run.layers * run.width**2 + 12 * run.layers * run.width * 2048
        assert m * run.trained_tokens == pytest.approx(run.budget, rel=0.03), run.name
        assert 1.02 < run.loss_without_cooldown / run.loss < 1.035


def test_power_laws_agree_with_the_minima_they_were_drawn_through():
    law = {y: published_set("beyond-masked").families["mdlm"].law(y) for y in ("loss", "params", "tokens")}
    assert law["loss"](1e20) == pytest.approx(2.824, rel=0.005)
    assert law["params"](1e20) == pytest.approx(391.8e6, rel=0.04)
    assert law["tokens"](1e20) == pytest.approx(44.6e9, rel=0.06)  # its exponent is printed to three figures


def test_hyper_laws():
    s = published_set("gidd")
    assert s.batch(tokens=180e9) == pytest.approx(10**-2.4 * 180e9**0.8225, rel=1e-9)
    assert s.lr(batch_tokens=6.29e6) == pytest.approx(1.82, rel=0.01)  # the facts' value for the 10B batch
    step = published_set("step-law").families["ar"]
    assert step.lr(params=1e9, tokens=1e11) == pytest.approx(1.79 * 1e9**-0.713 * 1e11**0.307)


def test_both_papers_stay_together_and_first():
    laws = published_laws()
    assert {law.source for law in laws} == {published_set(n).source for n in ("gidd", "beyond-masked")}
    assert len(published_for("mdlm", "params")) == 1  # the references are not mixed in


def test_unknown_names():
    with pytest.raises(InputError, match="chinchilla-refit"):
        published_set("chinchila")
    with pytest.raises(InputError, match="coefficient"):
        published_set("porian").families["ar"].laws[0](1e20)


def test_repeats_and_surfaces():
    repeats = published_set("muennighoff").families["ar"].repeats
    assert abs(repeats.R_D - 15.39) < 0.01
    surface = published_set("chinchilla-refit").families["ar"].surface
    assert surface.exponent_interval[0] < surface.beta / (surface.alpha + surface.beta) < surface.exponent_interval[1]
    assert math.isclose(surface.E, 1.8172)
