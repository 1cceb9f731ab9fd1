"""`difflaw next TABLE --pool POOL --target TARGET --budget FLOPS`: which runs of a pool to make."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from difflaw.cli.options import Json


def next_runs(
    table: Annotated[Path, typer.Argument(help="Runs made so far, with losses; a header alone where there are none.")],
    pool: Annotated[Path, typer.Option("--pool", help="CSV or Parquet of runs that could be made: params, tokens, …")],
    target: Annotated[Path, typer.Option("--target", help="Runs whose losses are to be forecast.")],
    budget: Annotated[float, typer.Option("--budget", help="FLOPs to spend.")],
    seed: Annotated[int, typer.Option(help="Same seed, same choice.")] = 0,
    json_: Json = False,
) -> None:
    """Rows of the pool to run, in order: those that make the forecast of the targets surest for their FLOPs."""
    from difflaw.api.choices import read_choice
    from difflaw.formatting import flops as in_flops
    from difflaw.formatting import short_count
    from difflaw.law.records import plain
    from difflaw.planning.pool import choose_from_pool, remarks

    frames = read_choice(table, pool, target)
    found = choose_from_pool(*frames, budget, seed=seed)
    for remark in remarks(*frames):
        print(f"difflaw: {remark}", file=sys.stderr)
    if json_:
        typer.echo(json.dumps(plain(found)))
        return
    spent = 0.0
    for run in found:
        spent += run.flops
        family = "" if run.family == "all" else f"{run.family}, "
        typer.echo(
            f"row {run.row}: {family}{short_count(run.params)} parameters on {short_count(run.tokens)} tokens, "
            f"{in_flops(run.flops)}; error of the targets' loss {100 * run.error_before:.2g} -> "
            f"{100 * run.error_after:.2g} %"
        )
    typer.echo(
        f"{len(found)} runs, {in_flops(spent)} of {in_flops(budget)}. Errors are those expected, before any run."
    )
