"""A folder that exists completely or not at all: built under another name, then renamed."""

import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from difflaw.errors import InputError

_BUILDING = ".building-"
_ABANDONED_AFTER = 24 * 3600.0  # seconds without a write


def publish(cache_dir: Path, name: str, build: Callable[[Path], None], is_complete: Callable[[Path], bool]) -> Path:
    """Create `cache_dir/name` by running `build(folder)` on a temporary folder next to it and renaming that.

    Several processes may do this at once: one wins, the others discard theirs. An incomplete folder of that name is
    replaced. If `build` fails, its temporary folder is removed.

    Raises:
        InputError: the folder cannot be created.
    """
    final = cache_dir / name
    building = cache_dir / f"{_BUILDING}{name}-{uuid.uuid4().hex[:12]}"
    try:
        building.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"{cache_dir}: cannot create a folder here ({error.strerror}); choose another place"
        ) from error
    remove_abandoned(cache_dir)
    try:
        build(building)
        for _ in range(10):
            if is_complete(final):
                return final
            damaged = cache_dir / f"{_BUILDING}damaged-{uuid.uuid4().hex[:12]}"
            try:
                if final.exists():
                    os.replace(final, damaged)
                os.replace(building, final)
                return final
            except OSError:  # another process was faster: check again
                continue
            finally:
                shutil.rmtree(damaged, ignore_errors=True)
        raise InputError(f"{final}: cannot be replaced; remove it and run again")
    finally:
        shutil.rmtree(building, ignore_errors=True)


def remove_abandoned(cache_dir: Path) -> None:
    """Remove temporary folders of killed processes: unfinished ones without a write for a day."""
    for folder in cache_dir.glob(f"{_BUILDING}*"):
        try:
            newest = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
        except OSError:
            continue
        if time.time() - newest > _ABANDONED_AFTER:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def say_when_full(folder: Path, largest_bytes: int) -> Iterator[None]:
    """Turn "no space left" into an `InputError` that names the folder and how many bytes it may need."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"disk full while writing to {folder}: up to {largest_bytes:,} bytes are needed.\n"
            "Free some space, choose another folder, or set max_bytes."
        ) from error
