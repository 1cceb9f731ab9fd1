"""The loss of any run by fitted laws: at its size, tokens, different tokens, batch and rate, with both intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.law.answer import loss_estimate
from difflaw.law.document import Laws
from difflaw.law.hyperparameters import HyperparameterFit
from difflaw.law.posterior.posterior import Posterior
from difflaw.law.results import FamilyLaws

FAR = 10.0
"""Runs beyond this factor of the largest FLOPs fitted carry a warning."""


@dataclass(frozen=True)
class Prediction:
    """The loss of one run, nats per token, with the law's interval and that of the run itself."""

    family: str
    params: float
    tokens: float
    loss: float
    law_interval: tuple[float, float]
    run_interval: tuple[float, float]
    warning: str = ""


def predict(laws: Laws, rows: Any, level: float = 0.95) -> list[Prediction]:
    """A prediction for every row of a data frame, in its order.

    Args:
        laws: with draws, as `fit_table` returns and `Laws.read` reads them.
        rows: columns ``params`` and ``tokens``; ``family`` where the laws have several, and ``unique_tokens``,
            ``batch_tokens`` and ``lr`` where known (blank: nothing repeated, the best batch and rate).
        level: of the intervals.

    Raises:
        InputError: a family without a law, or rows without one where there are several.
    """
    named = "family" in rows and rows["family"].notna().any()
    with_draws = {name: f for name, f in laws.families.items() if f.posterior is not None}
    if not with_draws:
        raise InputError(f"{laws.source.name}: {_reasons(laws.families)}; fit the table again with this version")
    if not named and len(with_draws) > 1:
        raise InputError(f"the laws are of {', '.join(with_draws)}: name one in each row, in a column family")
    families = rows["family"].astype(str).to_numpy() if named else np.full(len(rows), next(iter(with_draws)))
    if len(with_draws) == 1 and "all" in with_draws:
        families = np.full(len(rows), "all")  # the table that was fitted named no family
    if missing := sorted(set(families) - set(with_draws)):
        raise InputError(f"family '{missing[0]}' has no law here; there are laws of {', '.join(with_draws)}")
    out: list[Prediction | None] = [None] * len(rows)
    for name in dict.fromkeys(families):
        index = np.flatnonzero(families == name)
        some = rows.iloc[index]
        tuned = laws.extras.batch_and_rate.get(name) if laws.extras is not None else None
        for i, found in zip(index, _of_family(name, with_draws[name].posterior, some, tuned, level), strict=True):
            out[int(i)] = found
    return [p for p in out if p is not None]


def _of_family(
    name: str, post: Posterior | None, rows: Any, tuned: HyperparameterFit | None, level: float
) -> list[Prediction]:
    assert post is not None
    n, d = (rows[c].to_numpy(float) for c in ("params", "tokens"))
    unique = rows["unique_tokens"].to_numpy(float) if "unique_tokens" in rows else None
    ln_loss = post.ln_loss(n, d, unique) + _off_best(rows, tuned)
    noise = post.noise()
    flops = np.exp(post.flops_per_token(np.log(n))) * d
    out = []
    for i in range(len(n)):
        found = loss_estimate(ln_loss[:, i], noise, level)
        factor = float(flops[i]) / post.budgets[1]
        warning = f"{factor:.3g} times the largest run fitted" if factor > FAR else ""
        if unique is not None and not post.repeated and np.isfinite(unique[i]) and d[i] > 1.01 * unique[i]:
            warning = "the table fitted repeats no data: every token is taken as fresh"
        out.append(Prediction(name, float(n[i]), float(d[i]), found.estimate, found.law, found.run, warning))
    return out


def _off_best(rows: Any, tuned: HyperparameterFit | None) -> np.ndarray:
    """What a row's batch and rate cost in ln loss, (n,); nothing where they, or their laws, are not known."""
    cost = np.zeros(len(rows))
    if tuned is None or not {"batch_tokens", "lr"} <= set(rows.columns):
        return cost
    for i, (n, d, batch, rate) in enumerate(rows[["params", "tokens", "batch_tokens", "lr"]].to_numpy(float)):
        if batch > 0 and rate > 0:
            cost[i] = tuned.cost(batch, rate, d, n)
    return cost


def _reasons(families: Mapping[str, FamilyLaws]) -> str:
    said = [f"{name}: {f.answer.reason}" for name, f in families.items() if f.answer is not None]
    return "; ".join(said) or "no family has draws of its law"
