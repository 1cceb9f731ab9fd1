"""Next runs: worth more than one run at the optimum, within the budget, near the frontier, and missing rungs first."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from difflaw.errors import InputError
from difflaw.law.fit import fit_laws
from difflaw.law.posterior.fit import columns, fit_posterior
from difflaw.law.table import table_from_frame
from difflaw.planning.extend import propose
from difflaw.planning.next_runs import MISSING_SHARE, NEAR, next_runs

TARGET, BUDGET = 5e21, 1e20


def planted(truth, sd=0.003, extra=(), low=2e7, scale=1.0):
    rng = np.random.default_rng(0)
    n, c = (v.ravel() for v in np.meshgrid(np.geomspace(low, 5e8, 5), np.geomspace(5e17, 1e20, 5)))
    d = c / 6 / n
    if extra:
        n, d = np.append(n, [e[0] for e in extra]), np.append(d, [e[1] for e in extra])
    return n, d, scale * truth.loss(n, d) * np.exp(sd * rng.standard_normal(len(n)))


@pytest.fixture(scope="module")
def law(truth):
    return fit_posterior(columns(*planted(truth)))


def test_better_than_one_run_at_the_optimum(truth, law):
    found = next_runs({"all": law}, BUDGET, TARGET)["all"]
    assert found.flops <= BUDGET * (1 + 1e-9)
    assert found.flops == pytest.approx(sum(r.flops * r.times for r in found.runs))
    assert found.loss_se[1] < found.at_optimum_se <= found.loss_se[0] * 1.02
    assert found.loss_se[1] < 0.85 * found.loss_se[0]
    assert found.size_se[1] < found.size_se[0]
    for run in found.runs:
        best = float(np.median(law.best(run.flops).ln_params))
        assert abs(math.log(run.params) - best) < math.log(NEAR) + 0.05


def test_the_promise_is_kept_when_the_runs_are_made(truth, law):
    """The law fitted with the proposed runs is about as sure as was said before they were made."""
    found = next_runs({"all": law}, BUDGET, TARGET)["all"]
    extra = [(run.params, run.tokens) for run in found.runs for _ in range(run.times)]
    after = fit_posterior(columns(*planted(truth, extra=extra)))
    spread = float(after.best(TARGET).ln_loss.std())
    assert spread < 0.9 * found.loss_se[0]
    assert spread == pytest.approx(found.loss_se[1], rel=0.4)


def test_the_missing_rung_comes_first(truth):
    """Sizes that begin above the best one at small budgets and end below it at large: rungs beyond both come first."""
    n, d, loss = planted(truth, low=9e7)
    table = table_from_frame(pd.DataFrame({"params": n, "tokens": d, "flops": 6 * n * d, "loss": loss}))
    laws = fit_laws(table).families["all"]
    edges = [p for p in laws.profiles if p.status.startswith("edge")]
    assert any(p.status == "edge-low" for p in edges)
    found = next_runs({"all": laws.posterior}, BUDGET, TARGET, profiles={"all": laws.profiles})["all"]
    missing = [run for run in found.runs if run.why.startswith("missing")]
    assert missing[0] == found.runs[0]
    assert all(min(abs(math.log(run.flops / p.flops)) for p in edges) < 1e-6 for run in missing)
    assert all(not n.min() <= run.params <= n.max() for run in missing)
    assert sum(run.flops for run in missing) <= MISSING_SHARE * BUDGET


def test_one_budget_goes_where_it_tells_most(truth, law):
    """Of two families the one known worse gets more of it, and both together no more than the budget."""
    vague = fit_posterior(columns(*planted(truth, sd=0.01)))
    found = next_runs({"sure": law, "vague": vague}, BUDGET, TARGET)
    spent = {name: runs.flops for name, runs in found.items()}
    assert sum(spent.values()) <= BUDGET * (1 + 1e-9)
    assert "vague" in found
    assert spent["vague"] > spent.get("sure", 0.0)


def test_too_small_a_budget(law):
    with pytest.raises(InputError, match="smallest useful run"):
        next_runs({"all": law}, 1e10, TARGET)


def test_a_family_without_a_law_is_named(truth):
    n, d, loss = planted(truth)
    rows = pd.DataFrame({"family": "good", "params": n, "tokens": d, "loss": loss})
    few = rows.iloc[:3].assign(family="few")
    proposals, reasons = propose(table_from_frame(pd.concat([rows, few])), BUDGET, TARGET)
    assert [p.family for p in proposals] == ["good"]
    assert len(reasons) == 1
    assert reasons[0].startswith("few: 3 rows")
