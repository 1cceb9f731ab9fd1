"""The ladder's table: one row an evaluation, in the columns that `law.table.read` reads; rebuilt from the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from difflaw.ladder.directory import LadderDirectory
from difflaw.training.run_directory import RunDirectory

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
    rows = [row for name, _, run in ladder.cells() for row in table_rows(description, name, run)]
    columns = list(rows[0]) if rows else ["family", "run", "params", "tokens", "flops", "loss", "status"]
    return pd.DataFrame(rows, columns=columns)


def table_rows(description: dict[str, Any], name: str, run: RunDirectory) -> list[dict[str, Any]]:
    """The rows of one cell; ``description`` is the content of ladder.json."""
    config, data, cell = description["config"], description["data"], description["cells"][name]
    status = run.status()
    budgets = {int(step): budget for step, budget in cell["budgets"].items()}
    unique = cell.get("unique_tokens") or max(1, data["train_tokens"])
    repeated = {"unique_tokens": unique} if config.get("unique_tokens") else {}
    return [
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
            **repeated,
            "epochs": record["tokens"] / unique,
            "unigram_entropy": data.get("unigram_entropy"),
            "status": status,
            "params_convention": config["params"],
            "flops_convention": config["flops"],
        }
        for record in run.records("evaluation")
        if record["step"] > 0
    ]
