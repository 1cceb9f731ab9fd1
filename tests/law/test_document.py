"""laws.json holds everything that was fitted, and reads back as what was written."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
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
    assert again.standings == laws.standings
    assert [at.flops for at in laws.standings] == pytest.approx([laws.largest, 10 * laws.largest])


def test_draws_are_kept_bit_for_bit(laws, tmp_path) -> None:
    again = Laws.read(laws.write(tmp_path / "laws.json"))
    for name, family in laws.families.items():
        for column in ("theta", "ln_noise", "sizes"):
            assert np.array_equal(getattr(again.families[name].posterior, column), getattr(family.posterior, column))
        assert again.families[name].answer == family.answer
    assert again.standings_at(1e20) == laws.standings_at(1e20)


def test_files_of_before_can_be_read(laws, tmp_path) -> None:
    raw = laws.document()
    old = {key: value for key, value in raw.items() if key not in ("extras", "standings", "recipe")}
    old |= {"schema": 1, "beyond": {**raw["extras"], "standings": raw["standings"]}}
    old["families"] = {
        name: {key: value for key, value in family.items() if key not in ("posterior", "answer", "without_suspects")}
        for name, family in raw["families"].items()
    }
    (tmp_path / "laws.json").write_text(json.dumps(old))
    again = Laws.read(tmp_path)
    assert again.standings == laws.standings
    assert again.families["masked"].posterior is None
    plans, new = difflaw.plan(again, flops=1e20), difflaw.plan(laws, flops=1e20)
    assert {p.family for p in plans} == {p.family for p in new}
    with pytest.raises(InputError, match="fit the table again"):
        difflaw.predict(again, pd.DataFrame({"family": ["masked"], "params": [1e8], "tokens": [1e9]}))


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
