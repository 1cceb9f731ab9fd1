"""HTML by small functions: everything is escaped unless it was made here."""

from __future__ import annotations

import html
import json
import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

# Characters that reorder the text around them: a corpus must not be able to rewrite the page's own words.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Markup(str):
    """Text that is HTML already. Only functions of this package make it."""

    __slots__ = ()


def visible(text: object, limit: int | None = None) -> str:
    """``text`` with control, bidirectional and unpaired-surrogate characters shown as �, cut at ``limit``."""
    raw = str(text)
    cut = raw if limit is None or len(raw) <= limit else raw[: limit - 1] + "…"
    return "".join(
        "\ufffd"
        if char in _BIDI or (unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") and char not in "\n\t")
        else char
        for char in cut
    )


def escape(text: object) -> Markup:
    """``text`` as HTML, safe in an element and in a quoted attribute; Markup passes unchanged."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(text), quote=True))


def plot_text(text: object, limit: int = 60) -> str:
    """``text`` for a plotly label: plotly reads tags and a few entities there, and does not know ``&quot;``."""
    return html.escape(visible(text, limit).replace("\n", " "), quote=False)


def join(parts: Iterable[object]) -> Markup:
    """Parts escaped and put one after the other."""
    return Markup("".join(escape(part) for part in parts))


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element; ``class_`` and ``for_`` lose the underscore, other underscores become hyphens, None is left out."""
    rendered = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(visible(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{rendered}>{join(children)}</{name}>")


def listing(items: Iterable[object], **attributes: object) -> Markup:
    """An unordered list."""
    return tag("ul", *(tag("li", item) for item in items), **attributes)


def grid(
    caption: object, headers: Sequence[object], rows: Iterable[Sequence[object]], numeric: Iterable[int] = ()
) -> Markup:
    """A table that scrolls sideways on a narrow screen; the columns in ``numeric`` are set right."""
    right = set(numeric)

    def style(index: int) -> str | None:
        return "num" if index in right else None

    head = tag("tr", *(tag("th", text, scope="col", class_=style(i)) for i, text in enumerate(headers)))
    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row") if i == 0 else tag("td", cell, class_=style(i))
                for i, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    table = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", table, class_="scroll", role="region", tabindex="0", aria_label=str(caption))


def chip(word: object, kind: str) -> Markup:
    """A status as a small label; the word says it, the colour only helps."""
    return tag("span", word, class_=f"chip {kind}")


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity, and does not know NumPy's numbers: gaps become null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def script_json(value: Any) -> Markup:
    """JSON that can stand inside a script element: no ``<``, so neither ``</script>`` nor ``<!--`` can end it."""
    text = json.dumps(_plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
