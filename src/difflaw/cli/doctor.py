"""`difflaw doctor`: what this machine has, how fast it is, and what difflaw will use."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from difflaw.cli.options import Json

if TYPE_CHECKING:
    from difflaw.ladder.doctor import Examination


def doctor(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where runs will be written; its disk space is checked.")
    ] = Path("."),
    json_: Json = False,
) -> None:
    """Processor, memory, matmul peaks, bandwidth, compiler, CUDA, disk; and what training will use.

    Takes a few seconds; run it on an otherwise idle machine.
    """
    from difflaw.ladder.doctor import examine

    found = examine(folder)
    if json_:
        typer.echo(json.dumps(_as_json(found)))
    else:
        _show(found)


def _as_json(found: Examination) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "machine": asdict(found.machine),
        "measured": {
            "matmul_flops_per_second": found.measured.matmul,
            "copy_bytes_per_second": found.measured.copy,
            "undisturbed": found.measured.undisturbed,
            "accelerator_matmul_flops_per_second": found.measured.accelerator_matmul,
            "accelerator_copy_bytes_per_second": found.measured.accelerator_copy,
        },
        "will_use": {c.name.replace(" ", "_"): {"value": c.value, "why": c.why} for c in found.choices},
        "notes": found.notes,
        "seconds": found.seconds,
    }


def _show(found: Examination) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    machine, measured = found.machine, found.measured
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)

    has = Table(box=box.SIMPLE_HEAD, title="This machine", title_justify="left", show_header=False)
    quota = "" if machine.core_quota is None else f", limited to the time of {machine.core_quota:g}"
    available = "" if machine.memory_available_bytes is None else f", {_gib(machine.memory_available_bytes)} available"
    rows = [
        ("processor", machine.processor),
        ("cores", f"{machine.cores}{quota}"),
        ("memory", "unknown" if machine.memory_bytes is None else f"{_gib(machine.memory_bytes)}{available}"),
        ("vector instructions", f"{machine.vector} ({', '.join(machine.matrix_flags) or 'flags unknown'})"),
        ("system", f"{machine.platform}, Python {machine.python}, torch {machine.torch}, numpy {machine.numpy}"),
        ("C++ compiler", machine.compiler or "none"),
        ("triton", machine.triton or "none"),
        *(("CUDA device", f"{a.name}, {_gib(a.memory_bytes)}, {a.capability}") for a in machine.accelerators),
        ("disk", f"{_gib(machine.disk_free_bytes)} free at {Path(machine.folder).resolve()}"),
    ]
    if not machine.accelerators:
        rows.insert(-1, ("CUDA devices", "none"))
    for row in rows:
        has.add_row(*map(escape, row))
    console.print(has)

    rates = Table(box=box.SIMPLE_HEAD, title="Measured", title_justify="left")
    rates.add_column("")
    columns = list(measured.copy)
    for threads in columns:
        rates.add_column("one core" if threads == 1 else f"{threads} cores", justify="right")
    if measured.accelerator_matmul:
        rates.add_column(escape(machine.accelerators[0].name), justify="right")
    for dtype, by_threads in measured.matmul.items():
        device = [measured.accelerator_matmul[dtype]] if measured.accelerator_matmul else []
        shown = (f"{rate / 1e9:,.0f} GFLOP/s" for rate in [*by_threads.values(), *device])
        rates.add_row(f"matrix products, {dtype}", *shown)
    device = [measured.accelerator_copy] if measured.accelerator_copy else []
    shown = (f"{rate / 1e9:,.1f} GB/s" for rate in [*measured.copy.values(), *device])
    rates.add_row("copy (read + written)", *shown)
    console.print(rates)

    use = Table(box=box.SIMPLE_HEAD, title="difflaw will use", title_justify="left", show_header=False)
    for choice in found.choices:
        value = {True: "yes", False: "no"}[choice.value] if isinstance(choice.value, bool) else str(choice.value)
        use.add_row(choice.name, value, escape(choice.why))
    console.print(use)
    for note in found.notes:
        console.print(f"note: {note}", style="yellow", markup=False)


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
