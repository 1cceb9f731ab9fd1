"""`difflaw export RUN DIR`: a trained run as a Hugging Face folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from difflaw.cli.options import Cache, Dtype, Json, Threads


def export(
    run: Annotated[Path, typer.Argument(help="A run directory, or one of its checkpoints/step-N.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; must be new or empty.")],
    dtype: Annotated[
        Dtype, typer.Option("--dtype", help="Number type of the weights; auto: as trained, every bit kept.")
    ] = Dtype.AUTO,
    shard_size: Annotated[
        str, typer.Option("--shard-size", metavar="SIZE", help="Split weights into files of at most this size.")
    ] = "5GB",
    threads: Threads = None,
    cache: Cache = None,
    json_: Json = False,
) -> None:
    """Write config, weights (safetensors), tokenizer and model card; difflaw.load and transformers read them."""
    from difflaw.training.export import as_json
    from difflaw.training.export import export as write
    from difflaw.training.threads import using_threads

    with using_threads(threads or 1):  # it reads, converts and writes: the disk's work
        done = write(run, folder, dtype=dtype.value, shard_size=shard_size, cache=cache)
    if not done.has_tokenizer:
        print(f"difflaw: {folder}: written without a tokenizer{_why(done.info)}", file=sys.stderr)
    if json_:
        typer.echo(as_json(done))
        return
    info = done.info
    bound = f", bound {info['bound']:.4f} ± {info['standard_error']:.4f} nats per token" if "bound" in info else ""
    typer.echo(
        f"{folder}: {info.get('label', info.get('family'))}, {info['total_params']:,} parameters{bound}; "
        f"{len(done.files)} files, {done.bytes:,} bytes"
    )


def _why(info: dict[str, Any]) -> str:
    if "data_hash" not in info:
        return ""
    return (
        f": the run's data, {info['data_hash']}, is synthetic or no longer in the cache.\n"
        "`difflaw data prepare` with the run's corpus makes it again; --cache names another folder"
    )
