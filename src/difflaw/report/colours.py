"""One colour and one symbol per family, the same in every figure and on every page.

The five noise types wear the colours of "Scaling Behavior of Discrete Diffusion Language Models" (arXiv 2512.10858),
so that a reader can compare our figures with the paper's. Symbols differ too: colour is never the only sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """How one family is drawn: a hex colour and a symbol, by plotly's name."""

    colour: str
    symbol: str


def _rgb(red: int, green: int, blue: int) -> str:
    return f"#{red:02x}{green:02x}{blue:02x}"


STYLES: dict[str, Style] = {
    "autoregressive": Style(_rgb(20, 20, 20), "square"),
    "masked": Style(_rgb(58, 76, 192), "circle"),
    "low-uniform": Style(_rgb(141, 175, 253), "triangle-down"),
    "balanced": Style(_rgb(122, 220, 121), "diamond"),
    "high-uniform": Style(_rgb(243, 152, 121), "triangle-up"),
    "uniform": Style(_rgb(179, 3, 38), "cross"),
    "mdlm": Style(_rgb(0, 137, 123), "x"),
    "duo": Style(_rgb(142, 36, 170), "pentagon"),
    "esolm": Style(_rgb(141, 110, 50), "hexagon"),
    "block": Style(_rgb(130, 130, 130), "triangle-left"),
}
"""Known families in the order in which figures and tables list them."""

_ALIASES = {
    "ar": "autoregressive",
    "eso-lm": "esolm",
    "bd3lm": "block",
    "bd3-lm": "block",
    "block-diffusion": "block",
}

# Hues the known families leave free, so that a stranger is not mistaken for one of them.
_FALLBACK_COLOURS = ("#c2185b", "#b58900", "#0277bd", "#558b2f", "#6d4c41", "#455a64", "#00acc1", "#ad1457")
_FALLBACK_SYMBOLS = ("triangle-right", "star", "diamond-tall", "hexagon2", "octagon")

# Viridis without its yellow end, which cannot be read on white.
_SEQUENCE = ("#440154", "#3b528b", "#21918c", "#5ec962")


def canonical(family: str) -> str:
    """The name styles and published laws are looked up under: ``GIDD_low_uniform`` -> ``low-uniform``."""
    name = str(family).strip().lower().replace("_", "-").replace(" ", "-").replace("/", "-")
    name = name.removeprefix("gidd-")
    return _ALIASES.get(name, name)


def style_of(family: str) -> Style:
    """The family's style; an unknown family gets one from its name's hash, the same in every process."""
    name = canonical(family)
    if name in STYLES:
        return STYLES[name]
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    symbol = _FALLBACK_SYMBOLS[digest[1] % len(_FALLBACK_SYMBOLS)]
    return Style(_FALLBACK_COLOURS[digest[0] % len(_FALLBACK_COLOURS)], symbol)


def in_order(families: Iterable[str]) -> list[str]:
    """Families without repeats: the known ones in the order of ``STYLES``, then the others by name."""
    known = list(STYLES)

    def rank(family: str) -> tuple[int, str]:
        name = canonical(family)
        return (known.index(name) if name in STYLES else len(known), str(family))

    return sorted(set(families), key=rank)


def sequence(count: int) -> list[str]:
    """``count`` colours from dark (small) to light (large), for budgets and sizes."""
    if count <= 0:
        return []
    stops = [tuple(int(stop[i : i + 2], 16) for i in (1, 3, 5)) for stop in _SEQUENCE]
    colours = []
    for index in range(count):
        position = (index / (count - 1) if count > 1 else 0.4) * (len(stops) - 1)
        left = min(int(position), len(stops) - 2)
        share = position - left
        colours.append(_rgb(*(round(a + share * (b - a)) for a, b in zip(stops[left], stops[left + 1], strict=True))))
    return colours


def transparent(colour: str, alpha: float) -> str:
    """A hex colour as CSS ``rgba()``, the form plotly wants for fills."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def readable(colour: str) -> str:
    """A family colour darkened until it can be read as text on white."""
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    brightness = sum(w * c for w, c in zip((0.299, 0.587, 0.114), channels, strict=True))
    factor = min(1.0, 110 / max(brightness, 1))
    return "#" + "".join(f"{round(c * factor):02x}" for c in channels)
