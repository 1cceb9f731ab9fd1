"""A run directory is the truth: config, append-only metrics, checkpoints, and a summary written last.

config.json      canonical RunConfig; what the run is
tokenizer.json   vocabulary of the run's text, so that the folder stands alone; none for synthetic data
engine.json      how the run began: eager or compiled, number of threads
account.json     parameters by group, FLOPs by term, under every named convention
metrics.jsonl    one JSON object a line, kinds "train" and "evaluation"; the last word on a step wins
progress.json    where a running cell stands (may be stale: the lock says who is alive)
checkpoints/     step-N/ with safetensors and JSON
summary.json     written last and atomically: status, final bound, seconds
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from difflaw.errors import InputError
from difflaw.files import read_json, read_json_lines, write_atomically, write_json
from difflaw.training.config import RunConfig

TOKENIZER = "tokenizer.json"
"""Name of a vocabulary in a run's folder, as in prepared data and in exports."""


class RunDirectory:
    """Reads and writes one run's folder; several readers, one writer (held by a lock)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # -- identity ----------------------------------------------------------------------------------------------

    def create(self, config: RunConfig) -> None:
        """Write config.json; an existing one must be the same run.

        A run that grows goes on where it ended if ``config`` takes it further; one that diverged or failed does not.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        target = self.path / "config.json"
        if target.exists() and target.read_text(encoding="utf-8").strip() == config.canonical():
            return
        if target.exists():
            config = self._grown(config)
        write_atomically(target, config.canonical() + "\n")

    def _grown(self, config: RunConfig) -> RunConfig:
        """The run that lies here taken as far as ``config``; its summary goes first, so that a kill loses nothing."""
        here = self.config()
        try:
            found = here.longer(config)
        except ValueError:
            words = "holds another run (its config.json differs); choose an empty folder"
            raise InputError(f"{self.path}: {words}") from None
        if found.steps > here.steps and self.status() == "done":
            (self.path / "summary.json").unlink()
        return found

    def config(self) -> RunConfig:
        """The run's config; InputError when it is missing, damaged or from an unknown version."""
        raw = read_json(self.path / "config.json")
        try:
            return RunConfig.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"{self.path / 'config.json'}: {where}: {first['msg']}") from None

    def keep_tokenizer(self, source: Path) -> None:
        """Copy the vocabulary at ``source`` (none for data that are no text), unless the folder has one."""
        target = self.path / TOKENIZER
        if source.exists() and not target.exists():
            write_atomically(target, source.read_bytes())

    # -- metrics -----------------------------------------------------------------------------------------------

    def append(self, record: dict[str, Any]) -> None:
        """Append one metrics record; a line cut by an earlier kill is closed first."""
        path = self.path / "metrics.jsonl"
        with path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write((json.dumps(record, allow_nan=False) + "\n").encode())

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Records of one kind in the order of their steps, one per step (a resumed run may repeat some)."""
        by_step: dict[int, dict[str, Any]] = {}
        for record in read_json_lines(self.path / "metrics.jsonl"):
            if record.get("kind") == kind and isinstance(record.get("step"), int):
                by_step[record["step"]] = record
        return [by_step[step] for step in sorted(by_step)]

    # -- state -------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any] | None:
        """What the run ended with, or None while it has not; a damaged summary counts as none."""
        path = self.path / "summary.json"
        if not path.exists():
            return None
        try:
            summary = read_json(path)
        except InputError:
            return None
        return summary if isinstance(summary, dict) and "status" in summary else None

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the summary: the run will never be run again."""
        write_json(self.path / "summary.json", summary)

    def progress(self) -> dict[str, Any] | None:
        """Where the run stands, or None."""
        try:
            return read_json(self.path / "progress.json")
        except InputError:
            return None

    def status(self) -> str:
        """done, diverged or failed (from the summary); running (the lock is held); else queued."""
        summary = self.summary()
        if summary is not None:
            return str(summary["status"])
        return "running" if self.locked() else "queued"

    # -- one writer at a time ------------------------------------------------------------------------------------

    def locked(self) -> bool:
        """Whether a live process is writing here."""
        path = self.path / "lock"
        if not path.exists():
            return False
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder's lock, waiting for a writer that is about to leave; the kernel frees it at any death."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.utime(file.fileno())
            yield

    def begun_since(self, moment: float) -> bool:
        """Whether a writer has held the folder since ``moment`` (seconds since the epoch)."""
        path = self.path / "lock"
        return path.exists() and path.stat().st_mtime >= moment
