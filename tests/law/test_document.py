"""laws.json holds everything that was fitted, and reads back as what was written."""

from __future__ import annotations

import json

import pytest

import difflaw
from difflaw.errors import InputError
from difflaw.law.document import Laws


@pytest.fixture(scope="module")
def laws() -> Laws:
    return difflaw.fit(difflaw.example_table())


def test_round_trip(laws, tmp_path) -> None:
    again = Laws.read(laws.write(tmp_path / "laws.json"))
    assert again.document() == laws.document()
    assert again.families["masked"].params_law == laws.families["masked"].params_law
    assert again.extras is not None
    assert laws.extras is not None
    assert again.extras.standings == laws.extras.standings
    assert [s["flops"] for s in again.document()["standings"]] == list(laws.extras.standings)


def test_files_of_before_can_be_read(laws, tmp_path) -> None:
    raw = laws.document()
    old = {key: value for key, value in raw.items() if key not in ("extras", "standings", "recipe")}
    old |= {"schema": 1, "beyond": {**raw["extras"], "standings": raw["standings"]}}
    (tmp_path / "laws.json").write_text(json.dumps(old))
    again = Laws.read(tmp_path)
    assert again.extras is not None
    assert again.extras.standings == laws.extras.standings
    assert [p.family for p in difflaw.plan(again, flops=1e20)] == [p.family for p in difflaw.plan(laws, flops=1e20)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: {"families": 3}, "holds no laws"),
        (lambda raw: raw | {"schema": 99}, "newer version"),
        (lambda raw: raw | {"rows": "many"}, "rows: expected a whole number"),
        (lambda raw: raw | {"families": {"masked": {"family": "masked"}}}, "families.masked.profiles is missing"),
    ],
)
def test_malformed_files_are_refused_by_key(laws, tmp_path, change, said) -> None:
    (tmp_path / "laws.json").write_text(json.dumps(change(laws.document())))
    with pytest.raises(InputError, match=said):
        Laws.read(tmp_path / "laws.json")
