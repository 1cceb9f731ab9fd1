"""Laws read as forecasts by family: published ones by name, fitted ones from a laws.json of `difflaw fit`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from difflaw.conventions import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS, UNSTATED
from difflaw.errors import InputError
from difflaw.law.document import Laws
from difflaw.law.posterior.posterior import Posterior
from difflaw.law.published import HyperLaw, Repeats, published_set
from difflaw.law.records import plain
from difflaw.law.results import FamilyLaws, Interval, PowerLaw
from difflaw.planning.family_names import AUTOREGRESSIVE
from difflaw.planning.fitted import FittedForecast
from difflaw.planning.predict import USUAL_CURVATURE, Forecast, SurfaceError
from difflaw.planning.published_forecasts import (
    ASSUMED_CURVATURE,
    additive_loss,
    printed_power,
    published_forecast,
    repeats_for,
    size_of_form,
)

HARDLY = 1e-4
"""Curvature in ln B or ln eta below which the loss does not depend on it, and the fitted laws of both are not used."""


def load_forecasts(law: str | Laws, context: int | None = None, vocab_size: int | None = None) -> dict[str, Forecast]:
    """Forecasts by family from laws, from "published:NAME", or from a laws.json written by `difflaw fit`.

    Args:
        law: which law.
        context: of the models, where the law does not say (files).
        vocab_size: likewise.

    Raises:
        InputError: unknown name, unreadable or foreign file, or a law with no family to plan for.
    """
    if isinstance(law, Laws):
        out = _from_laws(law)
    elif law.startswith("published:"):
        found = published_set(law.removeprefix("published:"))
        out = {
            name: f for name, family in found.families.items() if (f := published_forecast(found, family)) is not None
        }
        if not out:
            raise InputError(f"--law {law}: gives no best size with its coefficient, so it cannot plan; {found.title}")
    else:
        out = _from_laws(Laws.read(law))
    changes = {"context": context, "vocab_size": vocab_size}
    changes = {key: value for key, value in changes.items() if value is not None}
    return {name: replace(forecast, **changes) for name, forecast in out.items()}


# -- laws.json of `difflaw fit` -------------------------------------------------------------------------------------


def _from_laws(laws: Laws) -> dict[str, Forecast]:
    """Forecasts of every family that can be planned for; InputError, with the reasons, where none can."""
    path = str(laws.path or laws.source.name)
    params, flops, notes = _conventions(laws.params_convention, laws.flops_convention, path)
    out: dict[str, Forecast] = {}
    reasons = []
    for name, family in laws.families.items():
        forecast, reason = _of_family(name, family, (params, flops, notes), laws, path)
        if forecast is None:
            reasons.append(f"{name}: {reason}")
        else:
            out[name] = _with_own(_with_recipe(forecast, laws), laws)
    if not out:
        raise InputError(f"{path}: no family can be planned for ({'; '.join(reasons) or 'there are none'})")
    missing = tuple(f"no plan for {reason}" for reason in reasons)
    return {name: replace(forecast, notes=(*forecast.notes, *missing)) for name, forecast in out.items()}


def _of_family(
    name: str, family: FamilyLaws, conventions: tuple[str, str, tuple[str, ...]], laws: Laws, path: str
) -> tuple[Forecast | None, str]:
    """(the forecast of one family, why there is none)."""
    post, given = family.posterior, family.answer
    if post is not None and given is not None:
        if given.largest is None or given.largest.params is None:
            return None, given.reason
        return _averaged(name, post, conventions, laws.flops_convention == UNSTATED, path), ""
    try:
        forecast = _printed(name, plain(family), conventions, path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: family '{name}': {error} is missing or malformed; write it again") from None
    reason = given.reason if given is not None else "neither a law of the best size nor a surface"
    return forecast, reason


def _averaged(
    name: str, post: Posterior, conventions: tuple[str, str, tuple[str, ...]], relation: bool, path: str
) -> FittedForecast:
    """The forecast read from draws. Its size law is a line through the medians, for whoever wants a formula."""
    low, high = post.budgets
    ln_m = [float(np.median(post.best(c).ln_flops_per_token)) for c in (low, high)]
    exponent = (ln_m[1] - ln_m[0]) / math.log(high / low) if high > low else 0.5
    size = printed_power("flops_per_token", math.exp(ln_m[1] - exponent * math.log(high)), exponent, None, (low, high))
    params, flops, notes = conventions
    return FittedForecast(
        posterior=post,
        relation=relation,
        size_law=size,
        loss_law=None,
        form=None,
        curvature=0.0,
        curvature_source="draws of the fitted law",
        flops_range=(low, high),
        notes=notes,
        **_usual(name, params, flops, path),
    )


def _usual(name: str, params: str, flops: str, path: str) -> dict[str, Any]:
    """What a table does not say of itself: its tokenizer by name, and batch, rate and worth of repeats as published."""
    first, ar = published_set("gidd"), name in AUTOREGRESSIVE
    own = first.families.get(name)
    return {
        "family": name,
        "origin": path,
        "params_convention": params,
        "flops_convention": flops,
        "tokenizer": "the ladder's own",
        "bound": "as the table's losses",
        "vocab_size": 1024,
        "context": 128,
        "batch": own.batch if own else published_set("step-law").families["ar"].batch if ar else first.batch,
        "lr": first.lr,
        "pooled_batch": first.batch if own else None,
        "batch_overhead": None if ar else first.batch_overhead,
        "repeats": repeats_for(name),
        "published": False,
    }


def _conventions(params: str, flops: str, path: str) -> tuple[str, str, tuple[str, ...]]:
    """(params, FLOPs, notes) of a file; unstated counting is read as the commonest, and said."""
    notes = []
    for name, value, known in (("params", params, PARAMETER_CONVENTIONS), ("FLOPs", flops, FLOP_CONVENTIONS)):
        if value != UNSTATED and value not in known:
            raise InputError(f"{path}: unknown {name} convention '{value}'; use one of {', '.join(known)}")
    if params == UNSTATED:
        params = "non-embedding"
        notes.append("how parameters were counted is not stated: taken as non-embedding")
    if flops == UNSTATED:
        flops = "6N"
        notes.append("how FLOPs were counted is not stated: taken as the table's own FLOPs per token")
    return params, flops, tuple(notes)


def _printed(
    name: str, raw: Mapping[str, Any], conventions: tuple[str, str, tuple[str, ...]], path: str
) -> Forecast | None:
    params, flops, notes = conventions
    size, loss = (_power(raw.get(key)) for key in ("flops_per_token_law", "loss_law"))
    surface = raw.get("surface")
    # The Kaplan type is not additive: such a file is planned from by its frontier laws.
    additive = surface and surface.get("E") is not None and surface.get("form", "free") != "kaplan"
    form = additive_loss(surface, "params") if surface and additive else None
    curvature, curved = _profile_curvature(raw, size), "mean over the interior isoFLOP parabolas"
    six_n, error = flops in ("6N", "method-2"), None
    if form is not None and surface and (size is None or (six_n and _holds(surface, loss))):
        if not six_n:
            notes = (*notes, f"no frontier law: the surface is read with M = 6·N although FLOPs are '{flops}'")
        interval = surface.get("intervals", {}).get("params_exponent")
        pair = (interval["low"], interval["high"]) if interval else None
        seen = surface.get("flops_range") or (size.x_range if size is not None else None)
        size = size_of_form(form, pair, (seen[0], seen[1]) if seen and seen[0] else None)
        loss, curved, error = None, "the fitted surface", _surface_error(surface)
        fitted = size.x_range if seen and seen[0] else None
    elif size is None:
        return None
    else:
        fitted = size.x_range
        if not six_n:
            form = None  # in params, which the FLOPs of this table are no constant multiple of
        if form is not None:
            curved = "the fitted surface"
        elif not curvature:
            curved = ASSUMED_CURVATURE
    held = raw.get("hold_out") or {}
    return Forecast(
        size_law=size,
        loss_law=loss,
        form=form,
        curvature=curvature or USUAL_CURVATURE,
        curvature_source=curved,
        flops_range=fitted,
        holdout_per_decade=held.get("growth") or None,
        surface_error=error,
        notes=notes,
        **_usual(name, params, flops, path),
    )


def _with_recipe(forecast: Forecast, laws: Laws) -> Forecast:
    """The recipe of the ladder's own runs, whose loss the law forecasts; a fixed batch or rate is kept."""
    recipe = laws.recipe
    if recipe is None:
        note = "how the table's runs were trained is not stated: the plan takes difflaw's defaults"
        return replace(forecast, notes=(*forecast.notes, note))
    rest = {key: value for key, value in recipe.items() if key not in ("batch", "lr")}
    fixed: dict[str, HyperLaw | None] = {}
    for key, y in (("batch", "batch_tokens"), ("lr", "lr")):
        if isinstance(recipe.get(key), int | float):
            text = f"{recipe[key]:g}, as in the ladder's runs"
            fixed[key] = HyperLaw(y, float(recipe[key]), {}, text, forecast.origin, "the ladder's recipe")
    if "batch" in fixed:
        fixed["pooled_batch"] = None
    family = laws.family_configs.get(forecast.family) or {}
    return replace(forecast, recipe=rest, family_config=family, **fixed)  # type: ignore[arg-type]


