"""A parametric bootstrap of the whole chain, runs -> profiles -> minima -> laws.

The budgets' minima are not independent: one run feeds several budgets, and a mis-tuned size is off at all of them.
Resampling the minima ignores that (it covers 74-89 % at a nominal 95 %), and resampling 4-5 sizes often leaves no
parabola. So the fitted profiles are perturbed by what their residuals show, an offset shared by all points of a size
plus an independent one, and everything is fitted again.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from difflaw.law.interpolation import prolonged
from difflaw.law.isoflop.profiles import Noise, design
from difflaw.law.power import Line, Spread, robust_covariance
from difflaw.law.results import Profile

LAWS = {
    "params": ("flops", "params"),
    "tokens": ("flops", "tokens"),
    "flops_per_token": ("flops", "flops_per_token"),
    "loss": ("flops", "loss"),
    "token_bound": ("tokens", "loss"),
}
"""Name of a law -> (x, y) in the vocabulary of the minima."""


def resample_laws(
    profiles: Sequence[Profile], noise: Noise, lines: Mapping[str, Line], seed: int = 0, draws: int = 1000
) -> tuple[dict[str, Spread], float]:
    """Spread of each law's (intercept at its centre, exponent) over refitted perturbed chains.

    Args:
        profiles: the interior profiles, in the order of the lines' points.
        noise: scatter about the parabolas; without a finite variance nothing is resampled.
        lines: laws by name (keys of `LAWS`); their weights and centres are kept.
        seed: of the draws; each family has its own stream.
        draws: number of refits.

    Returns:
        Spreads by law name, and the share of perturbed profiles that had no minimum.
    """
    if not profiles or not math.isfinite(noise.variance):
        return {}, 0.0
    rng = np.random.default_rng([seed, zlib.crc32(profiles[0].family.encode())])
    minima = perturbed_minima(profiles, noise, rng, draws)
    sizes = len({n for p in profiles for n, used in zip(p.params, p.used, strict=True) if used})
    dof = noise.dof if noise.shared <= 0 else max(1, min(noise.dof, sizes - 3))
    # Laws need two budgets; a draw that lost more is no draw of the law.
    spreads = {}
    for name, line in lines.items():
        x_name, y_name = LAWS[name]
        intercept, slope = _lines(minima[x_name], minima[y_name], line)
        kept = np.isfinite(slope)
        if kept.sum() < draws / 2:
            continue
        how = (
            f"{draws} parametric refits of runs, profiles and law (errors shared within a size where the data show it)"
        )
        how += f", stretched by t({dof})" if dof else ""
        spreads[name] = Spread(robust_covariance(np.stack([intercept[kept], slope[kept]], 1)), dof, how)
    lost = 1 - float(np.mean(np.isfinite(minima["params"])))
    return spreads, lost


def perturbed_minima(
    profiles: Sequence[Profile], noise: Noise, rng: np.random.Generator, draws: int
) -> dict[str, np.ndarray]:
    """Logarithms of the minima's flops, params, tokens, flops_per_token, loss: (draws, budgets), NaN for no minimum."""
    sizes = sorted({round(math.log(n), 6) for p in profiles for n in p.params})
    offsets = math.sqrt(noise.shared) * rng.standard_normal((draws, len(sizes)))
    level = rng.standard_normal(draws)
    out = {name: np.full((draws, len(profiles)), math.nan) for name in ("params", "flops_per_token", "loss")}
    for i, p in enumerate(profiles):
        x, _ = design(p)
        ln_params = np.log(p.params)
        used = [sizes.index(round(float(n), 6)) for n, keep in zip(ln_params, p.used, strict=True) if keep]
        error = offsets[:, used] + math.sqrt(noise.independent) * rng.standard_normal((draws, len(used)))
        c0, c1, c2 = ((x @ np.array(p.coefficients) + error) @ np.linalg.pinv(x).T).T
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(c2 > 0, -c1 / (2 * c2), math.nan)
        ln_m = math.log(p.flops) - np.log(p.tokens)
        relative = np.array(p.loss_se) / np.array(p.loss)
        known = relative[np.isfinite(relative)]
        evaluation = math.sqrt(float(np.mean(known**2))) if len(known) else 0.0
        out["params"][:, i] = u + p.centre
        out["flops_per_token"][:, i] = prolonged(u + p.centre, ln_params, ln_m)
        out["loss"][:, i] = c0 + u * c1 + u * u * c2 + evaluation * level  # one text for all: one common error
    ln_flops = np.log([p.flops for p in profiles])
    out["flops"] = np.broadcast_to(ln_flops, (draws, len(profiles)))
    out["tokens"] = ln_flops - out["flops_per_token"]
    return out


def _lines(x: np.ndarray, y: np.ndarray, line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Weighted line per draw over the budgets that have a minimum: intercept at the line's centre, and slope."""
    there = np.isfinite(x) & np.isfinite(y)
    w = np.where(there, line.weights, 0.0)
    x, y = np.where(there, x, 0.0), np.where(there, y, 0.0)
    total = w.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        dx = x - (w * x).sum(1, keepdims=True) / total
        mean_y = (w * y).sum(1) / total[:, 0]
        slope = (w * dx * y).sum(1) / (w * dx * dx).sum(1)
        slope = np.where(there.sum(1) >= 2, slope, math.nan)
    return mean_y + slope * (line.centre - ((w * x).sum(1) / np.maximum(total[:, 0], 1e-300))), slope
