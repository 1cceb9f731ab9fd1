"""Plans as people read them in a terminal: a line a family, what each needs, where its numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from difflaw.planning.run_plan import RunPlan


def print_plans(plans: Sequence[RunPlan]) -> None:
    """Table, memory and hours, derived values with their rules, warnings; on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from difflaw.formatting import flops as in_flops
    from difflaw.formatting import short_count
    from difflaw.law.odds import verdict

    one = plans[0]
    table = Table(box=box.SIMPLE_HEAD, title=f"Plans by {one.law}", title_justify="left")
    headings = ("family", "shape", "N", "D", "FLOPs", "batch (within .25 %)", "lr", "steps", "loss", "law 95 %")
    odds = any(p.probability is not None for p in plans)
    for heading in (*headings, "one run 95 %", "regret", f"{one.gpu} hours", *(["wins"] if odds else [])):
        table.add_column(heading, no_wrap=True)
    for p in plans:
        flat = f" [{short_count(p.batch_flat[0])}, {short_count(p.batch_flat[1])}]" if p.batch_flat else ""
        law, run = (f"[{i.low:.3f}, {i.high:.3f}]" if i else "not given" for i in (p.loss_interval, p.run_interval))
        epochs = f" ({p.epochs:.3g} epochs)" if p.epochs else ""
        table.add_row(
            p.family,
            f"{p.layers}x{p.width}",
            short_count(p.params),
            short_count(p.tokens) + epochs,
            f"{p.flops:.3g}",
            short_count(p.batch_tokens) + flat,
            "-" if p.lr is None else f"{p.lr:.3g}",
            f"{p.steps:,}",
            "not stated" if p.loss is None else f"{p.loss:.4f}",
            law,
            run,
            f"{100 * p.regret:.2f} %",
            f"{p.gpu_hours:.3g}",
            *([f"{100 * (p.probability or 0.0):.0f} %"] if odds else []),
        )
    console = Console()
    Console(width=max(console.width, 170)).print(table)
    if odds:
        print(f"At {in_flops(one.flops)}: {verdict([(p.family, p.probability or 0.0) for p in plans])}.")
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
            size, length = (f"[{short_count(i.low)}, {short_count(i.high)}]" for i in (n, d))
            text += f"; N* in {size}, D* in {length}"
        print(text + clock)
        if p.alternatives:
            print(f"  as good: {', '.join(f'{a.layers}x{a.width}' for a in p.alternatives)} (each within .1 %)")
        for d in p.derived:
            print(f"  {d.name} = {d.value:.4g}: {d.rule} [{d.source}]")
    for line in dict.fromkeys(w for p in plans for w in (*p.warnings, *p.notes)):
        print(f"- {line}")