def _with_own(forecast: Forecast, laws: Laws) -> Forecast:
    """The table's own laws of batch and rate and its own worth of repeated data, where it has them."""
    if laws.extras is None:
        return forecast
    fit = laws.extras.batch_and_rate.get(forecast.family)
    if fit is not None and min(fit.k_batch, fit.k_rate) > HARDLY:
        caveats = tuple(f"batch and rate of the fitted table: {w}" for w in fit.warnings)
        forecast = replace(
            forecast,
            batch=_hyper_law(fit.batch_intercept, fit.batch_exponents, "batch_tokens", forecast.origin),
            lr=_hyper_law(fit.rate_intercept, fit.rate_exponents, "lr", forecast.origin),
            pooled_batch=None,
            batch_overhead=None,
            batch_curvature=fit.k_batch,
            notes=(*forecast.notes, *caveats),
        )
    repeated = laws.extras.repeated_data.get(forecast.family)
    if repeated is not None:
        known, least = repeated.half_life, repeated.half_life_at_least
        usual = forecast.repeats.R_D if forecast.repeats else 0.0
        if known is not None:
            checked = "fitted to the table's repeated runs"
            forecast = replace(forecast, repeats=Repeats(known, None, forecast.origin, checked))
        elif least > usual:
            checked = "the table's repeated runs only say that it is larger; this end of it is used"
            forecast = replace(forecast, repeats=Repeats(least, None, forecast.origin, checked))
    return forecast


