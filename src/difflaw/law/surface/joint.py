"""Several families fitted together: exponents and floor partially pooled, the spread between families estimated.

Each family f has its own theta_f = (ln A, ln B, ln E, alpha, beta); ln E, alpha and beta are drawn around common means
with spreads tau that the data decide (empirical Bayes: EM on the Laplace approximation, Dempster et al. 1977). Families
that resemble each other lend one another strength; one that differs keeps its own exponents. On the planted five-family
ladder this cuts the error of N* at 25 times the largest budget by a third (benchmarks/bench_joint.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import short_count
from difflaw.law.interpolation import params_at
from difflaw.law.power import quantile
from difflaw.law.results import Interval
from difflaw.law.surface.forms import evaluate, jacobian, ln_best_size, make_form
from difflaw.law.surface.least_squares import huber_rows, solve
from difflaw.law.surface.starts import grid_starts

POOLED = (2, 3, 4)
"""Places of ln E, alpha and beta in theta."""
USUAL_SPREAD = (0.04, 0.03, 0.012)
"""Spread of ln E, alpha, beta between the five noise types of 2512.10858 (rounded up)."""
LN_MOST = 700.0
"""Logarithms are cut here before they are raised: a law that three rows carry reaches past any number."""
BELIEF = 2.0
"""How many families' worth of evidence the usual spread counts for."""
FORM = make_form("free")


@dataclass(frozen=True)
class JointFamily:
    """One family's part of a joint fit; ``theta`` has logarithms of N and D centred at ``centre``."""

    family: str
    E: float
    A: float
    B: float
    alpha: float
    beta: float
    params_exponent: float
    theta: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    """Of theta, the means' own error in it."""
    given_means: tuple[tuple[float, ...], ...]
    """Covariance of theta were the means known."""
    follows: tuple[tuple[float, ...], ...]
    """How theta moves with the means, (5, 3)."""
    centre: tuple[float, float]
    rows: int


@dataclass(frozen=True)
class JointFit:
    """All families, the means and spreads of (ln E, alpha, beta) between them, and the run noise."""

    families: tuple[JointFamily, ...]
    means: tuple[float, float, float]
    spreads: tuple[float, float, float]
    means_covariance: tuple[tuple[float, ...], ...]
    noise: float
    """Standard deviation of ln loss of a row about its law."""
    flops_factor: float
    dof: int
    flops_range: tuple[float, float]


@dataclass(frozen=True)
class Standing:
    """How a family stands at one budget. Sizes are parameters where those are known, and FLOPs per token always."""

    family: str
    probability: float
    """Of having the lowest loss."""
    params: Interval | None
    loss: Interval
    best_params: float | None
    """None where the sizes that were run do not say how many parameters so many FLOPs per token are."""
    best_loss: float
    flops_per_token: Interval
    best_flops_per_token: float


@dataclass(frozen=True)
class _Stack:
    """Families (times data sets) padded to one length: (R, n) arrays, weight 0 where padded."""

    x: np.ndarray
    z: np.ndarray
    y: np.ndarray
    w: np.ndarray


def fit_joint(
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    loss: Sequence[float] | np.ndarray,
    family: Sequence[str] | np.ndarray,
    *,
    flops_factor: float = 6.0,
) -> JointFit:
    """Fit every family's surface with exponents and floor partially pooled.

    Args:
        params: sizes (or FLOPs per token, with ``flops_factor`` 1), shape (n,).
        tokens: shape (n,).
        loss: nats per token, shape (n,).
        family: name of each row's family.
        flops_factor: C = flops_factor·N·D.

    Raises:
        InputError: fewer than two families, or a family whose rows cannot carry a surface.
    """
    n, d, y = (np.log(np.asarray(v, float)) for v in (params, tokens, loss))
    names = sorted(set(map(str, family)))
    if len(names) < 2:
        raise InputError(f"a joint fit needs at least two families, found {len(names)}; fit one by itself")
    label = np.asarray([str(f) for f in family])
    pieces, centres = [], []
    for name in names:
        rows = np.flatnonzero(label == name)
        rows = rows[np.lexsort((y[rows], d[rows], n[rows]))]
        if len(rows) < 6 or len(np.unique(n[rows].round(6))) < 3 or len(np.unique(d[rows].round(6))) < 3:
            raise InputError(f"family {name}: {len(rows)} rows; a joint fit needs 6, with 3 sizes and 3 token counts")
        centres.append((float(n[rows].mean()), float(d[rows].mean())))
        pieces.append((n[rows] - centres[-1][0], d[rows] - centres[-1][1], y[rows]))
    stack = stacked(pieces)
    state = pooled_fits(stack, len(names))
    flops = np.exp(n + d) * flops_factor
    mean_covariance, total, given, follow = _uncertainty(state)
    families = []
    for f, name in enumerate(names):
        a, b, e, alpha, beta = (float(v) for v in state.theta[f])
        families.append(
            JointFamily(
                family=name,
                E=math.exp(e),
                A=math.exp(a + alpha * centres[f][0]),
                B=math.exp(b + beta * centres[f][1]),
                alpha=alpha,
                beta=beta,
                params_exponent=beta / (alpha + beta),
                theta=(a, b, e, alpha, beta),
                covariance=_tuples(total[f]),
                given_means=_tuples(given[f]),
                follows=_tuples(follow[f]),
                centre=centres[f],
                rows=len(pieces[f][0]),
            )
        )
    return JointFit(
        families=tuple(families),
        means=_three(state.means[0]),
        spreads=_three(state.spreads[0]),
        means_covariance=_tuples(mean_covariance[0]),
        noise=math.sqrt(float(state.noise[0])),
        flops_factor=flops_factor,
        dof=max(1, len(y) - 2 * len(names) - 3),
        flops_range=(float(flops.min()), float(flops.max())),
    )


