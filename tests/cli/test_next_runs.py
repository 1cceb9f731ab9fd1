"""`difflaw next`: rows of a pool as a list, from an empty table on, and refusals in a line."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.cli.test_plan import refused
from tests.planning.test_pool import TARGET, made, pool


@pytest.fixture
def ask(difflaw, tmp_path):
    """Ask for the next runs of a table, with the files of a pool and a target beside it."""
    pool().to_csv(tmp_path / "pool.csv", index=False)
    TARGET.to_csv(tmp_path / "target.csv", index=False)
    (tmp_path / "empty.csv").write_text("params,tokens,loss\n")

    def call(table="empty.csv", *more, **files):
        names = {"pool": "pool.csv", "target": "target.csv"} | files
        where = [part for name in names for part in (f"--{name}", tmp_path / names[name])]
        budget = [] if "--budget" in more else ["--budget", "2e18"]
        return difflaw("next", tmp_path / table, *where, *budget, *more)

    return call


def test_from_a_header_alone(ask):
    outcome = ask("empty.csv", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found
    assert all(1 <= run["row"] <= len(pool()) for run in found)
    assert sum(run["flops"] for run in found) <= 2e18
    assert ask("empty.csv", "--json").out == outcome.out


def test_what_is_made_is_not_chosen_again(ask, tmp_path):
    import numpy as np

    first = {run["row"] for run in json.loads(ask("empty.csv", "--json").out)}
    table = made(pool().iloc[[row - 1 for row in sorted(first)]], np.random.default_rng(0))
    table.to_csv(tmp_path / "made.csv", index=False)
    again = json.loads(ask("made.csv", "--json").out)
    assert again
    assert not first & {run["row"] for run in again}


def test_printed(ask):
    outcome = ask()
    assert outcome.code == 0, outcome.err
    lines = outcome.out.strip().splitlines()
    assert all(line.startswith("row ") for line in lines[:-1])
    assert lines[-1].startswith(f"{len(lines) - 1} runs, ")
    assert "of 2e18 FLOPs" in lines[-1]


def test_refusals(ask, tmp_path):
    refused(ask("empty.csv", "--budget", "1e10"), "--budget 1e+10", "cheapest run left")
    refused(ask("empty.csv", "--budget", "-1"), "--budget -1", "positive")
    refused(ask("empty.csv", target="none.csv"), "none.csv")
    refused(ask("none.csv"), "none.csv")
    refused(ask(pool="none.csv"), "none.csv")
    pool().drop(columns="params").to_csv(tmp_path / "bare.csv", index=False)
    refused(ask(pool="bare.csv"), "bare.csv", "no column for params")
    pool(("a",)).to_csv(tmp_path / "a.csv", index=False)
    TARGET.assign(family="b").to_csv(tmp_path / "b.csv", index=False)
    refused(ask(pool="a.csv", target="b.csv"), "no family in common")
    refused(ask("pool.csv"), "pool.csv", "no column for loss")
    pd.DataFrame(columns=["params", "tokens"]).to_csv(tmp_path / "nothing.csv", index=False)
    refused(ask(pool="nothing.csv"), "nothing.csv", "no rows")
