"""Every family's law, alone and with what others know; none where rows carry none, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import difflaw
from difflaw.law import table_from_frame
from difflaw.law.averaged import averaged, columns_of, size_relation, why_not
from difflaw.law.fit import fit_laws
from difflaw.law.posterior.fit import columns, fit_posterior
from tests.law.conftest import best_size, ladder


def rows(*frames):
    table = table_from_frame(pd.concat(frames))
    return {name: table.frame[table.frame["family"] == name] for name in table.families}


def test_a_single_family_is_fitted_alone():
    data = rows(ladder(0, sd=0.002))
    found, reasons = averaged(data, {})
    assert not reasons
    assert np.array_equal(found["masked"].theta, fit_posterior(columns_of(data["masked"])).theta)


def test_families_lend_each_other_what_they_know():
    one, other = ladder(0, sd=0.01), ladder(1, sd=0.01, family="uniform")
    alone, _ = averaged(rows(one), {})
    both, _ = averaged(rows(one, other), {})
    widths = [f["masked"].theta[:, 3].std() for f in (both, alone)]
    assert widths[0] < 0.95 * widths[1]


def test_noise_alone_is_no_law():
    """Losses that do not depend on size and tokens."""
    frame = ladder(0)
    frame["loss"] = 3 * np.exp(0.01 * np.random.default_rng(0).standard_normal(len(frame)))
    found, reasons = averaged(rows(frame), {})
    assert found == {}
    assert "beyond the noise" in reasons["masked"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f.assign(tokens=20 * f.params), "tokens"),
        (lambda f: f.iloc[:3], ""),
    ],
)
def test_rows_that_carry_no_law(change, reason):
    data = columns_of(rows(change(ladder(0)))["masked"])
    said = why_not(data)
    assert said
    assert reason in said


def test_equal_losses_carry_no_law():
    n = np.geomspace(1e7, 1e9, 12)
    assert "same loss" in why_not(columns(n, np.geomspace(1e10, 1e9, 12), np.full(12, 2.5)))


@pytest.mark.parametrize("form", ["zero", "tied"])
def test_a_form_that_is_asked_for_is_drawn_from_its_covariance(form):
    """The planted law is neither; the draws are the surface's, at its estimate and as wide as its own intervals."""
    laws = fit_laws(table_from_frame(ladder(0, sd=0.002)), form=form)
    family = laws.families["masked"]
    post, surface = family.posterior, family.surface
    assert post.forms == {form: 1.0}
    n = np.array([3e7, 1e8])
    ours = post.ln_loss(n, 1e18 / 6 / n)
    assert np.all(np.abs(np.median(ours, axis=0) - np.log([surface(v, 1e18 / 6 / v) for v in n])) < 0.5 * ours.std(0))
    interval = surface.intervals["alpha"]
    assert np.quantile(np.exp(post.theta[:, 3]), [0.025, 0.975]) == pytest.approx(
        [interval.low, interval.high], rel=0.1
    )


def test_at_least_keeps_to_the_known_entropy():
    laws = difflaw.fit(ladder(0, sd=0.004), known_entropy=1.75)
    assert np.exp(laws.families["masked"].posterior.theta[:, 2]).min() >= 1.75 * (1 - 1e-6)


def test_sizes_that_flops_do_not_follow():
    frame = ladder(0, sd=0.002, fixed=np.geomspace(2e7, 4e8, 7))
    smooth, _ = averaged(rows(frame), {})
    assert size_relation(smooth["masked"]) < 0.01
    wrong = frame.assign(params=np.where(frame.params.rank(method="dense") == 4, 1.5 * frame.params, frame.params))
    rough, _ = averaged(rows(wrong), {})
    assert size_relation(rough["masked"]) > 0.2


def test_the_order_of_rows_and_families_does_not_matter():
    frame = pd.concat([ladder(0, sd=0.002), ladder(1, sd=0.002, family="uniform")])
    mixed = frame.sample(frac=1, random_state=1)
    frame["run"] = mixed["run"] = np.nan
    first, second = (averaged(rows(f.drop(columns="run")), {})[0] for f in (frame, mixed))
    for name in first:
        sizes = [p[name].best(1e20).ln_params for p in (first, second)]
        assert abs(np.median(sizes[0]) - np.median(sizes[1])) < 0.2 * sizes[0].std()
        assert abs(np.median(sizes[0]) - np.log(best_size(1e20))) < 4 * sizes[0].std()
