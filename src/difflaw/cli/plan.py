"""`difflaw plan`: the run that a law recommends; `plan score` judges it afterwards, `plan next` proposes cells."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from difflaw.cli.options import Json

if TYPE_CHECKING:
    from difflaw.planning.extend import Proposal


class _Plan(TyperGroup):
    """Reads `plan --next FLOPS LADDER [--flops TARGET]`, as it was written up to 0.1, as `plan next`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = [part for arg in args for part in (arg.split("=", 1) if arg.startswith("--next=") else [arg])]
        if "--next" in args and args[-1] != "--next":
            at = args.index("--next")
            spent, rest = args[at + 1], [*args[:at], *args[at + 2 :]]
            rest = ["--target" + arg.removeprefix("--flops") if arg.startswith("--flops") else arg for arg in rest]
            args = ["next", *rest, "--flops", spent]
            print(f"difflaw: plan --next is now: difflaw plan {' '.join(args)}", file=sys.stderr)
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Plan, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback()
def plan(
    ctx: typer.Context,
    law: Annotated[
        str, typer.Option("--law", help="published:NAME, a laws.json, or a ladder's folder.")
    ] = "published:gidd",
    family: Annotated[list[str] | None, typer.Option("--family", help="Only this family; may be repeated.")] = None,
    flops: Annotated[float | None, typer.Option("--flops", help="Training FLOPs, in the law's convention.")] = None,
    tokens: Annotated[float | None, typer.Option("--tokens", help="Tokens to train on.")] = None,
    params: Annotated[float | None, typer.Option("--params", help="Parameters, in the law's convention.")] = None,
    loss: Annotated[float | None, typer.Option("--loss", help="Loss to reach, nats per token after cooldown.")] = None,
    hours: Annotated[
        float | None, typer.Option("--gpu-hours", help="Hours of one device, summed over devices.")
    ] = None,
    gpu: Annotated[str, typer.Option("--gpu", help="Device that hours are counted on.")] = "h100",
    gpus: Annotated[int | None, typer.Option("--gpus", help="Devices at a time: gives hours by the clock.")] = None,
    mfu: Annotated[float, typer.Option("--mfu", help="Share of the device's peak that training reaches.")] = 0.4,
    inference_tokens: Annotated[float, typer.Option(help="Tokens the model will generate in its life.")] = 0.0,
    inference_passes: Annotated[
        float | None, typer.Option(help="Forward passes per generated token (1 for autoregressive with a cache).")
    ] = None,
    unique_tokens: Annotated[float | None, typer.Option(help="Different tokens there are; more are repeats.")] = None,
    shape: Annotated[
        list[str] | None, typer.Option("--shape", help="Choose among these, as LAYERSxWIDTH; may be repeated.")
    ] = None,
    context: Annotated[int | None, typer.Option(help="Context length, where the law does not say.")] = None,
    vocab: Annotated[int | None, typer.Option(help="Vocabulary, where the law does not say.")] = None,
    emit: Annotated[
        Path | None, typer.Option("--emit", help="Write the first plan as YAML for `difflaw train`.")
    ] = None,
    corpus: Annotated[str, typer.Option(help="Corpus named in the YAML.")] = "path/to/corpus",
    figure: Annotated[Path | None, typer.Option("--figure", help="Draw the regret map: .png, .pdf or .svg.")] = None,
    store: Annotated[Path | None, typer.Option("--store", help="Keep the forecast to be scored later.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="With --store: table whose hash is kept.")] = None,
    runs: Annotated[
        Path | None, typer.Option("--runs", help="Ladder or table: say which family wins at --flops, how likely.")
    ] = None,
    json_: Json = False,
) -> None:
    """Family, size, tokens, batch, rate and loss for what you have; `plan score PLAN RUN` judges it afterwards."""
    if ctx.invoked_subcommand is not None:
        return
    from difflaw.api.plans import plan as make_plans
    from difflaw.cli.plan_table import print_plans
    from difflaw.law.records import plain
    from difflaw.planning.preregister import store as keep
    from difflaw.planning.recommend import forecasts_for, write_train_config

    plans = make_plans(
        law,
        flops=flops,
        tokens=tokens,
        params=params,
        loss=loss,
        gpu_hours=hours,
        gpu=gpu,
        mfu=mfu,
        gpus=gpus,
        inference_tokens=inference_tokens,
        inference_passes=inference_passes,
        unique_tokens=unique_tokens,
        shapes=shape or [],
        families=family or [],
        context=context,
        vocab_size=vocab,
    )
    if emit is not None:
        write_train_config(emit, plans[0], corpus)
    if store is not None:
        keep(store, plans, law, data)
    if figure is not None:
        from difflaw.report.plan_figure import save_regret_map

        save_regret_map(figure, plans, forecasts_for(law, context, vocab, family or []))
    odds, lines = [], []
    if runs is not None:
        from difflaw.ladder.runs import read_runs
        from difflaw.law.document import fit_table
        from difflaw.law.odds import standings_text

        table, described = read_runs(runs)
        # A ladder's report is fitted at the ladder's own budgets.
        fitted = fit_table(table, budgets=described["config"]["budgets"] or None if described else None)
        at = fitted.standings_at(flops if flops is not None else plans[0].flops)
        odds, lines = list(at.families), standings_text(at, fitted.largest)
    if json_:
        shown = {"law": law, "plans": [plain(p) for p in plans], "without": plans.without, "odds": plain(odds)}
        typer.echo(json.dumps(shown))
        return
    print_plans(plans)
    for line in lines:
        typer.echo(line)
    for reason in plans.without:
        print(f"no plan: {reason}", file=sys.stderr)
    for path, what in ((emit, f"config of {plans[0].family}"), (store, "forecast"), (figure, "regret map")):
        if path is not None:
            typer.echo(f"{what}: {path}")


@app.command("score")
def score(
    stored: Annotated[Path, typer.Argument(metavar="PLAN", help="A forecast kept with --store.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the finished run.")],
    json_: Json = False,
) -> None:
    """Judge a finished run against the forecast stored before it: error, intervals, and what was not as planned."""
    from dataclasses import asdict

    from difflaw.planning.preregister import score as judge

    result = judge(stored, run)
    if json_:
        typer.echo(json.dumps(asdict(result)))
        return
    typer.echo(result.reading)
    for difference in result.differences:
        typer.echo(f"- not as planned: {difference}")


@app.command("next")
def next_cells(
    ladder: Annotated[Path, typer.Argument(metavar="LADDER", help="A ladder's folder, or a table of runs.")],
    flops: Annotated[float, typer.Option("--flops", help="FLOPs to spend on more cells.")],
    target: Annotated[
        float | None, typer.Option("--target", help="Budget whose forecast is to become surer (default: 50 times).")
    ] = None,
    family: Annotated[list[str] | None, typer.Option("--family", help="Only this family; may be repeated.")] = None,
    json_: Json = False,
) -> None:
    """The cells that would make a ladder's forecast surer, for so many FLOPs over all its families."""
    from difflaw.ladder.runs import read_runs
    from difflaw.law.records import plain
    from difflaw.planning.extend import propose

    table, described = read_runs(ladder)
    proposals, reasons = propose(table, flops, target, family or [], described)
    if json_:
        typer.echo(json.dumps({"proposals": [plain(p) for p in proposals], "without": reasons}))
        return
    for reason in reasons:
        print(f"no proposal: {reason}", file=sys.stderr)
    _show_proposals(proposals, flops)


def _show_proposals(proposals: list[Proposal], flops: float) -> None:
    from difflaw.formatting import flops as in_flops
    from difflaw.formatting import short_count

    spent = sum(p.found.flops for p in proposals)
    typer.echo(f"{in_flops(spent)} of {in_flops(flops)} for the forecast at {in_flops(proposals[0].found.target)}:")
    for p in proposals:
        found = p.found
        typer.echo(
            f"{p.family}: standard error of ln L* {found.loss_se[0]:.4f} -> {found.loss_se[1]:.4f} (one run at the "
            f"optimum for {in_flops(found.flops)}: {found.at_optimum_se:.4f}), of ln N* {found.size_se[0]:.3f} -> "
            f"{found.size_se[1]:.3f}"
        )
        for run, shape in zip(found.runs, p.shapes, strict=True):
            times = f" x {run.times} seeds" if run.times > 1 else ""
            where = f"{shape}, " if shape else ""
            size = f"{short_count(run.params)} parameters on {short_count(run.tokens)} tokens"
            what = f"{size}, {in_flops(run.flops)}{times}"
            typer.echo(f"  {where}{what}: {run.why}")
        for line in p.warnings:
            typer.echo(f"  - {line}")
    typer.echo("Errors are those expected, before any run, by the draws of each law.")
