"""A forecast written down before the run, with the hashes that pin it, and the score of the run that followed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from difflaw.errors import InputError
from difflaw.files import read_json, write_json
from difflaw.law.power import quantile
from difflaw.law.records import plain
from difflaw.planning.family_names import AR, AUTOREGRESSIVE
from difflaw.planning.run_plan import RunPlan
from difflaw.training.recipe import differences
from difflaw.version import __version__

SCHEMA = 1


@dataclass(frozen=True)
class Score:
    """A finished run against the forecast stored before it."""

    family: str
    run: str
    observed: float
    forecast: float
    error: float
    """ln(observed/forecast)."""
    z: float | None
    """Error in standard deviations of the interval for one new run; None where none was stored."""
    inside_law: bool | None
    inside_run: bool | None
    differences: tuple[str, ...]
    """Where the run was not the one planned."""
    reading: str


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes; of a folder's laws.json."""
    path = path / "laws.json" if path.is_dir() else path
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def store(path: Path, plans: Sequence[RunPlan], law: str, data: Path | None = None) -> dict[str, Any]:
    """Write forecasts with version, date, law and hashes; an existing file is never overwritten.

    Args:
        path: where.
        plans: one a family.
        law: "published:NAME" or a file, whose hash is kept.
        data: table that the law was fitted to, whose hash is kept.

    Raises:
        InputError: the file exists (a forecast changed afterwards is none), or a file to be hashed is missing.
    """
    if path.exists():
        raise InputError(f"{path}: exists; a stored forecast is not changed, choose another name")
    record = {
        "schema": SCHEMA,
        "difflaw": __version__,
        "stored": datetime.now(UTC).isoformat(timespec="seconds"),
        "law": law,
        "law_sha256": None if law.startswith("published:") else digest(Path(law)),
        "data": None if data is None else data.name,
        "data_sha256": None if data is None else digest(data),
        "plans": [plain(p) for p in plans],
    }
    write_json(path, record)
    return record


def score(plan: Path, run: Path) -> Score:
    """Score a finished run directory against a stored plan.

    Raises:
        InputError: not a stored plan, a run that is not finished or has another vocabulary, a family not planned.
    """
    record = read_json(plan)
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or not isinstance(record.get("plans"), list):
        raise InputError(f"{plan}: no stored plan; write one with `difflaw plan … --store FILE`")
    summary, config = read_json(run / "summary.json"), read_json(run / "config.json")
    if not isinstance(summary, dict) or summary.get("status") != "done" or "bound" not in summary:
        status = summary.get("status") if isinstance(summary, dict) else "damaged"
        raise InputError(f"{run}: the run is {status}, not done; only a finished run can be scored")
    family = str(config.get("label", config.get("family", "")))
    aliases = AR if family in AUTOREGRESSIVE else (family,)
    found = next((p for p in record["plans"] if p["family"] in aliases), None)
    if found is None:
        raise InputError(f"{plan}: plans {', '.join(p['family'] for p in record['plans'])}, not {family} ({run})")
    vocabulary = config.get("model", {}).get("vocab_size")
    if vocabulary != found["vocab_size"]:
        raise InputError(
            f"{run}: its vocabulary has {vocabulary} tokens and the plan's {found['vocab_size']}: losses per token of "
            "different tokenizers cannot be compared"
        )
    if found["loss"] is None:
        raise InputError(f"{plan}: states no loss for {family} (its law gives none, or none that far)")
    return _score(found, float(summary["bound"]), summary, config, run)


def _score(found: dict[str, Any], observed: float, summary: Any, config: Any, run: Path) -> Score:
    error = math.log(observed / found["loss"])
    interval = found["run_interval"]
    z = None
    if interval is not None:
        half = math.log(interval["high"] / interval["low"]) / 2
        z = error / (half / quantile(interval["level"], 0))
    inside_law, inside_run = _inside(observed, found["loss_interval"]), _inside(observed, interval)
    where = "inside the interval for the law's mean" if inside_law else "outside the interval for the law's mean"
    if inside_law is None:
        where = "the law states no interval of its own"
    new = {True: "inside", False: "outside", None: "without"}[inside_run]
    reading = (
        f"{found['family']}: bound {observed:.4f}, forecast {found['loss']:.4f}: {100 * math.expm1(error):+.2f} %"
        + (f", {z:+.2f} standard deviations" if z is not None else "")
        + f"; {where}; {new} the interval for one new run"
    )
    return Score(
        found["family"],
        str(run),
        observed,
        found["loss"],
        error,
        z,
        inside_law,
        inside_run,
        tuple(_differences(found, summary, config)),
        reading,
    )


def _inside(value: float, interval: Any) -> bool | None:
    return None if interval is None else bool(interval["low"] <= value <= interval["high"])


def _differences(found: dict[str, Any], summary: Any, config: Any) -> list[str]:
    model = config.get("model", {})
    pairs = [
        ("layers", found["layers"], model.get("layers"), 0.0),
        ("width", found["width"], model.get("width"), 0.0),
        ("context", found["context"], model.get("context"), 0.0),
        ("tokens", found["tokens"], summary.get("tokens"), 0.01),
        ("batch tokens", found["batch_tokens"], config.get("batch_sequences", 0) * model.get("context", 0), 0.01),
        ("lr", found["lr"], config.get("optimizer", {}).get("lr"), 0.01),
    ]
    own = [
        f"{name}: {want:.6g} planned, {got:.6g} run"
        for name, want, got, slack in pairs
        if want is not None and got is not None and abs(got - want) > slack * abs(want)
    ]
    # forecasts stored by older versions have no recipe
    return own if found.get("recipe") is None else own + differences(found["recipe"], config)
