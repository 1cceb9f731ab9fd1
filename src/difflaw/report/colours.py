"""One colour and one symbol per family, the same in every figure and on every page.

The five noise types wear the colours of "Scaling Behavior of Discrete Diffusion Language Models" (arXiv 2512.10858),
so that a reader can hold our figures beside the paper's. Each family's class declares its own style, and
`families.registry` reads it without loading torch. Markers differ too: colour is never the only sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from difflaw.families import registry


@dataclass(frozen=True)
class Style:
    """How one family is drawn: a hex colour and a symbol, by plotly's name."""

    colour: str
    symbol: str


STYLES: dict[str, Style] = {name: Style(*style) for name, style in registry.styles().items()}
"""This package's families in the order in which figures and tables list them; each family's class declares its own."""

# Hues the known families leave free, so that a stranger is not mistaken for one of them.
_FALLBACK_COLOURS = ("#c2185b", "#b58900", "#0277bd", "#558b2f", "#6d4c41", "#455a64", "#00acc1", "#ad1457")
_FALLBACK_SYMBOLS = ("triangle-right", "star", "diamond-tall", "hexagon2", "octagon")

# Viridis without its yellow end, which cannot be read on white.
_SEQUENCE = ("#440154", "#3b528b", "#21918c", "#5ec962")


def canonical(family: str) -> str:
    """The name styles and published laws are looked up under: ``GIDD_low_uniform`` -> ``low-uniform``."""
    name = str(family).strip().lower().replace("_", "-").replace(" ", "-").replace("/", "-")
    name = name.removeprefix("gidd-")
    return registry.aliases().get(name, name)


def style_of(family: str) -> Style:
    """The family's style; an unknown family gets one from its name's hash, the same in every process."""
    name = canonical(family)
    known = registry.styles()
    if name in known:
        return Style(*known[name])
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    symbol = _FALLBACK_SYMBOLS[digest[1] % len(_FALLBACK_SYMBOLS)]
    return Style(_FALLBACK_COLOURS[digest[0] % len(_FALLBACK_COLOURS)], symbol)


def in_order(families: Iterable[str]) -> list[str]:
    """Families without repeats: the known ones in the order of their registry, then the others by name."""
    known = list(registry.styles())

    def rank(family: str) -> tuple[int, str]:
        name = canonical(family)
        return (known.index(name) if name in known else len(known), str(family))

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
        red, green, blue = (round(a + share * (b - a)) for a, b in zip(stops[left], stops[left + 1], strict=True))
        colours.append(f"#{red:02x}{green:02x}{blue:02x}")
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
