"""What a table cannot tell about a surface: designs to refuse, and warnings, each with its remedy."""

from __future__ import annotations

import math

import numpy as np

from difflaw.law.power import quantile
from difflaw.law.results import SizeEffect
from difflaw.law.surface.covariance import scaled
from difflaw.law.surface.forms import Form, coefficients, with_floor_held
from difflaw.law.surface.least_squares import huber_rows, solve
from difflaw.law.surface.minimum import Data, Minimum

REFUSE, WARN = 1e5, 1e3
POOR = 0.03
"""Root mean square residual of ln L above which the additive form does not hold (good ladders show 0.001 to 0.01)."""
WIDE = 4.5
"""Sizes further than this factor from the best one test the form rather than the law."""


def unusable(data: Data, form: Form) -> str:
    """Why no surface can be fitted to these rows at all, or an empty string."""
    n, d = np.exp(data.ln_n), np.exp(data.ln_d)
    if len(data) < form.count + 1 or data.runs < 3:
        have = f"{len(data)} rows of {data.runs} runs cannot carry {form.count} parameters"
        return f"{have}; run at least 6 cells that differ in size and tokens"
    if len(np.unique(n.round(6))) < 3 or len(np.unique(d.round(6))) < 3:
        return "at least three sizes and three token counts are needed for a surface"
    ratio = float(np.std(data.ln_d - data.ln_n)) / math.log(10)
    if ratio < 0.02 or abs(float(np.corrcoef(data.ln_n, data.ln_d)[0, 1])) > 0.9995:
        return (
            "size and tokens grow along one ray, so the data cannot tell one from the other: no surface; "
            "vary tokens at fixed size"
        )
    return ""


def design_warnings(data: Data, condition: float, minimum: Minimum) -> list[str]:
    """Sentences about a design that can hardly carry the surface."""
    found = []
    if data.runs < 6:
        found.append(f"the surface rests on {data.runs} runs, too few for intervals; run at least 6, better 12")
    if condition > WARN:
        found.append(f"the surface is poorly determined (condition number {condition:.1e}); vary tokens at fixed size")
    together = float(np.corrcoef(data.ln_n, data.ln_d)[0, 1])
    if abs(together) > 0.95:
        found.append(
            f"size and tokens move together (correlation {together:.2f}), which the surface can hardly separate"
        )
    if float(np.std(data.ln_d - data.ln_n)) / math.log(10) < 0.15:
        found.append("tokens per parameter hardly vary; add cells off the usual ratio")
    if minimum.agree < 2 <= minimum.starts:
        found.append(
            f"only {minimum.agree} of {minimum.starts} starts reached the best fit; the surface may have several minima"
        )
    return found


def residual_text(form: Form, rmse: float) -> str:
    """Beginning of a sentence about a bad fit."""
    return (
        f"the surface {form.equation.removeprefix('L = ')} misses the losses by {100 * rmse:.0f} % "
        "(root mean square; some runs may still be on the plateau before learning sets in), "
    )


def size_effect_text(effect: SizeEffect) -> str:
    """What an error shared by a size means, and what to do about it; empty where none was found."""
    if not effect.detected:
        return ""
    larger = "larger than" if effect.between_sd > effect.within_sd else "in addition to"
    return (
        f"runs of one size share an error of {100 * effect.between_sd:.2g} % of the loss, {larger} the run noise of "
        f"{100 * effect.within_sd:.2g} % (variance test over {effect.sizes} sizes, p = {effect.p_value:.2g}): a "
        "learning rate or batch may be off at some sizes, or the form misses how loss falls with size; re-tune the "
        "sizes that lie off the law or run them with another seed. The intervals count sizes instead of runs"
    )


