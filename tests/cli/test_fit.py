"""`difflaw fit` on a planted table, on the published runs, and on bad tables."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd


def planted() -> pd.DataFrame:
    rows = []
    for c in (1e17, 1e18, 1e19):
        for n in 2.6e7 * (c / 1e17) ** 0.514 * 1.6 ** np.arange(-3, 4):
            d = c / (6 * n)
            rows.append(
                {"family": "masked", "N": n, "D": d, "FLOPs": c, "loss": 1.8 + 480 * n**-0.35 + 2100 * d**-0.37}
            )
    return pd.DataFrame(rows)


def test_planted_exponent(difflaw, tmp_path) -> None:
    planted().to_csv(tmp_path / "t.csv", index=False)
    outcome = difflaw("fit", tmp_path / "t.csv", "--json", "--output", tmp_path / "laws")
    assert outcome.code == 0, outcome.err
    law = json.loads(outcome.out)["laws"]["families"]["masked"]
    assert abs(law["params_law"]["exponent"] - 0.37 / 0.72) < 0.01
    assert abs(law["surface"]["params_exponent"] - 0.37 / 0.72) < 1e-4
    assert (tmp_path / "laws/laws.json").exists()
    assert (tmp_path / "laws/figures/isoflop-profiles.png").exists()


def test_published_runs(difflaw, shared) -> None:
    """Not carried in tests/facts: the 245 published runs are others' data."""
    table = shared / "data/chinchilla_epoch/svg_extracted_data.csv"
    outcome = difflaw("fit", table, "--params-column", "Model Size", "--flops-column", "Training FLOP", "--json")
    assert outcome.code == 0, outcome.err
    surface = json.loads(outcome.out)["laws"]["families"]["all"]["surface"]
    assert 0.45 < surface["params_exponent"] < 0.63


def test_checklist_method_and_what_is_not_fitted(difflaw, tmp_path) -> None:
    planted().to_csv(tmp_path / "t.csv", index=False)
    told = ("--checklist", "--about", "optimizer=LaProp", "--method", "first-paper")
    outcome = difflaw("fit", tmp_path / "t.csv", *told, "-o", tmp_path / "laws")
    assert outcome.code == 0, outcome.err
    assert "optimizer: LaProp" in outcome.out
    assert "data and tokenizer: not given" in outcome.out
    assert "not fitted: batch and rate" in outcome.out
    written = json.loads((tmp_path / "laws/laws.json").read_text())
    assert {"families", "extras", "standings", "checklist"} <= set(written)
    assert (tmp_path / "laws/figures/residuals.png").exists()
    refused(difflaw("fit", tmp_path / "t.csv", "--method", "akima"), "--method", "first-paper")
    refused(difflaw("fit", tmp_path / "t.csv", "--about", "colour=red"), "--about colour", "optimizer")
    refused(difflaw("fit", tmp_path / "t.csv", "--about", "optimizer"), "KEY=VALUE")


def test_a_plan_can_be_made_from_what_fit_wrote(difflaw, tmp_path) -> None:
    planted().to_csv(tmp_path / "t.csv", index=False)
    assert difflaw("fit", tmp_path / "t.csv", "-o", tmp_path / "laws").code == 0
    ask = ("plan", "--flops", "3e19", "--law", tmp_path / "laws/laws.json", "--context", "1024", "--vocab", "32000")
    outcome = difflaw(*ask, "--json")
    assert outcome.code == 0, outcome.err
    assert "masked" in outcome.out


def test_prints_a_table(difflaw, tmp_path) -> None:
    planted().to_csv(tmp_path / "t.csv", index=False)
    outcome = difflaw("fit", tmp_path / "t.csv")
    assert outcome.code == 0
    assert "masked" in outcome.out
    assert "3/3" in outcome.out


def refused(outcome, *words: str) -> None:
    assert outcome.code == 2
    assert outcome.err.startswith("difflaw: ")
    assert outcome.err.count("\n") <= 3
    for word in words:
        assert word in outcome.err


def test_bad_tables(difflaw, tmp_path) -> None:
    path = tmp_path / "t.csv"
    refused(difflaw("fit", path), "t.csv")
    path.write_text("")
    refused(difflaw("fit", path), "t.csv", "empty")
    planted().drop(columns="loss").to_csv(path, index=False)
    refused(difflaw("fit", path), "loss")
    frame = planted()
    frame.loc[4, "loss"] = float("nan")
    frame.to_csv(path, index=False)
    refused(difflaw("fit", path), "loss", "row 5")
    refused(difflaw("fit", path, "--params-column", "size"), "size")
