"""What a table says in addition to its frontier is fitted where columns carry it, and named where they do not."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from difflaw.law import fit_laws, table_from_frame
from difflaw.law.extras import Extras, extras_text, fit_extras
from difflaw.law.records import plain


def fitted(frame: pd.DataFrame, **options) -> Extras:
    table = table_from_frame(frame)
    return fit_extras(table, fit_laws(table), **options)


def two_families(better: float = 0.97, noise: float = 0.002) -> pd.DataFrame:
    draw, rows = np.random.default_rng(0), []
    for family, scale in (("masked", 1.0), ("uniform", better)):
        for budget in (1e18, 3e18, 1e19, 3e19):
            for n in 3e7 * (budget / 1e18) ** 0.5 * 1.6 ** np.arange(-3, 4):
                d = budget / (6 * n)
                loss = scale * (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(noise * draw.standard_normal())
                row = {"family": family, "params": n, "tokens": d, "flops": budget, "loss": loss, "budget": budget}
                rows.append(row)
    return pd.DataFrame(rows)


def test_what_a_bare_table_lacks_is_named() -> None:
    found = fitted(two_families())
    assert not found.batch_and_rate
    assert not found.repeated_data
    assert any("batch and rate" in line for line in found.missing)


def test_the_first_papers_way_is_an_addition() -> None:
    assert not fitted(two_families()).first_paper
    found = fitted(two_families(), first_paper=True)
    assert set(found.first_paper) == {"masked", "uniform"}
    assert found.first_paper["masked"]["params"].law.exponent == pytest.approx(0.37 / 0.72, abs=0.05)
    assert "batch" not in found.first_paper["masked"]  # the table has no batches
    assert "74 to 89 %" in found.first_paper["masked"]["params"].interval.kind
    bare = fitted(two_families().drop(columns="budget"), first_paper=True)
    assert bare.first_paper["uniform"]["params"].law.exponent == pytest.approx(0.37 / 0.72, abs=0.05)
    scattered = fitted(two_families().assign(budget=np.nan).iloc[::7], first_paper=True)
    assert any("first paper's way" in line for line in scattered.missing)


def test_batch_and_rate_are_found_where_they_vary() -> None:
    rows = []
    for n in (1e7, 3e7, 1e8):
        for d in (1e9, 3e9, 1e10):
            best_batch = 0.6 * d**0.57
            for batch in best_batch * np.array([0.35, 0.7, 1.0, 1.7, 3.0]):
                best_rate = 0.5 * batch**0.3 * 1e-3
                for rate in best_rate * np.array([0.4, 1.0, 2.2]):
                    cost = 0.01 * np.log(batch / best_batch) ** 2 + 0.02 * np.log(rate / best_rate) ** 2
                    loss = (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(cost)
                    rows.append({"params": n, "tokens": d, "loss": loss, "batch_tokens": batch, "lr": rate})
    found = fitted(pd.DataFrame(rows).assign(flops=lambda f: 6 * f["params"] * f["tokens"], family="masked"))
    fit = found.batch_and_rate["masked"]
    assert fit.batch_exponents["tokens"] == pytest.approx(0.57, abs=0.01)
    assert fit.rate_exponents["batch"] == pytest.approx(0.3, abs=0.02)
    (line,) = (line for line in extras_text(found) if "the best batch goes as tokens^0.57" in line)
    assert "tokens^0.17" in line.partition("at the best batch the best rate goes as ")[2]  # .3 times .57
    assert f"fitted to {fit.points:,} measurements near the optimum" in line
    assert f"({fit.trimmed:,} further off, or diverged, are trimmed)" in line


def test_repeated_data_are_noticed() -> None:
    rows = []
    for n in (1e7, 3e7, 1e8, 3e8):
        for unique in (1e8, 3e8, 1e9):
            for epochs in (0.5, 1.0, 4.0, 16.0, 64.0):
                repeats = max(epochs - 1.0, 0.0)
                worth = unique * min(epochs, 1.0) + unique * 15.0 * (1 - np.exp(-repeats / 15.0))
                rows.append({"params": n, "tokens": unique * epochs, "epochs": epochs})
                rows[-1]["loss"] = 1.8 + 480 * n**-0.35 + 2100 * worth**-0.37
    found = fitted(pd.DataFrame(rows).assign(flops=lambda f: 6 * f["params"] * f["tokens"], family="ar"))
    assert found.repeated_data["ar"].half_life == pytest.approx(15.0, rel=0.02)
    assert any("R* = 15" in line for line in extras_text(found))


def test_json_is_plain_and_does_not_depend_on_the_order_of_rows() -> None:
    frame = two_families()
    one, other = (
        json.dumps(plain(fitted(f, first_paper=True)), allow_nan=False)
        for f in (frame, frame.sample(frac=1, random_state=1))
    )
    for a, b in zip(_numbers(json.loads(one)), _numbers(json.loads(other)), strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12)


def _numbers(value) -> list[float]:
    if isinstance(value, dict):
        return [n for item in value.values() for n in _numbers(item)]
    if isinstance(value, list):
        return [n for item in value for n in _numbers(item)]
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_repeats_without_fewer_repeats_to_learn_from_are_named() -> None:
    """Every row is seen about as often, so none is left for the forecast that chooses the form."""
    found = fitted(two_families().assign(epochs=10.0))
    assert not found.repeated_data or all(law.most_epochs == 10 for law in found.repeated_data.values())