def floor_profile(
    form: Form, data: Data, minimum: Minimum, covariance: np.ndarray, dof: int, level: float
) -> tuple[float, float]:
    """The profile interval of E: floors at which the best fit is not significantly worse. (0, lowest loss) if all are.

    2·(objective - minimum) is put on the scale of the covariance in use, so that the profile and the other intervals
    agree where the surface is nearly linear; where E runs towards 0 the profile sees it and the delta method does not.
    """
    e = form.places[2]
    lowest, best = float(np.exp(data.y.min())), float(np.exp(minimum.theta[e]))
    floors = np.concatenate([np.geomspace(1e-3, 0.3, 6) * lowest, np.linspace(0.34, 0.999, 34) * lowest])
    if form.name in ("at-most", "at-least"):
        bound = math.exp(form.log_floor)
        floors = np.sort(np.append(floors[(floors < bound) == (form.name == "at-most")], bound))
    floors = floors[np.abs(floors / best - 1) > 1e-6]
    held, delta = with_floor_held(form), minimum.delta or 1e-3
    kept = [place for place in range(form.count) if place != e]
    near = np.repeat(minimum.theta[kept][None], len(floors), 0)
    # Below the best floor a power law with smaller exponents takes over what the floor explained: a second start.
    share = np.clip(floors / best, 0.05, 1.0)
    gentle = near.copy()
    gentle[:, 2:] *= share[:, None]
    gentle[:, :2] += np.log1p((1 - share) * best / np.exp(near[:, :2]).sum(1))[:, None]
    starts, doubled = np.concatenate([near, gentle]), np.log(np.concatenate([floors, floors]))
    fits = solve(held, data.x, data.z, data.y, starts, delta, log_floor=doubled, tolerance=1e-7)
    value = fits.objective.reshape(2, -1).min(0)
    inside = np.abs(minimum.residual) <= delta
    if inside.sum() < 2 * form.count:
        inside = np.ones_like(inside)
    jac, scale = scaled(minimum.jacobian)
    unit = float(np.linalg.pinv(jac[inside].T @ jac[inside], rcond=1e-14)[e, e]) / scale[e] ** 2
    least = float(huber_rows(minimum.residual, delta).sum())
    root = np.sqrt(np.maximum(2 * (value - least), 0.0) * unit / max(float(covariance[e, e]), 1e-300))
    limit = quantile(level, dof)
    low = _crossing(floors[floors < best][::-1], root[floors < best][::-1], best, limit)
    high = _crossing(floors[floors > best], root[floors > best], best, limit)
    end_low = 0.0 if form.name != "at-least" else math.exp(form.log_floor)
    end_high = lowest if form.name != "at-most" else math.exp(form.log_floor)
    return (end_low if low is None else low), (end_high if high is None else high)


def _crossing(floors: np.ndarray, root: np.ndarray, best: float, limit: float) -> float | None:
    """Where a profile, walked away from its best floor, first passes the limit; None where it never does."""
    over = np.flatnonzero(root > limit)
    if not len(over):
        return None
    at = int(over[0])
    before, least = (float(floors[at - 1]), float(root[at - 1])) if at else (best, 0.0)
    return float(np.interp(limit, [least, float(root[at])], [before, float(floors[at])]))


def wide_range_text(form: Form, data: Data, minimum: Minimum, flops_factor: float) -> str:
    """A sentence if rows far from the best size depart from the form; empty where they do not or none is far.

    Adds u² and u³, u = ln(N/N*(C)), to the linearised fit and tests them with F at 0.1 %.
    """
    from scipy.special import fdtrc

    c = coefficients(form, minimum.theta[None], data.shift)
    ln_c = data.ln_n + data.ln_d + math.log(flops_factor)
    u = data.ln_n - np.log(c.best_size(np.exp(ln_c), flops_factor))
    far = float(np.abs(u).max())
    if far <= math.log(WIDE) or len(u) < form.count + 8:
        return ""
    spread = 1.4826 * float(np.median(np.abs(minimum.residual)))
    r = np.clip(minimum.residual, -6 * spread, 6 * spread)
    if float(r @ r) < 1e-16 * len(r):
        return ""
    basis = np.linalg.qr(scaled(minimum.jacobian)[0])[0]
    extra = np.stack([u**2, u**3], 1) / np.array([far**2, far**3])
    extra -= basis @ (basis.T @ extra)
    r = r - basis @ (basis.T @ r)
    q = np.linalg.qr(extra)[0]
    gain = float(((q.T @ r) ** 2).sum())
    dof = len(r) - form.count - 2
    rest = float(r @ r) - gain
    if rest <= 0 or float(fdtrc(2, dof, gain / 2 / (rest / dof))) > 1e-3:
        return ""
    share = float(np.mean(np.abs(u) > math.log(WIDE)))
    return (
        f"sizes up to a factor {math.exp(far):.0f} from the best one depart from the form ({100 * share:.0f} % of "
        f"the rows lie beyond a factor {WIDE:g}); fit only sizes within a factor 4 of the best (within=4) and compare"
    )
