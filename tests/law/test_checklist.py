"""The checklist says what the table says, and "not given" where it does not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from difflaw.law import fit_laws, table_from_frame
from difflaw.law.checklist import ASKED, NOT_GIVEN, checklist


def ladder(**columns) -> pd.DataFrame:
    rows = []
    for budget in (1e17, 3e17, 1e18, 3e18):
        for params in np.geomspace(1e6, 1e8, 7) * (budget / 5e17) ** 0.5:
            tokens = budget / (6 * params)
            rows.append({"family": "masked", "params": params, "tokens": tokens, "flops": budget})
    frame = pd.DataFrame(rows)
    frame["loss"] = 1.8 + 480 * frame["params"] ** -0.35 + 2000 * frame["tokens"] ** -0.37
    return frame.assign(**columns)


def answers(
    frame: pd.DataFrame, about: dict[str, str] | None = None, hold_out: bool = False, **conventions: str
) -> dict[str, str]:
    table = table_from_frame(frame, **conventions)
    return {item.question: item.answer for item in checklist(table, fit_laws(table, hold_out=hold_out), about)}


def test_a_bare_table_leaves_questions_open() -> None:
    found = answers(ladder())
    for question in ("how parameters are counted", "how FLOPs are counted", "learning rate", "seeds", *ASKED.values()):
        assert found[question] == NOT_GIVEN, question
    assert found["runs"].startswith("28 (masked 28), 28 points")
    assert "masked: L = E + A/N^alpha + B/D^beta (free: " in found["law"]
    assert found["error of forecast of larger runs"].startswith("not measured")
    assert "intervals for one run held" in answers(ladder(), hold_out=True)["error of forecast of larger runs"]
    assert found["optima inside the sizes run"] == "masked: 4 of 4"
    assert found["left out"] == "nothing"


def test_what_the_table_says_is_filled_in() -> None:
    found = answers(
        ladder(lr=0.01, batch_tokens=4096.0, seed=3, epochs=2.5),
        {"optimizer": "LaProp"},
        params_convention="non-embedding",
        flops_convention="6N",
    )
    assert found["how parameters are counted"] == "non-embedding"
    assert found["how FLOPs are counted"] == "6N"
    assert found["learning rate"] == "0.01"
    assert found["batch, tokens"] == "4096"
    assert found["repeated data"] == "up to 2.5 epochs"
    assert found["optimizer"] == "LaProp"
    assert found["data and tokenizer"] == NOT_GIVEN


def test_what_was_left_out_is_listed() -> None:
    frame = ladder()
    frame["status"] = ["diverged", *["done"] * (len(frame) - 1)]
    assert "diverged" in answers(frame)["left out"]
