"""Runs to buy from a finite pool for the forecast of given targets: `difflaw next`, from the first run on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import flops as in_flops
from difflaw.law.interpolation import prolonged
from difflaw.law.posterior.fit import Columns, centre_of, columns, fit_posterior, prior_posterior
from difflaw.law.posterior.posterior import Posterior
from difflaw.planning.choosing import Choice, as_if_run, choose

FEW = 3
"""Runs below which the prior is used, moved by where those runs lie."""
DRAWS = 1000
FAR = 1e3
"""Targets beyond this factor of the pool's largest run carry a remark."""


@dataclass(frozen=True)
class Bought:
    """One run of the pool to make: its row (1-based) there, and the target's error before and after it."""

    row: int
    family: str
    params: float
    tokens: float
    flops: float
    error_before: float
    """Root mean square standard error of ln loss over the targets."""
    error_after: float


def choose_from_pool(table: Any, pool: Any, target: Any, budget: float, *, seed: int = 0) -> list[Bought]:
    """Rows of the pool to run, in order, for at most ``budget`` FLOPs.

    Args:
        table: runs so far, columns params, tokens, loss (and family, unique_tokens, flops): may have no rows.
        pool: runs that could be made, the same columns but the loss.
        target: runs whose loss is to be forecast, the same.
        budget: FLOPs to spend.
        seed: of the draws.

    Raises:
        InputError: a budget that is not positive or buys nothing, families that pool and target do not share.
    """
    if not (math.isfinite(budget) and budget > 0):
        raise InputError(f"--budget {budget:g}: give a positive number of FLOPs")
    families = _families(pool, target)
    cost = _flops(pool, table)
    left = ~_made(pool, table)
    if not left.any():
        raise InputError("every run of the pool is in the table already: nothing is left to choose")
    if cost[left].min() > budget:
        raise InputError(
            f"--budget {budget:g}: the cheapest run left in the pool costs {in_flops(float(cost[left].min()))}"
        )
    found, index = _chosen(table, pool, target, families, left, (cost, budget), seed, prior=False)
    if not found and len(table):
        # A handful of runs may give draws that hardly differ; what was known before them still does.
        found, index = _chosen(table, pool, target, families, left, (cost, budget), seed, prior=True)
    if not found:
        raise InputError("no run of the pool tells anything about the target; choose runs nearer to it")
    names = pool["family"].astype(str).to_numpy() if "family" in pool else np.full(len(pool), "all")
    n, d = pool["params"].to_numpy(float), pool["tokens"].to_numpy(float)
    out = []
    for choice in found:
        at = int(index[choice.index])
        errors = math.sqrt(choice.before), math.sqrt(choice.after)
        out.append(Bought(at + 1, str(names[at]), float(n[at]), float(d[at]), float(cost[at]), *errors))
    return out


def _chosen(
    table: Any,
    pool: Any,
    target: Any,
    families: Sequence[str],
    left: np.ndarray,
    money: tuple[np.ndarray, float],
    seed: int,
    prior: bool,
) -> tuple[list[Choice], np.ndarray]:
    """(choices, rows of the pool that their indices count), from each family's law or, if asked, the prior alone."""
    cost, budget = money
    blocks, goals, noises, rows = [], [], [], []
    for i, name in enumerate(families):
        mine, aim = (_of(frame, name) for frame in (pool, target))
        mine = mine & left
        if not aim.any() or not mine.any():
            continue
        post, given = _posterior(_rows(table, name), pool[_of(pool, name)], target[aim], 1000 * seed + i, prior)
        block, goal = _ln_loss(post, pool[mine]), _ln_loss(post, target[aim])
        noises.append(_noise(post, block))
        if len(given):
            block, goal = as_if_run(block, goal, _ln_loss(post, given), seed=seed)
        blocks.append(block)
        goals.append(goal)
        rows.append(np.flatnonzero(mine))
    index = np.concatenate(rows)
    candidates, targets = _independent(blocks, seed), _independent(goals, seed)
    found, _ = choose(candidates, targets, np.concatenate(noises), cost[index], budget, seed=seed)
    return found, index


def remarks(table: Any, pool: Any, target: Any) -> list[str]:
    """What to know before the choice: targets that are no forecast, or beyond anything the pool can tell."""
    out = []
    n, d = (target[c].to_numpy(float) for c in ("params", "tokens"))
    if len(table):
        inside = np.ones(len(target), bool)
        for values, column in ((n, "params"), (d, "tokens")):
            inside &= (values >= float(table[column].min())) & (values <= float(table[column].max()))
        if inside.any():
            out.append(
                f"{int(inside.sum())} of {len(target)} targets lie inside the sizes and tokens run so far: "
                "between measurements, not ahead of them"
            )
    far = float((n * d).max() / (pool["params"] * pool["tokens"]).to_numpy(float).max())
    if far > FAR:
        out.append(
            f"the largest target takes {far:.2g} times the FLOPs of the pool's largest run: no choice makes that "
            "forecast sure; put larger runs into the pool"
        )
    return out


