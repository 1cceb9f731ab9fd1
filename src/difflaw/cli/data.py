"""`difflaw data prepare`: corpus to packed tokens, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from difflaw.cli.options import Cache, Json, Set, cache_folder, speaker

app = typer.Typer(help="Corpora, vocabularies, packed tokens.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    pass


@app.command("prepare")
def prepare(
    corpus: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, 'stdlib', 'synthetic', 'hf:DATASET[:CONFIG[:SPLIT]]', or one ladder's YAML."
        ),
    ],
    vocab_size: Annotated[
        int | None, typer.Option("--vocab-size", help="Tokens in the BPE vocabulary (default 1024).")
    ] = None,
    context: Annotated[
        int, typer.Option("--context", help="Context for which a synthetic corpus' floor is printed.")
    ] = 128,
    set_: Set = None,
    cache: Cache = None,
    json_: Json = False,
) -> None:
    """Read a corpus, train its vocabulary, pack its tokens; print what it holds and where it lies."""
    from difflaw.data.config import DataConfig
    from difflaw.data.store import prepare as prepare_store
    from difflaw.yaml_config import load, validate

    if len(corpus) == 1 and corpus[0].endswith((".yaml", ".yml")):
        from difflaw.ladder.config import LadderConfig

        ladder = load(Path(corpus[0]), LadderConfig, set_ or [])
        config, context = ladder.data, ladder.context
    else:
        raw: dict[str, object] = {"corpus": corpus[0] if len(corpus) == 1 else corpus}
        if vocab_size is not None:
            raw["vocab_size"] = vocab_size
        config = validate(raw, DataConfig, "data")
    say = speaker(json_)
    store = prepare_store(config, cache_folder(cache), say)
    summary = store.summary() | {"folder": str(store.folder), "entropy_floor": store.entropy_floor(context)}
    if json_:
        typer.echo(json.dumps(summary))
        return
    for key, value in summary.items():
        typer.echo(f"{key:>20}  {value:,.4f}" if isinstance(value, float) else f"{key:>20}  {value}")
