"""Laws read as forecasts by family: published ones by name, fitted ones from a laws.json of `difflaw fit`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from difflaw.conventions import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS, UNSTATED
from difflaw.errors import InputError
from difflaw.law.document import Laws
from difflaw.law.published import HyperLaw, Repeats, published_set
from difflaw.law.results import Interval, PowerLaw
from difflaw.planning.family_names import AUTOREGRESSIVE
from difflaw.planning.predict import USUAL_CURVATURE, Forecast, SurfaceError
from difflaw.planning.published_forecasts import (
    ASSUMED_CURVATURE,
    additive_loss,
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
        out = _from_document(law.document(), str(law.path or law.source.name))
    elif law.startswith("published:"):
        found = published_set(law.removeprefix("published:"))
        out = {
            name: f for name, family in found.families.items() if (f := published_forecast(found, family)) is not None
        }
        if not out:
            raise InputError(f"--law {law}: gives no best size with its coefficient, so it cannot plan; {found.title}")
    else:
        found = Laws.read(law)
        out = _from_document(found.document(), str(found.path))
    changes = {"context": context, "vocab_size": vocab_size}
    changes = {key: value for key, value in changes.items() if value is not None}
    return {name: replace(forecast, **changes) for name, forecast in out.items()}


# -- laws.json of `difflaw fit` -------------------------------------------------------------------------------------


def _from_document(raw: Mapping[str, Any], path: str) -> dict[str, Forecast]:
    """Forecasts from `Laws.document`; ``path`` names it in messages."""
    conventions = _conventions(raw, path)
    out: dict[str, Forecast] = {}
    reasons = []
    for name, fields in raw["families"].items():
        try:
            forecast = _fitted(name, fields, conventions, path)
            if forecast is not None:
                forecast = _with_own(_with_recipe(forecast, raw), raw.get("extras") or {})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: family '{name}': {error} is missing or malformed; write it again") from None
        if forecast is None:
            reasons.append(f"{name}: neither a law of the best size nor a surface")
        else:
            out[name] = forecast
    if not out:
        raise InputError(f"{path}: no family can be planned for ({'; '.join(reasons) or 'there are none'})")
    missing = tuple(f"no plan for {reason}" for reason in reasons)
    return {name: replace(forecast, notes=(*forecast.notes, *missing)) for name, forecast in out.items()}


def _conventions(raw: Mapping[str, Any], path: str) -> tuple[str, str, tuple[str, ...]]:
    """(params, FLOPs, notes) of a file; unstated counting is read as the commonest, and said."""
    params, flops = raw.get("params_convention", UNSTATED), raw.get("flops_convention", UNSTATED)
    notes = []
    for name, value, known in (("params", params, PARAMETER_CONVENTIONS), ("FLOPs", flops, FLOP_CONVENTIONS)):
        if value != UNSTATED and value not in known:
            raise InputError(f"{path}: unknown {name} convention '{value}'; use one of {', '.join(known)}")
    if params == UNSTATED:
        params = "non-embedding"
        notes.append("how parameters were counted is not stated: taken as non-embedding")
    if flops == UNSTATED:
        flops = "6N"
        notes.append("how FLOPs were counted is not stated: taken as 6·N")
    return params, flops, tuple(notes)


def _fitted(
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
    first, ar = published_set("gidd"), name in AUTOREGRESSIVE
    own = first.families.get(name)
    return Forecast(
        family=name,
        origin=str(path),
        params_convention=params,
        flops_convention=flops,
        tokenizer="the ladder's own",
        bound="as the table's losses",
        vocab_size=1024,
        context=128,
        size_law=size,
        loss_law=loss,
        form=form,
        curvature=curvature or USUAL_CURVATURE,
        curvature_source=curved,
        flops_range=fitted,
        batch=own.batch if own else published_set("step-law").families["ar"].batch if ar else first.batch,
        lr=first.lr,
        pooled_batch=first.batch if own else None,
        batch_overhead=None if ar else first.batch_overhead,
        repeats=repeats_for(name),
        holdout_per_decade=held.get("growth") or None,
        published=False,
        surface_error=error,
        notes=notes,
    )


def _with_recipe(forecast: Forecast, raw: Mapping[str, Any]) -> Forecast:
    """The recipe of the ladder's own runs, whose loss the law forecasts; a fixed batch or rate is kept."""
    recipe = raw.get("recipe")
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
    family = (raw.get("family_configs") or {}).get(forecast.family) or {}
    return replace(forecast, recipe=rest, family_config=family, **fixed)  # type: ignore[arg-type]


def _with_own(forecast: Forecast, extras: Mapping[str, Any]) -> Forecast:
    """The table's own laws of batch and rate and its own worth of repeated data, where it has them."""
    fit = extras.get("batch_and_rate", {}).get(forecast.family)
    if fit is not None and min(fit["k_batch"], fit["k_rate"]) > HARDLY:
        caveats = tuple(f"batch and rate of the fitted table: {w}" for w in fit["warnings"])
        forecast = replace(
            forecast,
            batch=_hyper_law(fit, "batch", "batch_tokens", forecast.origin),
            lr=_hyper_law(fit, "rate", "lr", forecast.origin),
            pooled_batch=None,
            batch_overhead=None,
            batch_curvature=fit["k_batch"],
            notes=(*forecast.notes, *caveats),
        )
    repeated = extras.get("repeated_data", {}).get(forecast.family)
    if repeated is not None:
        known, least = repeated["half_life"], repeated["half_life_at_least"]
        usual = forecast.repeats.R_D if forecast.repeats else 0.0
        if known is not None:
            checked = "fitted to the table's repeated runs"
            forecast = replace(forecast, repeats=Repeats(known, None, forecast.origin, checked))
        elif least > usual:
            checked = "the table's repeated runs only say that it is larger; this end of it is used"
            forecast = replace(forecast, repeats=Repeats(least, None, forecast.origin, checked))
    return forecast


def _hyper_law(fit: Mapping[str, Any], what: str, y: str, origin: str) -> HyperLaw:
    names = {"batch": "batch_tokens", "tokens": "tokens", "params": "params"}
    symbols = {"batch": "B", "tokens": "D", "params": "N"}
    exponents, coefficient = fit[f"{what}_exponents"], math.exp(fit[f"{what}_intercept"])
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
