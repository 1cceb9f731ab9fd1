"""From rows to the averaged law: every form sampled, weighted by its evidence, and drawn from in that proportion."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from difflaw.law.posterior.coordinates import to_natural
from difflaw.law.posterior.importance import Sample, sample
from difflaw.law.posterior.likelihood import LN_MOST_GROWTH, Rows
from difflaw.law.posterior.model import COUNT, PENALTY, where
from difflaw.law.posterior.modes import Problem, find_modes
from difflaw.law.posterior.posterior import Posterior, Suspect, interior
from difflaw.law.posterior.prior import GROWTH, INTERACTION_ODDS, NOISE, prior_of
from difflaw.law.posterior.shared_error import shared_error
from difflaw.law.posterior.suspects import Found, find

DRAWS = 1000
HOPELESS = 30.0
"""A form whose highest density lies so much (in ln) below the other's has no share that matters, and is not sampled."""
MOST_ROWS = 1_500
"""Rows used; of more, this many evenly spaced ones: their noise has long ceased to matter."""


@dataclass(frozen=True)
class Columns:
    """The rows of one family as arrays of shape (n,); ``unique`` and ``runs`` where the table has them."""

    params: np.ndarray
    tokens: np.ndarray
    loss: np.ndarray
    flops: np.ndarray
    runs: np.ndarray
    unique: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.loss)

    def at(self, index: np.ndarray) -> Columns:
        """Some of the rows."""
        unique = None if self.unique is None else self.unique[index]
        params, tokens, loss = self.params[index], self.tokens[index], self.loss[index]
        return Columns(params, tokens, loss, self.flops[index], self.runs[index], unique)


def columns(
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    loss: Sequence[float] | np.ndarray,
    *,
    flops: Sequence[float] | np.ndarray | None = None,
    runs: Sequence[str] | np.ndarray | None = None,
    unique: Sequence[float] | np.ndarray | None = None,
) -> Columns:
    """Columns in an order that the file's does not change; without ``flops`` 6·N·D, without ``runs`` one a row."""
    n, d, y = (np.asarray(v, float) for v in (params, tokens, loss))
    c = 6 * n * d if flops is None else np.asarray(flops, float)
    names = np.array([f"row {i + 1}" for i in range(len(n))]) if runs is None else np.asarray(runs, str)
    order = np.lexsort((names, c, y, d, n))
    found = Columns(n[order], d[order], y[order], c[order], names[order])
    if unique is None:
        return found
    return Columns(found.params, found.tokens, found.loss, found.flops, found.runs, np.asarray(unique, float)[order])