def _families(pool: Any, target: Any) -> list[str]:
    named = ["family" in frame for frame in (pool, target)]
    if not any(named):
        return ["all"]
    if not all(named):
        raise InputError("pool and target must both have a column family, or neither")
    mine, aims = (sorted(set(frame["family"].astype(str))) for frame in (pool, target))
    if not set(mine) & set(aims):
        raise InputError(f"pool ({', '.join(mine)}) and target ({', '.join(aims)}) have no family in common")
    return [name for name in mine if name in aims]


def _of(frame: Any, name: str) -> np.ndarray:
    if "family" not in frame or name == "all":
        return np.ones(len(frame), bool)
    return (frame["family"].astype(str) == name).to_numpy()


def _rows(table: Any, name: str) -> Any:
    return table[_of(table, name)] if len(table) else table


def _made(pool: Any, table: Any) -> np.ndarray:
    """Which runs of the pool are in the table: equal size, tokens, different tokens and family, as often as there."""
    keys = [c for c in ("family", "params", "tokens", "unique_tokens") if c in pool and c in table]
    out = np.zeros(len(pool), bool)
    if not len(table):
        return out
    have: dict[tuple[Any, ...], int] = {}
    for key in _keys(table, keys):
        have[key] = have.get(key, 0) + 1
    for i, key in enumerate(_keys(pool, keys)):
        if have.get(key, 0) > 0:
            have[key] -= 1
            out[i] = True
    return out


def _keys(frame: Any, names: Sequence[str]) -> list[tuple[Any, ...]]:
    parts = [
        frame[c].astype(str) if c == "family" else np.log(frame[c].to_numpy(float).clip(1e-9)).round(6) for c in names
    ]
    return list(zip(*parts, strict=True))


def _flops(pool: Any, table: Any) -> np.ndarray:
    """FLOPs of every run of the pool: its own column, else as the table's sizes show, else 6·N·D."""
    n, d = pool["params"].to_numpy(float), pool["tokens"].to_numpy(float)
    if "flops" in pool:
        return pool["flops"].to_numpy(float)
    if "flops" in table and len(table):
        known = np.unique(np.log(np.stack([table["params"], table["flops"] / table["tokens"]], 1)).round(6), axis=0)
        first = np.unique(known[:, 0], return_index=True)[1]
        return np.exp(prolonged(np.log(n), known[first, 0], known[first, 1])) * d
    return 6 * n * d


def _columns(frame: Any) -> Columns:
    loss = frame["loss"].to_numpy(float) if "loss" in frame else np.ones(len(frame))
    unique = frame["unique_tokens"].to_numpy(float) if "unique_tokens" in frame else None
    flops = frame["flops"].to_numpy(float) if "flops" in frame else None
    return columns(frame["params"], frame["tokens"], loss, flops=flops, unique=unique)


def _posterior(table: Any, pool: Any, target: Any, seed: int, prior: bool) -> tuple[Posterior, Any]:
    """(the law of the runs so far, about the middle of the pool; runs that it does not know of).

    A handful of runs is no posterior that could be sampled: then it is the prior, and the runs are given back.
    """
    around, repeated = _columns(pool), _repeats(pool) or _repeats(target)
    if len(table) >= FEW and not prior:
        centre = centre_of(around, repeated)
        post = fit_posterior(_columns(table), centre=centre, repeated=repeated, draws=DRAWS, seed=seed)
        return post, table.iloc[:0]
    known = float(np.log(table["loss"]).mean()) if len(table) else 1.0
    return prior_posterior(around, level=known, repeated=repeated, draws=DRAWS, seed=seed), table


def _repeats(frame: Any) -> bool:
    return "unique_tokens" in frame and bool((frame["tokens"] > 1.01 * frame["unique_tokens"]).any())


def _ln_loss(post: Posterior, frame: Any) -> np.ndarray:
    unique = frame["unique_tokens"].to_numpy(float) if "unique_tokens" in frame else None
    return post.ln_loss(frame["params"].to_numpy(float), frame["tokens"].to_numpy(float), unique)


def _noise(post: Posterior, ln_loss: np.ndarray) -> np.ndarray:
    """Noise of each candidate: it grows with the distance of its loss from the lowest, as the law's does."""
    middle = np.median(ln_loss, axis=0)
    height = np.maximum(middle - math.log(post.loss_range[0]), 0.0)
    return np.minimum(np.exp(float(np.median(post.ln_noise)) + post.growth * height), 0.3)


def _independent(blocks: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Draws of several families side by side; each family's are permuted, so that none is paired with another's."""
    count = min(len(b) for b in blocks)
    return np.concatenate(
        [b[np.random.default_rng([seed, i]).permutation(len(b))[:count]] for i, b in enumerate(blocks)], axis=1
    )
