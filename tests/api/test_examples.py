"""Every example in the docstrings of the front door runs and prints what it says, and docs/api.md shows it."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import difflaw

ROOT = Path(__file__).resolve().parents[2]
NAMES = [name for name in difflaw.__all__ if name not in ("__version__", "families")]


def _examples(name: str) -> list[doctest.DocTest]:
    found = doctest.DocTestFinder(recurse=True).find(getattr(difflaw, name), name, globs={})
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DIFFLAW_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for test in _examples(name):
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        out: list[str] = []
        runner.run(test, out=out.append)
        assert runner.failures == 0, "".join(out)


@pytest.mark.parametrize("name", [n for n in NAMES if inspect.isfunction(getattr(difflaw, n))])
def test_every_function_has_an_example(name) -> None:
    assert _examples(name), f"difflaw.{name} has no example in its docstring"


def test_the_page_is_true() -> None:
    spec = importlib.util.spec_from_file_location("api_page", ROOT / "tests/api_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/api.md").read_text(encoding="utf-8") == module.page(), "run `make map`"


def test_importing_loads_nothing_and_knows_its_names() -> None:
    code = (
        "import sys, difflaw; heavy = ('torch', 'numpy', 'pandas', 'scipy', 'pydantic');"
        "print([m for m in heavy if m in sys.modules], set(difflaw.__all__) <= set(dir(difflaw)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"


def test_fitting_and_planning_load_no_torch() -> None:
    code = (
        "import sys, difflaw; laws = difflaw.fit(difflaw.example_table()); difflaw.plan(laws, flops=1e20);"
        "difflaw.published('gidd'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = difflaw.nothing
