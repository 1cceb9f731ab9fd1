"""The one-file page: everything a ladder said, in a file that opens without a network."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd
from matplotlib.figure import Figure
from plotly.offline import get_plotlyjs

from difflaw.files import write_atomically
from difflaw.law.results import Laws
from difflaw.report import plots
from difflaw.report.markup import Markup, escape, join, listing, script_json, tag, visible
from difflaw.report.numbers import as_float, significant
from difflaw.report.published import published_exponents
from difflaw.report.surface_figures import drift, regret, residuals
from difflaw.report.tables import (
    beyond_tables,
    cell_table,
    checklist_table,
    forecast_table,
    hold_out_table,
    hyperparameter_table,
    law_table,
    optima_table,
    surface_table,
)
from difflaw.report.theme import DRAW, STYLE

SAMPLE_CHARACTERS = 2000


class ReportContext(TypedDict, total=False):
    """What the page says beyond laws and table; every key may be missing, every text is taken as hostile."""

    title: str
    corpus: str
    samples: str | Sequence[str]
    entropy_floor: float | None
    unigram_entropy: float | None
    params_convention: str
    flops_convention: str
    cells: Sequence[Mapping[str, Any]]
    hyperparameters: Sequence[Mapping[str, Any]]
    reading: Sequence[str]
    warnings: Sequence[str]
    checklist: Sequence[Mapping[str, str]]
    beyond: Any
    """A `law.extras.Extras`."""


def _texts(value: Any) -> list[str]:
    """A text or several as a list; None and empty texts fall out."""
    items = [value] if isinstance(value, str) else list(value or ())
    return [str(item) for item in items if str(item).strip()]


def _plot(name: str, label: str, caption: str) -> Markup:
    waiting = tag("p", "Drawing; this figure needs JavaScript, the tables below do not.")
    place = tag("div", waiting, id=f"plot-{name}", class_="plot", role="img", aria_label=label)
    return tag("figure", place, tag("figcaption", caption))


def _band_note(laws: Laws | None) -> str:
    levels = set()
    for fit in laws.families.values() if laws is not None else ():
        levels |= {law.interval.level for law in (fit.loss_law, fit.params_law) if law is not None and law.interval}
    level = f"{min(levels):.0%} " if len(levels) == 1 else ""
    return (
        f"Bands are the {level}interval of the law itself, not of a single new run; dashed lines go beyond the "
        "measured budgets. Hollow markers are minima at the edge of the sizes tried and count for nothing."
    )


def _warnings(laws: Laws | None, context: Mapping[str, Any]) -> list[str]:
    found = _texts(context.get("warnings"))
    if laws is not None:
        found += laws.warnings
        for family, fit in laws.families.items():
            found += [f"{family}: {text}" for text in fit.warnings]
            found += [f"{family}, surface: {text}" for text in (fit.surface.warnings if fit.surface else ())]
    # The same sentence can come from the law and from the caller.
    return list(dict.fromkeys(found))


def _nats(value: Any) -> str:
    number = as_float(value)
    return f"{significant(number, 4)} nats per token" if math.isfinite(number) else "not known"


def _conventions(laws: Laws | None, table: pd.DataFrame, context: Mapping[str, Any]) -> Markup:
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
    return tag("dl", *(part for term, text in entries for part in (tag("dt", term), tag("dd", text))))


def _sections(
    laws: Laws | None, table: pd.DataFrame, context: Mapping[str, Any], published: Iterable[Any]
) -> list[tuple[str, str, Markup]]:
    """(anchor, heading, content) of each section, in the order of the page."""
    bands, warnings = _band_note(laws), _warnings(laws, context)
    reading = _texts(context.get("reading"))
    nothing = tag("p", "Nothing fitted yet.")
    note = tag(
        "div",
        "Tokenizers, corpora and the way parameters and FLOPs are counted differ between this ladder and the papers, "
        "and counting alone moves an exponent by several hundredths. Compare exponents, not losses.",
        class_="note",
        role="note",
    )
    samples = [tag("pre", _cut(text), dir="auto", tabindex="0") for text in _texts(context.get("samples"))]
    items = context.get("checklist") or ()
    cells, derived = context.get("cells") or (), context.get("hyperparameters") or ()
    warning_box = tag("div", listing(warnings), class_="note", role="note") if warnings else tag("p", "None.")
    excluded: list[Markup] = []
    if laws is not None and laws.excluded:
        summary = tag("summary", f"Left out of the fits ({len(laws.excluded)})")
        excluded = [tag("details", summary, listing(laws.excluded))]
    return [
        ("reading", "In plain words", listing(reading, class_="lead") if reading else tag("p", "Nothing to say yet.")),
        (
            "frontier",
            "Loss against compute",
            _plot("frontier", "Lowest loss of each family against training FLOPs, with fitted laws", bands),
        ),
        (
            "isoflop",
            "IsoFLOP profiles",
            join(
                [
                    _plot(
                        "isoflop",
                        "Loss against model size at each compute budget, one panel a family",
                        "Each curve is a parabola in the logarithms through the runs of one budget, its star the "
                        "minimum. Dashed and hollow: at the edge of the sizes or not convex, not used in the laws.",
                    ),
                    optima_table(laws) if laws is not None else nothing,
                ]
            ),
        ),
        (
            "size",
            "Compute-optimal size",
            _plot("size", "Compute-optimal number of parameters against training FLOPs", f"Bars: ± 1 s.e. {bands}"),
        ),
        (
            "tokens",
            "Compute-optimal tokens",
            _plot("tokens", "Compute-optimal number of tokens against training FLOPs", f"Bars: ± 1 s.e. {bands}"),
        ),
        (
            "curves",
            "Loss curves",
            _plot("curves", "Loss of every run against its FLOPs", "Dotted and ending in a cross: diverged or failed."),
        ),
        (
            "laws",
            "Laws",
            join([note, law_table(laws, published_exponents(published))]) if laws is not None else nothing,
        ),
        ("warnings", "Warnings", join([warning_box, *excluded])),
        ("surfaces", "Surface fits", (surface_table(laws) if laws else None) or tag("p", "No surface was fitted.")),
        ("trust", "How far to trust it", _trust(laws, table)),
        ("beyond", "Beyond the frontier", _beyond(context)),
        ("runs", "Runs", tag("div", cell_table(cells), class_="tall") if cells else tag("p", "No runs listed.")),
        ("derived", "Derived hyper-parameters", hyperparameter_table(derived) if derived else tag("p", "None given.")),
        ("corpus", "From the corpus", join(samples) if samples else tag("p", "No sample given.")),
        ("checklist", "Checklist", checklist_table(items) if items else tag("p", "Not filled in.")),
        ("conventions", "Conventions", _conventions(laws, table, context)),
    ]


def _trust(laws: Laws | None, table: pd.DataFrame) -> Markup:
    """Forecasts with their three intervals, the hold-out, and pictures of residuals, drift and regret."""
    if laws is None or not any(f.surface for f in laws.families.values()):
        return tag("p", "No surface was fitted.")
    why = [
        f"{name}: form '{f.surface.form}': {f.form_reason}"
        for name, f in laws.families.items()
        if f.surface is not None and f.form_reason
    ]
    captions = (
        (residuals(table, laws), "Residuals of the surface", "A slope or a bend is what the form cannot follow."),
        (
            drift(laws),
            "Drift with the cutoff",
            "Flat: the law can be extended. A slope: it changes beyond the data.",
        ),
        (
            regret(table, laws),
            "Regret map",
            "Loss given up against the best use of the same FLOPs.",
        ),
    )
    pictures = [_picture(figure, label, caption) for figure, label, caption in captions if figure is not None]
    parts = [forecast_table(laws), *pictures, listing(why) if why else None, hold_out_table(laws)]
    return join(part for part in parts if part is not None)


def _picture(figure: Figure, label: str, caption: str) -> Markup:
    """A matplotlib figure inside the page, as the page's policy allows: PNG in a data address."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    address = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    image = Markup(f'<img src="{address}" alt="{escape(label)}" style="max-width:100%;height:auto">')
    return tag("figure", tag("div", image, class_="picture"), tag("figcaption", caption))