def standings(
    fit: JointFit,
    flops: float,
    *,
    sizes: Mapping[str, np.ndarray] | None = None,
    draws: int = 4000,
    seed: int = 0,
    level: float = 0.95,
) -> list[Standing]:
    """Families at a budget, likeliest winner first, from draws that share the common means (paired, not independent).

    The probabilities take the additive form for granted and know nothing of errors shared by all runs of a size.

    Args:
        fit: from `fit_joint`.
        flops: the budget.
        sizes: (params, flops_per_token) of each family's runs, shape (k, 2): how a joint fit in FLOPs per token gives
            parameters.
        draws: how many.
        seed: same seed, same draws.
        level: of the intervals.
    """
    rng = np.random.default_rng(seed)
    # Student's t rather than a normal: the noise was estimated too.
    stretch = np.sqrt(fit.dof / rng.chisquare(fit.dof, draws))[:, None]
    common = rng.standard_normal((draws, 3)) @ _root(np.array(fit.means_covariance)).T
    drawn = []
    for member in fit.families:
        own = rng.standard_normal((draws, 5)) @ _root(np.array(member.given_means)).T
        shift = common @ np.array(member.follows).T + own
        drawn.append(optimum(np.array(member.theta) + stretch * shift, member.centre, flops, fit.flops_factor))
    table = np.array([ln_loss for _, ln_loss in drawn])
    wins = np.bincount(np.argmin(table, axis=0), minlength=len(table)) / draws
    out = []
    for member, probability, (ln_size, ln_loss) in zip(fit.families, wins, drawn, strict=True):
        known = (sizes or {}).get(member.family)
        out.append(_standing(fit, member, flops, float(probability), ln_size, ln_loss, known, level))
    return sorted(out, key=lambda s: (-s.probability, s.best_loss))


def _standing(
    fit: JointFit,
    member: JointFamily,
    flops: float,
    probability: float,
    ln_size: np.ndarray,
    ln_loss: np.ndarray,
    known: np.ndarray | None,
    level: float,
) -> Standing:
    """One family's odds, best size and loss, from its draws of both (draws,)."""
    ends = [(1 - level) / 2, (1 + level) / 2]
    kind = f"{100 * level:g} % for the law's {{}} at this budget, joint fit; assumes the form holds"
    best_size, best_loss = optimum(np.array([member.theta]), member.centre, flops, fit.flops_factor)
    size = math.exp(float(np.clip(best_size[0], -LN_MOST, LN_MOST)))
    low, high = (float(v) for v in np.exp(np.clip(np.quantile(ln_size, ends), -LN_MOST, LN_MOST)))
    low_loss, high_loss = (float(v) for v in np.exp(np.clip(np.quantile(ln_loss, ends), -LN_MOST, LN_MOST)))
    factor, named = fit.flops_factor, "best size"
    if factor != 1.0:
        counted: list[float | None] = [size, low, high]
    else:
        counted = [None if known is None else params_at(m, known) for m in (size, low, high)]
    n, n_low, n_high = counted
    return Standing(
        family=member.family,
        probability=probability,
        params=None if n_low is None or n_high is None else Interval(n_low, n_high, level, kind.format(named)),
        loss=Interval(low_loss, high_loss, level, kind.format("loss")),
        best_params=n,
        best_loss=math.exp(float(np.clip(best_loss[0], -LN_MOST, LN_MOST))),
        flops_per_token=Interval(factor * low, factor * high, level, kind.format(f"{named}, as FLOPs per token")),
        best_flops_per_token=factor * size,
    )