def _hyper_law(intercept: float, exponents: Mapping[str, float], y: str, origin: str) -> HyperLaw:
    names = {"batch": "batch_tokens", "tokens": "tokens", "params": "params"}
    symbols = {"batch": "B", "tokens": "D", "params": "N"}
    coefficient = math.exp(intercept)
    formula = "·".join([f"{coefficient:.4g}", *(f"{symbols[t]}^{e:.4g}" for t, e in exponents.items())])
    return HyperLaw(
        y=y,
        coefficient=coefficient,
        exponents={names[t]: e for t, e in exponents.items()},
        formula=formula,
        source=origin,
        checked="fitted to the table's own runs",
    )


def _holds(surface: Mapping[str, Any], loss: PowerLaw | None) -> bool:
    """Whether the surface states the level better than the power law: a floor it can identify, smaller residuals."""
    floor = surface.get("intervals", {}).get("E")
    identified = floor is not None and floor["low"] > 0
    return identified and (loss is None or surface["rmse_log"] < loss.rmse_log)


def _surface_error(surface: Mapping[str, Any]) -> SurfaceError | None:
    covariance, centre = surface.get("covariance"), surface.get("centre")
    if not covariance or not centre or surface.get("form", "free") != "free" or len(covariance) != 5:
        return None
    return SurfaceError(tuple(map(tuple, covariance)), (centre[0], centre[1]), int(surface["degrees_of_freedom"]))


def _power(raw: Mapping[str, Any] | None) -> PowerLaw | None:
    if raw is None:
        return None
    interval, covariance = raw.get("interval"), raw.get("covariance")
    return PowerLaw(
        **{key: raw[key] for key in ("y", "x", "coefficient", "exponent", "centre", "intercept", "points")},
        interval=Interval(**interval) if interval else None,
        covariance=((*covariance[0],), (*covariance[1],)) if covariance else None,
        degrees_of_freedom=raw["degrees_of_freedom"],
        rmse_log=raw["rmse_log"] if raw["rmse_log"] is not None else math.nan,
        x_range=(raw["x_range"][0], raw["x_range"][1]),
    )


def _profile_curvature(raw: Mapping[str, Any], size: PowerLaw | None) -> float | None:
    """Mean curved of the interior parabolas, from ln N to ln M by how M* and N* grow together."""
    curvatures = [p["coefficients"][2] for p in raw.get("profiles", ()) if p.get("status") == "interior"]
    params = raw.get("params_law")
    if not curvatures or size is None or not params:
        return None
    per = size.exponent / params["exponent"] if params["exponent"] else 1.0
    return sum(curvatures) / len(curvatures) / (per * per if per > 0.2 else 1.0)
