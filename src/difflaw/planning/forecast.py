"""A law as the planner needs it: best size and loss at a budget, and what leaving the optimum costs.

Where a publication has both, the *level* comes from its power laws (which held to 2 % at 50 times the fitted compute)
and the *bend* around the optimum from its surface (which did not: 5 to 11 % off, its floor being unidentified).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from difflaw.conventions import FLOP_CONVENTIONS, PARAMETER_CONVENTIONS, UNSTATED
from difflaw.errors import InputError
from difflaw.law.document import Laws
from difflaw.law.power import predict_interval, quantile
from difflaw.law.published import (
    HyperLaw,
    PublishedFamily,
    PublishedLaw,
    PublishedSet,
    Repeats,
    published_set,
)
from difflaw.law.results import Interval, PowerLaw

AUTOREGRESSIVE = ("ar", "autoregressive", "all")
HARDLY = 1e-4
"""Curvature of a bowl below which the loss does not depend on batch or rate, and the bowl is not used."""
USUAL_CURVATURE = 0.02
"""k in ln L = ln L* + k·ln²(M/M*) where a law brings none: the published profiles show 0.014 to 0.038."""


@dataclass(frozen=True)
class Form:
    """E + A·M^-alpha + B·D^-beta in FLOPs per token M and tokens D."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def __call__(self, m: float, tokens: float) -> float:
        """Loss at M and D."""
        return self.E + self.A * m**-self.alpha + self.B * tokens**-self.beta

    def best(self, flops: float) -> float:
        """M at which the loss is lowest for M·D = ``flops``."""
        a, b = self.alpha, self.beta
        return (a * self.A / (b * self.B)) ** (1 / (a + b)) * flops ** (b / (a + b))


@dataclass(frozen=True)
class SurfaceError:
    """Covariance of a fitted surface's (ln A, ln B, ln E, alpha, beta), logarithms of N and D centred."""

    covariance: tuple[tuple[float, ...], ...]
    centre: tuple[float, float]
    dof: int


