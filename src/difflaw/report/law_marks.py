"""Marks that figures of laws share: a law with its band, the minimum of an isoFLOP profile, and their legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from difflaw.formatting import scientific, short_count
from difflaw.law.results import FittedFamilies, PowerLaw
from difflaw.report.colours import style_of
from difflaw.report.keys import INK, family_entries
from difflaw.report.law_lines import best_point, law_pieces, profiles_of
from difflaw.report.spec import BandMark, Dash, LegendEntry, LineMark, Mark, PointMark

FAINT = 0.05
"""Opacity of a band among those of three families and more."""
CLEAR = 0.13


def law_marks(
    law: PowerLaw, family: str, what: str, faint: bool, write: Callable[[float], str] = short_count
) -> tuple[Mark, ...]:
    """A law over its points (solid) and past them (dashed), with the interval of its mean; ``what`` names y."""
    colour = style_of(family).colour
    marks: list[Mark] = []
    dashes: tuple[Dash, Dash] = ("solid", "dash")
    for piece, dash in zip(law_pieces(law), dashes, strict=True):
        if piece.low is not None and piece.high is not None:
            marks.append(BandMark(piece.x, piece.low, piece.high, colour, FAINT if faint else CLEAR, family))
        hover = [f"{family}\nFLOPs: {scientific(x)}\n{what}: {write(y)}" for x, y in zip(piece.x, piece.y, strict=True)]
        marks.append(LineMark(piece.x, piece.y, colour, dash, group=family, hover=hover))
    return tuple(marks)


def minimum_mark(
    x: float, y: float, family: str, sound: bool, hover: str, ends: tuple[float, float] | None = None
) -> PointMark:
    """The minimum of a profile; hollow where it lies at the edge of the sizes. ``ends`` are those of its error bar."""
    style = style_of(family)
    low, high = ([ends[0]], [ends[1]]) if ends else ((), ())
    return PointMark(
        [x], [y], style.colour, style.symbol, hollow=not sound, low=low, high=high, group=family, hover=[hover]
    )


def law_legend(laws: FittedFamilies | None, families: Sequence[str], fitted: bool) -> tuple[LegendEntry, ...]:
    """Families, then what line and symbol styles mean."""
    entries = list(family_entries(families))
    points = [best_point(profile) for family in families for profile in profiles_of(laws, family)]
    if any(point is not None and not point.sound for point in points):
        entries.append(LegendEntry("minimum at the edge", INK, None, "circle", hollow=True))
    if fitted:
        entries.append(LegendEntry("law extrapolated", INK, "dash"))
        entries.append(LegendEntry("interval of the law", "#999999", width=0.6))
    return tuple(entries)
