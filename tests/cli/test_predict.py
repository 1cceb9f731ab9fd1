"""`difflaw predict`: a list of losses in the order of rows, and refusals in a line."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.cli.test_plan import refused
from tests.law.conftest import ladder, loss


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the laws.json of two families and a table of runs."""
    import difflaw

    where = tmp_path_factory.mktemp("predict")
    other = ladder(1, sd=0.002, family="uniform").assign(loss=lambda f: 1.02 * f.loss)
    difflaw.fit(pd.concat([ladder(0, sd=0.002), other])).write(where / "laws.json")
    runs().to_csv(where / "runs.csv", index=False)
    return where


def runs(**columns):
    frame = {"family": ["uniform", "masked", "masked"], "params": [1e9, 2e7, 3e8], "tokens": [1e10, 3e9, 8e9]}
    return pd.DataFrame(frame).assign(**columns)


def test_json_is_a_list_in_the_order_of_rows(difflaw, folder):
    outcome = difflaw("predict", folder / "laws.json", folder / "runs.csv", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert [(p["family"], p["params"], p["tokens"]) for p in found] == list(runs().itertuples(index=False, name=None))
    true = loss(runs().params, runs().tokens) * np.where(runs().family == "uniform", 1.02, 1)
    for p, y in zip(found, true, strict=True):
        law, run = p["law_interval"], p["run_interval"]
        assert run[0] < law[0] < p["loss"] < law[1] < run[1]
        assert law[0] < y < law[1]
    assert difflaw("predict", folder, folder / "runs.csv", "--json").out == outcome.out


def test_printed(difflaw, folder):
    outcome = difflaw("predict", folder / "laws.json", folder / "runs.csv", "--level", "0.9")
    assert outcome.code == 0, outcome.err
    for word in ("uniform", "one run 90 %", "3B", "300M"):
        assert word in outcome.out


def test_refusals(difflaw, folder, tmp_path):
    laws = folder / "laws.json"

    def given(frame):
        frame.to_csv(tmp_path / "r.csv", index=False)
        return difflaw("predict", laws, tmp_path / "r.csv")

    refused(given(runs().drop(columns="tokens")), "r.csv", "no column for tokens")
    refused(given(runs(params=[1e9, np.nan, 1e8])), "r.csv", "column 'params', row 2")
    refused(given(runs(family=["masked", "other", "masked"])), "family 'other' has no law here")
    refused(given(runs().drop(columns="family")), "column family")
    refused(given(runs().iloc[:0]), "r.csv", "no rows")
    refused(difflaw("predict", tmp_path / "none.json", folder / "runs.csv"), "none.json", "no such file")
    refused(difflaw("predict", laws, tmp_path / "none.csv"), "none.csv")
    refused(difflaw("predict", laws, folder / "runs.csv", "--level", "2"), "--level 2", "0.95")


def test_laws_of_before_have_no_draws(difflaw, folder, tmp_path):
    raw = json.loads((folder / "laws.json").read_text())
    for family in raw["families"].values():
        del family["posterior"], family["answer"]
    (tmp_path / "laws.json").write_text(json.dumps(raw))
    refused(difflaw("predict", tmp_path / "laws.json", folder / "runs.csv"), "fit the table again")
