"""`difflaw plan` from published and fitted laws; stored, scored, drawn; and refused in a line."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.cli.test_fit import planted
from tests.law.test_odds import ladder


def test_published_plan_as_json(difflaw):
    outcome = difflaw("plan", "--flops", "1e22", "--law", "published:gidd", "--json")
    assert outcome.code == 0, outcome.err
    plans = {p["family"]: p for p in json.loads(outcome.out)["plans"]}
    assert len(plans) == 5
    assert (plans["uniform"]["layers"], plans["uniform"]["width"]) == (34, 4608)
    assert difflaw("plan", "--flops", "1e22", "--law", "published:gidd", "--json").out == outcome.out


def test_prints_rules_with_their_paper(difflaw):
    outcome = difflaw("plan", "--gpu-hours", "200", "--gpu", "h100", "--family", "uniform", "--gpus", "8")
    assert outcome.code == 0, outcome.err
    for words in ("B* = 10^-2.95·D^0.8787", "η* =", "arXiv 2512.10858", "by the clock", "within .25 %", "h100"):
        assert words in outcome.out


def test_fitted_law_figure_and_config(difflaw, tmp_path):
    planted().to_csv(tmp_path / "t.csv", index=False)
    assert difflaw("fit", tmp_path / "t.csv", "--output", tmp_path / "laws").code == 0
    made = ["--emit", tmp_path / "t.yaml", "--figure", tmp_path / "r.png", "--store", tmp_path / "p.json"]
    law = ["--law", tmp_path / "laws/laws.json", "--data", tmp_path / "t.csv"]
    outcome = difflaw("plan", "--flops", "1e19", *law, *made, "--json")
    assert outcome.code == 0, outcome.err
    (p,) = json.loads(outcome.out)["plans"]
    # The planted law's optimum at 1e19 (alpha .35, beta .37, A 480, B 2100), counted as 6·N.
    n = (0.35 * 480 / (0.37 * 2100)) ** (1 / 0.72) * (1e19 / 6) ** (0.37 / 0.72)
    assert p["best_flops_per_token"] / 6 == pytest.approx(n, rel=0.05)
    assert p["loss"] == pytest.approx(1.8 + 480 * n**-0.35 + 2100 * (1e19 / 6 / n) ** -0.37, rel=0.002)
    assert (tmp_path / "r.png").read_bytes()[:4] == b"\x89PNG"
    assert "masked" in (tmp_path / "t.yaml").read_text()
    assert json.loads((tmp_path / "p.json").read_text())["law_sha256"]


def refused(outcome, *words: str) -> None:
    assert outcome.code == 2, outcome.out
    assert outcome.err.startswith("difflaw: ")
    assert outcome.err.count("\n") <= 2
    for word in words:
        assert word in outcome.err


def test_bad_questions(difflaw, tmp_path):
    refused(difflaw("plan"), "--flops")
    refused(difflaw("plan", "--flops", "1e15", "--tokens", "1e13"), "no model fits", "--tokens")
    refused(difflaw("plan", "--flops", "-3"), "--flops")
    refused(difflaw("plan", "--flops", "1e20", "--law", "published:nobody"), "gidd")
    refused(difflaw("plan", "--flops", "1e20", "--law", tmp_path / "no.json"), "no such file")
    (tmp_path / "odd.json").write_text('{"families": {"x": {"flops_per_token_law": {"y": 1}}}}')
    refused(difflaw("plan", "--flops", "1e20", "--law", tmp_path / "odd.json"), "odd.json", "x")
    refused(difflaw("plan", "--flops", "1e20", "--family", "mask"), "masked")
    refused(difflaw("plan", "scores"), "Did you mean 'score'")
    refused(difflaw("plan", "score", "one"), "RUN")
    refused(difflaw("plan", "score", tmp_path / "p.json", tmp_path), "no such file")


def test_beyond_reason_warns(difflaw):
    outcome = difflaw("plan", "--flops", "1e30")
    assert outcome.code == 0
    assert "not a forecast" in outcome.out
    assert "not stated" in outcome.out


def test_next_cells_of_a_table(difflaw, tmp_path):
    planted().to_csv(tmp_path / "exact.csv", index=False)
    refused(difflaw("plan", "next", tmp_path / "exact.csv", "--flops", "3e18"), "no run", "exact.csv")
    frame = planted()
    frame["loss"] *= np.exp(0.002 * np.random.default_rng(0).standard_normal(len(frame)))
    frame.to_csv(tmp_path / "t.csv", index=False)
    outcome = difflaw("plan", "next", tmp_path / "t.csv", "--flops", "3e18", "--json")
    assert outcome.code == 0, outcome.err
    (proposal,) = json.loads(outcome.out)["proposals"]
    found = proposal["found"]
    assert 0 < found["flops"] <= 3e18 * (1 + 1e-9)
    assert found["loss_se"][1] < found["loss_se"][0]
    before = difflaw("plan", "--next", "3e18", tmp_path / "t.csv", "--json")
    assert before.out == outcome.out
    assert "plan --next is now: difflaw plan next" in before.err
    shown = difflaw("plan", "next", tmp_path / "t.csv", "--flops", "3e18")
    assert "parameters on" in shown.out
    refused(difflaw("plan", "next", "--flops", "3e18"), "LADDER")
    refused(difflaw("plan", "next", tmp_path / "t.csv", "--flops", "-1"), "--flops")
    refused(difflaw("plan", "next", tmp_path, "--flops", "1e18"), "ladder.json")


def test_odds_are_those_of_the_fitted_laws(difflaw, tmp_path):
    ladder().to_csv(tmp_path / "t.csv", index=False)
    assert difflaw("fit", tmp_path / "t.csv", "-o", tmp_path / "laws").code == 0
    for standing in json.loads((tmp_path / "laws/laws.json").read_text())["standings"]:
        ask = ("plan", "--flops", repr(standing["flops"]), "--runs", tmp_path / "t.csv", "--json")
        assert json.loads(difflaw(*ask).out)["odds"] == standing["families"]


def test_odds_of_the_families(difflaw, tmp_path):
    one = planted()
    rng = np.random.default_rng(0)
    both = pd.concat([one, one.assign(family="uniform", loss=one["loss"] * 1.01)])
    both["loss"] *= np.exp(0.0005 * rng.standard_normal(len(both)))
    both.to_csv(tmp_path / "t.csv", index=False)
    outcome = difflaw("plan", "--flops", "1e20", "--runs", tmp_path / "t.csv", "--json")
    assert outcome.code == 0, outcome.err
    odds = {o["family"]: o["probability"] for o in json.loads(outcome.out)["odds"]}
    assert odds["masked"] > 0.9
    assert sum(odds.values()) == pytest.approx(1.0)
    one.to_csv(tmp_path / "t.csv", index=False)
    refused(difflaw("plan", "--flops", "1e20", "--runs", tmp_path / "t.csv"), "two families")
