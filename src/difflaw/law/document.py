"""`Laws`: everything fitted to a table as one record, which is what laws.json holds (schema: docs/fitting.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from difflaw.errors import InputError
from difflaw.files import read_json, write_json
from difflaw.law.answer import AHEAD
from difflaw.law.checklist import Item, checklist
from difflaw.law.crossover import Crossover, crossover_text, crossovers
from difflaw.law.extras import Extras, extras_text, fit_extras
from difflaw.law.fit import fit_laws
from difflaw.law.odds import StandingsAt, standings, standings_text
from difflaw.law.records import plain, read_record
from difflaw.law.results import FittedFamilies
from difflaw.law.surface import Method
from difflaw.law.table import Table
from difflaw.law.tuning import hyperparameter_fits
from difflaw.law.words import reading
from difflaw.version import __version__

SCHEMA = 2
"""Of laws.json; rises when a key changes its meaning. In 1 ``extras`` was ``beyond``, and held the standings."""


@dataclass(frozen=True)
class Source:
    """The table that laws were fitted to: its name, the SHA-256 of its file where it was one, its rows."""

    name: str = "not given"
    sha256: str | None = None
    rows: int = 0


@dataclass(frozen=True)
class Laws(FittedFamilies):
    """The laws of every family of a table, with all that was fitted beside them and how.

    ``families`` holds a `results.FamilyLaws` by name. `write` and `read` are each other's inverse.
    """

    extras: Extras | None = None
    """Batch and rate, repeated data, the first paper's own procedure."""
    standings: tuple[StandingsAt, ...] = ()
    """Which family has the lowest loss, how likely, at the largest budget and ten times further."""
    crossovers: tuple[Crossover, ...] = ()
    """Where families pass each other on text that repeats, for every size of text."""
    checklist: tuple[Item, ...] = ()
    """What a reader must know before believing a law, or that it is not given."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `fit_table` was asked."""
    source: Source = Source()
    recipe: Mapping[str, Any] | None = None
    """How the runs were trained (`training.recipe.Recipe`), where a ladder says so."""
    family_configs: Mapping[str, Any] = field(default_factory=dict)
    """Name and options of the family behind each label, where a ladder says so."""
    reading: tuple[str, ...] = ()
    """All of it in sentences."""
    path: Path | None = field(default=None, compare=False, repr=False)
    """The file these laws were read from."""

    def document(self) -> dict[str, Any]:
        """The content of laws.json: plain JSON, NaN as null; draws in base64 (`difflaw.law.records`)."""
        own = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name != "path"}
        return {"schema": SCHEMA, "difflaw": __version__, **own}

    @property
    def largest(self) -> float:
        """Largest FLOPs behind any averaged law; 0 where there is none."""
        return max((f.posterior.budgets[1] for f in self.families.values() if f.posterior is not None), default=0.0)

    def standings_at(self, flops: float) -> StandingsAt:
        """The families at a budget; InputError where fewer than two have an averaged law."""
        posts = {name: f.posterior for name, f in self.families.items() if f.posterior is not None}
        if len(posts) < 2:
            raise InputError(
                f"odds compare at least two families with a law; {self.source.name} has {len(posts)} such among "
                f"{', '.join(self.families)}"
            )
        return standings(posts, flops)

    def write(self, path: str | Path) -> Path:
        """Write laws.json (a folder gets one of that name); returns the file.

        >>> import difflaw, tempfile, pathlib
        >>> laws = difflaw.fit(difflaw.example_table())
        >>> file = laws.write(pathlib.Path(tempfile.mkdtemp()) / "laws.json")
        >>> difflaw.Laws.read(file).document() == laws.document()
        True
        """
        path = Path(path)
        path = path / "laws.json" if path.is_dir() else path
        write_json(path, self.document())
        return path

    @classmethod
    def read(cls, path: str | Path) -> Laws:
        """The laws in a laws.json, or in a folder that holds one (of a ladder, or of ``difflaw fit -o``).

        Raises:
            InputError: no such file, or not a laws.json; names the key that is missing or malformed.
        """
        path = Path(path)
        path = path / "laws.json" if path.is_dir() else path
        raw = read_json(path)
        if not isinstance(raw, dict) or not isinstance(raw.get("families"), dict):
            raise InputError(
                f"{path}: holds no laws; give a laws.json written by `difflaw fit` or `difflaw ladder run`"
            )
        schema = raw.get("schema", 1)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise InputError(f"{path}: schema {schema} is of a newer version of difflaw; this one reads up to {SCHEMA}")
        extras = raw.get("extras", raw.get("beyond")) or {}
        raw = {**raw, "extras": extras or None, "standings": raw.get("standings", extras.get("standings", []))}
        try:
            return replace(read_record(cls, raw), path=path)
        except ValueError as error:
            raise InputError(f"{path}: {error}; write the file again") from None


