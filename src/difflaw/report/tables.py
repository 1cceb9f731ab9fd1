"""The page's tables: laws beside published ones, optima, surfaces, cells, hyper-parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from difflaw.law.results import FamilyLaws, Interval, Laws, PowerLaw
from difflaw.report.colours import canonical, in_order, style_of
from difflaw.report.markup import Markup, chip, grid, join, listing, tag
from difflaw.report.numbers import (
    UNKNOWN,
    as_float,
    compact,
    duration,
    fixed,
    scientific,
    significant,
    with_error,
    with_interval,
)
from difflaw.report.published import QUANTITIES, PublishedExponent

_STATUS_KIND = {"done": "good", "interior": "good", "running": "info", "queued": "info"}
_STATUS_BAD = {"diverged": "bad", "failed": "bad"}


def laws_of(fit: FamilyLaws) -> dict[str, PowerLaw | None]:
    """A family's power laws under the names published exponents use."""
    return {
        "params": fit.params_law,
        "tokens": fit.tokens_law,
        "flops_per_token": fit.flops_per_token_law,
        "loss": fit.loss_law,
        "token_bound_loss": fit.token_bound_law,
    }


def family_name(family: str) -> Markup:
    """The family behind a swatch of its colour."""
    swatch = tag("span", class_="swatch", style=f"background:{style_of(family).colour}", aria_hidden="true")
    return join([swatch, family])


def status_chip(status: object) -> Markup:
    """A status in words; edges, divergence and failure stand out."""
    word = str(status)
    return chip(word, _STATUS_BAD.get(word) or _STATUS_KIND.get(word, "warn"))


