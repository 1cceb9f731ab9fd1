"""Pages from templates in the package: everything is escaped unless a template wrote it itself."""

from __future__ import annotations

import html
import json
import math
import unicodedata
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Characters that reorder the text around them: a corpus must not be able to rewrite the page's own words.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


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


def script_json(value: Any) -> Markup:
    """JSON that can stand inside a script element: no ``<``, so neither ``</script>`` nor ``<!--`` can end it.

    JSON has no NaN and no infinity, and does not know NumPy's numbers: gaps become null, arrays lists.
    """
    text = json.dumps(_plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@cache
def environment(package: str) -> Environment:
    """Templates of ``package`` (its folder ``templates``): autoescape on, an unknown name is an error."""
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Runs before autoescape, which passes Markup: our own escaping also makes hidden characters visible.
        finalize=escape,
    )


def render(package: str, name: str, **values: Any) -> Markup:
    """The template ``name`` of ``package`` filled with ``values``."""
    return Markup(environment(package).get_template(name).render(values))


def _plain(value: Any) -> Any:
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