@dataclass(frozen=True)
class Forecast:
    """What one law says of one family; sizes are FLOPs per token in the law's convention."""

    family: str
    origin: str
    params_convention: str
    flops_convention: str
    tokenizer: str
    bound: str
    vocab_size: int
    context: int
    size_law: PowerLaw
    """M*(C)."""
    loss_law: PowerLaw | None
    form: Form | None
    """The bend around the optimum; also the level where there is no loss law."""
    curvature: float = USUAL_CURVATURE
    bend: str = ""
    """Where the bend comes from."""
    flops_range: tuple[float, float] | None = None
    cooldown: float | None = None
    batch: HyperLaw | None = None
    lr: HyperLaw | None = None
    pooled_batch: HyperLaw | None = None
    batch_overhead: float | None = None
    batch_curvature: float | None = None
    """k in ln L = ... + k·ln²(B/B*), where the table has its own bowl; then used in place of the overhead."""
    repeats: Repeats | None = None
    holdout_per_decade: float | None = None
    published: bool = True
    surface_error: SurfaceError | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def has_loss(self) -> bool:
        """Whether a loss can be forecast at all."""
        return self.loss_law is not None or self.form is not None

    def best_size(self, flops: float) -> float:
        """M*(C)."""
        return self.size_law(flops)

    def best_loss(self, flops: float) -> float:
        """L*(C) as the law states it (before any cooldown factor)."""
        if self.loss_law is not None:
            return self.loss_law(flops)
        if self.form is None:
            raise InputError(f"{self.origin}: has no law of the loss of {self.family}; choose another law for that")
        m = self.form.best(flops)
        return self.form(m, flops / m)

    def regret(self, m: float, flops: float) -> float:
        """Ln of the loss at M over the best loss at the same FLOPs; 0 at M*."""
        u = math.log(m / self.best_size(flops))
        if self.form is None:
            return self.curvature * u * u
        best = self.form.best(flops)
        moved = best * math.exp(u)
        return math.log(self.form(moved, flops / moved) / self.form(best, flops / best))

    def loss(self, m: float, tokens: float) -> float:
        """L(M, D) = L*(M·D) · exp(regret)."""
        return self.best_loss(m * tokens) * math.exp(self.regret(m, m * tokens))

    def slope(self, flops: float) -> float:
        """-d ln L*/d ln C, which at the optimum is also what more tokens buy at fixed size."""
        step = 1.01
        return -math.log(self.best_loss(flops * step) / self.best_loss(flops)) / math.log(step)

    def size_interval(self, flops: float, level: float = 0.95) -> Interval | None:
        """Interval of M*(C), None where the law gives none."""
        return predict_interval(self.size_law, flops, level)

    def loss_interval(self, flops: float, level: float = 0.95) -> Interval | None:
        """Interval of L*(C) for the law's mean, None where the law gives none."""
        if self.loss_law is not None:
            return predict_interval(self.loss_law, flops, level)
        if self.form is None or self.surface_error is None:
            return None
        # At the optimum the size may be held fixed (envelope theorem), so only the surface's own gradient counts.
        m, error = self.form.best(flops), self.surface_error
        best = self.form(m, flops / m)
        size, token = self.form.A * m**-self.form.alpha / best, self.form.B * (flops / m) ** -self.form.beta / best
        x, z = math.log(m / 6) - error.centre[0], math.log(flops / m) - error.centre[1]
        g = (size, token, self.form.E / best, -size * x, -token * z)
        variance = sum(g[i] * error.covariance[i][j] * g[j] for i in range(5) for j in range(5))
        half = quantile(level, error.dof) * math.sqrt(max(variance, 0.0))
        kind = f"{100 * level:g} % for the law's mean loss, from the surface's covariance; assumes the form holds"
        return Interval(best * math.exp(-half), best * math.exp(half), level, kind)

    def beyond(self, flops: float) -> float:
        """Factor by which ``flops`` lies outside the fitted range; 1 inside or where no range is known."""
        if self.flops_range is None:
            return 1.0
        low, high = self.flops_range
        return max(flops / high, low / flops, 1.0)


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
        out = {name: f for name, family in found.families.items() if (f := _published(found, family)) is not None}
        if not out:
            raise InputError(f"--law {law}: gives no best size with its coefficient, so it cannot plan; {found.title}")
    else:
        found = Laws.read(law)
        out = _from_document(found.document(), str(found.path))
    changes = {"context": context, "vocab_size": vocab_size}
    changes = {key: value for key, value in changes.items() if value is not None}
    return {name: replace(forecast, **changes) for name, forecast in out.items()}


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
        se = half / 1.959964
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


def _size_of_form(form: Form, interval: tuple[float, float] | None, flops_range: Any) -> PowerLaw:
    exponent = form.beta / (form.alpha + form.beta)
    return printed_power("flops_per_token", form.best(1.0), exponent, interval, flops_range)


def _published(s: PublishedSet, family: PublishedFamily) -> Forecast | None:
    form = None if family.surface is None else _form(vars(family.surface), family.surface.size)
    size = family.law("flops_per_token")
    if size is None and (tokens := family.law("tokens")) is not None:
        # M = C/D: the same law read the other way.
        interval = None if tokens.interval is None else (1 - tokens.interval[1], 1 - tokens.interval[0])
        inverse = {"coefficient": 1 / tokens(1.0), "exponent": 1 - tokens.exponent, "interval": interval}
        size = replace(tokens, y="flops_per_token", **inverse)
    if size is not None:
        size_law = _printed(size, s)
    elif form is not None and family.surface is not None:
        size_law = _size_of_form(form, family.surface.exponent_interval, s.flops_range)
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
        bend=_bend(family, form),
        flops_range=s.flops_range,
        cooldown=s.cooldown,
        batch=batch,
        lr=lr,
        pooled_batch=s.batch if s.name == "gidd" else None,
        batch_overhead=None if ar else first.batch_overhead,
        repeats=_repeats(family.name),
        notes=s.notes,
    )


def _repeats(family: str) -> Repeats | None:
    if family in AUTOREGRESSIVE:
        return published_set("muennighoff").families["ar"].repeats
    return published_set("masked-data-constrained").families["masked"].repeats


def _bend(family: PublishedFamily, form: Form | None) -> str:
    if form is not None and family.surface is not None:
        return f"surface, {family.surface.checked}"
    return family.curvature_checked or f"assumed: {USUAL_CURVATURE:g}·ln²(M/M*), as published profiles bend"


