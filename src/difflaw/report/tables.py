"""The page's tables: laws beside published ones, optima, surfaces, cells, hyper-parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from difflaw.law.results import FamilyLaws, Laws, PowerLaw
from difflaw.report.colours import canonical, in_order, style_of
from difflaw.report.markup import Markup, chip, grid, join, tag
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
        rows.append([family_name(family), *numbers, *quality, "; ".join(fit.warnings)])
    if not rows:
        return None
    headers = ["Family", "E", "A", "B", "α", "β", "a = β/(α+β)", "RMS misfit in ln", "Condition", "Starts agreeing"]
    headers += ["Points", "Remark"]
    return grid("Surfaces L(N, D) = E + A·N^-α + B·D^-β, in brackets the interval where there is one", headers, rows)


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
