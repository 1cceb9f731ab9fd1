"""`difflaw distill RUN`: a trained duo model taught to sample in fewer steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from difflaw.cli.options import Cache, Json, Threads, cache_folder, speaker


def distill(
    run: Annotated[Path, typer.Argument(help="Directory of a trained run of family duo.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New run directory (default RUN-distilled).")
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", help="Rounds; the step to the teacher doubles in each.")] = 5,
    steps: Annotated[int, typer.Option("--steps", help="Training steps in each round.")] = 10_000,
    lr: Annotated[
        float | None, typer.Option("--lr", help="Base learning rate (default: a fifth of the parent's).")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch-sequences", help="Sequences a step (default: the parent's).")
    ] = None,
    threads: Threads = None,
    cache: Cache = None,
    json_: Json = False,
) -> None:
    """Discrete Consistency Distillation (Duo). Killed and run again it goes on where it was."""
    from difflaw.cli.progress import watch_run
    from difflaw.data.store import TokenStore
    from difflaw.ladder.cell import run_cell
    from difflaw.ladder.distill import create_distillation, plan_distillation
    from difflaw.training.engine import default_device
    from difflaw.training.loop import Execution
    from difflaw.training.run_directory import RunDirectory

    say = speaker(json_)
    parent = RunDirectory(run)
    planned = plan_distillation(parent, rounds=rounds, steps_per_round=steps, lr=lr, batch_sequences=batch)
    store = TokenStore.load(cache_folder(cache) / planned.data_hash)
    directory = create_distillation(parent, planned, output or run.with_name(run.name + "-distilled"))
    say(
        f"{planned.name}: {rounds} rounds of {steps:,} steps of {planned.tokens_per_step:,} tokens, "
        f"lr = {planned.optimizer.lr:.3g}"
    )
    with watch_run(directory, quiet=json_):
        summary = run_cell(directory.path, store, Execution(device=default_device(), threads=threads))
    if json_:
        typer.echo(json.dumps(summary | {"directory": str(directory.path)}))
    elif "bound" in summary:
        start = directory.records("evaluation")[0]["bound"]
        typer.echo(
            f"{summary['status']}: bound {summary['bound']:.4f} ± {summary['standard_error']:.4f} nats per token "
            f"({start:.4f} before), {summary['seconds']:.0f} s; {directory.path}"
        )
    if summary["status"] != "done":
        print(f"difflaw: {directory.path}: {summary['status']}: {summary['note']}", file=sys.stderr)
        raise typer.Exit(1)