def standings_text(found: Sequence[Standing], flops: float, fit: JointFit) -> list[str]:
    """Who wins at a budget, with what probability, and how far that is from the data."""
    first = found[0]
    size = f"{first.best_flops_per_token:.3g} FLOPs per token"
    if first.best_params is not None:
        size = f"{short_count(first.best_params)} parameters"
    others = ", ".join(f"{s.family} {100 * s.probability:.0f} %" for s in found[1:])
    lines = [
        f"At {flops:.2g} FLOPs {first.family} has the lowest loss with probability {100 * first.probability:.0f} % "
        f"({others}), {first.best_loss:.4f} at {size}."
    ]
    factor = flops / fit.flops_range[1]
    if factor > 3:
        lines.append(
            f"That is {factor:.3g} times the largest run; the probability assumes that the form E + A/N^alpha + "
            "B/D^beta holds so far."
        )
    half = quantile(0.95, fit.dof) * fit.noise
    if max(s.best_loss for s in found) / first.best_loss - 1 < half:
        lines.append("All families lie within the noise of a single run of each other.")
    return lines


# -- empirical Bayes -------------------------------------------------------------------------------------------------


@dataclass
class _State:
    """Parameters per fit (R, 5); means, spreads (G, 3) and noise variance (G,) per data set; posterior curvature."""

    theta: np.ndarray
    means: np.ndarray
    spreads: np.ndarray
    noise: np.ndarray
    curvature: np.ndarray
    """(R, 5, 5): of the data alone, J'J/noise."""
    members: int

    @property
    def prior(self) -> np.ndarray:
        """(R, 5) precisions of the pooling, zero for ln A and ln B."""
        out = np.zeros_like(self.theta)
        out[:, POOLED] = np.repeat(self.spreads**-2.0, self.members, axis=0)
        return out

    @property
    def target(self) -> np.ndarray:
        """(R, 5) centres of the pooling."""
        out = np.zeros_like(self.theta)
        out[:, POOLED] = np.repeat(self.means, self.members, axis=0)
        return out


