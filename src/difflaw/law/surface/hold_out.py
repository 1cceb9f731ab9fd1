"""Rolling-origin hold-out: fit the small runs, forecast the large ones, and learn how far a law can be trusted.

For every cutoff each form is fitted to the runs below it and judged on all runs above. The error of forecast
decides the form; the growth of the error with the distance widens forecasts; and the share of unseen runs that their
interval covered, using at each cutoff only what was known there, is stated with it. In-sample intervals do not show
any of this: on the published Chinchilla runs the 95 % interval of the mean covered a quarter of runs 50 times larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from difflaw.errors import InputError
from difflaw.law.power import quantile
from difflaw.law.results import HeldOut, HoldOut, Surface
from difflaw.law.surface.fit import fit_surface
from difflaw.law.surface.forms import evaluate, jacobian
from difflaw.law.surface.predict import form_of

FORMS = ("free", "tied", "zero", "kaplan")
RATIOS = (2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0, 200.0)
"""Cutoffs are the largest FLOPs over these."""
FEWEST = 8
CLEARLY = 0.1
"""A form replaces the first one tried where its error of forecast is smaller by this share; less is luck."""


@dataclass(frozen=True)
class _Test:
    """A form fitted below a cutoff, and every unseen row: its error, distance and plain variance."""

    record: HeldOut
    flops: np.ndarray
    error: np.ndarray
    decades: np.ndarray
    variance: np.ndarray
    """Of the mean, plus run noise."""
    inside: float
    """Variance of ln loss about the fit below the cutoff."""
    quantile: float


def hold_out(
    params: Sequence[float] | np.ndarray,
    tokens: Sequence[float] | np.ndarray,
    loss: Sequence[float] | np.ndarray,
    runs: Sequence[str] | np.ndarray | None = None,
    *,
    forms: Sequence[str] = FORMS,
    cutoffs: Sequence[float] | None = None,
    delta: float | None = None,
    level: float = 0.95,
    first: Literal["params", "flops_per_token"] = "params",
) -> HoldOut | None:
    """Judge forms by forecasts of larger runs; None where no cutoff leaves enough to fit and something to forecast.

    Args:
        params: sizes, shape (n,).
        tokens: shape (n,).
        loss: nats per token, shape (n,).
        runs: name of each row's run.
        forms: forms without known entropy to compare.
        cutoffs: largest FLOPs to fit; default the largest FLOPs over 2, 3, 5, … 200, where at least 8 runs remain.
        delta: of the Huber loss, default from the residuals of each fit.
        level: of the intervals whose coverage is measured.
        first: what ``params`` holds, which decides C = 6·N·D or M·D.

    Raises:
        InputError: no forms, or cutoffs that are not positive.
    """
    if not forms or (cutoffs is not None and not all(0 < c < math.inf for c in cutoffs)):
        raise InputError("a hold-out needs at least one form, and cutoffs that are positive FLOPs")
    n, d, y = (np.asarray(v, float) for v in (params, tokens, loss))
    if not len(n):
        return None
    names = np.arange(len(n)).astype(str) if runs is None else np.asarray(runs, str)
    order = np.lexsort((names, y, d, n))
    n, d, y, names = n[order], d[order], y[order], names[order]
    flops = (6.0 if first == "params" else 1.0) * n * d
    top = float(flops.max())
    tests: dict[str, list[_Test]] = {form: [] for form in forms}
    seen: set[int] = set()
    for cutoff in sorted(cutoffs if cutoffs is not None else [top / r for r in RATIOS]):
        below = flops <= cutoff * (1 + 1e-9)
        count = int(below.sum())
        if count in seen or count == len(n) or len(set(names[below])) < FEWEST:
            continue
        seen.add(count)
        for form in forms:
            fitted, _ = fit_surface(
                n[below], d[below], y[below], names[below], form=form, delta=delta, level=level, first=first
            )
            if fitted is not None and fitted.covariance is not None:
                tests[form].append(_judge(fitted, cutoff, n[~below], d[~below], y[~below], level))
    most = max(len(found) for found in tests.values())
    tests = {form: found for form, found in tests.items() if found and len(found) >= most / 2}
    if not tests:
        return None
    common = set.intersection(*({t.record.cutoff for t in found} for found in tests.values()))
    scores = {form: _score(found, common) for form, found in tests.items()}
    best = min(scores, key=lambda form: scores[form])
    usual = next(iter(scores))
    if scores[best] > (1 - CLEARLY) * scores[usual]:
        best = usual
    covered, plain, judged = _coverage(tests[best])
    return HoldOut(
        form=best,
        scores=scores,
        tests=tuple(t.record for found in tests.values() for t in found),
        growth=_growth(tests[best], math.inf),
        nominal=level,
        coverage=covered,
        coverage_plain=plain,
        judged=judged,
    )


def _judge(fitted: Surface, cutoff: float, n: np.ndarray, d: np.ndarray, y: np.ndarray, level: float) -> _Test:
    """Forecast the unseen rows from a fit below the cutoff."""
    form, theta = form_of(fitted), np.array(fitted.theta)[None]
    x, z = np.log(n) - fitted.centre[0], np.log(d) - fitted.centre[1]
    model, parts = evaluate(form, theta, x, z)
    error = model[0] - np.log(y)
    jac = jacobian(form, theta, x, z, parts)[0]
    variance = np.einsum("in,ij,jn->n", jac, np.array(fitted.covariance), jac)
    flops = fitted.flops_factor * n * d
    last = flops >= flops.max() * (1 - 1e-6)
    record = HeldOut(
        form=fitted.form,
        cutoff=cutoff,
        fitted=fitted.points,
        held_out=len(n),
        rmse_in=fitted.rmse_log,
        rmse_out=float(np.sqrt(np.mean(error**2))),
        bias=float(error.mean()),
        largest=float(error[last].mean()),
        factor=float(flops.max() / cutoff),
        params_exponent=fitted.params_exponent,
        params_exponent_interval=fitted.intervals.get("params_exponent"),
        floor=fitted.E,
    )
    t = quantile(level, fitted.degrees_of_freedom)
    decades = np.log10(flops / cutoff)
    return _Test(record, flops, error, decades, variance + fitted.run_sd**2, fitted.rmse_log**2, t)


def _score(tests: Sequence[_Test], common: set[float]) -> float:
    """Root mean square error of forecast, every common cutoff counting alike."""
    kept = [t.record.rmse_out**2 for t in tests if t.record.cutoff in common] or [t.record.rmse_out**2 for t in tests]
    return math.sqrt(sum(kept) / len(kept))


def _growth(tests: Sequence[_Test], known: float) -> float:
    """Standard deviation gained per decade, from rows up to ``known`` FLOPs: error² = inside + (growth·decades)²."""
    covariance = variance = 0.0
    for t in tests:
        rows = t.flops <= known * (1 + 1e-9)
        if rows.any():
            h2 = t.decades[rows] ** 2
            covariance += float(np.mean((t.error[rows] ** 2 - t.inside) * h2))
            variance += float(np.mean(h2**2))
    return math.sqrt(max(covariance / variance, 0.0)) if variance > 0 else 0.0


def _coverage(tests: Sequence[_Test]) -> tuple[float, float, int]:
    """(share covered when widened, share covered plainly, rows judged); the first cutoff has nothing to learn from."""
    hits = plain = judged = 0
    for i, t in enumerate(tests):
        if i == 0 and len(tests) > 1:
            continue
        growth = _growth(tests[:i], t.record.cutoff)
        wide = np.sqrt(t.variance + (growth * t.decades) ** 2)
        hits += int((np.abs(t.error) <= t.quantile * wide).sum())
        plain += int((np.abs(t.error) <= t.quantile * np.sqrt(t.variance)).sum())
        judged += len(t.error)
    return hits / max(judged, 1), plain / max(judged, 1), judged


def hold_out_text(found: HoldOut, factor: float = 50.0) -> list[str]:
    """The hold-out for someone who is no statistician: how far off, which form, how sure, and what drifts.

    Args:
        found: from `hold_out`.
        factor: the test whose largest run lies nearest this factor beyond its cutoff is shown.
    """
    from difflaw.formatting import flops as in_flops

    own = [t for t in found.tests if t.form == found.form]
    test = min(own, key=lambda t: abs(math.log(t.factor / factor)))
    side = "lower" if test.largest > 0 else "higher"
    off, usual, last = (100 * v for v in (test.rmse_out, test.rmse_in, abs(math.expm1(-test.largest))))
    lines = [
        f"To see how far the law can be trusted, it was fitted only to the {test.fitted} smallest measurements (up to "
        f"{in_flops(test.cutoff)}) and asked about the {test.held_out} larger ones, up to {test.factor:.0f} times "
        f"larger: its forecasts were typically {off:.1f} % off (against {usual:.1f} % on what it was fitted to), and "
        f"the largest run's loss came out {last:.1f} % {side} than forecast."
    ]
    others = {form: score for form, score in found.scores.items() if form != found.form}
    if others:
        shown = ", ".join(f"{form} {100 * score:.1f} %" for form, score in sorted(others.items(), key=lambda s: s[1]))
        lines.append(
            f"Of the forms tried, '{found.form}' is the one to forecast with ({100 * found.scores[found.form]:.1f} % "
            f"off over all cutoffs; {shown}; less than a tenth better decides nothing)."
        )
    lines.append(
        f"For each factor of 10 in compute beyond the largest run, allow about {100 * found.growth:.1f} % more error "
        f"of the loss. With that allowance the {100 * found.nominal:g} % interval for one run held "
        f"{100 * found.coverage:.0f} % of {found.judged} forecasts of unseen runs, without it "
        f"{100 * found.coverage_plain:.0f} %."
    )
    drifting = own[-1].params_exponent - own[0].params_exponent
    width = own[-1].params_exponent_interval
    half = (width.high - width.low) / 2 if width else math.inf
    if len(own) > 1 and abs(drifting) > max(half, 0.02):
        lines.append(
            f"The size exponent drifts from {own[0].params_exponent:.3f} (fitted up to {in_flops(own[0].cutoff)}) to "
            f"{own[-1].params_exponent:.3f} (up to {in_flops(own[-1].cutoff)}), more than its interval: a law "
            "fitted to small runs alone would recommend other sizes, so do not extrapolate the size far."
        )
    return lines
