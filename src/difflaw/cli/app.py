"""The tree of verbs. Nothing heavy is imported here: `--help` must answer at once."""

from __future__ import annotations

from typing import Annotated

import typer

from difflaw.cli import data, distill, doctor, export, fit, ladder, next_runs, plan, predict, sample, train
from difflaw.version import __version__

app = typer.Typer(
    help="Measure how discrete diffusion language models scale, on your data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(ladder.app, name="ladder")
app.add_typer(data.app, name="data")
app.add_typer(plan.app, name="plan")
app.command("train")(train.train)
app.command("distill")(distill.distill)
app.command("doctor")(doctor.doctor)
app.command("export")(export.export)
app.command("fit")(fit.fit)
app.command("next")(next_runs.next_runs)
app.command("predict")(predict.predict)
app.command("sample")(sample.sample)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"difflaw {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
