"""The prior is a product of normals in coordinates of unit Jacobian; its floor and what other families say count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from difflaw.law.posterior.coordinates import to_coordinates, to_natural
from difflaw.law.posterior.fit import columns, prior_posterior
from difflaw.law.posterior.model import COUNT, INTERACTION, REPEATED
from difflaw.law.posterior.prior import INTERACTION_ODDS, SOFT, prior_of
from tests.law.posterior.conftest import additive


def drawn(count=50):
    theta = np.random.default_rng(0).normal([-1, -1, 0, -1, -1] + [0.1] * 8, 0.3, (count, COUNT))
    return to_coordinates(theta), theta


@pytest.mark.parametrize("interaction", [False, True])
@pytest.mark.parametrize("repeated", [False, True])
def test_a_product_of_normals(interaction, repeated):
    prior = prior_of(1.1, interaction=interaction, repeated=repeated)
    points, theta = drawn()
    value = points.copy()
    value[:, 1], value[:, 2] = theta[:, 3], theta[:, 4]
    expected = norm.logpdf(value, prior.mean, prior.sd)[:, prior.free].sum(1)
    assert np.allclose(prior.log_density(points, theta), expected)
    assert prior.free[INTERACTION].all() == interaction
    assert prior.free[REPEATED].all() == repeated
    assert prior.mean[0] == 1.1


def test_it_integrates_to_one():
    """Over the coordinates: ln alpha and ln beta are slopes less what shares say, a map of determinant one."""

    def to_values(point):
        theta = to_natural(point[None])[0]
        return np.array([point[0], theta[3], theta[4], point[3], point[4]])

    start = np.r_[0.9, -1.2, -1.4, -0.3, 0.4, np.zeros(COUNT - 5)]
    steps = 1e-5 * np.eye(5, COUNT)
    jacobian = [(to_values(start + s) - to_values(start - s)) / 2e-5 for s in steps]
    assert np.linalg.det(jacobian) == pytest.approx(1.0, abs=1e-6)


def test_a_known_entropy_is_a_soft_wall():
    free, bound = (
        prior_of(1.0, interaction=False, repeated=False),
        prior_of(1.0, interaction=False, repeated=False, floor=np.log(1.5)),
    )
    points, theta = drawn(200)
    theta[:, 2] = np.linspace(np.log(1.2), np.log(1.8), 200)
    points = to_coordinates(theta)
    found, low = bound.log_density(points, theta), theta[:, 2] < np.log(1.5)
    assert 0 < low.sum() < 200
    below = (np.log(1.5) - theta[low, 2]) / SOFT
    assert np.allclose(found[low], free.log_density(points, theta)[low] - 0.5 * below**2)
    assert np.array_equal(found[~low], free.log_density(points, theta)[~low])


def test_what_others_know_is_a_normal():
    centre, precision = np.array([-1.0, -1.1, 0.2]), np.diag([100.0, 400.0, 50.0]) + 5
    plain = prior_of(1.0, interaction=False, repeated=False)
    informed = prior_of(1.0, interaction=False, repeated=False, shared=(centre, precision))
    points, theta = drawn()
    ln = multivariate_normal(centre, np.linalg.inv(precision)).logpdf
    expected = ln(theta[:, [3, 4, 2]]) - ln(centre)
    assert np.allclose(informed.log_density(points, theta) - plain.log_density(points, theta), expected)


def test_draws_of_the_prior_alone_have_its_moments():
    n, d, loss = additive()
    post = prior_posterior(columns(n, d, loss), level=0.8, draws=20_000)
    form = post.theta[:, INTERACTION].any(axis=1)
    assert form.mean() == pytest.approx(INTERACTION_ODDS)
    for interaction in (False, True):
        prior = prior_of(0.8, interaction=interaction, repeated=False)
        own = to_coordinates(np.maximum(post.theta[form == interaction], -80.0))  # without repeats p is -inf
        own[:, 1:3] = post.theta[form == interaction][:, 3:5]
        assert np.all(np.abs(own.mean(0) - prior.mean)[prior.free] < 4 * prior.sd[prior.free] / len(own) ** 0.5)
        assert np.allclose(own.std(0)[prior.free], prior.sd[prior.free], rtol=0.05)
