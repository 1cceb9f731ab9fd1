"""`difflaw ladder run | status | report`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from difflaw.cli.options import Cache, Compile, CompileOption, Json, Set, Workers, speaker

if TYPE_CHECKING:
    from difflaw.api.ladders import Ladder, PreparedLadder, PreparedSearch
    from difflaw.data.store import TokenStore
    from difflaw.ladder.estimate import Estimate
    from difflaw.ladder.plan import Plan
    from difflaw.report.ladder_report import LadderReport

app = typer.Typer(help="Run a set of trainings and fit the laws.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="A ladder's output folder.")]


@app.command("run")
def run(
    file: Annotated[Path, typer.Argument(help="The ladder's YAML.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the ladder (default runs/NAME).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show cells, tokens, FLOPs and time; run nothing.")
    ] = False,
    workers: Workers = None,
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="Threads per cell; more than 1 changes the last digits of results.")
    ] = 1,
    compile_: CompileOption = Compile.AUTO,
    extend: Annotated[
        bool, typer.Option("--extend", help="Add a changed config file's cells to the ladder that is there.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option("--checkpoint-seconds", min=0.0, help="Time between checkpoints: what a kill can cost.")
    ] = 30.0,
    set_: Set = None,
    cache: Cache = None,
    json_: Json = False,
) -> None:
    """Plan a ladder, show its cost, run its cells, fit its laws, write its report.

    Killed and run again it goes on where it was and ends with the same numbers.
    """
    from difflaw.api.ladders import prepare_ladder, run_ladder
    from difflaw.cli.progress import LadderProgress

    started, say = time.monotonic(), speaker(json_)
    prepared = prepare_ladder(file, overrides=set_ or [], workers=workers, cache=cache, say=say)
    if not json_:
        _show(prepared)
    if dry_run:
        if json_:
            typer.echo(json.dumps(_as_json(prepared)))
        return
    ladder = run_ladder(
        prepared,
        output,
        threads=threads,
        compile=compile_.value,
        extend=extend,
        retry_failed=retry_failed,
        checkpoint_seconds=checkpoint_seconds,
        cache=cache,
        say=say,
        watch=lambda directory, cost: LadderProgress(directory, cost.peak_flops, quiet=json_),
    )
    _print_report(ladder, json_)
    say(f"{time.monotonic() - started:.0f} s in all")


@app.command("status")
def status(folder: Folder, json_: Json = False) -> None:
    """Every cell with its state, loss and time left."""
    from difflaw.api.ladders import Ladder
    from difflaw.cli.search import state_lines

    ladder = Ladder(folder)
    cells = ladder.status()
    if json_:
        typer.echo(json.dumps([asdict(cell) for cell in cells]))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from difflaw.formatting import duration

    table = Table(box=box.SIMPLE_HEAD)
    limited = any(cell.unique_tokens for cell in cells)
    for heading in ("cell", *["unique"] * limited, "state", "done", "bound (nats/token)", "time", "left", "note"):
        table.add_column(heading, no_wrap=heading != "note")
    for cell in cells:
        loss = f"{cell.loss:.4f} ± {cell.loss_se:.4f}" if cell.loss is not None and cell.loss_se is not None else ""
        share = f"{cell.step / max(cell.steps, 1):.0%}"
        left = "" if cell.status != "running" else duration(cell.seconds_left)
        unique = ["all" if cell.unique_tokens is None else f"{cell.unique_tokens:,}"] * limited
        table.add_row(cell.name, *unique, cell.status, share, loss, duration(cell.seconds), left, cell.note)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    for line in state_lines(ladder.search_state()) if ladder.is_search else ():
        typer.echo(line)


@app.command("report")
def report(folder: Folder, cache: Cache = None, json_: Json = False) -> None:
    """Rebuild table, laws, figures and page from the run directories."""
    from difflaw.api.ladders import Ladder

    _print_report(Ladder(folder, cache=cache), json_)


@app.command("decisions")
def show_decisions(folder: Folder, json_: Json = False) -> None:
    """What a search decided and why, where it stands, and what is left to spend."""
    from difflaw.api.ladders import Ladder
    from difflaw.cli.search import decision_lines, state_lines

    ladder = Ladder(folder)
    if json_:
        typer.echo(json.dumps({"state": ladder.search_state(), "decisions": ladder.decisions()}))
        return
    for line in [*decision_lines(ladder.decisions()), "", *state_lines(ladder.search_state())]:
        typer.echo(line)


def _show(prepared: PreparedLadder | PreparedSearch) -> None:
    from difflaw.api.ladders import PreparedSearch
    from difflaw.cli.search import show_search

    if isinstance(prepared, PreparedSearch):
        show_search(prepared.plan, prepared.cost)
    else:
        _show_plan(prepared.plan, prepared.cost, prepared.store)


def _as_json(prepared: PreparedLadder | PreparedSearch) -> dict[str, Any]:
    from difflaw.api.ladders import PreparedSearch
    from difflaw.cli.search import search_as_json

    if isinstance(prepared, PreparedSearch):
        return search_as_json(prepared.plan, prepared.cost)
    return _plan_as_json(prepared.plan, prepared.cost)


def _print_report(ladder: Ladder, json_: bool) -> None:
    written = ladder.report()
    if json_:
        typer.echo(json.dumps(_report_as_json(ladder, written)))
    else:
        _show_report(ladder, written)


def _show_plan(plan: Plan, cost: Estimate, store: TokenStore) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from difflaw.formatting import duration

    table = Table(box=box.SIMPLE_HEAD)
    unique = ["unique"] if plan.config.unique_tokens else []
    for heading in ("family", "rung", "params", "tokens", *unique, "epochs", "steps", "batch", "η", "FLOPs", "time"):
        table.add_column(heading, justify="left" if heading in ("family", "rung") else "right", no_wrap=True)
    for cell in plan.cells:
        run = cell.run
        table.add_row(
            run.label,
            f"{run.model.width}x{run.model.layers}",
            f"{cell.params:,}",
            f"{cell.tokens:,}",
            *([f"{run.unique_tokens:,}"] if run.unique_tokens else []),
            f"{cell.epochs:.2f}",
            f"{run.steps:,}",
            f"{run.tokens_per_step:,}",
            f"{run.optimizer.lr:g}",
            f"{cell.flops:.2e}",
            duration(cost.seconds[run.name]),
        )
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    console.print(table)
    rules = {
        f"{d.name}: {d.rule} [{d.source}]" for cell in plan.cells[:40] for d in cell.derived if d.source != "config"
    }
    for line in sorted(rules):
        console.print(line, markup=False, highlight=False)
    for warning in plan.warnings:
        console.print(f"note: {warning}", style="yellow", markup=False, highlight=False)
    floor = store.entropy_floor(plan.config.context)
    if floor is not None:
        console.print(
            f"the source's entropy is {store.entropy_rate:.4f} nats a token; no bound can be below {floor:.4f}"
        )
    how = "steps timed here" if cost.probed else "from this machine's matmul peak"
    console.print(
        f"{len(plan.cells)} cells, {plan.flops:.2e} FLOPs ({plan.config.flops}); "
        f"about {duration(cost.wall_seconds)} with {cost.workers} workers ({how}; "
        f"one thread multiplies matrices at {cost.peak_flops / 1e9:.0f} GFLOP/s)",
        markup=False,
        highlight=False,
    )


def _plan_as_json(plan: Plan, cost: Estimate) -> dict[str, Any]:
    from difflaw.ladder.directory import describe

    return {
        "name": plan.config.name,
        "cells": {cell.run.name: describe(cell) | {"seconds": cost.seconds[cell.run.name]} for cell in plan.cells},
        "flops": plan.flops,
        "flops_convention": plan.config.flops,
        "seconds": cost.wall_seconds,
        "workers": cost.workers,
        "matmul_peak_flops_per_second": cost.peak_flops,
        "warnings": list(plan.warnings),
        "data": plan.data,
    }


def _report_as_json(ladder: Ladder, report: LadderReport) -> dict[str, Any]:
    return {
        "cells": [asdict(cell) for cell in ladder.status()],
        "laws": None if report.laws is None else report.laws.document(),
        "reading": list(report.reading),
        "report": str(report.page),
        "figures": [str(path) for path in report.figures],
        "table": str(report.table),
    }


def _show_report(ladder: Ladder, report: LadderReport) -> None:
    from difflaw.cli.laws_table import print_fit

    if report.laws is not None:
        print_fit(report.laws)
    else:
        for line in report.reading:
            typer.echo(f"- {line}")
    typer.echo()
    typer.echo(f"table:   {report.table}")
    typer.echo(f"figures: {ladder.path / 'figures'}")
    typer.echo(f"report:  {report.page}")
