"""Legend entries that figures share: families, and sizes or budgets as a legend or, where many, as a colour bar."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from difflaw.report.colours import sequence, style_of
from difflaw.report.spec import WRITE, AxisKind, ColourBar, LegendEntry

INK = "#333333"
STAR = "#b30326"
"""Of what is best or recommended."""
MOST_ENTRIES = 12
"""With more sizes or budgets, they are read off a colour bar."""


@dataclass(frozen=True)
class Scale:
    """A colour for each of several sizes or budgets, dark to light, and how the reader finds out which is which."""

    colours: dict[float, str]
    entries: tuple[LegendEntry, ...]
    bar: ColourBar | None
    kind: AxisKind
    unit: str

    def group(self, value: float) -> str:
        """The legend group of a value: "2e13 FLOPs"."""
        return f"{WRITE[self.kind](value, 3)} {self.unit}"


def scale_of(values: Iterable[float], kind: AxisKind, unit: str, title: str, symbol: str = "circle") -> Scale:
    """Colours for the distinct ``values``, ascending."""
    found = sorted({v for v in values if math.isfinite(v) and v > 0})
    if len(found) <= MOST_ENTRIES:
        colours = dict(zip(found, sequence(len(found)), strict=True))
        scale = Scale(colours, (), None, kind, unit)
        entries = {
            scale.group(v): LegendEntry(scale.group(v), colours[v], symbol=symbol, group=scale.group(v)) for v in found
        }
        return Scale(colours, tuple(entries.values()), None, kind, unit)
    low, high = math.log(found[0]), math.log(found[-1])
    shades = sequence(256)
    colours = {v: shades[round(255 * (math.log(v) - low) / (high - low))] for v in found}
    bar = ColourBar(title, found[0], found[-1], tuple(sequence(8)), kind)
    return Scale(colours, (), bar, kind, unit)


def family_entries(families: Sequence[str], dash: bool = True) -> tuple[LegendEntry, ...]:
    """One entry a family, in its colour and with its symbol."""
    return tuple(
        LegendEntry(f, style_of(f).colour, "solid" if dash else None, style_of(f).symbol, group=f) for f in families
    )
