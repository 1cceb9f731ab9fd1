"""The answer for one family: exponents, best size, tokens and loss at the largest budget and ten times further.

One function decides (`answer`), and fit, plan, predict and report ask it: the averaged law where the rows carry one,
else the minima of the isoFLOP profiles, else nothing, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from difflaw.formatting import short_count
from difflaw.law.posterior.posterior import Best, Posterior
from difflaw.law.power import predict_interval, safe_exp
from difflaw.law.results import Answer, AnswerAt, Estimate, LossEstimate, PowerLaw, Profile

AHEAD = 10.0
"""Answers are given at the largest FLOPs fitted and this many times further."""
VAGUE = 100.0
"""A best size known only within this factor is not stated."""
MOST_WITHOUT = 0.2
"""Share of draws without a lowest point in size above which no best size is stated."""
STEPS = 5
CURVED = 0.02
"""Change of the size exponent between the middle of the budgets and ten times the largest that is worth a sentence."""


def answer(
    post: Posterior | None,
    params_law: PowerLaw | None,
    tokens_law: PowerLaw | None,
    loss_law: PowerLaw | None,
    profiles: Sequence[Profile] = (),
    *,
    without: str = "",
    level: float = 0.95,
) -> Answer:
    """The answer of one family.

    Args:
        post: its averaged law, None where its rows carry none.
        params_law: N* through the minima of the profiles, None where there are too few.
        tokens_law: D* likewise.
        loss_law: L* likewise.
        profiles: of every budget.
        without: why there is no averaged law.
        level: of the intervals.
    """
    inside = sum(p.status == "interior" for p in profiles)
    if post is not None:
        return _of_draws(post, params_law, inside, level)
    if params_law is not None and params_law.interval is not None and tokens_law and loss_law:
        top = params_law.x_range[1]
        laws = (params_law, tokens_law, loss_law)
        return Answer(
            params_exponent=_exponent(params_law),
            tokens_exponent=_exponent(tokens_law),
            loss_exponent=_exponent(loss_law),
            largest=_at_minima(*laws, top, level),
            ten_times=_at_minima(*laws, AHEAD * top, level),
            minima=inside,
            reason=f"from the minima of {inside} budgets, since no surface could be fitted: {without}",
            source="minima",
            level=level,
        )
    return Answer(None, None, None, None, None, inside, without or "too few runs", "nothing", level)


def estimate(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Median and equal-tailed interval of draws."""
    low, middle, high = np.quantile(values, [0.5 - level / 2, 0.5, 0.5 + level / 2])
    return Estimate(float(middle), float(low), float(high))


def exp_of(value: Estimate) -> Estimate:
    """An estimate of a logarithm as one of the quantity itself."""
    return Estimate(*(safe_exp(v) for v in (value.estimate, value.low, value.high)))


def loss_estimate(ln_loss: np.ndarray, noise: np.ndarray, level: float = 0.95, seed: int = 0) -> LossEstimate:
    """Loss of draws (R,) of its logarithm and of the run noise (R,): the law's interval and that of one new run."""
    law = estimate(ln_loss, level)
    # Every draw stands for a spread of runs: eight spaced quantiles of the normal in random order, not one of chance.
    from scipy.special import ndtri

    rng = np.random.default_rng(seed)
    steps = np.stack([rng.permutation(ndtri((np.arange(len(noise)) + 0.5) / len(noise))) for _ in range(8)])
    run = estimate((ln_loss + noise * steps).ravel(), level)
    return LossEstimate(math.exp(law.estimate), (math.exp(law.low), math.exp(law.high)), _wider(run, law))


def _wider(run: Estimate, law: Estimate) -> tuple[float, float]:
    return math.exp(min(run.low, law.low)), math.exp(max(run.high, law.high))


def at_best(post: Posterior, best: Best, level: float = 0.95) -> AnswerAt:
    """Best size, tokens and loss at a budget, from the best size of every draw of the averaged law."""
    size, tokens = (exp_of(estimate(v, level)) for v in (best.ln_params, best.ln_tokens))
    loss = loss_estimate(best.ln_loss, post.noise(), level)
    if _vague(post, size):
        return AnswerAt(best.flops, None, None, loss)
    return AnswerAt(best.flops, size, tokens, loss)


