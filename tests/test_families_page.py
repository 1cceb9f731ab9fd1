"""docs/families.md tells the truth: every name, option and default on it is the code's, and its pictures exist."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import yaml

from difflaw.families import FAMILIES, aliases, names, resolve
from difflaw.ladder.config import FamilyConfig

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/families.md").read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
DEFAULTS = [block for block in BLOCKS if "name" in block]
SET_BY_THE_RUN = {"bos_id", "pad_id", "span", "conditioning", "run_sequences"}


def test_every_name_and_alias_is_on_the_page() -> None:
    missing = [name for name in [*names(), *aliases()] if f"`{name}`" not in PAGE]
    assert missing == []


@pytest.mark.parametrize("block", DEFAULTS, ids=lambda block: block["label"])
def test_options_shown_are_all_there_are(block: dict) -> None:
    FamilyConfig.model_validate(block)
    family = FAMILIES[resolve(block["name"])[0]]
    known = {
        p.name: p.default for p in inspect.signature(family.__init__).parameters.values() if p.kind is p.KEYWORD_ONLY
    }
    own = {name: default for name, default in known.items() if name not in SET_BY_THE_RUN}
    assert block["options"] == own


def test_families_with_options_are_all_shown() -> None:
    assert {block["name"] for block in DEFAULTS} == {"gidd", "mdlm", "duo", "esolm", "block"}
    for entry in next(block["families"] for block in BLOCKS if "families" in block):
        FamilyConfig.model_validate(entry)


def test_pictures_exist_and_are_small() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE)
    assert len(pictures) == len(FAMILIES)
    assert all((ROOT / "docs" / path).stat().st_size < 150_000 for path in pictures)
