"""The map in docs/map.md: one line a file, taken from the file's own first line. Run it to rewrite the map."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/map.md"
BEGIN, END = "<!-- map: begin -->", "<!-- map: end -->"
FLOORS = (
    *("cli", "api", "report", "ladder", "planning", "evaluate", "sample", "training"),
    *("families", "noise", "model", "data", "law"),
)


def _python_line(path: Path) -> str:
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert doc, f"{path} has no docstring"
    return doc.splitlines()[0]


def _first_words(path: Path) -> str:
    """First line of a YAML's comment, or the title of a Markdown page."""
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ").strip()


def _folder(folder: Path, name: str, depth: int) -> list[str]:
    """A folder's own line, its files, then the folders in it."""
    indent = "  " * depth
    out = [f"{indent}- **`{name}/`** {_python_line(folder / '__init__.py')}"]
    files = sorted(p for p in folder.glob("*.py") if p.name != "__init__.py")
    out += [f"{indent}  - `{path.name}` {_python_line(path)}" for path in files]
    for inner in sorted(p for p in folder.iterdir() if p.is_dir() and p.name != "__pycache__"):
        if (inner / "__init__.py").exists():
            out += _folder(inner, f"{name}/{inner.name}", depth + 1)
        else:  # files that code reads: no modules
            files = ", ".join(sorted(path.name for path in inner.iterdir()))
            out.append(f"{indent}  - `{inner.name}/` {files}")
    return out


def lines() -> list[str]:
    """The map, floor by floor from the top of the house down."""
    source = ROOT / "src/difflaw"
    folders = sorted(
        (p for p in source.iterdir() if p.is_dir() and p.name != "__pycache__"), key=lambda p: FLOORS.index(p.name)
    )
    out: list[str] = []
    for folder in folders:
        out += _folder(folder, folder.name, 0)
    out += [f"- `{path.name}` {_python_line(path)}" for path in sorted(source.glob("*.py"))]
    for name in ("ladders", "docs", "benchmarks"):
        found = sorted(p for p in (ROOT / name).glob("*") if p.suffix in (".yaml", ".md", ".py"))
        out += [f"- `{name}/{p.name}` {_python_line(p) if p.suffix == '.py' else _first_words(p)}" for p in found]
    out.append("- `tests/` mirrors `src/difflaw` one to one; `tests/code_map.py` writes this map")
    return out


def main() -> None:
    """Rewrite the map between the markers of docs/map.md."""
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    PAGE.write_text(f"{head}{BEGIN}\n" + "\n".join(lines()) + f"\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
