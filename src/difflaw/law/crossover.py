"""Which family is better once text repeats: the compute and the epochs at which one passes another, and how sure.

On U different tokens a budget of C FLOPs buys a loss L*(C, U): the lowest over the sizes that were run and over every
length up to C, as a run can be stopped early. A family passes another where its L* comes to lie below and stays there
up to the largest budget that both ran on these tokens (for diffusion against autoregression: 2507.15857, whose critical
compute this is). Nothing beyond the sizes, tokens and budgets that were run is looked at. Draws of a law are moved by
what its runs on a text show it to be off there (`misfit`), since no law of repeats is true to half a per cent.
Shapes: R draws, S sizes, C budgets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from difflaw.formatting import flops as in_flops
from difflaw.formatting import short_count
from difflaw.law.posterior.posterior import Posterior
from difflaw.law.results import Estimate
from difflaw.law.table.early_stopping import REPEATS, TURN

SIZES, BUDGETS = 16, 64
SURE = 0.9
"""Probability below which it is not decided whether a family passes another."""
TURNS = range(1, 41, 3)
"""Draws of two families are independent: each meets several of the other, so that odds are finer."""
MOST_TEXTS = 6
"""Sizes of text that are looked at; of more, so many evenly spaced ones."""
SAME_TEXT = 1e-3
ROUNDING = 1e-5
"""In ln tokens: draws and sizes are kept with 32 bits."""


@dataclass(frozen=True)
class Crossover:
    """Two families on one text. Infinite where the one behind does not pass, by a draw or by all of them."""

    unique_tokens: float
    ahead: str
    """The better family at the smallest budget compared."""
    behind: str
    probability: float
    """That the family behind passes within what was run."""
    flops: Estimate
    """From which on the family behind is better; 95 %."""
    epochs: Estimate
    """That the family behind has then seen; 95 %."""
    compared_flops: tuple[float, float]
    most_epochs: float
    """That both have run."""
    reached: tuple[Estimate, Estimate]
    """Loss of (ahead, behind) at the largest budget compared, by the law; 95 %."""
    best_runs: tuple[float, float]
    """Lowest loss of a run of (ahead, behind) on this text, as measured."""


@dataclass(frozen=True)
class Reach:
    """The lowest loss within each budget by every draw: its logarithm and that of the tokens it takes, (R, C)."""

    ln_loss: np.ndarray
    ln_tokens: np.ndarray


def crossovers(posteriors: Mapping[str, Posterior], frame: Any) -> tuple[Crossover, ...]:
    """Every two families on every text that both repeat, smallest text first.

    Args:
        posteriors: averaged law of each family; those that know nothing of repeated data are passed over.
        frame: `Table.frame` that they were fitted to.
    """
    usable = {name: post for name, post in posteriors.items() if post.repeated}
    if "unique_tokens" not in frame or len(usable) < 2:
        return ()
    found = []
    for unique in _texts(frame[frame["family"].isin(list(usable))]):
        rows = frame[np.abs(np.log(frame["unique_tokens"] / unique)) < SAME_TEXT]
        for one, other in combinations(sorted(usable), 2):
            own = {name: rows[rows["family"] == name] for name in (one, other)}
            if all(len(r) and r["epochs"].max() >= REPEATS for r in own.values()):
                compared = _compare({name: usable[name] for name in own}, own, unique)
                found += [compared] if compared is not None else []
    return tuple(found)


def _texts(rows: Any) -> list[float]:
    """Sizes of text that are repeated, smallest first, those within `SAME_TEXT` as one."""
    values = np.sort(rows["unique_tokens"][rows["epochs"] >= REPEATS].unique())
    if not len(values):
        return []
    distinct = values[np.concatenate([[True], np.diff(np.log(values)) > SAME_TEXT])]
    some = np.linspace(0, len(distinct) - 1, min(MOST_TEXTS, len(distinct))).round().astype(int)
    return [float(v) for v in distinct[some]]


def _compare(posts: Mapping[str, Posterior], rows: Mapping[str, Any], unique: float) -> Crossover | None:
    longest = min(float(r["tokens"].max()) for r in rows.values())
    start = max(
        math.exp(float(p.flops_per_token(np.log([p.params_range[0]]))[0])) * p.tokens_range[0] for p in posts.values()
    )
    end = min(float(r["flops"].max()) for r in rows.values())
    if not end > 2 * start:
        return None
    ln_flops = np.linspace(math.log(start), math.log(end), BUDGETS)
    reached = {
        name: _moved(reach(post, unique, ln_flops, longest), misfit(post, rows[name], unique), place)
        for place, (name, post) in enumerate(posts.items())
    }
    ahead, behind = sorted(reached, key=lambda name: float(np.median(reached[name].ln_loss[:, 0])))
    count = min(len(r.ln_loss) for r in reached.values())
    first, other = reached[ahead].ln_loss[:count], reached[behind].ln_loss[:count]
    at = np.concatenate([crossing(np.roll(first, turn, axis=0), other, ln_flops) for turn in TURNS])
    tokens = np.tile(reached[behind].ln_tokens[:count], (len(TURNS), 1))
    place = np.clip(np.searchsorted(ln_flops, at), 0, BUDGETS - 1)
    ln_epochs = np.where(at < math.inf, tokens[np.arange(len(at)), place] - math.log(unique), math.inf)
    ends = [_exp_quantiles(reached[name].ln_loss[:, -1]) for name in (ahead, behind)]
    return Crossover(
        unique_tokens=unique,
        ahead=ahead,
        behind=behind,
        probability=float(np.mean(at < math.inf)),
        flops=_exp_quantiles(at),
        epochs=_exp_quantiles(ln_epochs),
        compared_flops=(start, end),
        most_epochs=longest / unique,
        reached=(ends[0], ends[1]),
        best_runs=(float(rows[ahead]["loss"].min()), float(rows[behind]["loss"].min())),
    )


def reach(post: Posterior, unique: float, ln_flops: np.ndarray, longest: float) -> Reach:
    """The lowest loss within budgets (C,) on ``unique`` different tokens, at most ``longest`` with repeats counted."""
    smallest, largest = post.params_range
    sizes = np.linspace(math.log(smallest), math.log(largest), SIZES)
    ln_tokens = ln_flops - post.flops_per_token(sizes)[:, None]
    low, high = math.log(post.tokens_range[0]) - ROUNDING, math.log(longest) + ROUNDING
    params = np.broadcast_to(np.exp(sizes)[:, None], ln_tokens.shape)
    loss = post.ln_loss(params.ravel(), np.exp(np.clip(ln_tokens, low, high)).ravel(), unique)
    run = (ln_tokens >= low) & (ln_tokens <= high)
    loss = np.where(run, loss.reshape(-1, *ln_tokens.shape), math.inf)
    best = np.minimum.accumulate(loss, axis=2)
    stop = np.maximum.accumulate(np.where(loss <= best, np.arange(len(ln_flops)), 0), axis=2)
    size = best.argmin(1)
    draw, budget = np.ogrid[: len(loss), : len(ln_flops)]
    return Reach(best[draw, size, budget], ln_tokens[size, stop[draw, size, budget]])


def misfit(post: Posterior, rows: Any, unique: float) -> float:
    """How far, in ln loss, a law is off on a text: root mean square of the mean residual of its runs there.

    Of each run the rows near its best loss count (within `TURN`), for that is what it reached.
    """
    near = rows[rows["loss"] <= (1 + TURN) * rows.groupby("run")["loss"].transform("min")]
    law = np.median(post.ln_loss(near["params"].to_numpy(float), near["tokens"].to_numpy(float), unique), axis=0)
    runs = (np.log(near["loss"]) - law).groupby(near["run"]).mean().to_numpy(float)
    return float(np.sqrt(runs.mean() ** 2 + runs.var(ddof=1) / len(runs))) if len(runs) > 1 else float(abs(runs[0]))


def _moved(found: Reach, by: float, seed: int) -> Reach:
    off = by * np.random.default_rng(seed).standard_normal((len(found.ln_loss), 1))
    return Reach(found.ln_loss + off, found.ln_tokens)


def crossing(ahead: np.ndarray, behind: np.ndarray, ln_flops: np.ndarray) -> np.ndarray:
    """Ln C from which ``behind`` (R, C) stays below ``ahead``, by draw, straight between budgets.

    inf where it does not end below, -inf where it always is.
    """
    gap = behind - ahead
    above = ~(gap <= 0)
    last = np.minimum(gap.shape[1] - 1 - above[:, ::-1].argmax(1), gap.shape[1] - 2)
    draw = np.arange(len(gap))
    before, after = gap[draw, last], gap[draw, last + 1]
    share = np.clip(np.where(np.isfinite(before), before, 0.0) / np.maximum(before - after, 1e-300), 0.0, 1.0)
    at = ln_flops[last] + share * (ln_flops[last + 1] - ln_flops[last])
    return np.where(above[:, -1], math.inf, np.where(above.any(1), at, -math.inf))


def _exp_quantiles(values: np.ndarray) -> Estimate:
    """Median and 95 % of exponentials of draws, some infinite: no value between two draws is made up."""
    low, middle, high = np.exp(np.quantile(values, [0.025, 0.5, 0.975], method="inverted_cdf"))
    return Estimate(float(middle), float(low), float(high))


def crossover_text(found: tuple[Crossover, ...]) -> list[str]:
    """A sentence on each: where the one passes the other, that it does not, or that this is not decided."""
    return [f"On {short_count(c.unique_tokens)} different tokens {_verdict(c)}; {_losses(c)}." for c in found]


def _verdict(c: Crossover) -> str:
    if c.probability >= SURE:
        if c.flops.estimate <= c.compared_flops[0]:
            return f"{c.behind} is no worse than {c.ahead} at any budget compared"
        return (
            f"{c.behind} passes {c.ahead} at {in_flops(c.flops.estimate)} {_span(c.flops, in_flops)}, after "
            f"{c.epochs.estimate:.3g} {_span(c.epochs, short_count)} epochs of its own "
            f"(probability {100 * c.probability:.0f} %)"
        )
    upto = f"up to {c.most_epochs:.3g} epochs and {in_flops(c.compared_flops[1])}"
    if c.probability <= 1 - SURE:
        return (
            f"there is no crossover {upto}: {c.behind} stays above {c.ahead} "
            f"(probability {100 - 100 * c.probability:.0f} %)"
        )
    return f"it is not decided whether {c.behind} passes {c.ahead} {upto} (probability {100 * c.probability:.0f} %)"


def _span(value: Estimate, shown: Any) -> str:
    low = shown(value.low) if value.low > 0 else "the start"
    return f"[{low}, {shown(value.high) if value.high < math.inf else 'beyond'}]"


def _losses(c: Crossover) -> str:
    parts = [
        f"{name} {e.estimate:.3f} [{e.low:.3f}, {e.high:.3f}], best run {run:.3f}"
        for name, e, run in zip((c.ahead, c.behind), c.reached, c.best_runs, strict=True)
    ]
    return "lowest losses within reach: " + "; ".join(parts)
