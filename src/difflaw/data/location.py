"""Where prepared corpora are stored: the given folder, $DIFFLAW_CACHE, or the user's cache folder."""

import os
from pathlib import Path


def cache_folder(given: Path | None = None) -> Path:
    """The folder for prepared data."""
    if given is not None:
        return given
    if "DIFFLAW_CACHE" in os.environ:
        return Path(os.environ["DIFFLAW_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "difflaw"
