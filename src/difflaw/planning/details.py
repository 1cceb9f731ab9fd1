"""The rest of a run once its shape and tokens are chosen: batch, rate, intervals, hours, rivals."""

from __future__ import annotations

import math

from difflaw.errors import InputError
from difflaw.formatting import short_count
from difflaw.law.hyperparameters import FLAT
from difflaw.law.published import Derived
from difflaw.law.results import Interval
from difflaw.planning.caveats import ABSURD, caveats
from difflaw.planning.family_names import AUTOREGRESSIVE
from difflaw.planning.hardware import find_gpu, gpu_hours, memory_needed
from difflaw.planning.predict import Forecast
from difflaw.planning.problem import Problem
from difflaw.planning.run_plan import Alternative, RunPlan
from difflaw.planning.shapes import Shape, Sized, near


def complete(problem: Problem, sized: Sized, tokens: float) -> RunPlan:
    """The plan of a shape trained on about ``tokens``: whole steps of a round batch, and all that follows from them."""
    ask, law, m = problem.ask, problem.law, sized.flops_per_token
    batch, derived = _batch(law, sized, tokens)
    sequences = round_batch(batch / law.context, tokens / law.context)
    per_step = sequences * law.context
    steps = max(1, round(tokens / per_step))
    tokens = float(steps * per_step)
    flops = m * tokens
    best, regret, loss = _against_the_best(problem, m, tokens)
    rate, rule = _rate(law, sized, tokens, per_step, flops)
    gpu, counts = find_gpu(ask.gpu), problem.count(sized.shape)
    hardware = flops * problem.hardware_ratio(sized)
    hours = gpu_hours(hardware, gpu, ask.mfu)
    if law.extrapolation_factor(flops) >= ABSURD:
        loss = None
    size_interval = law.size_interval(flops, ask.level)
    mean = run = None
    if loss is not None:
        mean, run = law.intervals_at(m, tokens, ask.unique_tokens, problem.worth(tokens), ask.level)
    return RunPlan(
        family=law.family,
        law=law.origin,
        layers=sized.shape.layers,
        width=sized.shape.width,
        context=law.context,
        vocab_size=law.vocab_size,
        params=sized.params,
        params_convention=law.params_convention,
        params_interval=law.params_interval(flops, ask.level) or _params_interval(problem, sized, size_interval),
        total_params=float(counts.params("total")),
        flops=flops,
        flops_convention=law.flops_convention,
        flops_per_token=m,
        flops_per_token_interval=size_interval,
        hardware_flops=hardware,
        tokens=tokens,
        tokens_interval=_tokens_interval(size_interval, flops),
        epochs=tokens / ask.unique_tokens if ask.unique_tokens else None,
        effective_tokens=problem.worth(tokens),
        batch_tokens=float(per_step),
        batch_sequences=sequences,
        batch_flat=_flat_batches(law, batch, flops),
        lr=rate,
        steps=steps,
        loss=None if loss is None else loss / problem.cooldown,
        loss_before_cooldown=loss if law.cooldown else None,
        loss_interval=None if mean is None else _times(mean, 1 / problem.cooldown),
        run_interval=None if run is None else _times(run, 1 / problem.cooldown),
        regret=regret,
        best_flops_per_token=best,
        gpu=ask.gpu,
        mfu=ask.mfu,
        gpu_hours=hours,
        wall_hours=hours / ask.gpus if ask.gpus else None,
        memory=memory_needed(counts.params("total"), sized.shape.layers, sized.shape.width, law.context, gpu),
        inference_flops=m * problem.inference,
        bound=law.bound,
        tokenizer=law.tokenizer,
        recipe=law.recipe,
        family_config=law.family_config,
        alternatives=_alternatives(problem, sized, flops),
        derived=(*derived, *rule),
        warnings=caveats(problem, flops, m / best, tokens, sized.params),
        notes=law.notes,
    )


def round_batch(sequences: float, most: float) -> int:
    """Sequences to a multiple of a power of two, within 6 %: 2,834 becomes 2,816; at least 1 and 20 steps' worth."""
    sequences = max(1.0, min(sequences, most / 20))
    step = 2 ** max(0, math.floor(math.log2(sequences)) - 3)
    return max(1, round(sequences / step) * step)


