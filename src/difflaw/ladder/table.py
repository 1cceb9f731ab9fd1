"""The ladder's table: one row an evaluation, in the columns that `law.table.read` reads; rebuilt from the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from difflaw.ladder.directory import LadderDirectory

if TYPE_CHECKING:
    import pandas as pd


def ladder_table(ladder: LadderDirectory) -> pd.DataFrame:
    """All evaluations after step 0 of all cells that have any.

    Columns: family, run, params, flops_per_token, tokens, flops, loss, loss_se (nats per token), bits_per_byte,
    training_loss, budget (FLOPs or NaN), width, depth, batch_tokens, lr, seed, unique_tokens
    (different tokens that the run trains on), epochs, status, and the conventions.
    """
    import pandas as pd

    description = ladder.description()
    config, data = description["config"], description["data"]
    rows: list[dict[str, Any]] = []
    for name, cell, run in ladder.cells():
        status = run.status()
        unique = cell.get("unique_tokens") or max(1, data["train_tokens"])
        budgets = {int(step): budget for step, budget in cell["budgets"].items()}
        for record in run.records("evaluation"):
            if record["step"] == 0:
                continue
            rows.append(
                {
                    "family": cell["family"],
                    "run": name,
                    "params": cell["params"],
                    "flops_per_token": cell["flops_per_token"],
                    "tokens": record["tokens"],
                    "flops": record["flops"],
                    "loss": record["bound"],
                    "loss_se": record["standard_error"],
                    "bits_per_byte": record["bits_per_byte"],
                    "training_loss": record["training_loss"],
                    "budget": budgets.get(record["step"], float("nan")),
                    "width": cell["width"],
                    "depth": cell["depth"],
                    "batch_tokens": cell["batch_tokens"],
                    "lr": cell["lr"],
                    "seed": cell["seed"],
                    "unique_tokens": unique,
                    "epochs": record["tokens"] / unique,
                    "status": status,
                    "params_convention": config["params"],
                    "flops_convention": config["flops"],
                }
            )
    columns = list(rows[0]) if rows else ["family", "run", "params", "tokens", "flops", "loss", "status"]
    return pd.DataFrame(rows, columns=columns)
