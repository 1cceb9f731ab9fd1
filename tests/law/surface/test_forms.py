"""Every form: derivatives against differences, optimum against a search, coefficients against the model."""

import numpy as np
import pytest

from difflaw.errors import InputError
from difflaw.law.surface.forms import NAMES, coefficients, evaluate, jacobian, log_loss, make_form, with_floor_held

RNG = np.random.default_rng(0)
X, Z = RNG.uniform(-2, 2, 12), RNG.uniform(-3, 3, 12)
FIVE = {"a": -0.9, "b": -1.1, "e": 0.6, "alpha": 0.31, "beta": 0.38}


def build(name):
    form = make_form(name, 1.7 if name in ("fixed", "at-most", "at-least") else None)
    values = {**FIVE, "a": 5.0, "b": 6.0, "alpha": 0.1, "beta": 0.12} if name == "kaplan" else FIVE
    return form, np.array([values[p] for p in form.parameters])


@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name):
    form, theta = build(name)
    sets = np.stack([theta, theta * 1.1])
    got = jacobian(form, sets, X, Z, evaluate(form, sets, X, Z)[1])
    for k in range(form.count):
        step = np.zeros(form.count)
        step[k] = 1e-6
        slope = (log_loss(form, sets + step, X, Z) - log_loss(form, sets - step, X, Z)) / 2e-6
        np.testing.assert_allclose(got[:, k], slope, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_give_the_same_loss_and_the_best_size(name):
    form, theta = build(name)
    shift = (18.0, 21.0)
    found = coefficients(form, theta[None], shift)
    n, d = np.exp(X + shift[0]), np.exp(Z + shift[1])
    np.testing.assert_allclose(np.log(found.loss(n, d)), log_loss(form, theta[None], X, Z)[0], rtol=1e-12)
    for factor in (6.0, 1.0):
        flops = 1e18
        size = float(found.best_size(flops, factor)[0])
        around = size * np.exp(np.linspace(-0.1, 0.1, 201))
        losses = found.loss(around, flops / factor / around)
        assert abs(np.log(around[np.argmin(losses)] / size)) < 1.1e-3


def test_held_floor_is_the_free_form_at_that_floor():
    free, theta = build("free")
    held = with_floor_held(free)
    four = np.delete(theta, 2)[None]
    got = evaluate(held, four, X, Z, np.array([theta[2]]))[0]
    np.testing.assert_allclose(got, log_loss(free, theta[None], X, Z), rtol=1e-14)
    assert with_floor_held(make_form("tied")).places == (0, 1, -1, 2, 2)


def test_wrong_forms_are_refused():
    for name, entropy in (("cubic", None), ("fixed", None), ("at-most", -1.0), ("free", 1.7)):
        with pytest.raises(InputError):
            make_form(name, entropy)
