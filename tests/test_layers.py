"""Imports run downwards only: every floor may use the floors below it, never one above."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

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


def _modules() -> dict[str, Path]:
    """Every module of the package by its dotted name, a package's __init__ by the package's."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _graph(modules: dict[str, Path]) -> dict[str, set[str]]:
    """Which module names which in an import anywhere in its file: lazy and TYPE_CHECKING imports count."""
    graph = {}
    for name, path in modules.items():
        used = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used |= {a.name for a in node.names}
            if isinstance(node, ast.ImportFrom) and node.module:
                used |= {f"{node.module}.{a.name}" for a in node.names if f"{node.module}.{a.name}" in modules}
                used |= {node.module} if any(f"{node.module}.{a.name}" not in modules for a in node.names) else set()
        graph[name] = (used & set(modules)) - {name}
    return graph


def test_no_module_imports_itself_through_others() -> None:
    graph = _graph(_modules())
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"import circle: {' <- '.join(error.args[1])}") from None


def test_a_circle_is_found(tmp_path) -> None:
    for name, text in {"a": "def f():\n    from difflaw.b import g\n", "b": "from difflaw.a import f\n"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    graph = _graph({f"difflaw.{name}": tmp_path / f"{name}.py" for name in "ab"})
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def test_help_loads_nothing_heavy() -> None:
    heavy = "('torch', 'numpy', 'pandas', 'scipy', 'matplotlib')"
    code = f"import sys, difflaw.cli.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_law_loads_no_torch() -> None:
    code = "import sys, difflaw.law; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
