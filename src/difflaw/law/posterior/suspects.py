"""Runs that lie off a law or that it hangs on: found from the draws, without fitting again.

A run left out changes the posterior by one over its own likelihood, so weights 1/p_i of the draws say what every answer
would be without it (case-deletion weights; Gelfand et al. 1992). Nothing is dropped: a failed run hardly counts in the
likelihood anyway, and both answers are shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difflaw.law.posterior.likelihood import LN_MOST_GROWTH, Rows, row_log_likelihood, sound
from difflaw.law.posterior.model import ln_loss

LIKELY = 0.5
"""Runs less likely than this to be sound are named."""
OFF, LEAST = 12.0, 0.03
"""Runs further than so many standard deviations of the noise near the target, and so much of their loss, are too."""
HANGS, LEAST_SHIFT = 0.75, 0.05
"""A law hangs on a run that moves its best size by so many of its standard deviations, and so much in ln N*."""
SOME = 300


@dataclass(frozen=True)
class Found:
    """Rows that are named, how far each lies off (ratio - 1), how sound, what leaving it out does to ln N*, and weights
    of the draws had the unsound ones not been run, shape (R,).
    """

    index: np.ndarray
    off: np.ndarray
    sound: np.ndarray
    shift: np.ndarray
    weight: np.ndarray


def find(
    rows: Rows, theta: np.ndarray, ln_noise: np.ndarray, ln_growth: np.ndarray, ln_size: np.ndarray, stretch: float
) -> Found:
    """Look at every row.

    Args:
        rows: as fitted.
        theta: draws, shape (R, 13).
        ln_noise: of each draw, shape (R,).
        ln_growth: of each draw, shape (R,).
        ln_size: ln N* at ten times the largest budget by each draw, shape (R,).
        stretch: factor by which draws were widened for an error shared by sizes.
    """
    some = slice(0, SOME)
    residual = rows.y - np.median(ln_loss(theta[some], rows.at), axis=0)
    noise, growth = float(np.median(ln_noise)), float(np.median(np.exp(np.minimum(ln_growth, LN_MOST_GROWTH))))
    good = sound(residual, noise, growth, rows.height)
    far = np.abs(residual) * math.exp(-noise)
    odd = (good < LIKELY) | ((far > OFF) & (np.abs(residual) > LEAST))
    each = row_log_likelihood(ln_loss(theta[some], rows.at) - rows.y, ln_noise[some], ln_growth[some], rows)
    each = each * rows.weight / stretch**2
    shift = _weights(-each).T @ ln_size[some] - ln_size[some].mean()
    hangs = (np.abs(shift) > HANGS * float(ln_size.std())) & (np.abs(shift) > LEAST_SHIFT)
    named = np.flatnonzero(odd | hangs)
    named = named[np.argsort(-far[named], kind="stable")]
    weight = np.full(len(theta), 1 / len(theta))
    if odd.any():
        some_rows = rows.at_rows(np.flatnonzero(odd))
        left = row_log_likelihood(ln_loss(theta, some_rows.at) - some_rows.y, ln_noise, ln_growth, some_rows)
        weight = _weights(-(left * some_rows.weight).sum(1, keepdims=True) / stretch**2)[:, 0]
    return Found(named, np.expm1(residual[named]), good[named], shift[named], weight)


def _weights(ln_weight: np.ndarray) -> np.ndarray:
    """Weights (R, n) that sum to one along draws; none more than a tenth of a percent's multiple, so that one draw
    never decides (truncated importance sampling; Ionides 2008).
    """
    weight = np.exp(ln_weight - ln_weight.max(0))
    weight /= weight.sum(0)
    weight = np.minimum(weight, 1 / math.sqrt(len(weight)))
    return weight / weight.sum(0)