class _Notes:
    """Numbers the conventions of the papers, so that a long sentence is printed once and not in every row."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def cite(self, record: PublishedExponent) -> Markup:
        text = f"{record.source}: {record.convention}" + (
            f". How it was read: {record.checked}" if record.checked else ""
        )
        if text not in self.texts:
            self.texts.append(text)
        number = tag("sup", f"[{self.texts.index(text) + 1}]")
        return tag(
            "div", with_interval(record.exponent, record.low, record.high), tag("small", record.source, " ", number)
        )

    def listed(self) -> Markup:
        return tag("ol", *(tag("li", text) for text in self.texts), class_="notes") if self.texts else Markup("")


def law_table(laws: Laws, published: Iterable[PublishedExponent]) -> Markup:
    """Exponents measured here beside those published for the same family and quantity, with how those count."""
    known: dict[tuple[str, str], list[PublishedExponent]] = {}
    for record in published:
        known.setdefault((canonical(record.family), record.quantity), []).append(record)
    notes, rows = _Notes(), []
    for family in in_order(laws.families):
        for quantity, law in laws_of(laws.families[family]).items():
            theirs = [notes.cite(record) for record in known.pop((canonical(family), quantity), [])]
            if law is None and not theirs:
                continue
            ours: list[object] = ["not fitted", UNKNOWN, UNKNOWN, UNKNOWN]
            if law is not None:
                interval = law.interval
                text = with_interval(law.exponent, interval.low, interval.high) if interval else fixed(law.exponent)
                kind = f"{interval.level:.0%} {interval.kind}" if interval else "no interval: too few points"
                span = f"{scientific(law.x_range[0])} to {scientific(law.x_range[1])}"
                ours = [join([tag("strong", text), tag("small", kind)]), law.points, span, fixed(law.rmse_log, 4)]
            rows.append([family_name(family), QUANTITIES[quantity], ours[0], join(theirs) or UNKNOWN, *ours[1:]])
    headers = ["Family", "Law", "Exponent here", "Published", "Points", "Fitted over", "RMS misfit in ln"]
    parts = [grid("Exponents, measured and published", headers, rows, numeric=(4, 6))]
    if known:
        title = "Published exponents without a counterpart here"
        others = [
            [family_name(family), QUANTITIES[quantity], join(notes.cite(record) for record in records)]
            for (family, quantity), records in known.items()
        ]
        parts.append(tag("details", tag("summary", title), grid(title, ["Family", "Law", "Published"], others)))
    return join([*parts, notes.listed()])


def optima_table(laws: Laws) -> Markup:
    """One row an isoFLOP profile: its minimum, or why it has none that counts."""
    rows = []
    for family in in_order(laws.families):
        for profile in sorted(laws.families[family].profiles, key=lambda p: p.flops):
            at = profile.vertex
            found: list[object] = [UNKNOWN] * 4
            if at is not None:
                found = [
                    compact(at.params),
                    compact(at.tokens),
                    significant(at.tokens / at.params, 3),
                    fixed(at.loss, 4),
                ]
            status = status_chip(profile.status)
            rows.append([family_name(family), scientific(profile.flops), *found, status, profile.message])
    headers = ["Family", "FLOPs", "N*", "D*", "D*/N*", "Loss", "Minimum", "Remark"]
    return grid("Minima of the isoFLOP profiles", headers, rows, numeric=(1, 2, 3, 4, 5))


def surface_table(laws: Laws) -> Markup | None:
    """Fits of L(N, D) = E + A·N^-α + B·D^-β; None where no family has one."""
    rows = []
    for family in in_order(laws.families):
        fit = laws.families[family].surface
        if fit is None:
            continue

        def shown(name: str, value: float, intervals=fit.intervals) -> str:
            interval = intervals.get(name)
            return with_interval(value, interval.low, interval.high) if interval else significant(value, 4)

        agreeing = f"{fit.starts_agreeing[0]} of {fit.starts_agreeing[1]}"
        numbers = [shown("E", fit.E), shown("A", fit.A), shown("B", fit.B), shown("alpha", fit.alpha)]
        numbers += [shown("beta", fit.beta), shown("params_exponent", fit.params_exponent)]
        quality = [fixed(fit.rmse_log, 4), compact(fit.condition), agreeing, f"{fit.points} ({fit.runs} runs)"]
        rows.append([family_name(family), fit.form, *numbers, *quality, "; ".join(fit.warnings)])
    if not rows:
        return None
    headers = ["Family", "Form", "E", "A", "B", "α", "β", "a = β/(α+β)", "RMS misfit in ln", "Condition"]
    headers += ["Starts agreeing", "Points", "Remark"]
    title = "Surfaces L(N, D) = E + A·N^-α + B·D^-β (or the form named), in brackets the interval for the law"
    return grid(title, headers, rows)


def forecast_table(laws: Laws) -> Markup | None:
    """Best size and loss at each family's largest budget and ten times further, the three kinds of intervals apart."""
    rows = []
    for family in in_order(laws.families):
        for best in laws.families[family].forecasts:
            f, size, tokens = best.forecast, best.params_interval, best.tokens_interval
            where = [family_name(family), scientific(best.flops)]
            what = [_counted(best.params, size), _counted(best.tokens, tokens), fixed(f.loss, 4)]
            rows.append([*where, *what, _range(f.mean), _range(f.run)])
    if not rows:
        return None
    headers = ["Family", "FLOPs", "N*, for the law", "D*, for the law", "Loss", "for the mean loss", "for one new run"]
    return grid("Forecasts by the surface, in brackets three kinds of 95 % intervals", headers, rows)


def _counted(value: float, interval: Interval | None) -> str:
    return compact(value) + (f" [{compact(interval.low)}, {compact(interval.high)}]" if interval else "")


def _range(interval: Interval | None) -> str:
    return f"[{fixed(interval.low)}, {fixed(interval.high)}]" if interval else UNKNOWN


def hold_out_table(laws: Laws) -> Markup | None:
    """Every form at every cutoff: how far its forecasts of larger runs were off, and where exponent and E were."""
    rows = []
    for family in in_order(laws.families):
        held = laws.families[family].hold_out
        for t in held.tests if held is not None else ():
            span = t.params_exponent_interval
            exponent = with_interval(t.params_exponent, *((span.low, span.high) if span else ()))
            rows.append(
                [family_name(family), t.form, scientific(t.cutoff), t.fitted, t.held_out, f"{t.factor:.3g}"]
                + [f"{100 * v:.2f} %" for v in (t.rmse_in, t.rmse_out)]
                + [f"{100 * t.largest:+.1f} %", "1/2 by the form" if t.form == "tied" else exponent, fixed(t.floor)]
            )
    if not rows:
        return None
    headers = ["Family", "Form", "Fitted up to", "Fitted", "Unseen", "Farthest, times", "Error inside"]
    headers += ["Error on the unseen", "Largest run", "a", "E"]
    return grid("Hold-out: fitted below a cutoff, asked about the runs above it", headers, rows, numeric=range(2, 11))