def exponents(post: Posterior, level: float = 0.95) -> tuple[Estimate, Estimate, Estimate]:
    """(size, tokens, loss) exponents over the budgets fitted: least-squares slopes of ln N*, ln D*, ln L* in ln C."""
    low, high = np.log(post.budgets)
    ln_c = np.linspace(low, high, STEPS) if high > low else np.array([low, low + 1.0])
    found = [post.best(math.exp(c)) for c in ln_c]
    weight = (ln_c - ln_c.mean()) / ((ln_c - ln_c.mean()) ** 2).sum()
    parts = ([b.ln_params for b in found], [b.ln_tokens for b in found], [b.ln_loss for b in found])
    size, tokens, loss = (estimate(weight @ np.array(p), level) for p in parts)
    return size, tokens, loss


def _of_draws(post: Posterior, params_law: PowerLaw | None, inside: int, level: float) -> Answer:
    top = post.budgets[1]
    one, ten = post.best(top), post.best(AHEAD * top)
    now, later = at_best(post, one, level), at_best(post, ten, level)
    size, tokens, loss = exponents(post, level)
    reason = [_forms(post)]
    if now.params is None:
        reason.append(_no_size(post, one))
        return Answer(None, None, loss, now, later, inside, "; ".join(reason), "surface", level)
    reason += _drift(one, ten, size.estimate)
    reason += _against_minima(size, params_law)
    return Answer(size, tokens, loss, now, later, inside, "; ".join(reason), "surface", level)


def _forms(post: Posterior) -> str:
    names = {"additive": "E + A/N^alpha + B/D^beta", "interaction": "a data term that changes with the size"}
    kept = [(p, names.get(f, f)) for f, p in post.forms.items() if p >= 0.005]
    kept.sort(reverse=True)
    shown = " and ".join(f"{name} ({100 * p:.0f} %)" if len(kept) > 1 else name for p, name in kept)
    return f"surface over all {post.runs} runs: {shown}"


def _drift(one: Best, ten: Best, exponent: float) -> list[str]:
    """A sentence where the exponent goes on changing past the budgets."""
    ahead = estimate((ten.ln_params - one.ln_params) / math.log(AHEAD)).estimate
    if abs(ahead - exponent) < CURVED:
        return []
    return [
        f"the size exponent is not constant: {exponent:.3f} over the budgets run, {ahead:.3f} from the largest to ten "
        "times it"
    ]


def _against_minima(size: Estimate, law: PowerLaw | None) -> list[str]:
    if law is None:
        return []
    gap = size.estimate - law.exponent
    text = f"the minima alone say {law.exponent:.3f} for the size exponent, {abs(gap):.3f} {_side(gap)}"
    if law.interval is not None and (law.interval.low > size.high or law.interval.high < size.low):
        return [f"{text}; the intervals do not meet, and the surface is used since it rests on every run"]
    return [f"{text}; the surface is used since it rests on every run"]


def _side(gap: float) -> str:
    return "less" if gap > 0 else "more"


def _no_size(post: Posterior, best: Best) -> str:
    if post.with_minimum < 1 - MOST_WITHOUT:
        return (
            f"no best size is stated: in {100 * (1 - post.with_minimum):.0f} % of the laws that fit, the loss has no "
            "lowest point in size; vary tokens at fixed size and sizes at fixed FLOPs"
        )
    size = exp_of(estimate(best.ln_params))
    return (
        f"no best size is stated: the runs know it only between {short_count(size.low)} and {short_count(size.high)}; "
        "add sizes on both sides of the best one at equal FLOPs"
    )


def _vague(post: Posterior, size: Estimate) -> bool:
    return size.high > VAGUE * size.low or post.with_minimum < 1 - MOST_WITHOUT


def _exponent(law: PowerLaw | None) -> Estimate | None:
    if law is None or law.interval is None:
        return None
    return Estimate(law.exponent, law.interval.low, law.interval.high)


def _at_minima(params: PowerLaw, tokens: PowerLaw, loss: PowerLaw, flops: float, level: float) -> AnswerAt:
    def of(law: PowerLaw) -> Estimate | None:
        found = predict_interval(law, flops, level)
        return None if found is None else Estimate(law(flops), found.low, found.high)

    found = of(loss)
    known = None
    if found is not None:
        # A run scatters about the law as the minima do; that is all that is known of its noise here.
        wide = math.exp(2.0 * loss.rmse_log)
        known = LossEstimate(found.estimate, (found.low, found.high), (found.low / wide, found.high * wide))
    return AnswerAt(flops, of(params), of(tokens), known)
