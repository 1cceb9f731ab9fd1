"""`difflaw fit TABLE`: laws from anyone's table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from difflaw.cli.options import Json
from difflaw.errors import InputError

if TYPE_CHECKING:
    from difflaw.law.document import Fitted

PAPER = ("ours", "first-paper")


def fit(
    table: Annotated[Path, typer.Argument(help="CSV or Parquet: family, params, tokens, flops, loss, run, …")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write laws.json, report.html and figures here.")
    ] = None,
    budget: Annotated[
        list[float] | None, typer.Option("--budget", help="FLOPs to slice at; may be given several times.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(help="Surface: free, zero, tied, kaplan, fixed, at-most, at-least; default: by hold-out."),
    ] = None,
    known_entropy: Annotated[
        float | None,
        typer.Option(help="Entropy of the text, nats per token: E is not below it (--form fixed: E is it)."),
    ] = None,
    intervals: Annotated[
        str,
        typer.Option(help="auto, hc3, delta, sizes (random effect of a size), pairs (bootstrap of runs), parametric."),
    ] = "auto",
    noise_sd: Annotated[
        float | None, typer.Option(help="With --intervals parametric: sd of ln loss between seeds, such as 0.002.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Huber delta of the surface (literature: 1e-3); default from its residuals.")
    ] = None,
    within: Annotated[
        float | None, typer.Option(help="Fit the surface only to sizes within this factor of the best one.")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="Leave out rows with a higher loss; each is listed as excluded.")
    ] = None,
    family_column: Annotated[str | None, typer.Option(help="Column that names the family.")] = None,
    params_column: Annotated[str | None, typer.Option(help='Column with parameters, e.g. "Model Size".')] = None,
    tokens_column: Annotated[str | None, typer.Option(help="Column with tokens.")] = None,
    flops_column: Annotated[str | None, typer.Option(help='Column with FLOPs, e.g. "Training FLOP".')] = None,
    flops_per_token_column: Annotated[str | None, typer.Option(help="Column with FLOPs per token.")] = None,
    loss_column: Annotated[str | None, typer.Option(help="Column with the loss, nats per token.")] = None,
    loss_error_column: Annotated[str | None, typer.Option(help="Column with the loss's standard error.")] = None,
    run_column: Annotated[str | None, typer.Option(help="Column that names the run of each row.")] = None,
    budget_column: Annotated[str | None, typer.Option(help="Column with the budget a row belongs to.")] = None,
    batch_column: Annotated[str | None, typer.Option(help="Column with tokens per step.")] = None,
    lr_column: Annotated[str | None, typer.Option(help="Column with the learning rate.")] = None,
    epochs_column: Annotated[str | None, typer.Option(help="Column with how often the data were seen.")] = None,
    seed_column: Annotated[str | None, typer.Option(help="Column with the seed.")] = None,
    params_convention: Annotated[str, typer.Option(help="How parameters were counted.")] = "unstated",
    flops_convention: Annotated[str, typer.Option(help="How FLOPs were counted.")] = "unstated",
    method: Annotated[
        str, typer.Option(help="ours, or first-paper: also 2512.10858's own procedure, in addition to ours.")
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
    from difflaw.law import read_table
    from difflaw.law.document import fit_everything, refuse_empty, without_high_losses

    columns = {
        "family": family_column,
        "params": params_column,
        "tokens": tokens_column,
        "flops": flops_column,
        "flops_per_token": flops_per_token_column,
        "loss": loss_column,
        "loss_se": loss_error_column,
        "run": run_column,
        "budget": budget_column,
        "batch_tokens": batch_column,
        "lr": lr_column,
        "epochs": epochs_column,
        "seed": seed_column,
    }
    if method not in PAPER:
        raise InputError(f"--method {method!r}: use ours or first-paper")
    answers = _answers(about or [])
    data = read_table(table, {k: v for k, v in columns.items() if v is not None}, params_convention, flops_convention)
    if max_loss is not None:
        data = without_high_losses(data, max_loss)
    given: Any = {"method": intervals, "noise_sd": noise_sd, "delta": delta, "within": within}
    fitted = fit_everything(
        data,
        budgets=budget or None,
        form=form,
        entropy=known_entropy,
        first_paper=method == "first-paper",
        seed=seed,
        about=answers,
        **given,
    )
    refuse_empty(fitted)
    if output is not None:
        _write(output, fitted, table)
    if json_:
        typer.echo(json.dumps({"laws": fitted.document(table), "reading": fitted.reading}))
        return
    _show(fitted, checklist)
    if output is not None:
        typer.echo(f"laws.json, report.html and figures: {output}")


def _answers(about: list[str]) -> dict[str, str]:
    from difflaw.law.checklist import ASKED

    answers = dict(_pair(text) for text in about)
    if foreign := sorted(set(answers) - set(ASKED)):
        raise InputError(f"--about {foreign[0]}: no such question; use one of {', '.join(ASKED)}")
    return answers


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise InputError(f"--about {text!r}: give KEY=VALUE")
    return key.strip(), value.strip()


def _write(folder: Path, fitted: Fitted, table: Path) -> None:
    from difflaw.files import room_on_disk, write_json
    from difflaw.law import published_laws
    from difflaw.report.figures import save_figures
    from difflaw.report.fit_report import fit_context
    from difflaw.report.page import write_report

    entropy = fitted.options["known_entropy"]
    with room_on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "laws.json", fitted.document(table))
        save_figures(folder / "figures", fitted.table.frame, fitted.laws, entropy)
        context = fit_context(fitted, table.name)
        write_report(folder / "report.html", fitted.laws, fitted.table.frame, context, published_laws())


def _show(fitted: Fitted, checklist: bool) -> None:
    from difflaw.cli.laws_table import print_forecasts, print_laws, print_surfaces

    print_laws(fitted.laws)
    print_surfaces(fitted.laws)
    print_forecasts(fitted.laws)
    for line in fitted.reading:
        typer.echo(f"- {line}")
    for line in fitted.extras.missing:
        typer.echo(f"- not fitted: {line}")
    if checklist:
        heading = ""
        for item in fitted.checklist:
            if item.heading != heading:
                typer.echo(f"{item.heading}:")
            heading = item.heading
            typer.echo(f"  {item.question}: {item.answer}")
