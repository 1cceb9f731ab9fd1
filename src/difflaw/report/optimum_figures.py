"""Compute-optimal sizes: isoFLOP profiles with their minima, and N* and D* against compute."""

from __future__ import annotations

from typing import Literal

from difflaw.formatting import scientific, short_count, significant, with_error
from difflaw.law.results import FittedFamilies, Profile
from difflaw.report.colours import readable, style_of
from difflaw.report.keys import INK, Scale, scale_of
from difflaw.report.law_lines import best_point, budgets_of, law_pieces, parabola, profiles_of
from difflaw.report.law_marks import law_legend, law_marks, minimum_mark
from difflaw.report.loss_figures import LOSS, flops_axis
from difflaw.report.runs import families_of
from difflaw.report.spec import Axis, FigureSpec, LegendEntry, LineMark, Mark, Panel, PointMark, empty, padded

MOST_DRAWN = 300
"""With twice as many sizes in a profile, every second is drawn, and so on."""
SHIFT = 0.035
"""Families at one budget are shifted sideways by this share, so that their error bars do not cover each other."""


def isoflop_profiles(laws: FittedFamilies | None) -> FigureSpec:
    """Loss against size at each budget, a panel a family, the parabola and its minimum.

    A minimum at the edge of the sizes, or a curve that is not convex, is drawn hollow and dashed: it is not evidence.
    """
    title = "IsoFLOP profiles"
    families = [family for family in families_of((), laws) if profiles_of(laws, family)]
    if not families:
        return empty(title)
    budgets = scale_of(budgets_of(laws), "power", "FLOPs", "training FLOPs")
    drawn = {f: [m for p in profiles_of(laws, f) for m in _profile_marks(p, budgets)] for f in families}
    x = Axis("parameters", "count", padded((v for marks in drawn.values() for m in marks for v in m.x), 1.15))
    panels = []
    for family, marks in drawn.items():
        heights = (v for m in marks for v in (*m.y, *(m.low if isinstance(m, PointMark) else ())))
        colour = readable(style_of(family).colour)
        panels.append(Panel(family, x, Axis(LOSS, "loss", padded(heights)), tuple(marks), colour))
    profiles = [profile for family in families for profile in profiles_of(laws, family)]
    legend = (*budgets.entries, LegendEntry("minimum inside the sizes", INK, "solid", "star"))
    if any(p.status != "interior" for p in profiles):
        legend += (LegendEntry("at the edge or not convex: not used", INK, "dash", "star", hollow=True),)
    if any(not all(p.used) for p in profiles):
        legend += (LegendEntry("point left out of the fit", INK, None, "circle", hollow=True),)
    size = (7.2, 5.0) if len(families) == 1 else (4.2, 3.5)
    return FigureSpec(tuple(panels), "", legend, bar=budgets.bar, linked="x", panel_size=size)


def _profile_marks(profile: Profile, budgets: Scale) -> list[LineMark | PointMark]:
    colour, group = budgets.colours[profile.flops], budgets.group(profile.flops)
    step = max(1, len(profile.params) // MOST_DRAWN)
    marks: list[LineMark | PointMark] = []
    for used in (True, False):
        chosen = [i for i in range(0, len(profile.params), step) if profile.used[i] == used]
        if chosen:
            marks.append(_profile_points(profile, chosen, colour, group, hollow=not used))
    curve = parabola(profile)
    if curve is not None:
        marks.append(LineMark(*curve, colour, "solid" if profile.status == "interior" else "dash", 1.5, group=group))
    at = best_point(profile)
    if at is not None:
        hover = [f"minimum ({profile.status})\nN* {short_count(at.params)}\nloss {significant(at.loss, 4)}"]
        rim = "#ffffff" if at.sound else ""
        star = PointMark([at.params], [at.loss], colour, "star", 13, not at.sound, rim, group=group, hover=hover)
        marks.append(star)
    return marks


def _profile_points(profile: Profile, chosen: list[int], colour: str, group: str, hollow: bool) -> PointMark:
    loss, error = [profile.loss[i] for i in chosen], [profile.loss_se[i] for i in chosen]
    return PointMark(
        [profile.params[i] for i in chosen],
        loss,
        colour,
        size=4.5,
        hollow=hollow,
        low=[v - e for v, e in zip(loss, error, strict=True)],
        high=[v + e for v, e in zip(loss, error, strict=True)],
        group=group,
        hover=[
            f"{profile.runs[i]}\n{short_count(profile.params[i])} parameters, {short_count(profile.tokens[i])} tokens\n"
            f"loss {with_error(profile.loss[i], profile.loss_se[i])}"
            for i in chosen
        ],
    )


def optimal_size(laws: FittedFamilies | None) -> FigureSpec:
    """N* against compute: minima of the isoFLOP profiles (± 1 standard error), laws and bands."""
    return _optimal(laws, "params", "Compute-optimal size", "parameters N*")


def optimal_tokens(laws: FittedFamilies | None) -> FigureSpec:
    """D* against compute: tokens at the minima of the isoFLOP profiles (± 1 standard error), laws and bands."""
    return _optimal(laws, "tokens", "Compute-optimal tokens", "tokens D*")


def _optimal(laws: FittedFamilies | None, what: Literal["params", "tokens"], title: str, label: str) -> FigureSpec:
    families = [f for f in families_of((), laws) if any(map(best_point, profiles_of(laws, f)))]
    if laws is None or not families:
        return empty(title)
    marks: list[Mark] = []
    fitted, x, y = False, [], []
    for index, family in enumerate(families):
        fit = laws.families[family]
        law = fit.params_law if what == "params" else fit.tokens_law
        if law is not None:
            fitted = True
            marks += law_marks(law, family, label[-2:], len(families) > 2)
            x += [float(piece.x[i]) for piece in law_pieces(law) for i in (0, -1)]
            y += [float(piece.y[i]) for piece in law_pieces(law) for i in (0, -1)]
        shift = 1.0 + SHIFT * (index - (len(families) - 1) / 2)
        points = [m for p in profiles_of(laws, family) if (m := _optimum_mark(p, family, what, label[-2:], shift))]
        marks += points
        x, y = x + [m.x[0] for m in points], y + [m.y[0] for m in points]
    limits = (min(y) / 1.6, max(y) * 1.6)
    panel = Panel("", flops_axis(x), Axis(label, "count", limits), tuple(marks))
    legend = law_legend(laws, families, fitted)
    return FigureSpec((panel,), title, legend, legend_at="right", panel_size=(9.0, 5.2))


def _optimum_mark(
    profile: Profile, family: str, what: Literal["params", "tokens"], name: str, shift: float
) -> PointMark | None:
    at = best_point(profile)
    if at is None:
        return None
    value = at.params if what == "params" else at.tokens
    # At fixed compute ln D* moves by at most as much as ln N* (FLOPs per token grow no faster than N).
    ends = (value / at.factor, value * at.factor)
    error = f"± 1 s.e.: {short_count(ends[0])} to {short_count(ends[1])}"
    error = error if at.sound else "the minimum lies at the edge of the sizes: a bound, not a minimum"
    hover = f"{family}\n{scientific(profile.flops)} FLOPs\n{name} {short_count(value)}\n{error}"
    return minimum_mark(profile.flops * shift, value, family, at.sound, hover, ends)
