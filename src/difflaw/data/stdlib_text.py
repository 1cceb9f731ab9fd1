"""A corpus every machine has: the source text of the running Python's standard library (about 11 MB)."""

import io
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "__pycache__"}
_LOCAL_FILES = ("_sysconfigdata", "sitecustomize", "usercustomize")  # written by the machine, not by the library


def stdlib_documents(skipped: Counter[str]) -> Iterator[str]:
    """One document per module, in sorted order; modules that do not decode are counted in `skipped`.

    Installed packages, tests, IDLE and files that the build of this very Python wrote are left out, so the same
    release gives nearly the same text everywhere.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        if _LEFT_OUT.intersection(path.relative_to(root).parts) or path.name.startswith(_LOCAL_FILES):
            continue
        try:
            yield _read_source(path)
        except (OSError, SyntaxError, UnicodeDecodeError):
            skipped["undecodable module"] += 1


def _read_source(path: Path) -> str:
    """The text of a Python file in the encoding it declares, line endings as they are."""
    source = path.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    return source.decode(encoding)
