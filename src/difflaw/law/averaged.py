"""The averaged law of every family of a table: each by itself first, then with what the others know of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from difflaw.law.interpolation import params_at
from difflaw.law.posterior.fit import Columns, columns, fit_posterior
from difflaw.law.posterior.model import COUNT, PENALTY
from difflaw.law.posterior.posterior import Posterior
from difflaw.law.posterior.shared import shared_priors
from difflaw.law.results import Surface
from difflaw.law.surface.forms import make_form
from difflaw.law.surface.identifiability import unusable
from difflaw.law.surface.minimum import canonical
from difflaw.law.surface.predict import surface_draws
from difflaw.law.surface.size_effect import SAME_SIZE

AVERAGED = (None, "free", "at-least")
"""Forms whose law is sampled; of the others the surface's own covariance is drawn from."""
FORMS = {None: ("additive", "interaction"), "at-least": ("additive", "interaction"), "free": ("additive",)}
HOPELESS = 0.9
"""Run noise over the spread of the losses above which a law says nothing."""


def averaged(
    rows: Mapping[str, Any],
    surfaces: Mapping[str, Surface | None],
    *,
    form: str | None = None,
    entropy: float | None = None,
    seed: int = 0,
) -> tuple[dict[str, Posterior], dict[str, str]]:
    """(draws by family, why a family has none).

    Args:
        rows: data frame of each family, as its surface is fitted to.
        surfaces: of each family, drawn from where ``form`` is one that is not averaged.
        form: one of `forms.NAMES`, or None to average additive and interaction.
        entropy: known entropy of the text, nats per token.
        seed: of the draws.
    """
    reasons: dict[str, str] = {}
    found: dict[str, Posterior] = {}
    usable: dict[str, Columns] = {}
    for name, frame in rows.items():
        data = columns_of(frame)
        if reason := why_not(data):
            reasons[name] = reason
        elif form in AVERAGED:
            usable[name] = data
        elif form == "kaplan":
            reasons[name] = "Kaplan's form is not additive, so it is shown but not averaged"
        else:
            surface = surfaces.get(name)
            if surface is None or surface.covariance is None:
                reasons[name] = f"form '{form}' has no surface with an error here"
            else:
                found[name] = _of_surface(surface, data, seed)
    if form not in AVERAGED:
        return found, reasons
    order = sorted(usable)  # a family's seed depends on the families' names, not on the order of rows

    def fitted(name: str, shared: tuple[np.ndarray, np.ndarray] | None) -> Posterior:
        own = 1000 * seed + order.index(name)
        return fit_posterior(usable[name], forms=FORMS[form], entropy=entropy, shared=shared, seed=own)

    for name in order:
        found[name] = fitted(name, None)
        spread = float(np.log(usable[name].loss).std())
        if math.exp(float(np.median(found[name].ln_noise))) > HOPELESS * spread:
            reasons[name] = "the loss does not fall with size and tokens beyond the noise of its runs"
            del found[name]
    for name, prior in shared_priors(found).items():
        found[name] = fitted(name, prior)
    return found, reasons


def columns_of(frame: Any) -> Columns:
    """Rows of one family as arrays."""
    unique = frame["unique_tokens"].to_numpy(float) if "unique_tokens" in frame else None
    n, d, loss, flops = (frame[c].to_numpy(float) for c in ("params", "tokens", "loss", "flops"))
    return columns(n, d, loss, flops=flops, runs=frame["run"].to_numpy(str), unique=unique)


def why_not(data: Columns) -> str:
    """Why no law can be drawn from these rows at all, or an empty string."""
    if float(np.log(data.loss).std()) < 1e-12:
        return "every run has the same loss"
    return unusable(canonical(data.params, data.tokens, data.loss, data.runs), make_form("free"))


def _of_surface(surface: Surface, data: Columns, seed: int) -> Posterior:
    """Draws of a surface of a form that somebody asked for, in the shape of an averaged law."""
    drawn = surface_draws(surface, 1000, seed)
    count = len(drawn.alpha)
    theta = np.zeros((count, COUNT))
    theta[:, 0] = drawn.ln_A - drawn.alpha * surface.centre[0]
    theta[:, 1] = drawn.ln_B - drawn.beta * surface.centre[1]
    theta[:, 2] = np.log(np.maximum(drawn.E, 1e-30))
    theta[:, 3], theta[:, 4], theta[:, PENALTY] = np.log(drawn.alpha), np.log(drawn.beta), -np.inf
    per_token = np.unique(np.stack([data.params, data.flops / data.tokens], 1), axis=0)
    return Posterior(
        theta=theta.astype(np.float32).astype(float),
        ln_noise=np.full(count, math.log(max(surface.run_sd, 1e-9))).astype(np.float32).astype(float),
        growth=0.0,
        centre=(*surface.centre, 0.0),
        forms={surface.form: 1.0},
        effective_draws=float(count),
        rows=surface.points,
        runs=surface.runs,
        independent=float(surface.runs),
        sizes=per_token.astype(np.float32).astype(float),
        budgets=(float(data.flops.min()), float(data.flops.max())),
        params_range=surface.params_range,
        tokens_range=surface.tokens_range,
        loss_range=(float(data.loss.min()), float(data.loss.max())),
        repeated=False,
    )


def size_relation(post: Posterior) -> float:
    """Largest error in ln N where each inner size is read from the FLOPs per token of its neighbours."""
    worst = 0.0
    ln_size = np.log(post.sizes[:, 0])
    # A size has several rows, which differ in their last digit: none of them may be its own neighbour.
    inner = np.flatnonzero((ln_size > ln_size[0] + SAME_SIZE) & (ln_size < ln_size[-1] - SAME_SIZE))
    for i in inner:
        rest = post.sizes[np.abs(ln_size - ln_size[i]) > SAME_SIZE]
        found = params_at(float(post.sizes[i, 1]), rest)
        if found is not None:
            worst = max(worst, abs(math.log(found / float(post.sizes[i, 0]))))
    return worst
