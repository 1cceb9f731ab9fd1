"""`difflaw plan`: the run that a law recommends, its forecast stored and scored, the next cells of a ladder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from difflaw.cli.options import Json
from difflaw.errors import InputError

if TYPE_CHECKING:
    from difflaw.planning.planner import RunPlan


def plan(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[score PLAN RUN | LADDER]", help="Score a run against a plan; the ladder of --next."),
    ] = None,
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
    next_: Annotated[
        float | None, typer.Option("--next", help="FLOPs to spend on more cells of the ladder LADDER.")
    ] = None,
    json_: Json = False,
) -> None:
    """Family, size, tokens, batch, rate and loss for what you have; `plan score PLAN RUN` judges it afterwards."""
    words = words or []
    if words[:1] == ["score"]:
        _score(words[1:], json_)
        return
    if next_ is not None:
        _next(words, next_, flops, family, json_)
        return
    if words:
        raise InputError(f"plan: '{words[0]}' is no word of this verb; write `plan score PLAN RUN`, or options only")
    from difflaw.law.words import plain
    from difflaw.planning.planner import Ask
    from difflaw.planning.preregister import store as keep
    from difflaw.planning.recommend import laws_for, recommend, write_train_config
    from difflaw.planning.shapes import parse_shapes

    ask = Ask(
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
        shapes=tuple(parse_shapes(shape or [])),
    )
    laws = laws_for(law, context, vocab, family or [])
    plans, reasons = recommend(ask, laws)
    if emit is not None:
        write_train_config(emit, plans[0], corpus)
    if store is not None:
        keep(store, plans, law, data)
    if figure is not None:
        from difflaw.report.plan_figure import save_regret_map

        save_regret_map(figure, plans, laws)
    odds, told = [], []
    if runs is not None:
        from difflaw.ladder.runs import read_runs
        from difflaw.planning.extend import winner

        odds, told = winner(read_runs(runs)[0], flops if flops is not None else plans[0].flops)
    if json_:
        shown = {"law": law, "plans": [plain(p) for p in plans], "without": reasons, "odds": plain(odds)}
        typer.echo(json.dumps(shown))
        return
    _show(plans)
    for line in told:
        typer.echo(line)
    for reason in reasons:
        print(f"no plan: {reason}", file=sys.stderr)
    for path, what in ((emit, f"config of {plans[0].family}"), (store, "forecast"), (figure, "regret map")):
        if path is not None:
            typer.echo(f"{what}: {path}")


def _score(words: list[str], json_: bool) -> None:
    from dataclasses import asdict

    from difflaw.planning.preregister import score

    if len(words) != 2:
        raise InputError("plan score: give the stored plan and the run's folder: difflaw plan score PLAN RUN")
    result = score(Path(words[0]), Path(words[1]))
    if json_:
        typer.echo(json.dumps(asdict(result)))
        return
    typer.echo(result.reading)
    for difference in result.differences:
        typer.echo(f"- not as planned: {difference}")


def _next(words: list[str], flops: float, target: float | None, family: list[str] | None, json_: bool) -> None:
    from difflaw.formatting import count
    from difflaw.formatting import flops as in_flops
    from difflaw.ladder.runs import read_runs
    from difflaw.law.words import plain
    from difflaw.planning.extend import propose

    if len(words) != 1:
        raise InputError("plan --next FLOPS LADDER: give one ladder's folder, or a table of runs")
    table, described = read_runs(Path(words[0]))
    proposals, reasons = propose(table, flops, target, family or [], described)
    if json_:
        typer.echo(json.dumps({"proposals": [plain(p) for p in proposals], "without": reasons}))
        return
    for reason in reasons:
        print(f"no proposal: {reason}", file=sys.stderr)
    for p in proposals:
        found = p.found
        typer.echo(
            f"{p.family}: {in_flops(found.flops)} of {in_flops(flops)} for the forecast at {in_flops(found.target)}: "
            f"standard error of ln L* {found.loss_se[0]:.4f} -> {found.loss_se[1]:.4f} (one run at the optimum: "
            f"{found.at_optimum_se:.4f}), of ln N* {found.size_se[0]:.3f} -> {found.size_se[1]:.3f}"
        )
        for run, shape in zip(found.runs, p.shapes, strict=True):
            times = f" x {run.times} seeds" if run.times > 1 else ""
            where = f"{shape}, " if shape else ""
            what = f"{count(run.params)} parameters on {count(run.tokens)} tokens, {in_flops(run.flops)}{times}"
            typer.echo(f"  {where}{what}: {run.why}")
        for line in p.warnings:
            typer.echo(f"  - {line}")
    typer.echo("These errors hold as far as the law E + A/N^alpha + B/D^beta does; candidates lie within 4.5 times N*.")


def _show(plans: list[RunPlan]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from difflaw.formatting import count
    from difflaw.formatting import flops as in_flops

    one = plans[0]
    table = Table(box=box.SIMPLE_HEAD, title=f"Plans by {one.law}", title_justify="left")
    headings = ("family", "shape", "N", "D", "FLOPs", "batch (within .25 %)", "lr", "steps", "loss", "law 95 %")
    for heading in (*headings, "one run 95 %", "regret", f"{one.gpu} hours"):
        table.add_column(heading, no_wrap=True)
    for p in plans:
        flat = f" [{count(p.batch_flat[0])}, {count(p.batch_flat[1])}]" if p.batch_flat else ""
        law, run = (f"[{i.low:.3f}, {i.high:.3f}]" if i else "not given" for i in (p.loss_interval, p.run_interval))
        epochs = f" ({p.epochs:.3g} epochs)" if p.epochs else ""
        table.add_row(
            p.family,
            f"{p.layers}x{p.width}",
            count(p.params),
            count(p.tokens) + epochs,
            f"{p.flops:.3g}",
            count(p.batch_tokens) + flat,
            "-" if p.lr is None else f"{p.lr:.3g}",
            f"{p.steps:,}",
            "not stated" if p.loss is None else f"{p.loss:.4f}",
            law,
            run,
            f"{100 * p.regret:.2f} %",
            f"{p.gpu_hours:.3g}",
        )
    console = Console()
    Console(width=max(console.width, 170)).print(table)
    print(
        f"shape: layers x width at context {one.context:,}; N: {one.params_convention}; FLOPs: {one.flops_convention};"
    )
    print(f"loss: nats per token, {one.bound}, tokenizer: {one.tokenizer}. Regret: what rounding and constraints cost.")
    for p in plans:
        m = p.memory
        clock = f", {p.wall_hours:.3g} h by the clock" if p.wall_hours else ""
        text = (
            f"{p.family}: weights and optimizer {m.states / 1e9:.3g} GB, one sequence {m.activations / 1e9:.3g} GB, "
            f"so at least {m.devices} {p.gpu}; "
            f"hours at MFU {p.mfu:g} of {in_flops(p.hardware_flops)} (all matrix products)"
        )
        if p.params_interval and p.tokens_interval:
            n, d = p.params_interval, p.tokens_interval
            text += f"; N* in [{count(n.low)}, {count(n.high)}], D* in [{count(d.low)}, {count(d.high)}]"
        print(text + clock)
        if p.alternatives:
            print(f"  as good: {', '.join(f'{a.layers}x{a.width}' for a in p.alternatives)} (each within .1 %)")
        for d in p.derived:
            print(f"  {d.name} = {d.value:.4g}: {d.rule} [{d.source}]")
    for line in dict.fromkeys(w for p in plans for w in (*p.warnings, *p.notes)):
        print(f"- {line}")