def fit_posterior(
    rows: Columns,
    *,
    forms: Sequence[str] = ("additive", "interaction"),
    entropy: float | None = None,
    shared: tuple[np.ndarray, np.ndarray] | None = None,
    centre: tuple[float, float, float] | None = None,
    repeated: bool | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Posterior:
    """Draws of one family's law, averaged over forms (docs/derivations.md#averaged).

    Args:
        rows: from `columns`.
        forms: "additive", "interaction" or both.
        entropy: known entropy of the text, nats per token: the floor is not below it.
        shared: what other families say of (ln alpha, ln beta, ln E), mean and precision.
        centre: where ln N, ln D and ln(N/U) are counted from; default the means of the rows.
        repeated: whether the law is to know of repeated data; default where rows repeat theirs.
        draws: how many.
        seed: same seed and rows, same draws.
    """
    used = rows
    if len(rows) > MOST_ROWS:
        used = rows.at(np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int))
    if repeated is None:
        repeated = used.unique is not None and bool((used.tokens > 1.01 * used.unique).any())
    centre = centre_of(used, repeated) if centre is None else centre
    floor = -math.inf if entropy is None else math.log(entropy)
    prepared = _rows(used, centre, repeated)
    level = float(prepared.y.mean())

    def problem(form: str, data: Rows) -> Problem:
        prior = prior_of(level, interaction=form == "interaction", repeated=repeated, floor=floor, shared=shared)
        return Problem(data, prior)

    modes = {form: find_modes(problem(form, prepared)) for form in forms}
    likely = max(forms, key=lambda form: modes[form][0].density - 3.0 * (form == "interaction"))
    common = shared_error(problem(likely, prepared), modes[likely][0], used.runs, used.params)
    if common.weight.min() < 0.95:
        prepared = Rows(prepared.at, prepared.y, prepared.height, common.weight)
        modes = {form: find_modes(problem(form, prepared), modes[form]) for form in forms}
    rng = np.random.default_rng(seed)
    found: dict[str, Sample] = {}
    odds: dict[str, float] = {}
    highest = max(modes[form][0].density for form in forms)
    for form in forms:
        if modes[form][0].density < highest - HOPELESS:
            continue
        own = problem(form, prepared)
        found[form] = sample(own.density, [(m.place, m.spread) for m in modes[form]], rng)
        share = (INTERACTION_ODDS if form == "interaction" else 1 - INTERACTION_ODDS) if len(forms) > 1 else 1.0
        odds[form] = found[form].ln_evidence + math.log(share)
    top = max(odds.values())
    total = sum(math.exp(v - top) for v in odds.values())
    probabilities = {form: math.exp(odds[form] - top) / total if form in odds else 0.0 for form in forms}
    natural = {form: problem(form, prepared).natural for form in forms}
    found = {form: _stretched(one, common.stretch, problem(form, prepared)) for form, one in found.items()}
    drawn = _drawn(natural, found, probabilities, 2 * draws, rng)
    above = np.flatnonzero(drawn[0][:, 2] >= floor)
    if len(above) >= draws // 2:
        drawn = (drawn[0][above], drawn[1][above], drawn[2][above])
    else:  # the runs contradict the known entropy, which wins
        drawn[0][:, 2] = np.maximum(drawn[0][:, 2], floor)
    return _posterior(rows, used, prepared, centre, drawn, probabilities, found, draws, repeated, common.stretch)


def prior_posterior(
    around: Columns, *, level: float = 1.0, repeated: bool = False, draws: int = DRAWS, seed: int = 0
) -> Posterior:
    """Draws of the prior alone, about some runs that were never made: what is known before the first one.

    Args:
        around: runs in whose middle the prior is centred; their losses are not looked at.
        level: ln loss there.
        repeated: whether data may be repeated.
        draws: how many.
        seed: same seed, same draws.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for form, share in (("additive", 1 - INTERACTION_ODDS), ("interaction", INTERACTION_ODDS)):
        prior = prior_of(level, interaction=form == "interaction", repeated=repeated)
        count = round(draws * share)
        value = np.zeros((count, COUNT))
        value[:, PENALTY] = -np.inf
        drawn = prior.mean + prior.sd * rng.standard_normal((count, COUNT))
        value[:, prior.free] = drawn[:, prior.free]
        shares = to_natural(value)
        # Places 1 and 2 hold ln alpha and ln beta in a prior; the slopes follow from the shares.
        value[:, 1] += shares[:, 0] - value[:, 0]
        value[:, 2] += shares[:, 1] - value[:, 0]
        parts.append(to_natural(value))
    theta = rng.permutation(np.concatenate(parts))
    return Posterior(
        theta=theta,
        ln_noise=np.full(len(theta), NOISE[0]),
        growth=math.exp(GROWTH[0]),
        centre=centre_of(around, repeated),
        forms={"additive": 1 - INTERACTION_ODDS, "interaction": INTERACTION_ODDS},
        effective_draws=float(len(theta)),
        rows=0,
        runs=0,
        independent=0.0,
        sizes=np.unique(np.stack([around.params, around.flops / around.tokens], 1), axis=0),
        budgets=_ends(around.flops),
        params_range=_ends(around.params),
        tokens_range=_ends(around.tokens),
        loss_range=(math.exp(level), math.exp(level)),
        repeated=repeated,
    )


def centre_of(used: Columns, repeated: bool) -> tuple[float, float, float]:
    """Means of ln N, ln D and, where data repeat, ln(N/U): where a law's logarithms are counted from."""
    ln_n, ln_d = np.log(used.params), np.log(used.tokens)
    ratio = 0.0
    if repeated and used.unique is not None:
        ratio = float((ln_n - np.log(np.minimum(used.unique, used.tokens))).mean())
    return float(ln_n.mean()), float(ln_d.mean()), ratio