def fit_table(
    table: Table,
    *,
    budgets: Sequence[float] | None = None,
    form: str | None = None,
    entropy: float | None = None,
    method: Method = "auto",
    noise_sd: float | None = None,
    hold_out: bool = False,
    within: float | None = None,
    delta: float | None = None,
    first_paper: bool = False,
    seed: int = 0,
    about: Mapping[str, str] | None = None,
    file: Path | None = None,
    recipe: Mapping[str, Any] | None = None,
    family_configs: Mapping[str, Any] | None = None,
) -> Laws:
    """Everything a table says: batch and rate, the laws of every family, extras, and the checklist.

    Arguments as in `fit_laws`, `fit_extras` and `checklist`; ``file`` is where the table came from (its hash is kept),
    ``recipe`` how its runs were trained, ``family_configs`` which family is behind each label.

    Raises:
        InputError: options that make no sense.
    """
    hyperparameters = hyperparameter_fits(table)
    families = fit_laws(
        table,
        budgets=budgets,
        seed=seed,
        delta=delta,
        within=within,
        form=form,
        entropy=entropy,
        method=method,
        noise_sd=noise_sd,
        hold_out=hold_out,
        hyperparameters=hyperparameters[0],
    )
    extras = fit_extras(table, families, seed=seed, first_paper=first_paper, hyperparameters=hyperparameters)
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
    posts = {name: f.posterior for name, f in families.families.items() if f.posterior is not None}
    found: tuple[StandingsAt, ...] = ()
    if len(posts) > 1:
        largest = max(post.budgets[1] for post in posts.values())
        found = tuple(standings(posts, c) for c in (largest, AHEAD * largest))
    crossed = crossovers(posts, table.frame)
    return Laws(
        **{f.name: getattr(families, f.name) for f in fields(families)},
        extras=extras,
        standings=found,
        crossovers=crossed,
        checklist=checklist(table, families, about),
        options=options,
        source=_source(table, file),
        recipe=recipe,
        family_configs=family_configs or {},
        reading=(*reading(families), *extras_text(extras), *_odds_text(found), *crossover_text(crossed)),
    )


def _odds_text(found: Sequence[StandingsAt]) -> list[str]:
    return [line for at in found for line in standings_text(at, found[0].flops)]


def _source(table: Table, file: Path | None) -> Source:
    if file is None:
        return Source(table.source, None, len(table.frame))
    return Source(file.name, hashlib.sha256(file.read_bytes()).hexdigest(), len(table.frame))


def refuse_empty(laws: Laws, table: Table) -> None:
    """InputError, naming what to run, where a table carries no law at all: one budget, two sizes, a single ray."""
    families = laws.families.values()
    if any(f.params_law or f.surface for f in families) or (laws.extras and laws.extras.batch_and_rate):
        return
    frame: Any = table.frame
    have = []
    for family in families:
        rows = frame[frame["family"] == family.family]
        sizes, lengths = rows["params"].round(6).nunique(), rows["tokens"].round(6).nunique()
        have.append(
            f"{family.family}: {len(rows)} rows, {sizes} size{'s' * (sizes != 1)}, {lengths} token "
            f"count{'s' * (lengths != 1)}, {len(family.profiles)} budget{'s' * (len(family.profiles) != 1)} with "
            f"profiles"
        )
    reason = next((w for f in families for w in f.warnings), "")
    raise InputError(
        f"{table.source}: no law can be fitted ({'; '.join(have)})"
        + (f": {reason}" if reason else "")
        + ".\nRun at least two budgets with five sizes each, spaced by a factor 1.5 to 2 around the best size."
    )


def without_high_losses(table: Table, most: float) -> Table:
    """The table without rows whose loss lies above ``most`` (nats per token), which are listed as excluded."""
    frame: Any = table.frame
    high = frame["loss"] > most
    if high.all():
        raise InputError(f"{table.source}: every loss lies above --max-loss {most:g}; nothing is left to fit")
    listed = tuple(
        f"{row.family}: {row.run}: loss {row.loss:.4g} above the limit {most:g}" for row in frame[high].itertuples()
    )
    return replace(table, frame=frame[~high].reset_index(drop=True), excluded=(*table.excluded, *listed))
