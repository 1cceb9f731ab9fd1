"""Anyone's table of runs (CSV or Parquet) turned into one with known columns, or refused in a line that says why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difflaw.conventions import UNSTATED
from difflaw.errors import InputError
from difflaw.law.table.columns import ALIASES, resolve

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("params", "tokens", "loss", "flops")
POSITIVE_OPTIONAL = ("flops_per_token", "budget", "unique_tokens", "unigram_entropy")
NUMERIC_OPTIONAL = ("loss_se", "batch_tokens", "lr", "width", "depth", "epochs")
SORTED_BY = ("family", "params", "run", "tokens", "flops", "loss", "lr", "batch_tokens", "budget", "loss_se")
SORTED_BY += ("epochs", "unique_tokens")
"""Rows equal in all of these are the same to every fit, so their order cannot matter."""
FINISHED = {"", "done", "running", "nan", "none"}


@dataclass(frozen=True)
class Table:
    """Runs with canonical columns, sorted so that the order of the file's rows never matters.

    ``frame`` always has family (str), run (str), params, tokens (count), flops (total, training), loss (nats per
    token), flops_per_token and row (1-based, of the source without its header; no fit may use it); the optional columns
    are there when the source had them, and of unique_tokens and epochs both when it had one. ``excluded`` says which
    rows were left out and why; ``notes`` says what the laws use that was derived.
    """

    frame: pd.DataFrame
    params_convention: str = UNSTATED
    flops_convention: str = UNSTATED
    excluded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str = "table"

    @property
    def families(self) -> tuple[str, ...]:
        """Family names in alphabetical order."""
        return tuple(sorted(set(self.frame["family"])))


def read_table(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    params_convention: str = UNSTATED,
    flops_convention: str = UNSTATED,
) -> Table:
    """Read a CSV or Parquet file of runs; one row a run, or one row an evaluation along a run.

    Args:
        path: file; ``.parquet``/``.pq`` is Parquet, anything else CSV.
        columns: canonical name -> column name, where the common spellings do not fit.
        params_convention: how params were counted, if no column says it.
        flops_convention: how flops were counted, if no column says it.

    Raises:
        InputError: missing, empty or malformed file, missing column, unusable value, mixed conventions.
    """
    path = Path(path)
    return table_from_frame(read_frame(path), columns, params_convention, flops_convention, source=path.name)


def read_frame(path: Path) -> pd.DataFrame:
    """The rows of a CSV or Parquet file as they are; InputError for a missing, empty or malformed one."""
    import pandas as pd

    if not path.is_file():
        raise InputError(f"{path}: no such file; give a CSV or Parquet table with columns family, params, tokens, loss")
    try:
        return pd.read_parquet(path) if path.suffix.lower() in {".parquet", ".pq"} else pd.read_csv(path)
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{path.name}: the file is empty; a header line and at least one row are needed") from error
    except Exception as error:  # every parser raises its own kinds, and all mean the same to the reader
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path.name}: not a readable table ({reason[0]}); give CSV or Parquet") from error


def table_from_frame(
    frame: pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    params_convention: str = UNSTATED,
    flops_convention: str = UNSTATED,
    *,
    source: str = "table",
) -> Table:
    """Check and complete a data frame of runs (see `read_table`); ``source`` names it in messages."""
    import pandas as pd

    if not len(frame):
        raise InputError(f"{source}: no rows; a header line and at least one row are needed")
    names = resolve(frame.columns, columns, source)
    data: Any = pd.DataFrame({name: frame[column].to_numpy() for name, column in names.items()})
    data["row"] = np.arange(1, len(data) + 1)
    if "family" in data and data["family"].isna().any():
        row = int(data["row"][data["family"].isna()].iloc[0])
        raise InputError(f"{source}: column '{names['family']}', row {row} is blank; name the family of every row")
    data["family"] = data["family"].astype(str).str.strip() if "family" in data else "all"
    conventions = {}
    for key, stated in (("params_convention", params_convention), ("flops_convention", flops_convention)):
        conventions[key] = _convention(data, key, stated, source)
    data, excluded = _drop_unfinished(data, source)
    _to_numbers(data, names, source)
    notes, conventions["flops_convention"] = _complete(data, conventions["flops_convention"], names, frame, source)
    notes += _complete_epochs(data)
    _refuse_equal_losses(data, source)
    if "run" in data:
        _check_runs(data, source)
    data = data.sort_values([c for c in SORTED_BY if c in data], kind="stable").reset_index(drop=True)
    if "run" not in data:
        # Names that follow the sorted order, so that shuffling the file changes nothing.
        data["run"] = [f"row-{i:04d}" for i in range(1, len(data) + 1)]
    return Table(data, excluded=excluded, notes=notes, source=source, **conventions)


def row_names(rows: Any) -> list[str]:
    """What a reader finds rows by, in the order of the source: "run NAME" once where it names runs, else "row 17"."""
    rows = rows.sort_values("row", kind="stable") if "row" in rows else rows
    numbers = rows["row"] if "row" in rows else [None] * len(rows)
    made = re.compile(r"row-\d{4,}")
    names = (
        f"row {number}" if number is not None and made.fullmatch(run) else f"run {run}"
        for run, number in zip(rows["run"], numbers, strict=True)
    )
    return list(dict.fromkeys(names))


def _convention(data: Any, key: str, stated: str, source: str) -> str:
    """One convention for the whole table, or an error: numbers counted differently cannot share a law."""
    values = sorted(set(data[key].dropna().astype(str))) if key in data else []
    if key in data and data[key].isna().any() and values:
        values.append(UNSTATED)
    if stated != UNSTATED and stated not in values:
        values.append(stated)
    if len(values) > 1:
        raise InputError(f"{source}: mixes conventions in {key}: {', '.join(values)}; convert them to one first")
    return values[0] if values else UNSTATED


def _drop_unfinished(data: Any, source: str) -> tuple[Any, tuple[str, ...]]:
    """Leave out rows whose status is neither done nor running, and list them."""
    if "status" not in data:
        return data, ()
    status = data["status"].fillna("").astype(str).str.strip().str.lower()
    bad = ~status.isin(FINISHED)
    if bad.all():
        raise InputError(f"{source}: every row has a status other than done or running; nothing is left to fit")
    counts: dict[tuple[str, str, str], int] = {}
    for index in data.index[bad]:
        name = f"run {data.at[index, 'run']}" if "run" in data else f"row {data.at[index, 'row']}"
        key = (str(data.at[index, "family"]), name, status[index])
        counts[key] = counts.get(key, 0) + 1
    listed = sorted(f"{family}: {name}: {why} ({n} row{'s' * (n > 1)})" for (family, name, why), n in counts.items())
    return data[~bad].copy(), tuple(listed)


def _to_numbers(data: Any, names: Mapping[str, str], source: str) -> None:
    """Make columns numeric in place; the first unusable value is an error naming file, column and row."""
    import pandas as pd

    for name in (*REQUIRED, *POSITIVE_OPTIONAL, *NUMERIC_OPTIONAL):
        if name not in data:
            continue
        raw: Any = data[name]
        value = np.asarray(pd.to_numeric(raw, errors="coerce"), float)
        blank = raw.isna().to_numpy()
        if name in REQUIRED or name == "flops_per_token":
            bad, want = ~(np.isfinite(value) & (value > 0)), "a positive finite number"
        elif name in POSITIVE_OPTIONAL:
            bad, want = ~blank & ~(np.isfinite(value) & (value > 0)), "a positive finite number or nothing"
        else:
            bad, want = ~blank & ~(np.isfinite(value) & (value >= 0)), "a number of at least 0 or nothing"
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"{source}: column '{names[name]}', row {int(data['row'].iloc[at])}: {raw.iloc[at]!s} is not {want}"
            )
        data[name] = value


def _complete(
    data: Any, convention: str, names: Mapping[str, str], frame: pd.DataFrame, source: str
) -> tuple[tuple[str, ...], str]:
    """Derive tokens or flops where one is missing; returns notes and the FLOP convention."""
    derivable = {"tokens": "flops", "flops": "tokens"}
    missing = [n for n in ("params", "tokens", "loss") if n not in data and derivable.get(n, "") not in data]
    if missing:
        name = missing[0]
        raise InputError(
            f"{source}: no column for {' or '.join(missing)}; columns there: {', '.join(map(str, frame.columns))}.\n"
            f"Map it with columns={{'{name}': '<column>'}}; understood by itself: {name}, {', '.join(ALIASES[name])}"
        )
    if "flops" in data and "tokens" in data:
        data["flops_per_token"] = data["flops"] / data["tokens"]
        return (), convention
    target, given = ("flops", "tokens") if "flops" not in data else ("tokens", "flops")
    if "flops_per_token" in data:
        per_token, how = data["flops_per_token"], "flops_per_token"
    else:
        if convention not in (UNSTATED, "6N"):
            raise InputError(
                f"{source}: flops_convention is '{convention}' but {target} is missing and could only be "
                f"derived as 6N; add a column {target} or flops_per_token"
            )
        per_token, how, convention = 6.0 * data["params"], "6·params", "6N"
    data[target] = data[given] * per_token if target == "flops" else data[given] / per_token
    data["flops_per_token"] = per_token
    sign = "·" if target == "flops" else " / "
    return (f"{target} was not in the table and is computed as {given}{sign}({how})",), convention


def _complete_epochs(data: Any) -> tuple[str, ...]:
    """Add epochs to unique_tokens or the other way round; returns a note where the laws' epochs were derived.

    A row without the number counts as one that repeats nothing, which is how the laws take it where no column says.
    """
    tokens = data["tokens"]
    for name in ("unique_tokens", "epochs"):
        if name in data and data[name].isna().all():
            del data[name]
    if "unique_tokens" in data:
        blank = int(data["unique_tokens"].isna().sum())
        own = tokens / _passes(data["epochs"]) if "epochs" in data else tokens
        data["unique_tokens"] = data["unique_tokens"].fillna(own)
        if "epochs" in data:
            return ()
        data["epochs"] = (tokens / data["unique_tokens"]).clip(lower=1.0)
        without = f"; {blank} row{'s' * (blank > 1)} without unique_tokens taken as one epoch" if blank else ""
        return (f"epochs was not in the table and is computed as tokens / unique_tokens, at least 1{without}",)
    if "epochs" in data:
        data["unique_tokens"] = tokens / _passes(data["epochs"])
    return ()


def _passes(epochs: Any) -> Any:
    """Epochs of at least 1: part of an epoch has seen no more different tokens than it saw, nor has a blank."""
    return epochs.fillna(1.0).clip(lower=1.0)


def _refuse_equal_losses(data: Any, source: str) -> None:
    """A column that never changes is a default value or the wrong column; parabolas through it blame the sizes."""
    loss = data["loss"]
    if len(data) > 1 and loss.min() == loss.max():
        raise InputError(
            f"{source}: every row has the same loss, {loss.iloc[0]:g}: nothing to fit; give the measured losses"
        )


def _check_runs(data: Any, source: str) -> None:
    """Make `run` a string and check that a run has one size."""
    if data["run"].isna().any():
        row = int(data.loc[data["run"].isna(), "row"].iloc[0])
        raise InputError(f"{source}: row {row} has no run name; name every run, or leave the column out")
    data["run"] = data["run"].astype(str)
    spread = data.groupby(["family", "run"])["params"].agg(["min", "max"])
    for key, low, high in zip(spread.index, spread["min"], spread["max"], strict=True):
        if high > low * (1 + 1e-6):
            raise InputError(f"{source}: run '{key[1]}' has two sizes, {low:g} and {high:g} params; a run has one")