def _rows(used: Columns, centre: tuple[float, float, float], repeated: bool) -> Rows:
    y = np.log(used.loss)
    at = where(used.params, used.tokens, centre, used.unique if repeated else None)
    return Rows(at, y, np.maximum(y - y.min(), 0.0), np.ones(len(y)))


def _stretched(one: Sample, factor: float, problem: Problem) -> Sample:
    """The sample with the surface's coordinates that much further from their mean; noise stays as it is.

    None is stretched past its prior's width: rows that share an error do not take away what was known before them.
    """
    if factor <= 1:
        return one
    surface = one.points[:, :-2]
    mean = one.weights @ surface
    spread = np.sqrt(one.weights @ (surface - mean) ** 2)
    by = np.clip(problem.prior.sd[problem.free] / np.maximum(spread, 1e-12), 1.0, factor)
    points = np.concatenate([mean + by * (surface - mean), one.points[:, -2:]], axis=1)
    return Sample(points, one.weights, one.ln_evidence, one.size)


def _drawn(
    natural: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    found: dict[str, Sample],
    probabilities: dict[str, float],
    count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(theta (count, 13), ln noise, ln growth): systematic resampling of all forms' weighted points."""
    theta, noise, growth, weight = [], [], [], []
    for form, one in found.items():
        theta.append(natural[form](one.points))
        noise.append(one.points[:, -2])
        growth.append(one.points[:, -1])
        weight.append(one.weights * probabilities[form])
    cumulative = np.cumsum(np.concatenate(weight))
    pick = np.searchsorted(cumulative, (rng.random() + np.arange(count)) / count * cumulative[-1])
    pick = rng.permutation(np.minimum(pick, len(cumulative) - 1))
    return np.concatenate(theta)[pick], np.concatenate(noise)[pick], np.concatenate(growth)[pick]


def _posterior(
    every: Columns,
    used: Columns,
    rows: Rows,
    centre: tuple[float, float, float],
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
    probabilities: dict[str, float],
    found: dict[str, Sample],
    draws: int,
    repeated: bool,
    stretch: float,
) -> Posterior:
    theta, noise, growth = drawn
    sizes = np.unique(np.stack([used.params, used.flops / used.tokens], 1).round(12), axis=0)
    if len(sizes) > 400:
        sizes = sizes[np.linspace(0, len(sizes) - 1, 400).round().astype(int)]
    out = Posterior(
        theta=theta.astype(np.float32).astype(float),  # as laws.json keeps them
        ln_noise=noise.astype(np.float32).astype(float),
        growth=float(np.median(np.exp(np.minimum(growth, LN_MOST_GROWTH)))),
        centre=centre,
        forms=probabilities,
        effective_draws=float(min(1 / sum(probabilities[f] ** 2 / s.size for f, s in found.items()), len(theta))),
        rows=len(every),
        runs=len(np.unique(every.runs)),
        independent=float(rows.weight.sum()) / stretch**2,
        sizes=sizes.astype(np.float32).astype(float),
        budgets=_ends(every.flops),
        params_range=_ends(every.params),
        tokens_range=_ends(every.tokens),
        loss_range=_ends(every.loss),
        repeated=repeated,
    )
    # Draws whose loss has no lowest point in size, at the largest budget or ten times it, say nothing of a best size.
    good = interior(out, out.budgets[1]) & interior(out, 10 * out.budgets[1])
    kept = (np.flatnonzero(good) if good.mean() > 0.2 else np.arange(len(good)))[:draws]
    out = replace(out.with_draws(kept), with_minimum=float(good.mean()))
    size = out.best(10 * out.budgets[1]).ln_params
    odd = find(rows, out.theta, noise[kept], growth[kept], size, stretch)
    return replace(out, suspects=_named(used, odd), weight_without=odd.weight.astype(np.float32).astype(float))


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _named(used: Columns, odd: Found) -> tuple[Suspect, ...]:
    return tuple(
        Suspect(
            run=str(used.runs[i]),
            params=float(used.params[i]),
            tokens=float(used.tokens[i]),
            loss=float(used.loss[i]),
            off=float(off),
            sound=float(good),
            shift=float(shift),
        )
        for i, off, good, shift in zip(odd.index, odd.off, odd.sound, odd.shift, strict=True)
    )
