"""The README and the map tell the truth about the tree."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _map():
    spec = importlib.util.spec_from_file_location("code_map", ROOT / "tests/code_map.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_map_is_true() -> None:
    module = _map()
    text = module.PAGE.read_text(encoding="utf-8")
    written = text.split(module.BEGIN)[1].split(module.END)[0].strip().splitlines()
    assert written == module.lines(), "run `make map`"


def test_every_module_is_on_the_map_and_has_its_test_folder() -> None:
    module = _map()
    listed = "\n".join(module.lines())
    for path in (ROOT / "src/difflaw").rglob("*.py"):
        if path.name != "__init__.py":
            assert f"`{path.name}`" in listed
    for folder in (ROOT / "src/difflaw").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            assert (ROOT / "tests" / folder.name).is_dir(), folder.name


def test_pictures_and_pages_exist() -> None:
    import re

    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
