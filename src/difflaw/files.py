"""Writing files so that a killed process never leaves half of one, and reading JSON lines that may be cut."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from difflaw.errors import InputError


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Write beside ``path``, then rename: readers see the old file or the new one, never a part; text is UTF-8.

    Folders are made where missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return path


def write_json(path: Path, value: Any) -> None:
    """Indented JSON in the order given, atomically; NaN is refused since JSON has none."""
    write_atomically(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """JSON of a file; InputError names the file when it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); restore it or remove the folder it is in") from None


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a JSON-lines file; lines cut short by a kill are passed over, a missing file is empty."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                value = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(value, dict):
                yield value


class NoRoom(InputError):
    """The disk is full or the folder cannot be written: work stops, and goes on later where it was."""


@contextmanager
def room_on_disk(folder: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into a NoRoom that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoom(f"{folder}: the disk is full; free some space and run the same command again") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise NoRoom(f"{folder}: cannot be written ({os.strerror(error.errno)})") from error
        raise
