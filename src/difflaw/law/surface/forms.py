"""The shapes a loss surface may take, each with its model, derivatives and optimum, for many parameter sets at once.

Additive: ln L = logsumexp(a - alpha·x, b - beta·z, e), x = ln N - mean, z = ln D - mean (Hoffmann et al. 2022), with
E = exp(e) free, zero, fixed or bounded, or with alpha = beta (Muennighoff et al. 2023).
Kaplan-type: L = [A·N^(-alpha/beta) + B/D]^beta (Kaplan et al. 2020, eq. 1.5), no floor.
N may as well be M, FLOPs per token: a form only sees logarithms, and C = 6·N·D or M·D enters with `best_size`.
Shapes: R parameter sets, n rows, p parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError

NAMES = ("free", "zero", "fixed", "at-most", "at-least", "tied", "kaplan")
SMALLEST_FLOOR = 15.0
"""A free floor may fall to exp(-15) of the lowest loss: zero for every purpose, but finite in logarithms."""


@dataclass(frozen=True)
class Form:
    """One form of surface. ``places`` says where a, b, e, alpha, beta stand among the parameters (-1: e is fixed)."""

    name: str
    equation: str
    parameters: tuple[str, ...]
    places: tuple[int, int, int, int, int]
    log_floor: float = -math.inf
    """ln E where E is fixed, or the bound where it is bounded."""

    @property
    def count(self) -> int:
        """Number of parameters p."""
        return len(self.parameters)

    def bounds(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest value of each parameter, shape (p,) each, for ln losses ``y``."""
        low, high = np.full(self.count, -60.0), np.full(self.count, 60.0)
        for place in self.places[3:]:
            low[place], high[place] = 1e-3, 5.0
        if (e := self.places[2]) >= 0:
            low[e] = float(np.min(y)) - SMALLEST_FLOOR
            if self.name == "at-most":
                high[e] = self.log_floor
            if self.name == "at-least":
                low[e] = self.log_floor
        return low, high


def make_form(name: str = "free", entropy: float | None = None) -> Form:
    """The form called ``name``.

    Args:
        name: one of `NAMES`.
        entropy: nats per token, needed for "fixed", "at-most" and "at-least": the value or bound of E.

    Raises:
        InputError: an unknown name, or an entropy that is missing, not positive, or given to a form without one.
    """
    if name not in NAMES:
        raise InputError(f"no surface form called '{name}'; choose from {', '.join(NAMES)}")
    wants = name in ("fixed", "at-most", "at-least")
    if wants and not (entropy is not None and 0 < entropy < math.inf):
        raise InputError(f"form '{name}' needs a positive entropy in nats per token, such as entropy=1.7")
    if not wants and entropy is not None:
        raise InputError(f"form '{name}' takes no entropy; use 'fixed', 'at-most' or 'at-least'")
    known = math.log(entropy) if entropy is not None else -math.inf
    add = "L = E + A/N^alpha + B/D^beta"
    five, four = ("a", "b", "e", "alpha", "beta"), ("a", "b", "alpha", "beta")
    if name == "free":
        return Form(name, add, five, (0, 1, 2, 3, 4))
    if name == "zero":
        return Form(name, "L = A/N^alpha + B/D^beta", four, (0, 1, -1, 2, 3))
    if name == "tied":
        return Form(name, "L = E + A/N^alpha + B/D^alpha", five[:4], (0, 1, 2, 3, 3))
    if name == "kaplan":
        return Form(name, "L = [A/N^(alpha/beta) + B/D]^beta", four, (0, 1, -1, 2, 3))
    if name == "fixed":
        return Form(name, f"{add}, E = {entropy:g}", four, (0, 1, -1, 2, 3), known)
    sign = "<=" if name == "at-most" else ">="
    return Form(name, f"{add}, E {sign} {entropy:g}", five, (0, 1, 2, 3, 4), known)


def with_floor_held(form: Form) -> Form:
    """The same form with E no longer a parameter: its value comes per parameter set (``log_floor`` of `evaluate`)."""
    e = form.places[2]
    places = [-1 if place == e else place - (place > e) for place in form.places]
    names = tuple(name for name in form.parameters if name != "e")
    return Form("fixed", form.equation, names, (places[0], places[1], places[2], places[3], places[4]), 0.0)


