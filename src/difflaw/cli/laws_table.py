"""The tables of laws as people read them in a terminal: answers, exponents and surfaces, with their intervals."""

from __future__ import annotations

from difflaw.formatting import flops as in_flops
from difflaw.formatting import short_count
from difflaw.law.document import Laws
from difflaw.law.results import Estimate, FamilyLaws, FittedFamilies, Interval, PowerLaw, Surface
from difflaw.law.summary import summary, warnings_in_order


def _exponent(law: PowerLaw | None) -> str:
    if law is None:
        return "-"
    if law.interval is None:
        return f"{law.exponent:+.3f} (no interval)"
    return f"{law.exponent:+.3f} [{law.interval.low:+.3f}, {law.interval.high:+.3f}]"


def _row(family: FamilyLaws) -> list[str]:
    inside = sum(profile.status == "interior" for profile in family.profiles)
    return [
        family.family,
        f"{inside}/{len(family.profiles)}",
        _exponent(family.params_law),
        _exponent(family.tokens_law),
        _exponent(family.loss_law),
        _exponent(family.token_bound_law),
    ]


def print_rows(title: str, headings: tuple[str, ...], rows: list[list[str]]) -> None:
    """A table on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    # Outside a terminal rich assumes 80 columns and would cut the intervals.
    Console(width=max(console.width, 168)).print(table)


def print_laws(laws: FittedFamilies) -> None:
    """Exponents with intervals, one line a family, on standard output."""
    headings = ("family", "minima", "N* ∝ C^", "D* ∝ C^", "L* ∝ C^", "L* ∝ D*^")
    rows = [_row(family) for family in laws.families.values()]
    print_rows("Exponents through the minima alone, 95 % intervals", headings, rows)
    print(f"params: {laws.params_convention}; FLOPs: {laws.flops_convention}; loss: nats per token; minima: budgets")
    print("whose best size lies inside the ladder. What the intervals are for stands in laws.json and the report.")


def _ends(interval: Interval | None, write: str = ".3f") -> str:
    return f" [{interval.low:{write}}, {interval.high:{write}}]" if interval else ""


def _surface_cells(family: FamilyLaws, s: Surface) -> list[str]:
    held = family.hold_out
    exponent = "by the form" if s.form == "tied" else _ends(s.intervals.get("params_exponent")).strip()
    return [
        s.form,
        f"{s.E:.3f}{_ends(s.intervals.get('E'))}",
        f"{s.A:.4g}{_ends(s.intervals.get('A'), '.3g')}",
        f"{s.B:.4g}{_ends(s.intervals.get('B'), '.3g')}",
        f"{s.alpha:.3f}{_ends(s.intervals.get('alpha'))}",
        f"{s.beta:.3f}{_ends(s.intervals.get('beta'))}",
        f"{s.params_exponent:.3f} {exponent}".strip(),
        f"{100 * s.rmse_log:.2g} %",
        f"{100 * held.coverage:.0f} % of {held.judged}" if held else "not known",
        f"{100 * held.coverage_plain:.0f} %" if held else "not known",
    ]


def print_surfaces(laws: FittedFamilies) -> None:
    """Coefficients of every surface with intervals for the law, its form, and what its forecasts were worth."""
    known = [(f, f.surface) for f in laws.families.values() if f.surface is not None]
    if not known:
        return
    names = ("form", "E", "A", "B", "alpha", "beta", "a in N* ∝ C^a", "residual of ln L")
    if any(f.hold_out for f, _ in known):
        names = (*names, "unseen runs in 95 % (one run)", "  the same without widening")
    columns = [_surface_cells(*pair) for pair in known]
    rows = [[name, *(column[i] for column in columns)] for i, name in enumerate(names)]
    print_rows("The additive surface by itself, for its coefficients", ("", *(f.family for f, _ in known)), rows)


def print_fit(laws: Laws) -> None:
    """What a fit says on standard output: three lines, answers, exponents, surfaces, warnings, the reading."""
    for line in summary(laws):
        print(line)
    print_answers(laws)
    print_laws(laws)
    print_surfaces(laws)
    for line in warnings_in_order(laws):
        print(f"! {line}")
    for line in laws.reading:
        print(f"- {line}")


def print_answers(laws: FittedFamilies) -> None:
    """Best size, tokens and loss at the largest budget and ten times further, with intervals for law and one run."""
    rows = []
    for name, family in laws.families.items():
        given = family.answer
        for at in (given.largest, given.ten_times) if given is not None else ():
            if at is None:
                continue
            loss = at.loss
            shown = ["-"] * 3
            if loss is not None:
                law, run = (f"[{low:.4f}, {high:.4f}]" for low, high in (loss.law, loss.run))
                shown = [f"{loss.estimate:.4f}", law, run]
            exponent = given.params_exponent if given is not None else None
            power = "-" if exponent is None else f"{exponent.estimate:.3f} [{exponent.low:.3f}, {exponent.high:.3f}]"
            rows.append([name, power, in_flops(at.flops), _counted(at.params), _counted(at.tokens), *shown])
    if not rows:
        return
    headings = ("family", "N* ∝ C^", "budget", "N* [95 %]", "D* [95 %]", "loss", "law 95 %", "one run 95 %")
    print_rows("Answers: the largest budget, and ten times it", headings, rows)


def _counted(value: Estimate | None) -> str:
    if value is None:
        return "not known"
    return f"{short_count(value.estimate)} [{short_count(value.low)}, {short_count(value.high)}]"
