"""Families of one table lend each other what they know of exponents and floor, as far as they agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from difflaw.law.posterior.fit import columns, fit_posterior
from difflaw.law.posterior.shared import PLACES, shared_priors
from tests.law.conftest import loss


def rows(seed, scale=1.0, alpha=0.0, count=4, sd=0.003):
    """A small ladder about 1e18 FLOPs; ``alpha`` is added to the exponent of the size."""
    rng = np.random.default_rng(seed)
    n, c = (v.ravel() for v in np.meshgrid(np.geomspace(2e7, 3e8, 5), np.geomspace(1e17, 3e18, count)))
    d = c / 6 / n
    moved = 480 * n**-0.35 * ((n / 8e7) ** -alpha - 1)
    y = scale * (loss(n, d) + moved) * np.exp(sd * rng.standard_normal(len(n)))
    return columns(n, d, y)


def fitted(data, shared=None):
    return fit_posterior(data, forms=("additive",), shared=shared)


def of(post):
    return post.theta[:, PLACES]


def test_equal_exponents_make_every_family_surer():
    data = {name: rows(seed, scale, sd=0.01) for name, seed, scale in (("a", 0, 1.0), ("b", 1, 1.03), ("c", 2, 0.97))}
    alone = {name: fitted(d) for name, d in data.items()}
    informed = shared_priors(alone)
    assert set(informed) == {"a", "b", "c"}
    for name, d in data.items():
        after = fitted(d, informed[name])
        alpha, beta, floor = of(after).std(0) / of(alone[name]).std(0)
        assert alpha < 0.9
        assert floor < 0.9
        assert beta < 1.0  # by itself already surer than the others are of it
        best = [p.best(3e19).ln_params.std() for p in (after, alone[name])]
        assert best[0] < best[1]
        assert abs(np.exp(of(after)[:, 0].mean()) - 0.35) < 3 * np.exp(of(after)[:, 0]).std()


def test_a_family_that_differs_is_left_alone():
    data = {name: rows(seed, alpha=a, count=8) for name, seed, a in (("a", 0, 0.0), ("b", 1, 0.0), ("c", 2, 0.3))}
    alone = {name: fitted(d) for name, d in data.items()}
    after = fitted(data["c"], shared_priors(alone)["c"])
    assert np.all(np.abs(np.median(of(after), 0) - np.median(of(alone["c"]), 0)) < 2 * of(alone["c"]).std(0))


def test_a_family_hears_only_of_the_others():
    """Its own draws do not come back to it: moving them moves its prior only through the common spread."""
    alone = {name: fitted(rows(seed)) for seed, name in enumerate("abc")}
    centre, precision = shared_priors(alone)["a"]
    others = np.mean([np.median(of(alone[n]), 0) for n in "bc"], 0)
    spread = np.max([of(alone[n]).std(0) for n in "bc"], 0)
    assert np.all(np.abs(centre - others) < spread)
    assert np.all(np.linalg.eigvalsh(precision) > 0)


def test_no_one_to_hear_of():
    one = fitted(rows(0))
    assert shared_priors({"a": one}) == {}
    other = fit_posterior(rows(1), forms=("interaction",))
    assert shared_priors({"a": one, "b": other}) == {}


def test_runs_without_noise():
    """Their draws are one number to the last bit, and still priors come of them."""
    alone = {name: fitted(rows(seed, sd=0.0)) for seed, name in enumerate("ab")}
    one = replace(alone["a"], theta=np.repeat(alone["a"].theta[:1], 100, axis=0))
    for centre, precision in shared_priors({**alone, "a": one}).values():
        assert np.allclose(centre, np.log([0.35, 0.37, 1.8]), atol=1e-3)
        assert np.all(np.linalg.eigvalsh(precision) > 0)


@pytest.mark.parametrize("order", ["abc", "cab"])
def test_the_order_of_families_does_not_matter(order):
    alone = {name: fitted(rows(seed)) for seed, name in enumerate("abc")}
    first, second = shared_priors(alone), shared_priors({name: alone[name] for name in order})
    for name in alone:
        assert np.allclose(first[name][0], second[name][0])
        assert np.allclose(first[name][1], second[name][1], rtol=1e-6)