def _beyond(context: Mapping[str, Any]) -> Markup:
    found = context.get("beyond")
    nothing = tag("p", "Nothing beyond the frontier was fitted.")
    return nothing if found is None else beyond_tables(found) or nothing


def _cut(text: str) -> str:
    return text if len(text) <= SAMPLE_CHARACTERS else text[:SAMPLE_CHARACTERS] + " …"


def _digest(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def page(laws: Laws | None, table: pd.DataFrame, context: Mapping[str, Any], published: Iterable[Any] = ()) -> str:
    """The page as one string of HTML; see ``write_report``."""
    floor = as_float(context.get("entropy_floor"))
    figures = {
        "frontier": plots.frontier(table, laws, floor),
        "isoflop": plots.isoflop_profiles(laws),
        "size": plots.optimal(laws, "params"),
        "tokens": plots.optimal(laws, "tokens"),
        "curves": plots.loss_curves(table),
    }
    sections = _sections(laws, table, context, published)
    title = str(context.get("title") or "A ladder of language models")
    # A browser hashes what the parser read: it turns CR into LF first.
    library = get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")
    # Only these two scripts may run and nothing may be fetched, whatever slipped into the page.
    policy = (
        f"default-src 'none'; script-src {_digest(library)} {_digest(DRAW)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    contents = tag("ol", *(tag("li", tag("a", heading, href=f"#{anchor}")) for anchor, heading, _ in sections))
    body = [
        tag("a", "Skip to the content", class_="skip", href="#main"),
        tag(
            "div",
            tag("nav", tag("h2", "Contents"), contents, aria_label="Contents"),
            tag(
                "main",
                tag("header", tag("h1", title), tag("p", context.get("corpus") or "", class_="sub")),
                *(tag("section", tag("h2", head), content, id=anchor) for anchor, head, content in sections),
                tag("footer", "Made by difflaw. This file holds everything it shows and loads nothing."),
                id="main",
            ),
            class_="frame",
        ),
    ]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(visible(title, 120))}</title>",
            f"<style>{STYLE}</style>\n</head>\n<body>",
            *body,
            f'<script type="application/json" id="figures">{script_json(figures)}</script>',
            f"<script>{library}</script>",
            f"<script>{DRAW}</script>",
            "</body>\n</html>\n",
        ]
    )


def write_report(
    path: str | Path,
    laws: Laws | None,
    table: pd.DataFrame,
    context: Mapping[str, Any],
    published: Iterable[Any] = (),
) -> Path:
    """Write the page to ``path``, whole or not at all, and return it.

    ``table`` has one row per evaluation of a run (family, run, params, tokens, flops, loss, status …, losses in nats
    per token), ``context`` the keys of ``ReportContext``, ``published`` the exponents to print beside those measured
    (``difflaw.law.published_laws()`` or records like ``PublishedExponent``).
    ``laws`` is None while nothing can be fitted; the page then shows what there is. All text is escaped, plotly is
    inlined once, and the page's policy forbids every network access and every script but its own.
    """
    return write_atomically(Path(path), page(laws, table, context, published).encode("utf-8", "replace"))
