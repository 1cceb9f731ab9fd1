"""The one-file page: everything a ladder said, in a file that opens without a network."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from difflaw.files import write_atomically
from difflaw.formatting import as_float, significant
from difflaw.law.results import FittedFamilies
from difflaw.report.exponents import exponent_tables, published_exponents
from difflaw.report.extras_tables import extras_tables, standings_table
from difflaw.report.figures import all_figures
from difflaw.report.law_tables import forecast_table, hold_out_table, optima_table, surface_table
from difflaw.report.plotly_figure import to_plotly
from difflaw.report.run_tables import cell_table, checklist_table, decision_table, hyperparameter_table
from difflaw.templates import environment, render, script_json

PACKAGE = "difflaw.report"
SAMPLE_CHARACTERS = 2000
FIGURES = {
    "frontier": "frontier",
    "isoflop-profiles": "isoflop",
    "optimal-size": "size",
    "optimal-tokens": "tokens",
    "loss-curves": "curves",
    "residuals": "residuals",
    "drift": "drift",
    "regret": "regret",
}
"""Figures the page shows: name of the file -> place on the page."""


class ReportContext(TypedDict, total=False):
    """What the caller adds to laws and table; every key may be missing, every text is taken as hostile."""

    title: str
    corpus: str
    samples: str | Sequence[str]
    entropy_floor: float | None
    unigram_entropy: float | None
    params_convention: str
    flops_convention: str
    cells: Sequence[Mapping[str, Any]]
    hyperparameters: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    """What a search decided, as decisions.jsonl has it."""
    verdict: str
    """Why the search ended."""
    reading: Sequence[str]
    warnings: Sequence[str]
    checklist: Sequence[Mapping[str, str]]
    extras: Any
    """What `difflaw.law.extras` fitted: batch and rate, repeated data, odds."""


def write_report(
    path: str | Path,
    laws: FittedFamilies | None,
    table: pd.DataFrame,
    context: Mapping[str, Any],
    published: Iterable[Any] = (),
) -> Path:
    """Write the page to ``path``, whole or not at all, and return it.

    ``table`` has one row per evaluation of a run (family, run, params, tokens, flops, loss, status …, losses in nats
    per token), ``context`` the keys of ``ReportContext``, ``published`` the exponents to print next to those measured
    (``difflaw.law.published_laws()`` or records like ``PublishedExponent``).
    ``laws`` is None while nothing can be fitted; the page then shows what there is. All text is escaped, plotly is
    inlined once, and the page's policy forbids every network access and every script but its own.
    """
    return write_atomically(Path(path), page(laws, table, context, published).encode("utf-8", "replace"))


def page(
    laws: FittedFamilies | None, table: pd.DataFrame, context: Mapping[str, Any], published: Iterable[Any] = ()
) -> str:
    """The page as one string of HTML; see ``write_report``."""
    described = all_figures(table, laws, as_float(context.get("entropy_floor")))
    figures = {place: to_plotly(described[name]) for name, place in FIGURES.items() if name in described}
    # A browser hashes what the parser read: it turns CR into LF first.
    library = get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")
    draw = environment(PACKAGE).get_template("draw.js").render()
    values = _fitted(laws, published) | _from_context(context) | {"conventions": _conventions(laws, table, context)}
    return render(
        PACKAGE,
        "page.html.j2",
        figures=figures,
        figures_json=script_json(figures),
        library=Markup(library),
        draw=Markup(draw),
        policy=_policy(library, draw),
        warnings=_warnings(laws, context),
        **values,
    )


def _policy(*scripts: str) -> str:
    """Only these scripts may run and nothing may be fetched, whatever slipped into the page."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _fitted(laws: FittedFamilies | None, published: Iterable[Any]) -> dict[str, Any]:
    """What the page says of the laws; everything empty while there are none."""
    if laws is None:
        names = ("optima", "exponents", "excluded", "surfaces", "forecasts", "form_reasons", "hold_out", "standings")
        return dict.fromkeys(names) | {"band_level": ""}
    fits = laws.families.values()
    intervals = [law.interval for fit in fits for law in (fit.loss_law, fit.params_law) if law is not None]
    levels = {interval.level for interval in intervals if interval}
    return {
        "band_level": f"{min(levels):.0%} " if len(levels) == 1 else "",
        "optima": optima_table(laws),
        "exponents": exponent_tables(laws, published_exponents(published)),
        "excluded": laws.excluded,
        "surfaces": surface_table(laws),
        "forecasts": forecast_table(laws),
        "form_reasons": [
            f"{name}: {fit.answer.reason}" for name, fit in laws.families.items() if fit.answer is not None
        ],
        "hold_out": hold_out_table(laws),
        "standings": standings_table(laws),
    }


def _from_context(context: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of the caller's context."""
    cells, derived = context.get("cells") or (), context.get("hyperparameters") or ()
    checklist, extras = context.get("checklist") or (), context.get("extras")
    decisions = context.get("decisions") or ()
    return {
        "title": str(context.get("title") or "A ladder of language models"),
        "corpus": context.get("corpus") or "",
        "reading": _texts(context.get("reading")),
        "samples": [_cut(text) for text in _texts(context.get("samples"))],
        "cells": cell_table(cells) if cells else None,
        "hyperparameters": hyperparameter_table(derived) if derived else None,
        "decisions": decision_table(decisions) if decisions else None,
        "verdict": context.get("verdict") or "",
        "checklist": checklist_table(checklist) if checklist else None,
        "extras": extras_tables(extras) if extras is not None else [],
        "not_fitted": extras.missing if extras is not None else (),
    }


def _warnings(laws: FittedFamilies | None, context: Mapping[str, Any]) -> list[str]:
    found = _texts(context.get("warnings"))
    if laws is not None:
        found += laws.warnings
        for family, fit in laws.families.items():
            found += [f"{family}: {text}" for text in fit.warnings]
            found += [f"{family}, surface: {text}" for text in (fit.surface.warnings if fit.surface else ())]
    # The same sentence can come from the law and from the caller.
    return list(dict.fromkeys(found))


def _conventions(laws: FittedFamilies | None, table: pd.DataFrame, context: Mapping[str, Any]) -> list[tuple[str, str]]:
    def named(key: str, fallback: str | None) -> str:
        return str(context.get(key) or fallback or "not given")

    entries = [
        ("Loss", "bound (NELBO) on held-out text, natural logarithm, per token; for autoregressive models exact"),
        ("Parameters", named("params_convention", laws.params_convention if laws else None)),
        ("FLOPs", named("flops_convention", laws.flops_convention if laws else None)),
        ("Corpus", named("corpus", None)),
        ("Entropy of the corpus", _nats(context.get("entropy_floor"))),
        ("Unigram entropy", _nats(context.get("unigram_entropy"))),
        ("Evaluations in the table", f"{len(table):,}"),
    ]
    if laws is not None:
        entries.append(("Rows used in the fits", f"{laws.rows:,}"))
        entries += [(str(key), str(text)) for key, text in laws.notes.items()]
    return entries


def _nats(value: Any) -> str:
    number = as_float(value)
    return f"{significant(number, 4)} nats per token" if math.isfinite(number) else "not known"


def _texts(value: Any) -> list[str]:
    """A text or several as a list; None and empty texts fall out."""
    items = [value] if isinstance(value, str) else list(value or ())
    return [str(item) for item in items if str(item).strip()]


def _cut(text: str) -> str:
    return text if len(text) <= SAMPLE_CHARACTERS else text[:SAMPLE_CHARACTERS] + " …"
