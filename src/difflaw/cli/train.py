"""`difflaw train CONFIG`: one run, planned and carried out as a cell of a ladder is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from difflaw.cli.options import Cache, Compile, CompileOption, Json, Set, Threads, speaker


def train(
    config: Annotated[Path, typer.Argument(help="The run's YAML.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Run directory (default runs/NAME).")] = None,
    compile_: CompileOption = Compile.AUTO,
    threads: Threads = None,
    set_: Set = None,
    cache: Cache = None,
    json_: Json = False,
) -> None:
    """Train one model; killed and run again it goes on where it was and ends with the same numbers."""
    from difflaw.api.runs import prepare_run
    from difflaw.api.runs import train as train_run
    from difflaw.cli.progress import watch_run

    say = speaker(json_)
    prepared = prepare_run(config, overrides=set_ or [], cache=cache, say=say)
    settings, cell = prepared.config, prepared.cell
    say(
        f"{cell.run.name}: {cell.params:,} parameters ({settings.params}), {cell.tokens:,} tokens "
        f"in {cell.run.steps:,} steps, {cell.flops:.3g} FLOPs ({settings.flops})"
    )
    for derived in cell.derived:
        say(f"{derived.name} = {derived.value:.4g}: {derived.rule} [{derived.source}]")
    run = train_run(
        prepared, output, compile=compile_.value, threads=threads, watch=lambda folder: watch_run(folder, quiet=json_)
    )
    summary = run.summary
    if json_:
        typer.echo(json.dumps({**summary, "directory": str(run.path)}))
    elif "bound" in summary:
        typer.echo(
            f"{summary['status']}: bound {summary['bound']:.4f} ± {summary['standard_error']:.4f} nats per token, "
            f"{summary['bits_per_byte']:.4f} bits per byte, {summary['seconds']:.0f} s; {run.path}"
        )
    if summary["status"] != "done":
        print(f"difflaw: {run.path}: {summary['status']}: {summary['note']}", file=sys.stderr)
        raise typer.Exit(1)
