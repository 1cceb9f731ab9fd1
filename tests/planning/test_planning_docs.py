"""The table of docs/planning.md says what the planner says."""

from __future__ import annotations

from pathlib import Path

import pytest

from difflaw.formatting import short_count
from difflaw.law.published import published_set
from tests.planning.test_planner import made

PAGE = (Path(__file__).resolve().parents[2] / "docs/planning.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("run", published_set("gidd").runs, ids=lambda run: run.name)
def test_table(run):
    p = made(run.family, flops=run.budget)
    row = PAGE[PAGE.index(f"| {run.name}") :].splitlines()[0]
    law, one = p.loss_interval, p.run_interval
    for words in (
        f"{p.layers}x{p.width}",
        f"[{short_count(p.params_interval.low)}, {short_count(p.params_interval.high)}]",
        f"[{short_count(p.tokens_interval.low)}, {short_count(p.tokens_interval.high)}]",
        f"{p.steps:,}",
        f"{p.loss:.3f}, law [{law.low:.3f}, {law.high:.3f}], one run [{one.low:.3f}, {one.high:.3f}]",
    ):
        assert words in row, words
