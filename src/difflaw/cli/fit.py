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
    batch_column: Annotated[str | None, typer.Option(help="Column with tokens per step.")] = None,
    lr_column: Annotated[str | None, typer.Option(help="Column with the learning rate.")] = None,
    epochs_column: Annotated[str | None, typer.Option(help="Column with how often the data were seen.")] = None,
    seed_column: Annotated[str | None, typer.Option(help="Column with the seed.")] = None,
    loss_error_column: Annotated[str | None, typer.Option(help="Column with the loss's standard error.")] = None,
    params_convention: Annotated[str, typer.Option(help="How parameters were counted.")] = "unstated",
    flops_convention: Annotated[str, typer.Option(help="How FLOPs were counted.")] = "unstated",
    method: Annotated[
        str, typer.Option(help="ours, or first-paper: add 2512.10858's own frontier procedure.")
    ] = "ours",
    checklist: Annotated[
        bool, typer.Option("--checklist", help="Print what a reader must know of the fit, or that it is not given.")
    ] = False,
    about: Annotated[
        list[str] | None,
        typer.Option("--about", metavar="KEY=VALUE", help="Answer an open question of the checklist; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every resampling: same seed, same numbers.")] = 0,
    json_: Json = False,
) -> None:
    """Fit isoFLOP profiles, compute-optimal laws and a surface; print exponents with intervals."""
    from difflaw.cli.laws_table import print_laws
    from difflaw.errors import InputError
    from difflaw.files import room_on_disk, write_json
    from difflaw.law import fit_laws, laws_as_json, read_table, reading
    from difflaw.law.beyond import fit_beyond, in_words
    from difflaw.law.checklist import ASKED
    from difflaw.law.checklist import checklist as filled
    from difflaw.law.words import plain

    given = {
        "family": family_column,
        "params": params_column,
        "tokens": tokens_column,
        "flops": flops_column,
        "loss": loss_column,
        "run": run_column,
        "batch_tokens": batch_column,
        "lr": lr_column,
        "epochs": epochs_column,
        "seed": seed_column,
        "loss_se": loss_error_column,
    }
    if method not in ("ours", "first-paper"):
        raise InputError(f"--method {method!r}: use ours or first-paper")
    told = dict(_pair(text) for text in about or [])
    if foreign := sorted(set(told) - set(ASKED)):
        raise InputError(f"--about {foreign[0]}: no such question; use one of {', '.join(ASKED)}")
    data = read_table(table, {k: v for k, v in given.items() if v is not None}, params_convention, flops_convention)
    laws = fit_laws(data, budgets=budget or None, seed=seed)
    beyond = fit_beyond(data, laws, seed=seed, first_paper=method == "first-paper")
    items = filled(data, laws, told)
    written = laws_as_json(laws) | {"beyond": beyond.as_json(), "checklist": plain(items)}
    if output is not None:
        from difflaw.report.figures import save_figures

        with room_on_disk(output):
            output.mkdir(parents=True, exist_ok=True)
            write_json(output / "laws.json", written)
            save_figures(output / "figures", data.frame, laws)
    lines = [*reading(laws), *in_words(beyond)]
    if json_:
        typer.echo(json.dumps({"laws": written, "reading": lines}))
        return
    print_laws(laws)
    for line in lines:
        typer.echo(f"- {line}")
    for line in beyond.missing:
        typer.echo(f"- not fitted: {line}")
    if checklist:
        for item in items:
            typer.echo(f"{item.heading:>9}  {item.question}: {item.answer}")
    if output is not None:
        typer.echo(f"laws and figures: {output}")


def _pair(text: str) -> tuple[str, str]:
    from difflaw.errors import InputError

    key, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise InputError(f"--about {text!r}: give KEY=VALUE")
    return key.strip(), value.strip()
