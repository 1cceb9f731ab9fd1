"""`difflaw fit TABLE`: laws from anyone's table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from difflaw.cli.options import Json


def fit(
    table: Annotated[Path, typer.Argument(help="CSV or Parquet: family, params, tokens, flops, loss, run, …")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write laws.json and figures into this folder.")
    ] = None,
    budget: Annotated[
        list[float] | None, typer.Option("--budget", help="FLOPs to slice at; may be given several times.")
    ] = None,
    family_column: Annotated[str | None, typer.Option(help="Column that names the family.")] = None,
    params_column: Annotated[str | None, typer.Option(help='Column with parameters, e.g. "Model Size".')] = None,
    tokens_column: Annotated[str | None, typer.Option(help="Column with tokens.")] = None,
    flops_column: Annotated[str | None, typer.Option(help='Column with FLOPs, e.g. "Training FLOP".')] = None,
    loss_column: Annotated[str | None, typer.Option(help="Column with the loss, nats per token.")] = None,
    run_column: Annotated[str | None, typer.Option(help="Column that names the run of each row.")] = None,
    params_convention: Annotated[str, typer.Option(help="How parameters were counted.")] = "unstated",
    flops_convention: Annotated[str, typer.Option(help="How FLOPs were counted.")] = "unstated",
    json_: Json = False,
) -> None:
    """Fit isoFLOP profiles, compute-optimal laws and a surface; print exponents with intervals."""
    from difflaw.cli.laws_table import print_laws
    from difflaw.files import room_on_disk, write_json
    from difflaw.law import fit_laws, laws_as_json, read_table, reading

    given = {
        "family": family_column,
        "params": params_column,
        "tokens": tokens_column,
        "flops": flops_column,
        "loss": loss_column,
        "run": run_column,
    }
    data = read_table(table, {k: v for k, v in given.items() if v is not None}, params_convention, flops_convention)
    laws = fit_laws(data, budgets=budget or None)
    if output is not None:
        from difflaw.report.figures import save_figures

        with room_on_disk(output):
            output.mkdir(parents=True, exist_ok=True)
            write_json(output / "laws.json", laws_as_json(laws))
            save_figures(output / "figures", data.frame, laws)
    if json_:
        typer.echo(json.dumps({"laws": laws_as_json(laws), "reading": reading(laws)}))
        return
    print_laws(laws)
    for line in reading(laws):
        typer.echo(f"- {line}")
    if output is not None:
        typer.echo(f"laws and figures: {output}")