def log_loss(form: Form, theta: np.ndarray, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Ln of the model, shape (R, n), at theta (R, p), x and z (n,) or (R, n) centred logarithms."""
    return evaluate(form, theta, x, z)[0]


def evaluate(
    form: Form, theta: np.ndarray, x: np.ndarray, z: np.ndarray, log_floor: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """(ln model, parts that `jacobian` turns into derivatives), the parts of shape (R, n).

    ``log_floor`` (R,) overrides a fixed ln E per parameter set, which is what a profile over E needs.
    """
    a, b, e, alpha, beta = (theta[:, place, None] if place >= 0 else None for place in form.places)
    assert a is not None
    assert b is not None
    assert alpha is not None
    assert beta is not None
    if form.name == "kaplan":
        u, v = a - (alpha / beta) * x, b - z
        inner = np.logaddexp(u, v)
        return beta * inner, (np.exp(u - inner), inner)
    size, token = alpha * x, beta * z
    np.subtract(a, size, out=size)
    np.subtract(b, token, out=token)
    np.exp(size, out=size)
    np.exp(token, out=token)
    total = size + token
    if e is not None:
        total += np.exp(e)
    elif log_floor is not None:
        total += np.exp(log_floor)[:, None]
    elif form.log_floor > -math.inf:
        total += math.exp(form.log_floor)
    size /= total
    token /= total
    return np.log(total, out=total), (size, token)


def jacobian(form: Form, theta: np.ndarray, x: np.ndarray, z: np.ndarray, parts: tuple[np.ndarray, ...]) -> np.ndarray:
    """Derivatives of ln model by each parameter, shape (R, p, n), from the parts of `evaluate`."""
    first = parts[0]
    out = np.empty((first.shape[0], form.count, first.shape[1]))
    ia, ib, ie, ialpha, ibeta = form.places
    if form.name == "kaplan":
        share, inner = parts
        alpha, beta = theta[:, ialpha, None], theta[:, ibeta, None]
        out[:, ia], out[:, ib] = beta * share, beta * (1 - share)
        out[:, ialpha] = -share * x
        out[:, ibeta] = inner + share * (alpha / beta) * x
        return out
    size, token = parts
    out[:, ia], out[:, ib] = size, token
    if ie >= 0:
        np.subtract(1.0, size, out=out[:, ie])
        out[:, ie] -= token
    np.multiply(size, -x, out=out[:, ialpha])
    if ialpha == ibeta:
        out[:, ialpha] -= token * z
    else:
        np.multiply(token, -z, out=out[:, ibeta])
    return out


def ln_best_size(ln_A: Any, ln_B: Any, alpha: Any, beta: Any, ln_budget: Any) -> Any:
    """Ln of the size with the lowest loss on E + A·N^-alpha + B·D^-beta where ln N + ln D = ``ln_budget``.

    [ln(alpha·A/(beta·B)) + beta·ln_budget]/(alpha + beta): Hoffmann et al. 2022, eq. 4. Numbers or arrays that
    broadcast; where the logarithms of N and D are taken from means, the budget is too.
    """
    return (np.log(alpha / beta) + ln_A - ln_B + beta * ln_budget) / (alpha + beta)


@dataclass(frozen=True)
class Coefficients:
    """E, ln A, ln B, alpha, beta in the table's own units, arrays of one shape (one entry a parameter set)."""

    form: str
    E: np.ndarray
    ln_A: np.ndarray
    ln_B: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray

    def loss(self, params: float | np.ndarray, tokens: float | np.ndarray) -> np.ndarray:
        """Loss of every parameter set at one (N, D), or at arrays that broadcast against the sets."""
        ln_n, ln_d = np.log(params), np.log(tokens)
        if self.form == "kaplan":
            inner = np.logaddexp(self.ln_A - self.alpha / self.beta * ln_n, self.ln_B - ln_d)
            return np.exp(self.beta * inner)
        return self.E + np.exp(self.ln_A - self.alpha * ln_n) + np.exp(self.ln_B - self.beta * ln_d)

    def best_size(self, flops: float | np.ndarray, flops_factor: float = 6.0) -> np.ndarray:
        """N*(C), the size with the lowest loss where C = flops_factor·N·D (1 where N is FLOPs per token)."""
        ln_c = np.log(flops) - math.log(flops_factor)
        if self.form == "kaplan":
            # The bracket is additive with exponents alpha/beta and 1, and its power beta moves no optimum.
            return np.exp(ln_best_size(self.ln_A, self.ln_B, self.alpha / self.beta, 1.0, ln_c))
        return np.exp(ln_best_size(self.ln_A, self.ln_B, self.alpha, self.beta, ln_c))


def coefficients(form: Form, theta: np.ndarray, shift: tuple[float, float]) -> Coefficients:
    """Undo the centring: theta (R, p) with x = ln N - shift[0], z = ln D - shift[1] -> coefficients of shape (R,)."""
    a, b, e, alpha, beta = (theta[:, place] if place >= 0 else None for place in form.places)
    assert a is not None
    assert b is not None
    assert alpha is not None
    assert beta is not None
    floor = np.full(len(theta), math.exp(form.log_floor)) if e is None else np.exp(e)
    slope_n, slope_d = (alpha / beta, 1.0) if form.name == "kaplan" else (alpha, beta)
    return Coefficients(form.name, floor, a + slope_n * shift[0], b + slope_d * shift[1], alpha, beta)
