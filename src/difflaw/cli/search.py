"""A search in words: what it may run before it starts, what it decided, and where it stands."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from difflaw.formatting import duration, short_count
from difflaw.formatting import flops as in_flops

if TYPE_CHECKING:
    from difflaw.ladder.estimate import Estimate
    from difflaw.ladder.search.cells import SearchPlan


def show_search(plan: SearchPlan, cost: Estimate) -> None:
    """Sizes that may be run, and the FLOPs and time of the whole search, on standard error."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from difflaw.ladder.search.estimate import first_cells

    first = {cell.run.model.width for cell in first_cells(plan)}
    table = Table(box=box.SIMPLE_HEAD)
    smallest, largest = plan.budgets[0], plan.budgets[-1]
    for heading in ("size", "params", f"tokens at {in_flops(smallest)}", f"at {in_flops(largest)}", "first guess"):
        table.add_column(heading, justify="left" if heading in ("size", "first guess") else "right", no_wrap=True)
    space = plan.spaces[0]
    for i, rung in enumerate(plan.rungs):
        reach = space.reach(space.nominal)
        if reach is None or not reach[0] <= i <= reach[1]:
            continue
        per_token = float(space.flops_per_token[i])
        table.add_row(
            space.names[i],
            f"{space.params[i]:,.0f}",
            short_count(smallest / per_token),
            short_count(largest / per_token),
            "about here" if rung.width in first else "",
        )
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    console.print(table)

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    for warning in plan.warnings:
        console.print(f"note: {warning}", style="yellow", markup=False, highlight=False)
    families = ", ".join(space.family for space in plan.spaces)
    line(f"families: {families}; sizes counted for {space.family}, {plan.tokens_per_step:,} tokens a step")
    line(f"budgets: {', '.join(in_flops(c) for c in plan.budgets)}")
    how = "steps timed here" if cost.probed else "from this machine's matmul peak"
    line(
        f"{in_flops(plan.flops)} in all ({plan.config.flops}); about {duration(cost.wall_seconds)} with {cost.workers} "
        f"workers ({how}); which runs is decided on the way"
    )


def search_as_json(plan: SearchPlan, cost: Estimate) -> dict[str, Any]:
    """The same as a record."""
    return {
        "name": plan.config.name,
        "flops": plan.flops,
        "flops_convention": plan.config.flops,
        "budgets": list(plan.budgets),
        "families": {
            space.family: [
                {"size": name, "params": float(n), "flops_per_token": float(m)}
                for name, n, m in zip(space.names, space.params, space.flops_per_token, strict=True)
            ]
            for space in plan.spaces
        },
        "seconds": cost.wall_seconds,
        "workers": cost.workers,
        "matmul_peak_flops_per_second": cost.peak_flops,
        "warnings": list(plan.warnings),
        "data": plan.store.summary(),
    }


def decision_lines(decisions: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line a decision, family by family."""
    from difflaw.ladder.search.run import sentence

    return [f"{sentence(dict(line))} ({in_flops(line['flops'])})" for line in decisions]


def state_lines(state: Mapping[str, Any]) -> list[str]:
    """Where every family stands, and what is left."""
    lines = []
    for name, family in state["families"].items():
        minima = ", ".join(
            f"{short_count(found['params'])} at {in_flops(float(budget))}"
            for budget, found in family["minima"].items()
            if found is not None
        )
        at = f" at {in_flops(family['budget'])}" if family["budget"] else ""
        between = f", sizes {family['bracket'][0]} to {family['bracket'][1]}" if family["bracket"] else ""
        lines.append(f"{name}: {family['stage']}{at}{between}; minima inside: {minima or 'none so far'}")
    lines.append(
        f"{in_flops(state['spent'])} of {in_flops(state['flops'])} asked for, {in_flops(state['left'])} left"
        + (f"; ended: {state['verdict']}" if state["verdict"] else "")
    )
    return lines
