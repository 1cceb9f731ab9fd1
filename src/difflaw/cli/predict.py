"""`difflaw predict LAW TABLE`: the loss of every row of a table by fitted laws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from difflaw.cli.options import Json


def predict(
    law: Annotated[Path, typer.Argument(help="A laws.json, or the folder of a ladder or of `difflaw fit -o`.")],
    table: Annotated[
        Path, typer.Argument(help="CSV or Parquet: params, tokens, and family, unique_tokens, … if known")
    ],
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    json_: Json = False,
) -> None:
    """The loss of every row of a table, with the law's interval and that of one new run."""
    from difflaw.api.predictions import predict as predict_rows
    from difflaw.errors import InputError
    from difflaw.law.records import plain

    if not 0.5 <= level < 1:
        raise InputError(f"--level {level:g}: give a confidence between 0.5 and 1, such as 0.95")
    found = predict_rows(law, table, level=level)
    if json_:
        typer.echo(json.dumps(plain(found)))
        return
    from difflaw.cli.laws_table import print_rows
    from difflaw.formatting import short_count

    rows = [
        [
            p.family,
            short_count(p.params),
            short_count(p.tokens),
            f"{p.loss:.4f}",
            f"[{p.law_interval[0]:.4f}, {p.law_interval[1]:.4f}]",
            f"[{p.run_interval[0]:.4f}, {p.run_interval[1]:.4f}]",
            p.warning,
        ]
        for p in found
    ]
    share = f"{100 * level:g} %"
    headings = ("family", "params", "tokens", "loss", f"law {share}", f"one run {share}", "")
    print_rows(f"Losses by {law}", headings, rows)
