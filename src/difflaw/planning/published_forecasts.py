"""Published laws as the planner needs them: printed coefficients and intervals turned into forecasts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from difflaw.law.power import quantile
from difflaw.law.published import PublishedFamily, PublishedLaw, PublishedSet, Repeats, published_set
from difflaw.law.results import Interval, PowerLaw
from difflaw.planning.family_names import AUTOREGRESSIVE
from difflaw.planning.predict import ASSUMED, USUAL_CURVATURE, AdditiveLoss, Forecast

ASSUMED_CURVATURE = f"{ASSUMED}: {USUAL_CURVATURE:g}·ln²(M/M*), as published profiles show"


def printed_power(
    y: str,
    coefficient: float,
    exponent: float,
    interval: tuple[float, float] | None,
    flops_range: tuple[float, float] | None,
    rough: float | None = None,
) -> PowerLaw:
    """A law in C with the covariance that its exponent's interval implies.

    The budgets of a fit lie about evenly in ln C over its range, so the error of the level at the range's middle is
    that of the exponent times the spread of ln C, range/√12, and the two are uncorrelated.
    """
    low, high = flops_range or (1e18, 1e20)
    centre, spread = math.log(low * high) / 2, math.log(high / low) / math.sqrt(12)
    half = rough or ((interval[1] - interval[0]) / 2 if interval else None)
    covariance, known = None, None
    if half:
        se = half / quantile(0.95, 0)
        covariance = ((se * se * spread * spread, 0.0), (0.0, se * se))
        kind = "about, as we judge it" if rough else "95 % of the exponent as printed"
        known = Interval(exponent - half, exponent + half, 0.95, kind)
    return PowerLaw(
        y=y,
        x="flops",
        coefficient=coefficient,
        exponent=exponent,
        interval=known,
        centre=centre,
        intercept=math.log(coefficient) + exponent * centre,
        covariance=covariance,
        degrees_of_freedom=0,
        points=0,
        rmse_log=math.nan,
        x_range=(low, high),
    )


def _printed(law: PublishedLaw, s: PublishedSet) -> PowerLaw:
    return printed_power(law.y, law(1.0), law.exponent, law.interval, s.flops_range, law.rough)


def size_of_form(form: AdditiveLoss, interval: tuple[float, float] | None, flops_range: Any) -> PowerLaw:
    """M*(C) of a surface in M and D, with the exponent's interval where one is known."""
    exponent = form.beta / (form.alpha + form.beta)
    return printed_power("flops_per_token", form.best(1.0), exponent, interval, flops_range)


def published_forecast(s: PublishedSet, family: PublishedFamily) -> Forecast | None:
    """What one publication says of one family; None where it gives no best size with its coefficient."""
    form = None if family.surface is None else additive_loss(vars(family.surface), family.surface.size)
    size = family.law("flops_per_token")
    if size is None and (tokens := family.law("tokens")) is not None:
        # M = C/D: the same law read the other way.
        interval = None if tokens.interval is None else (1 - tokens.interval[1], 1 - tokens.interval[0])
        inverse = {"coefficient": 1 / tokens(1.0), "exponent": 1 - tokens.exponent, "interval": interval}
        size = replace(tokens, y="flops_per_token", **inverse)
    if size is not None:
        size_law = _printed(size, s)
    elif form is not None and family.surface is not None:
        size_law = size_of_form(form, family.surface.exponent_interval, s.flops_range)
    else:
        return None
    loss = family.law("loss")
    ar = family.name in AUTOREGRESSIVE
    first, step = published_set("gidd"), published_set("step-law").families["ar"]
    lr = family.lr if s.name == "gidd" else first.lr
    batch = (family.batch if s.name == "gidd" else None) or (step.batch if ar else first.batch)
    return Forecast(
        family=family.name,
        origin=f"{s.name}: {s.source}",
        params_convention=s.params_convention,
        flops_convention=s.flops_convention,
        tokenizer=s.tokenizer,
        bound=s.bound,
        vocab_size=s.vocab_size,
        context=s.context,
        size_law=size_law,
        loss_law=_printed(loss, s) if loss is not None else None,
        form=form,
        curvature=family.curvature or USUAL_CURVATURE,
        curvature_source=_curvature_source(family, form),
        flops_range=s.flops_range,
        cooldown=s.cooldown,
        batch=batch,
        lr=lr,
        pooled_batch=s.batch if s.name == "gidd" else None,
        batch_overhead=None if ar else first.batch_overhead,
        repeats=repeats_for(family.name),
        notes=s.notes,
        recipe=s.recipe,
    )


def repeats_for(family: str) -> Repeats | None:
    """What repeated text is worth to a family, by the publication nearest to it."""
    if family in AUTOREGRESSIVE:
        return published_set("muennighoff").families["ar"].repeats
    return published_set("masked-data-constrained").families["masked"].repeats


def _curvature_source(family: PublishedFamily, form: AdditiveLoss | None) -> str:
    if form is not None and family.surface is not None:
        return f"surface, {family.surface.checked}"
    return family.curvature_checked or ASSUMED_CURVATURE


def additive_loss(raw: Mapping[str, Any], size: str) -> AdditiveLoss:
    """A surface in (M, D); one in params becomes one in M by M = 6·N."""
    A = raw["A"] * (6.0 ** raw["alpha"] if size == "params" else 1.0)
    return AdditiveLoss(raw["E"], A, raw["B"], raw["alpha"], raw["beta"])
