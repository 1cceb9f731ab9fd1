"""`difflaw.fit`: the laws of anyone's table of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from difflaw.conventions import UNSTATED
from difflaw.files import room_on_disk
from difflaw.law.document import Laws, fit_table, refuse_empty, without_high_losses
from difflaw.law.surface import Method
from difflaw.law.table import Table, read_table, table_from_frame

if TYPE_CHECKING:
    import pandas as pd


def fit(
    table: pd.DataFrame | Table | str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    params_convention: str = UNSTATED,
    flops_convention: str = UNSTATED,
    budgets: Sequence[float] | None = None,
    form: str | None = None,
    known_entropy: float | None = None,
    intervals: Method = "auto",
    noise_sd: float | None = None,
    hold_out: bool = False,
    delta: float | None = None,
    within: float | None = None,
    max_loss: float | None = None,
    first_paper: bool = False,
    about: Mapping[str, str] | None = None,
    seed: int = 0,
    output: str | Path | None = None,
) -> Laws:
    """Fit the laws of a table of runs: isoFLOP profiles, compute-optimal laws, a surface, batch and rate, odds.

    >>> import difflaw
    >>> laws = difflaw.fit(difflaw.example_table())
    >>> sorted(laws.families)
    ['masked', 'uniform']
    >>> law = laws.families["masked"].params_law  # the best size grows as C to this power
    >>> law.interval.low < 0.5 < law.interval.high
    True

    Args:
        table: rows of runs: a DataFrame, a CSV or Parquet file, or what `difflaw.law.read_table` returns.
        columns: canonical name → the table's own, where it cannot be guessed, e.g. ``{"loss": "val_nll"}``.
        params_convention: how parameters were counted (`difflaw.conventions`); where the table does not say.
        flops_convention: how FLOPs were counted; likewise.
        budgets: FLOPs to slice at; default the table's column ``budget``, else found.
        form: of the surface: free, zero, tied, kaplan, fixed, at-most, at-least; default an average of forms.
        known_entropy: of the text, nats per token: the floor is not below it.
        intervals: method of the surface's intervals (`difflaw.law.surface.METHODS`).
        noise_sd: with ``intervals="parametric"``: standard deviation of ln loss between seeds.
        hold_out: also judge additive surfaces by forecasts of the larger runs from the smaller; a report always does.
        delta: Huber delta of the surface; default from its residuals.
        within: fit the surface only to sizes within this factor of the best one.
        max_loss: leave out rows with a higher loss (nats per token); each is listed as excluded.
        first_paper: also follow the procedure of 2512.10858, next to ours.
        about: answers to open questions of the checklist.
        seed: of every resampling.
        output: a folder; it gets laws.json, report.html and figures.

    Raises:
        InputError: a table that cannot be read, options that make no sense, or rows that carry no law at all.
    """
    rows = _read(table, columns, params_convention, flops_convention)
    if max_loss is not None:
        rows = without_high_losses(rows, max_loss)
    laws = fit_table(
        rows,
        budgets=budgets,
        form=form,
        entropy=known_entropy,
        method=intervals,
        noise_sd=noise_sd,
        hold_out=hold_out or output is not None,  # the report draws how exponents drift
        delta=delta,
        within=within,
        first_paper=first_paper,
        seed=seed,
        about=about,
        file=Path(table) if isinstance(table, str | Path) else None,
    )
    refuse_empty(laws, rows)
    if output is not None:
        _write(Path(output), laws, rows)
    return laws


def _read(
    table: pd.DataFrame | Table | str | Path, columns: Mapping[str, str] | None, params: str, flops: str
) -> Table:
    if isinstance(table, Table):
        return table
    if isinstance(table, str | Path):
        return read_table(Path(table), columns, params, flops)
    return table_from_frame(table, columns, params, flops, source="the DataFrame")


def _write(folder: Path, laws: Laws, table: Table) -> None:
    from difflaw.law import published_laws
    from difflaw.report.figures import save_figures
    from difflaw.report.fit_report import fit_context
    from difflaw.report.page import write_report

    with room_on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        laws.write(folder / "laws.json")
        save_figures(folder / "figures", table.frame, laws, laws.options["known_entropy"])
        context = fit_context(laws, table, laws.source.name)
        write_report(folder / "report.html", laws, table.frame, context, published_laws())
