"""The table of laws as people read it in a terminal."""

from __future__ import annotations

from difflaw.law.results import FamilyLaws, Laws, PowerLaw


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


def print_laws(laws: Laws) -> None:
    """Exponents with intervals, one line a family, on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, title="Exponents of the compute-optimal laws, 95 % intervals", title_justify="left"
    )
    for heading in ("family", "minima", "N* ∝ C^", "D* ∝ C^", "L* ∝ C^", "L* ∝ D*^"):
        table.add_column(heading, no_wrap=True)
    for family in laws.families.values():
        table.add_row(*_row(family))
    console = Console()
    # Outside a terminal rich assumes 80 columns and would cut the intervals.
    Console(width=max(console.width, 132)).print(table)
    print(f"params: {laws.params_convention}; FLOPs: {laws.flops_convention}; loss: nats per token; minima: budgets")
    print("whose best size lies inside the ladder. What the intervals are for stands in laws.json and the report.")