def stacked(pieces: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> _Stack:
    """Fits of (x, z, y) padded to the longest."""
    longest = max(len(p[0]) for p in pieces)
    out = np.zeros((4, len(pieces), longest))
    for i, (x, z, y) in enumerate(pieces):
        out[0, i, : len(x)], out[1, i, : len(x)], out[2, i, : len(x)], out[3, i, : len(x)] = x, z, y, 1.0
        out[2, i, len(x) :] = y.mean()
    return _Stack(*out)


def separate_fits(stack: _Stack) -> np.ndarray:
    """Least-squares start of each fit by itself, kept inside what a surface may be."""
    starts = []
    for x, z, y, w in zip(stack.x, stack.z, stack.y, stack.w, strict=True):
        rows = w > 0
        found = grid_starts(FORM, x[rows], z[rows], y[rows])
        if not len(found):
            raise InputError("the loss does not fall with size and tokens in every family; no surface can start")
        fits = solve(FORM, x[rows], z[rows], y[rows], found)
        starts.append(fits.theta[int(np.argmin(fits.objective))])
    return np.array(starts)


def pooled_fits(stack: _Stack, members: int, rounds: int = 40) -> _State:
    """EM over means and spreads; ``members`` families belong to each data set, in order."""
    theta = separate_fits(stack)
    groups = len(theta) // members
    usual = np.array(USUAL_SPREAD)
    shown = theta.reshape(groups, members, 5)[:, :, POOLED]
    means = np.median(shown, axis=1)
    # A floor that ran to zero or an exponent at its bound says that the family knows nothing of it by itself.
    theta[:, 2] = np.maximum(theta[:, 2], np.repeat(means[:, 0], members) - 1.0)
    state = _State(theta, means, np.tile(3 * usual, (groups, 1)), np.full(groups, 1e-5), np.empty(0), members)
    rows = stack.w.reshape(groups, -1).sum(1)
    for round_ in range(rounds):
        before = state.spreads.copy()
        state.theta, residual, jac = _penalised(stack, state, 30 if round_ == 0 else 8)
        square = jac @ jac.transpose(0, 2, 1)
        state.curvature = square / np.repeat(state.noise, members)[:, None, None]
        posterior = np.linalg.inv(state.curvature + _diagonal(state.prior))
        used = np.einsum("rij,rji->r", posterior, state.curvature).reshape(groups, members).sum(1)
        state.noise = (residual**2).reshape(groups, -1).sum(1) / np.maximum(rows - used, 1.0) + 1e-14
        own = state.theta.reshape(groups, members, 5)[:, :, POOLED]
        spread = np.stack([posterior[:, k, k] for k in POOLED], 1).reshape(groups, members, 3)
        state.means = own.mean(1)
        scatter = ((own - state.means[:, None]) ** 2 + spread).sum(1)
        # The means take one family's worth of scatter; the usual spread counts for BELIEF families.
        state.spreads = np.sqrt((scatter + BELIEF * usual**2) / (members - 1 + BELIEF))
        if np.max(np.abs(np.log(state.spreads / before))) < 1e-4 and round_ > 3:
            break
    state.theta, _, jac = _penalised(stack, state, 30)
    state.curvature = (jac @ jac.transpose(0, 2, 1)) / np.repeat(state.noise, members)[:, None, None]
    return state


def _penalised(stack: _Stack, state: _State, rounds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levenberg steps on squares/noise + pooling: theta, residual (R, n) and jacobian (R, 5, n), 0 where padded."""
    theta, prior, target = state.theta.copy(), state.prior, state.target
    noise = np.repeat(state.noise, state.members)
    lows, highs = FORM.bounds(stack.y)

    def value(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
        model, parts = evaluate(FORM, t, stack.x, stack.z)
        residual = (model - stack.y) * stack.w
        total = huber_rows(residual, math.inf).sum(1) / noise + 0.5 * (prior * (t - target) ** 2).sum(1)
        return total, residual, parts

    damping = np.full(len(theta), 1e-4)
    total, residual, parts = value(theta)
    for _ in range(rounds):
        jac = jacobian(FORM, theta, stack.x, stack.z, parts) * stack.w[:, None, :]
        hessian = (jac @ jac.transpose(0, 2, 1)) / noise[:, None, None] + _diagonal(prior)
        gradient = (jac @ residual[:, :, None])[:, :, 0] / noise[:, None] + prior * (theta - target)
        hessian += damping[:, None, None] * _diagonal(np.einsum("rii->ri", hessian))
        trial = np.clip(theta - np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0], lows, highs)
        new_total, new_residual, new_parts = value(trial)
        better = new_total <= total
        gain = np.max(np.where(better, total - new_total, 0.0))
        theta = np.where(better[:, None], trial, theta)
        damping = np.where(better, damping / 10, damping * 10)
        total, residual, parts = value(theta) if not better.all() else (new_total, new_residual, new_parts)
        if gain < 1e-9 and better.all():
            break
    return theta, residual, jacobian(FORM, theta, stack.x, stack.z, parts) * stack.w[:, None, :]


def _diagonal(values: np.ndarray) -> np.ndarray:
    """(R, p) as (R, p, p) diagonal matrices."""
    return values[:, :, None] * np.eye(values.shape[1])


def _uncertainty(state: _State) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Covariance of the means (G, 3, 3), of theta (R, 5, 5), of theta given the means, and dtheta/dmeans (R, 5, 3)."""
    posterior = np.linalg.inv(state.curvature + _diagonal(state.prior))
    groups = len(state.means)
    prior3 = np.repeat(state.spreads**-2.0, state.members, axis=0)
    own = posterior[:, POOLED][:, :, POOLED]
    # Each family tells of the means Λ - Λ V Λ, the precision of its exponents with the pooling's spread on top.
    precision = _diagonal(prior3) - prior3[:, :, None] * own * prior3[:, None, :]
    means = np.linalg.inv(precision.reshape(groups, state.members, 3, 3).sum(1))
    follow = posterior[:, :, POOLED] * prior3[:, None, :]
    wide = np.repeat(means, state.members, axis=0)
    return means, posterior + follow @ wide @ follow.transpose(0, 2, 1), posterior, follow


def _tuples(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))


def _three(values: np.ndarray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix square root that tolerates rounding."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def optimum(
    theta: np.ndarray, centre: tuple[float, float], flops: float, factor: float
) -> tuple[np.ndarray, np.ndarray]:
    """(ln N*, ln L*) at a budget for each row of theta."""
    a, b, e, alpha, beta = theta.T
    alpha, beta = np.maximum(alpha, 1e-3), np.maximum(beta, 1e-3)
    budget = math.log(flops / factor) - centre[0] - centre[1]
    x = ln_best_size(a, b, alpha, beta, budget)
    ln_loss = np.logaddexp(np.logaddexp(a - alpha * x, b - beta * (budget - x)), e)
    return x + centre[0], ln_loss