def checklist_table(items: Sequence[Mapping[str, Any]]) -> Markup:
    """The checklist as the law package fills it: heading, question, answer."""
    rows = [
        [item.get("heading", UNKNOWN), item.get("question", UNKNOWN), item.get("answer", UNKNOWN)] for item in items
    ]
    return grid("What a reader must know of this fit", ["Part", "Question", "Answer"], rows)


def beyond_tables(beyond: Any) -> Markup | None:
    """Odds between families, batch and rate laws, repeated data, and what was not fitted; a `law.extras.Extras`."""
    parts: list[Markup] = []
    odds = []
    for flops, found in beyond.standings.items():
        for s in found:
            loss = f"{fixed(s.best_loss, 4)} {_range(s.loss)}"
            chance = f"{100 * s.probability:.0f} %"
            odds.append(
                [
                    scientific(flops),
                    family_name(s.family),
                    chance,
                    _counted(s.best_flops_per_token, s.flops_per_token),
                    loss,
                ]
            )
    if odds:
        headers = [
            "FLOPs",
            "Family",
            "Chance of the lowest loss",
            "FLOPs per token M*, for the law",
            "Loss, for the law",
        ]
        parts.append(grid("Families fitted jointly, exponents partially pooled", headers, odds))
    swept = []
    for family, bowl in beyond.batch_and_rate.items():
        for what, intercept, exponents in (
            ("B*", bowl.batch_intercept, bowl.batch_exponents),
            ("η*", bowl.rate_intercept, bowl.rate_exponents),
        ):
            key = "batch" if what == "B*" else "rate"
            law = [f"{scientific(math.exp(intercept))}"]
            for name, value in exponents.items():
                span = bowl.intervals.get(f"{key}:{name}")
                law.append(f"{name}^{with_interval(value, *((span.low, span.high) if span else ()))}")
            reach = math.exp(math.sqrt(0.0025 / (bowl.k_batch if key == "batch" else bowl.k_rate)))
            swept.append([family_name(family), what, " · ".join(law), f"{reach:.2g}", "; ".join(bowl.warnings)])
    if swept:
        headers = ["Family", "Best", "Law", "Factor that costs 0.25 %", "Remark"]
        parts.append(grid("Batch (tokens) and learning rate", headers, swept))
    repeats = []
    for family, law in beyond.repeated_data.items():
        span = law.half_life_interval
        life = f"above {compact(law.half_life_at_least)}"
        if law.half_life is not None and span is not None:
            life = f"{compact(law.half_life)} [{compact(span.low)}, {compact(span.high)}]"
        repeats.append([family_name(family), law.form, life, compact(law.most_epochs), "; ".join(law.warnings)])
    if repeats:
        headers = ["Family", "Form", "R*, repeats", "Most epochs run", "Remark"]
        parts.append(grid("Repeated data: repeats after which they are worth little", headers, repeats))
    if beyond.missing:
        parts += [tag("p", "Not fitted:"), listing(beyond.missing)]
    return join(parts) if parts else None


def cell_table(cells: Sequence[Mapping[str, Any]]) -> Markup:
    """Every run of the ladder, also those that broke, in the order given."""
    rows = [
        [
            cell.get("cell", UNKNOWN),
            family_name(str(cell.get("family", UNKNOWN))),
            cell.get("rung", UNKNOWN),
            status_chip(cell.get("status", UNKNOWN)),
            with_error(cell.get("loss"), cell.get("loss_se")),
            compact(cell.get("tokens")),
            scientific(cell.get("flops")),
            duration(cell.get("seconds")),
            cell.get("note") or "",
        ]
        for cell in cells
    ]
    headers = ["Cell", "Family", "Rung", "Status", "Loss", "Tokens", "FLOPs", "Time", "Remark"]
    return grid("Runs", headers, rows, numeric=(4, 5, 6, 7))


def hyperparameter_table(derived: Sequence[Mapping[str, Any]]) -> Markup:
    """What was derived rather than chosen: value, rule, and where the rule is from."""
    rows = []
    for item in derived:
        value = item.get("value", UNKNOWN)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        text = _plain_number(as_float(value)) if number else value
        rows.append([item.get("name", UNKNOWN), text, item.get("rule", UNKNOWN), item.get("source", UNKNOWN)])
    return grid("Derived hyper-parameters", ["Name", "Value", "Rule", "Source"], rows, numeric=(1,))


def _plain_number(value: float) -> str:
    if math.isfinite(value) and value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    return significant(value, 4) if 1e-3 <= abs(value) < 1e7 else scientific(value, 4)
