"""`difflaw train CONFIG`: one run, planned and carried out as a cell of a ladder is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from difflaw.cli.options import Cache, CompileOption, Json, Set, Threads, cache_folder, compiling, speaker


def train(
    config: Annotated[Path, typer.Argument(help="The run's YAML.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Run directory (default runs/NAME).")] = None,
    compile_: CompileOption = "auto",
    threads: Threads = None,
    set_: Set = None,
    cache: Cache = None,
    json_: Json = False,
) -> None:
    """Train one model; killed and run again it goes on where it was and ends with the same numbers."""
    from difflaw.data.store import prepare
    from difflaw.ladder.cell import run_cell, run_threads
    from difflaw.ladder.estimate import ASSUMED_SHARE, matmul_peak
    from difflaw.ladder.single import TrainConfig, plan_single
    from difflaw.training.engine import default_device
    from difflaw.training.loop import Execution
    from difflaw.training.run_directory import RunDirectory
    from difflaw.training.threads import using_threads
    from difflaw.yaml_config import load

    say = speaker(json_)
    settings = load(config, TrainConfig, set_ or [])
    store = prepare(settings.data, cache_folder(cache), say)
    cell = plan_single(settings, store)
    directory = RunDirectory(output or Path("runs") / settings.name)
    directory.create(cell.run)
    say(
        f"{cell.run.name}: {cell.params:,} parameters ({settings.params}), {cell.tokens:,} tokens "
        f"in {cell.run.steps:,} steps, {cell.flops:.3g} FLOPs ({settings.flops})"
    )
    for derived in cell.derived:
        say(f"{derived.name} = {derived.value:.4g}: {derived.rule} [{derived.source}]")
    from difflaw.cli.progress import watch_run

    with watch_run(directory, quiet=json_):
        execution = Execution(device=default_device(), threads=threads)
        with using_threads(run_threads(cell.run, execution)):
            eager = cell.flops / (matmul_peak(cell.run.precision) * ASSUMED_SHARE)
        summary = run_cell(directory.path, store, execution, compiling(compile_), eager)
    if json_:
        typer.echo(json.dumps(summary | {"directory": str(directory.path)}))
    elif "bound" in summary:
        typer.echo(
            f"{summary['status']}: bound {summary['bound']:.4f} ± {summary['standard_error']:.4f} nats per token, "
            f"{summary['bits_per_byte']:.4f} bits per byte, {summary['seconds']:.0f} s; {directory.path}"
        )
    if summary["status"] != "done":
        print(f"difflaw: {directory.path}: {summary['status']}: {summary['note']}", file=sys.stderr)
        raise typer.Exit(1)
