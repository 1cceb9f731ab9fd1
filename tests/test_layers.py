"""Imports run downwards only: every floor may use the floors below it, never one above."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.code_map import FLOORS

SOURCE = Path(__file__).resolve().parents[1] / "src/difflaw"


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            parts = name.split(".")
            if parts[0] == "difflaw" and len(parts) > 1 and parts[1] in FLOORS:
                found.add(parts[1])
    return found


def test_imports_run_downwards() -> None:
    for folder in FLOORS:
        for path in (SOURCE / folder).rglob("*.py"):
            for used in _imports(path):
                assert FLOORS.index(used) >= FLOORS.index(folder), f"{path.relative_to(SOURCE)} imports {used}"


def test_help_loads_nothing_heavy() -> None:
    heavy = "('torch', 'numpy', 'pandas', 'scipy', 'matplotlib')"
    code = f"import sys, difflaw.cli.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_law_loads_no_torch() -> None:
    code = "import sys, difflaw.law; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
