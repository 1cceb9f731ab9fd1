"""`difflaw fit TABLE`: laws from anyone's table."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from difflaw.cli.options import Json
from difflaw.errors import InputError

if TYPE_CHECKING:
    from difflaw.law.document import Laws


class Form(StrEnum):
    """Forms of the surface."""

    FREE = "free"
    ZERO = "zero"
    TIED = "tied"
    KAPLAN = "kaplan"
    FIXED = "fixed"
    AT_MOST = "at-most"
    AT_LEAST = "at-least"


class Intervals(StrEnum):
    """How a surface's intervals are made."""

    AUTO = "auto"
    HC3 = "hc3"
    DELTA = "delta"
    SIZES = "sizes"
    PAIRS = "pairs"
    PARAMETRIC = "parametric"


class Method(StrEnum):
    """Whose procedure."""

    OURS = "ours"
    FIRST_PAPER = "first-paper"


def fit(
    table: Annotated[Path, typer.Argument(help="CSV or Parquet: family, params, tokens, flops, loss, run, …")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write laws.json, report.html and figures here.")
    ] = None,
    budget: Annotated[
        list[float] | None, typer.Option("--budget", help="FLOPs to slice at; may be given several times.")
    ] = None,
    form: Annotated[
        Form | None, typer.Option(help="Form of the surface; default: additive and interaction, averaged.")
    ] = None,
    known_entropy: Annotated[
        float | None,
        typer.Option(help="Entropy of the text, nats per token: E is not below it (--form fixed: E is it)."),
    ] = None,
    intervals: Annotated[
        Intervals,
        typer.Option(help="Of the surface; sizes: random effect of a size, pairs: bootstrap of runs."),
    ] = Intervals.AUTO,
    noise_sd: Annotated[
        float | None, typer.Option(help="With --intervals parametric: sd of ln loss between seeds, such as 0.002.")
    ] = None,
    hold_out: Annotated[
        bool, typer.Option("--hold-out", help="Also judge additive surfaces by forecasts of the larger runs.")
    ] = False,
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
        Method, typer.Option(help="first-paper: also the procedure of 2512.10858, next to ours.")
    ] = Method.OURS,
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
    """Best size, tokens and loss at the largest budget and ten times it, how sure, and the laws behind them."""
    from difflaw.api.fits import fit as fit_laws

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
    laws = fit_laws(
        table,
        columns={name: column for name, column in columns.items() if column is not None},
        params_convention=params_convention,
        flops_convention=flops_convention,
        budgets=budget or None,
        form=None if form is None else form.value,
        known_entropy=known_entropy,
        intervals=intervals.value,
        noise_sd=noise_sd,
        hold_out=hold_out,
        delta=delta,
        within=within,
        max_loss=max_loss,
        first_paper=method is Method.FIRST_PAPER,
        about=_answers(about or []),
        seed=seed,
        output=output,
    )
    if json_:
        typer.echo(json.dumps({"laws": laws.document(), "reading": list(laws.reading)}))
        return
    _show(laws, checklist)
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


def _show(laws: Laws, checklist: bool) -> None:
    from difflaw.cli.laws_table import print_fit

    print_fit(laws)
    for line in laws.extras.missing if laws.extras else ():
        typer.echo(f"- not fitted: {line}")
    if checklist:
        heading = ""
        for item in laws.checklist:
            if item.heading != heading:
                typer.echo(f"{item.heading}:")
            heading = item.heading
            typer.echo(f"  {item.question}: {item.answer}")
