"""Everything `difflaw fit` says of a table, as one record and as the document laws.json (schema: docs/fitting.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from difflaw import __version__
from difflaw.errors import InputError
from difflaw.law.checklist import Item, checklist
from difflaw.law.extras import Extras, extras_text, fit_extras
from difflaw.law.fit import fit_laws
from difflaw.law.results import Laws
from difflaw.law.surface.fit import Method
from difflaw.law.table.read import Table
from difflaw.law.tuning import hyperparameter_fits
from difflaw.law.words import laws_as_json, plain, reading

SCHEMA = 1
"""Of laws.json; rises when a key changes its meaning."""


@dataclass(frozen=True)
class Fitted:
    """A table with its laws, what else the table says, the checklist, and the options they were fitted with."""

    table: Table
    laws: Laws
    extras: Extras
    checklist: tuple[Item, ...]
    options: Mapping[str, Any]

    @property
    def reading(self) -> list[str]:
        """All of it in sentences."""
        return [*reading(self.laws), *extras_text(self.extras)]

    def document(self, source: Path | None = None) -> dict[str, Any]:
        """The content of laws.json, plain JSON; ``source`` is the table's file, whose hash is kept."""
        return {
            "schema": SCHEMA,
            "difflaw": __version__,
            "source": {
                "name": self.table.source if source is None else source.name,
                "sha256": None if source is None else hashlib.sha256(source.read_bytes()).hexdigest(),
                "rows": len(self.table.frame),
            },
            "options": plain(dict(self.options)),
            **laws_as_json(self.laws),
            "extras": self.extras.as_json(),
            "checklist": plain(self.checklist),
            "reading": self.reading,
        }


def fit_everything(
    table: Table,
    *,
    budgets: Sequence[float] | None = None,
    form: str | None = None,
    entropy: float | None = None,
    method: Method = "auto",
    noise_sd: float | None = None,
    within: float | None = None,
    delta: float | None = None,
    first_paper: bool = False,
    seed: int = 0,
    about: Mapping[str, str] | None = None,
) -> Fitted:
    """Batch and rate, laws, extras and the checklist; arguments as in `fit_laws`, `fit_extras`, `checklist`.

    Raises:
        InputError: options that make no sense.
    """
    hyperparameters = hyperparameter_fits(table)
    laws = fit_laws(
        table,
        budgets=budgets,
        seed=seed,
        delta=delta,
        within=within,
        form=form,
        entropy=entropy,
        method=method,
        noise_sd=noise_sd,
        hyperparameters=hyperparameters[0],
    )
    extras = fit_extras(table, laws, seed=seed, first_paper=first_paper, hyperparameters=hyperparameters)
    options = {
        "budgets": None if budgets is None else list(budgets),
        "form": form,
        "known_entropy": entropy,
        "intervals": method,
        "noise_sd": noise_sd,
        "within": within,
        "delta": delta,
        "method": "first-paper" if first_paper else "ours",
        "seed": seed,
    }
    return Fitted(table, laws, extras, checklist(table, laws, about), options)


def refuse_empty(fitted: Fitted) -> None:
    """InputError, naming what to run, where a table carries no law at all: one budget, two sizes, a single ray."""
    families = fitted.laws.families.values()
    if any(f.params_law or f.surface for f in families) or fitted.extras.batch_and_rate:
        return
    frame: Any = fitted.table.frame
    have = []
    for family in families:
        rows = frame[frame["family"] == family.family]
        sizes, lengths = rows["params"].round(6).nunique(), rows["tokens"].round(6).nunique()
        have.append(
            f"{family.family}: {len(rows)} rows, {sizes} size{'s' * (sizes != 1)}, {lengths} token "
            f"count{'s' * (lengths != 1)}, {len(family.profiles)} budget{'s' * (len(family.profiles) != 1)} with "
            f"profiles"
        )
    warning = next((w for f in families for w in f.warnings), "")
    raise InputError(
        f"{fitted.table.source}: no law can be fitted ({'; '.join(have)})"
        + (f": {warning}" if warning else "")
        + ".\nRun at least two budgets with five sizes each, spaced by a factor 1.5 to 2 around the best size."
    )


def without_high_losses(table: Table, most: float) -> Table:
    """The table without rows whose loss lies above ``most`` (nats per token), which are listed as excluded."""
    from dataclasses import replace

    frame: Any = table.frame
    high = frame["loss"] > most
    if high.all():
        raise InputError(f"{table.source}: every loss lies above --max-loss {most:g}; nothing is left to fit")
    listed = tuple(
        f"{row.family}: {row.run}: loss {row.loss:.4g} above the limit {most:g}" for row in frame[high].itertuples()
    )
    return replace(table, frame=frame[~high].reset_index(drop=True), excluded=(*table.excluded, *listed))