def _form(raw: Mapping[str, Any], size: str) -> Form:
    """A surface in (M, D); one in params becomes one in M by M = 6·N."""
    A = raw["A"] * (6.0 ** raw["alpha"] if size == "params" else 1.0)
    return Form(raw["E"], A, raw["B"], raw["alpha"], raw["beta"])


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
                forecast = _with_own(forecast, raw.get("extras") or {})
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
    form = _form(surface, "params") if surface and additive else None
    curvature, bend = _profile_curvature(raw, size), "mean over the interior isoFLOP parabolas"
    six_n, error = flops in ("6N", "method-2"), None
    if form is not None and surface and (size is None or (six_n and _holds(surface, loss))):
        if not six_n:
            notes = (*notes, f"no frontier law: the surface is read with M = 6·N although FLOPs are '{flops}'")
        interval = surface.get("intervals", {}).get("params_exponent")
        pair = (interval["low"], interval["high"]) if interval else None
        seen = surface.get("flops_range") or (size.x_range if size is not None else None)
        size = _size_of_form(form, pair, (seen[0], seen[1]) if seen and seen[0] else None)
        loss, bend, error = None, "the fitted surface", _surface_error(surface)
        fitted = size.x_range if seen and seen[0] else None
    elif size is None:
        return None
    else:
        fitted = size.x_range
        if not six_n:
            form = None  # in params, which the FLOPs of this table are no constant multiple of
        if form is None:
            bend = bend if curvature else f"assumed: {USUAL_CURVATURE:g}·ln²(M/M*), as published profiles bend"
        else:
            bend = "the fitted surface"
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
        bend=bend,
        flops_range=fitted,
        batch=own.batch if own else published_set("step-law").families["ar"].batch if ar else first.batch,
        lr=first.lr,
        pooled_batch=first.batch if own else None,
        batch_overhead=None if ar else first.batch_overhead,
        repeats=_repeats(name),
        holdout_per_decade=held.get("growth") or None,
        published=False,
        surface_error=error,
        notes=notes,
    )


def _with_own(forecast: Forecast, beyond: Mapping[str, Any]) -> Forecast:
    """The table's own laws of batch and rate and its own worth of repeated data, where it has them."""
    bowl = beyond.get("batch_and_rate", {}).get(forecast.family)
    if bowl is not None and min(bowl["k_batch"], bowl["k_rate"]) > HARDLY:
        told = tuple(f"batch and rate of the fitted table: {w}" for w in bowl["warnings"])
        forecast = replace(
            forecast,
            batch=_bowl_law(bowl, "batch", "batch_tokens", forecast.origin),
            lr=_bowl_law(bowl, "rate", "lr", forecast.origin),
            pooled_batch=None,
            batch_overhead=None,
            batch_curvature=bowl["k_batch"],
            notes=(*forecast.notes, *told),
        )
    repeated = beyond.get("repeated_data", {}).get(forecast.family)
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


def _bowl_law(bowl: Mapping[str, Any], what: str, y: str, origin: str) -> HyperLaw:
    names = {"batch": "batch_tokens", "tokens": "tokens", "params": "params"}
    symbols = {"batch": "B", "tokens": "D", "params": "N"}
    exponents, coefficient = bowl[f"{what}_exponents"], math.exp(bowl[f"{what}_intercept"])
    formula = "·".join([f"{coefficient:.4g}", *(f"{symbols[t]}^{e:.4g}" for t, e in exponents.items())])
    return HyperLaw(
        y=y,
        coefficient=coefficient,
        exponents={names[t]: e for t, e in exponents.items()},
        formula=formula,
        source=origin,
        checked="bowl fitted to the table's own runs",
    )


def _holds(surface: Mapping[str, Any], loss: PowerLaw | None) -> bool:
    """Whether the surface states the level better than the power law: a floor it can identify, and smaller misfit."""
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
    """Mean bend of the interior parabolas, from ln N to ln M by how M* and N* grow together."""
    bends = [p["coefficients"][2] for p in raw.get("profiles", ()) if p.get("status") == "interior"]
    params = raw.get("params_law")
    if not bends or size is None or not params:
        return None
    per = size.exponent / params["exponent"] if params["exponent"] else 1.0
    return sum(bends) / len(bends) / (per * per if per > 0.2 else 1.0)