def _against_the_best(problem: Problem, m: float, tokens: float) -> tuple[float, float, float | None]:
    """(best M for the same FLOPs, regret in ln loss, loss before any cooldown or None where the law has none)."""
    law, total = problem.law, m * tokens + m * problem.inference
    best = problem.best_size(total)
    if not law.has_loss:
        return best, law.regret(m, m * tokens), None
    loss = problem.loss(m, tokens)
    return best, max(math.log(loss / problem.loss(best, problem.tokens_left(best, total))), 0.0), loss


def _batch(law: Forecast, sized: Sized, tokens: float) -> tuple[float, list[Derived]]:
    """Batch in tokens by the family's own law, and the rule; the pooled law is named but not used."""
    if law.batch is None:
        raise InputError(f"{law.origin}: has no batch law for {law.family}")
    values = {"tokens": tokens, "flops": sized.flops_per_token * tokens, "params": sized.params}
    value = law.batch(**values)
    text = f"{law.batch.formula} at D = {short_count(tokens)}" if law.batch.exponents else law.batch.formula
    derived = [Derived("batch_tokens", value, text, law.batch.source)]
    pooled = law.pooled_batch
    if pooled is not None and pooled is not law.batch:
        text = f"{pooled.formula}, all noise types together (not used)"
        derived.append(Derived("batch_tokens, pooled", pooled(**values), text, pooled.source))
    return value, derived


def _rate(
    law: Forecast, sized: Sized, tokens: float, per_step: float, flops: float
) -> tuple[float | None, list[Derived]]:
    """Learning rate for a batch, and the rule; (None, []) where the law has none."""
    if law.lr is None:
        return None, []
    value = law.lr(batch_tokens=per_step, tokens=tokens, flops=flops, params=sized.params)
    if not law.lr.exponents:  # one rate for all runs of a ladder
        return value, [Derived("lr", value, f"{law.lr.formula}, CompleteP's base rate", law.lr.source)]
    text = f"{law.lr.formula} at B = {short_count(per_step)}"
    text += ", CompleteP's base rate" if law.batch_curvature is None else ", counted as in the fitted table"
    if law.family in AUTOREGRESSIVE and law.batch_curvature is None:
        text += "; measured for diffusion, not for autoregressive models"
    return value, [Derived("lr", value, text, law.lr.source)]


def _flat_batches(law: Forecast, batch: float, flops: float) -> tuple[float, float] | None:
    """Batches that cost less than `FLAT`: tokens grow by a·ln²(B/B*), and the loss by the slope times that."""
    curvature = law.batch_curvature
    if curvature is None:
        if law.batch_overhead is None or not law.has_loss:
            return None
        curvature = law.slope(flops) * law.batch_overhead
    reach = math.exp(math.sqrt(FLAT / curvature))
    return batch / reach, batch * reach


def _params_interval(problem: Problem, sized: Sized, size: Interval | None) -> Interval | None:
    """N at the ends of M's interval: along shapes of this proportion, N grows as M to a power near one."""
    if size is None:
        return None
    shape = Shape(2 * sized.shape.layers, 2 * sized.shape.width)
    twice = problem.sized(shape)
    power = math.log(twice.params / sized.params) / math.log(twice.flops_per_token / sized.flops_per_token)
    low, high = (sized.params * (end / sized.flops_per_token) ** power for end in (size.low, size.high))
    return Interval(low, high, size.level, size.kind.replace("flops_per_token", "size, as parameters"))


def _tokens_interval(size: Interval | None, flops: float) -> Interval | None:
    """D* = C/M*: the interval of M turned over."""
    if size is None:
        return None
    return Interval(flops / size.high, flops / size.low, size.level, size.kind.replace("flops_per_token", "tokens"))


def _times(interval: Interval, factor: float) -> Interval:
    """An interval of the loss before the cooldown moved to after it."""
    return Interval(interval.low * factor, interval.high * factor, interval.level, interval.kind)


def _alternatives(problem: Problem, chosen: Sized, flops: float) -> tuple[Alternative, ...]:
    """Up to six other shapes that give up less than .1 % at the same FLOPs."""
    if problem.ask.shapes:
        sized = [problem.sized(s) for s in problem.ask.shapes]
    else:
        sized = near(problem.shapes, chosen.flops_per_token, problem.sized, "flops_per_token")
    out = []
    for s in sized:
        regret = problem.law.regret(s.flops_per_token, flops)
        if s.shape != chosen.shape and regret < 1e-3:
            shape = (s.shape.layers, s.shape.width, s.params, s.flops_per_token)
            out.append(Alternative(*shape, flops / s.flops_per_token, regret))
    return tuple(out[:6])
