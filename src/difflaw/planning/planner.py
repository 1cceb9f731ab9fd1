"""From a law and what somebody has (FLOPs, tokens, a size, a loss, GPU hours) to one run: shape, tokens, batch, loss.

The size is chosen on the law's frontier, snapped to an allowed shape, and everything that follows is computed again for
that shape, so the plan states what will be run and what the rounding costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import count as in_short
from difflaw.formatting import flops as in_flops
from difflaw.law.power import quantile
from difflaw.law.published import Derived
from difflaw.law.results import Interval
from difflaw.planning.forecast import AUTOREGRESSIVE, Forecast
from difflaw.planning.hardware import DEFAULT_MFU, Memory, find_gpu, flops_of_hours, gpu_hours, memory_needed
from difflaw.planning.shapes import Count, Shape, Sized, counted, grid, near

FORM_ERROR = 0.01
"""Standard deviation of ln L a decade beyond the fitted range: the runs of 2512.10858 came out 0.4 to 2.1 % off at 0.7
to 1.7 decades, the Chinchilla points 1.4 % at 1.7."""
RUN_NOISE = 0.002
"""Standard deviation of ln L from run to run (replicate seeds: 0.001 to 0.003)."""
FAR, ABSURD = 10.0, 1e4
"""Factors beyond the fitted range at which a plan warns, and at which it states no loss."""
FLAT = 0.0025
"""Loss that may be given up for a convenient batch."""
MATMUL = "matmul+head"
"""What hardware multiplies, whatever a law counts."""
AGREE = 0.05
"""How far (in logarithms) three constraints may disagree and still be called consistent."""


@dataclass(frozen=True)
class Ask:
    """What is fixed. FLOPs, params and loss are in the law's conventions; hours are of one device."""

    flops: float | None = None
    tokens: float | None = None
    params: float | None = None
    loss: float | None = None
    gpu_hours: float | None = None
    gpu: str = "h100"
    mfu: float = DEFAULT_MFU
    gpus: int | None = None
    inference_tokens: float = 0.0
    inference_passes: float | None = None
    """Forward passes over the network for each generated token."""
    unique_tokens: float | None = None
    shapes: tuple[Shape, ...] = ()
    level: float = 0.95


@dataclass(frozen=True)
class Alternative:
    """Another shape that does nearly as well."""

    layers: int
    width: int
    params: float
    flops_per_token: float
    tokens: float
    regret: float


@dataclass(frozen=True)
class RunPlan:
    """One recommended run. Intervals are for the law's optimum; ``run_interval`` is for the loss of one new run."""

    family: str
    law: str
    layers: int
    width: int
    context: int
    vocab_size: int
    params: float
    params_convention: str
    params_interval: Interval | None
    total_params: float
    flops: float
    flops_convention: str
    flops_per_token: float
    flops_per_token_interval: Interval | None
    hardware_flops: float
    tokens: float
    tokens_interval: Interval | None
    epochs: float | None
    effective_tokens: float
    batch_tokens: float
    batch_sequences: int
    batch_flat: tuple[float, float] | None
    lr: float | None
    steps: int
    loss: float | None
    loss_before_cooldown: float | None
    loss_interval: Interval | None
    run_interval: Interval | None
    regret: float
    """ln of the forecast loss over the best at the same FLOPs: rounding and constraints together."""
    best_flops_per_token: float
    gpu: str
    mfu: float
    gpu_hours: float
    wall_hours: float | None
    memory: Memory
    inference_flops: float
    bound: str
    tokenizer: str
    alternatives: tuple[Alternative, ...] = ()
    derived: tuple[Derived, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def check(ask: Ask) -> None:
    """InputError for an ask that no law could answer."""
    named = {
        "--flops": ask.flops,
        "--tokens": ask.tokens,
        "--params": ask.params,
        "--loss": ask.loss,
        "--gpu-hours": ask.gpu_hours,
        "--unique-tokens": ask.unique_tokens,
        "--mfu": ask.mfu,
        "--inference-passes": ask.inference_passes,
    }
    for name, value in named.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} {value:g}: give a positive number")
    if not (math.isfinite(ask.inference_tokens) and ask.inference_tokens >= 0):
        raise InputError(f"--inference-tokens {ask.inference_tokens:g}: give a number of tokens, 0 or more")
    if ask.mfu > 1:
        raise InputError(f"--mfu {ask.mfu:g}: a share of the peak lies between 0 and 1, such as 0.4")
    if ask.gpus is not None and ask.gpus < 1:
        raise InputError(f"--gpus {ask.gpus}: give at least 1")
    find_gpu(ask.gpu)
    if all(v is None for v in (ask.flops, ask.tokens, ask.params, ask.loss, ask.gpu_hours)):
        raise InputError("nothing to plan from: give --flops, --tokens, --params, --loss or --gpu-hours")


def plan(ask: Ask, law: Forecast, count: Count) -> RunPlan:
    """The run that ``law`` recommends for its family.

    Args:
        ask: what is fixed; `check` it first.
        law: of one family.
        count: counts a shape (with the law's context and vocabulary) every way.

    Raises:
        InputError: constraints that no model meets, or a law that lacks what was asked.
    """
    check(ask)
    return _Planner(ask, law, count).plan()


def effective_tokens(tokens: float, unique: float | None, half_life: float) -> float:
    """What ``tokens`` are worth when only ``unique`` differ: U + U·R*·(1 - exp(-R/R*)), R = D/U - 1 (2305.16264)."""
    if unique is None or tokens <= unique:
        return tokens
    return unique + unique * half_life * -math.expm1(-(tokens / unique - 1) / half_life)


class _Planner:
    """Holds ask, law and shapes while the equations are solved."""

    def __init__(self, ask: Ask, law: Forecast, count: Count) -> None:
        self.ask, self.law, self.count = ask, law, count
        self.shapes: Sequence[Shape] = ask.shapes or grid()
        self.names = (law.params_convention, law.flops_convention)
        self.half_life = law.repeats.R_D if law.repeats else 15.387756
        self.warnings: list[str] = []
        passes = 1.0 if ask.inference_passes is None else ask.inference_passes
        self.inference = ask.inference_tokens * passes / 3  # a forward pass is a third of training's M
        self.final = law.cooldown or 1.0
        if not law.has_loss and (ask.loss or ask.unique_tokens or self.inference):
            raise InputError(f"{law.origin}: has no law of the loss for {law.family}, which this question needs")

    # -- the law, with repeats -------------------------------------------------------------------------------------

    def worth(self, tokens: float) -> float:
        return effective_tokens(tokens, self.ask.unique_tokens, self.half_life)

    def loss(self, m: float, tokens: float) -> float:
        return self.law.loss(m, self.worth(tokens)) if tokens > 0 else math.inf

    def tokens_left(self, m: float, flops: float) -> float:
        """Tokens that fit a budget for training and inference together."""
        return flops / m - self.inference

    def best_size(self, flops: float) -> float:
        """M that is best for a budget, repeats and inference counted."""
        m = self.law.best_size(flops)
        tokens = self.tokens_left(m, flops)
        if not self.inference and self.worth(tokens) == tokens:
            return m
        return _lowest(lambda ln: self.loss(math.exp(ln), self.tokens_left(math.exp(ln), flops)), math.log(m), 8.0)

    # -- solving -----------------------------------------------------------------------------------------------------

    def plan(self) -> RunPlan:
        target, by = self.wanted()
        sized = self.snap(target, by)
        tokens = self.length(sized)
        if not tokens > 0:
            raise InputError(
                f"{self.law.family}: generating {in_short(self.ask.inference_tokens)} tokens with a model of "
                f"{in_short(sized.params)} parameters already costs more than the budget; raise --flops"
            )
        return self.finish(sized, tokens)

    def wanted(self) -> tuple[float, str]:
        """(size, what it is) of the continuous solution."""
        ask = self.ask
        if ask.params is not None:
            return ask.params, "params"
        budget = self.budget()
        if budget is not None and ask.tokens is not None:
            return budget / (ask.tokens + self.inference), "flops_per_token"
        if ask.loss is not None and ask.tokens is not None:
            return self.size_for_loss(ask.loss * self.final, ask.tokens), "flops_per_token"
        if budget is None and ask.loss is not None:
            budget = self.budget_for_loss(ask.loss * self.final)
        if budget is None:
            assert ask.tokens is not None  # the only constraint left
            tokens = ask.tokens
            budget = _solve(lambda c: self.tokens_left(self.best_size(c), c) / tokens, f"--tokens {tokens:g}")
        return self.best_size(budget), "flops_per_token"

    def budget(self) -> float | None:
        """FLOPs in the law's convention from --flops, or from GPU hours by the size that they are spent on."""
        ask = self.ask
        if ask.gpu_hours is None:
            return ask.flops
        spent = flops_of_hours(ask.gpu_hours, find_gpu(ask.gpu), ask.mfu)
        flops = spent
        for _ in range(6):
            size, by = (ask.params, "params") if ask.params is not None else (self.best_size(flops), "flops_per_token")
            flops = spent / self.hardware_ratio(self.snap(size, by))
        if ask.flops is not None and abs(math.log(flops / ask.flops)) > AGREE:
            raise InputError(
                f"--gpu-hours {ask.gpu_hours:g} on {ask.gpu} at MFU {ask.mfu:g} are {in_flops(flops)} "
                f"({self.law.flops_convention}), not --flops {ask.flops:g}; give one of the two"
            )
        return ask.flops if ask.flops is not None else flops

    def budget_for_loss(self, loss: float) -> float:
        name = f"--loss {self.ask.loss:g}"
        floor = self.law.form.E if self.law.loss_law is None and self.law.form is not None else 0.0
        if loss <= floor:
            raise InputError(
                f"{name}: {self.law.origin} puts the floor of {self.law.family} at {floor:.3f}; no budget reaches it"
            )

        def ratio(c: float) -> float:
            m = self.best_size(c)
            return loss / self.loss(m, self.tokens_left(m, c))

        return _solve(ratio, name)

    def size_for_loss(self, loss: float, tokens: float) -> float:
        """Smallest M that reaches ``loss`` on ``tokens``."""
        centre = math.log(self.law.best_size(_solve(lambda c: c / self.law.best_size(c) / tokens, "--tokens")))
        sizes = np.exp(np.linspace(centre - 6, centre + 6, 1201))
        losses = np.array([self.loss(m, tokens) for m in sizes])
        if losses.min() > loss:
            best = losses.min() / self.final
            raise InputError(
                f"--loss {self.ask.loss:g} with --tokens {tokens:g}: no model of {self.law.family} reaches it; "
                f"the best on these tokens is {best:.4f} by {self.law.origin}"
            )
        return float(sizes[np.argmax(losses <= loss)])

    def snap(self, size: float, by: str) -> Sized:
        """The allowed shape to train; InputError (with the constraints) where none is near."""
        if self.ask.shapes:
            sized = [counted(s, self.count, self.names) for s in self.ask.shapes]
            return min(sized, key=lambda s: abs(math.log(getattr(s, by) / size)))
        try:
            return near(self.shapes, size, self.count, by, self.names)[0]
        except InputError as error:
            raise InputError(f"{self.law.family}: {self.constraints()}: {error}") from None

    def constraints(self) -> str:
        given = {"--flops": self.ask.flops, "--tokens": self.ask.tokens, "--params": self.ask.params}
        given |= {"--loss": self.ask.loss, "--gpu-hours": self.ask.gpu_hours}
        return " with ".join(f"{name} {value:g}" for name, value in given.items() if value is not None)

    def length(self, sized: Sized) -> float:
        """Tokens for the shape that will be trained, and the check that everything asked agrees."""
        ask, m = self.ask, sized.flops_per_token
        budget = self.budget()
        if ask.params is not None and abs(math.log(sized.params / ask.params)) > math.log(1.5):
            raise InputError(f"--params {ask.params:g}: the allowed shape nearest to it has {sized.params:.3g}")
        if ask.tokens is not None and budget is not None:
            if ask.params is not None and abs(math.log(m * ask.tokens / budget)) > 3 * AGREE:
                raise InputError(
                    f"--params {ask.params:g} on --tokens {ask.tokens:g} cost {in_flops(m * ask.tokens)} "
                    f"({self.law.flops_convention}), not {budget:.3g}; leave one of the three out"
                )
            return self.tokens_left(m, budget)
        if ask.tokens is not None:
            tokens = ask.tokens
        elif budget is not None:
            tokens = self.tokens_left(m, budget)
        elif ask.loss is not None:
            return self.length_for_loss(m, ask.loss * self.final)
        else:
            flops = _solve(lambda c: self.best_size(c) / m, f"--params {ask.params:g}")
            tokens = self.tokens_left(m, flops)
        if ask.loss is not None and self.loss(m, tokens) > ask.loss * self.final * (1 + 1e-3):
            reach = self.loss(m, tokens) / self.final
            raise InputError(
                f"{self.law.family}: {self.constraints()}: no model reaches that loss; "
                f"the best is {reach:.4f} by {self.law.origin}"
            )
        return tokens

    def length_for_loss(self, m: float, loss: float) -> float:
        """Fewest tokens with which a size reaches a loss."""
        start = math.log(_solve(lambda c: self.law.best_size(c) / m, "--params")) - math.log(m)
        tokens = np.exp(np.linspace(start - 5, start + 8, 2601))
        losses = np.array([self.loss(m, t) for t in tokens])
        if not (losses <= loss).any():
            raise InputError(
                f"--loss {self.ask.loss:g}: {self.law.family} with {m:.3g} FLOPs per token does not reach it on any "
                f"number of tokens the law can speak of; the best is {losses.min() / self.final:.4f}"
            )
        return float(tokens[np.argmax(losses <= loss)])

    def hardware_ratio(self, sized: Sized) -> float:
        return self.count(sized.shape).flops_per_token(MATMUL) / sized.flops_per_token

    # -- the rest of the run -------------------------------------------------------------------------------------------

    def finish(self, sized: Sized, tokens: float) -> RunPlan:
        ask, law, m = self.ask, self.law, sized.flops_per_token
        derived: list[Derived] = []
        batch = self.batch(sized, tokens, derived)
        sequences = round_batch(batch / law.context, tokens / law.context)
        per_step = sequences * law.context
        steps = max(1, round(tokens / per_step))
        tokens = float(steps * per_step)
        flops = m * tokens
        best = self.best_size(flops + m * self.inference)
        rate = self.rate(sized, tokens, per_step, flops, derived)
        loss = self.loss(m, tokens) if law.has_loss else None
        least = self.loss(best, self.tokens_left(best, flops + m * self.inference)) if law.has_loss else None
        regret = math.log(loss / least) if loss and least else law.regret(m, flops)
        beyond = law.beyond(flops)
        self.judge(flops, beyond, m / best, tokens)
        gpu, counts = find_gpu(ask.gpu), self.count(sized.shape)
        hardware = flops * self.hardware_ratio(sized)
        memory = memory_needed(counts.params("total"), sized.shape.layers, sized.shape.width, law.context, gpu)
        hours = gpu_hours(hardware, gpu, ask.mfu)
        sayable = loss is not None and beyond < ABSURD
        size_interval = law.size_interval(flops, ask.level)
        run = self.run_interval(loss, flops, beyond) if sayable and loss is not None else None
        return RunPlan(
            family=law.family,
            law=law.origin,
            layers=sized.shape.layers,
            width=sized.shape.width,
            context=law.context,
            vocab_size=law.vocab_size,
            params=sized.params,
            params_convention=law.params_convention,
            params_interval=self.params_interval(sized, size_interval),
            total_params=float(counts.params("total")),
            flops=flops,
            flops_convention=law.flops_convention,
            flops_per_token=m,
            flops_per_token_interval=size_interval,
            hardware_flops=hardware,
            tokens=tokens,
            tokens_interval=_mirrored(size_interval, flops),
            epochs=tokens / ask.unique_tokens if ask.unique_tokens else None,
            effective_tokens=self.worth(tokens),
            batch_tokens=float(per_step),
            batch_sequences=sequences,
            batch_flat=self.flat(batch, flops),
            lr=rate,
            steps=steps,
            loss=loss / self.final if sayable and loss is not None else None,
            loss_before_cooldown=loss if sayable and law.cooldown else None,
            loss_interval=self.scaled(law.loss_interval(self.level_flops(m, tokens), ask.level), regret, sayable),
            run_interval=run,
            regret=regret,
            best_flops_per_token=best,
            gpu=ask.gpu,
            mfu=ask.mfu,
            gpu_hours=hours,
            wall_hours=hours / ask.gpus if ask.gpus else None,
            memory=memory,
            inference_flops=m * self.inference,
            bound=law.bound,
            tokenizer=law.tokenizer,
            alternatives=self.others(sized, flops),
            derived=tuple(derived),
            warnings=tuple(self.warnings),
            notes=law.notes,
        )

    def level_flops(self, m: float, tokens: float) -> float:
        """FLOPs at which the law's level is read: repeats count for less."""
        return m * self.worth(tokens)

    def batch(self, sized: Sized, tokens: float, derived: list[Derived]) -> float:
        rule = self.law.batch
        if rule is None:
            raise InputError(f"{self.law.origin}: has no batch law for {self.law.family}")
        flops = sized.flops_per_token * tokens
        value = rule(tokens=tokens, flops=flops, params=sized.params)
        derived.append(Derived("batch_tokens", value, f"{rule.formula} at D = {in_short(tokens)}", rule.source))
        pooled = self.law.pooled_batch
        if pooled is not None and pooled is not rule:
            other = pooled(tokens=tokens, flops=flops, params=sized.params)
            words = f"{pooled.formula}, all noise types together (not used)"
            derived.append(Derived("batch_tokens, pooled", other, words, pooled.source))
        return value

    def rate(self, sized: Sized, tokens: float, per_step: float, flops: float, derived: list[Derived]) -> float | None:
        rule = self.law.lr
        if rule is None:
            return None
        value = rule(batch_tokens=per_step, tokens=tokens, flops=flops, params=sized.params)
        words = f"{rule.formula} at B = {in_short(per_step)}"
        if self.law.batch_curvature is not None:
            words += ", counted as in the fitted table"
        else:
            words += ", CompleteP's base rate"
        if self.law.family in AUTOREGRESSIVE and self.law.batch_curvature is None:
            words += "; measured for diffusion, not for autoregressive models"
        derived.append(Derived("lr", value, words, rule.source))
        return value

    def flat(self, batch: float, flops: float) -> tuple[float, float] | None:
        """Batches that cost less than `FLAT`: tokens grow by a·ln²(B/B*), and the loss by the slope times that."""
        if self.law.batch_curvature is not None:
            reach = math.exp(math.sqrt(FLAT / self.law.batch_curvature))
            return batch / reach, batch * reach
        if self.law.batch_overhead is None or not self.law.has_loss:
            return None
        reach = math.exp(math.sqrt(FLAT / (self.law.slope(flops) * self.law.batch_overhead)))
        return batch / reach, batch * reach

    def params_interval(self, sized: Sized, size: Interval | None) -> Interval | None:
        """N at the ends of M's interval: along shapes of this proportion, N grows as M to a power near one."""
        if size is None:
            return None
        twice = counted(Shape(2 * sized.shape.layers, 2 * sized.shape.width), self.count, self.names)
        power = math.log(twice.params / sized.params) / math.log(twice.flops_per_token / sized.flops_per_token)
        low, high = (sized.params * (end / sized.flops_per_token) ** power for end in (size.low, size.high))
        return Interval(low, high, size.level, size.kind.replace("flops_per_token", "size, as parameters"))

    def scaled(self, interval: Interval | None, regret: float, sayable: bool) -> Interval | None:
        """The law's interval of L* moved to this run: by what it gives up, and to after the cooldown."""
        if interval is None or not sayable:
            return None
        by = math.exp(regret) / self.final
        return Interval(interval.low * by, interval.high * by, interval.level, interval.kind)

    def run_interval(self, loss: float, flops: float, beyond: float) -> Interval | None:
        """For one new run: the law's error, the noise of a run, and what laws have been off by when extrapolated."""
        known = self.law.loss_interval(flops, 0.95)
        law = math.log(known.high / known.low) / 2 / quantile(0.95, self._dof()) if known else 0.0
        form = (self.law.holdout_per_decade or FORM_ERROR) * math.log10(beyond)
        sd = math.hypot(law, RUN_NOISE, form)
        half = quantile(self.ask.level, self._dof() if known else 0) * sd
        missing = "" if known else "; the law's own error is not known and not in it"
        kind = (
            f"{100 * self.ask.level:g} % for one new run: law {100 * law:.2f} %, run to run {100 * RUN_NOISE:g} %, "
            f"form {100 * form:.2f} % (1 % a decade beyond the fitted range, as published laws were off){missing}"
        )
        return Interval(loss / self.final * math.exp(-half), loss / self.final * math.exp(half), self.ask.level, kind)

    def _dof(self) -> int:
        return self.law.loss_law.degrees_of_freedom if self.law.loss_law else 0

    def others(self, chosen: Sized, flops: float) -> tuple[Alternative, ...]:
        """Up to six other shapes that give up less than .1 % at the same FLOPs."""
        if self.ask.shapes:
            sized = [counted(s, self.count, self.names) for s in self.ask.shapes]
        else:
            sized = near(self.shapes, chosen.flops_per_token, self.count, "flops_per_token", self.names)
        out = []
        for s in sized:
            regret = self.law.regret(s.flops_per_token, flops)
            if s.shape != chosen.shape and regret < 1e-3:
                shape = (s.shape.layers, s.shape.width, s.params, s.flops_per_token)
                out.append(Alternative(*shape, flops / s.flops_per_token, regret))
        return tuple(out[:6])

    def judge(self, flops: float, beyond: float, off: float, tokens: float) -> None:
        """What to distrust."""
        law, ask = self.law, self.ask
        if beyond >= ABSURD:
            self.warnings.append(
                f"{in_flops(flops)} lie a factor {beyond:.1g} outside the fitted range "
                f"({_range(law)}): no loss is stated, and the rest is arithmetic, not a forecast"
            )
        elif beyond >= FAR:
            self.warnings.append(
                f"{in_flops(flops)} lie a factor {beyond:.3g} outside the fitted range ({_range(law)}); published laws "
                "were 0.4 to 5 % off in the loss at such distances"
            )
        size = law.size_interval(flops, ask.level)
        if size is not None and size.high > 10 * size.low:
            self.warnings.append(
                f"{law.family}: the law knows its best size only within a factor {size.high / size.low:.2g}; "
                "add budgets and sizes (plan --next) before believing this shape"
            )
        if law.flops_range is None:
            self.warnings.append("the law does not say over which budgets it was fitted")
        if abs(math.log(off)) > math.log(4):
            self.warnings.append(
                f"the size is {off:.2g} times the best for its FLOPs; that far off the frontier laws hold badly"
            )
        if ask.unique_tokens and tokens > 4 * ask.unique_tokens:
            checked = f"{law.repeats.checked}; {law.repeats.source}" if law.repeats else "assumed"
            self.warnings.append(
                f"{tokens / ask.unique_tokens:.3g} epochs: repeats count with a half-life constant of "
                f"{self.half_life:.4g} ({checked})"
            )
        if ask.inference_tokens and ask.inference_passes is None and law.family not in AUTOREGRESSIVE:
            self.warnings.append(
                "one forward pass per generated token is assumed; a diffusion model without cache needs "
                "window / (tokens per step) of them: give --inference-passes"
            )
        if law.curvature and law.bend.startswith("assumed"):
            self.warnings.append(f"what a wrong size costs is {law.bend}")


def round_batch(sequences: float, most: float) -> int:
    """Sequences to a multiple of a power of two, within 6 %: 2,834 becomes 2,816; at least 1 and 20 steps' worth."""
    sequences = max(1.0, min(sequences, most / 20))
    step = 2 ** max(0, math.floor(math.log2(sequences)) - 3)
    return max(1, round(sequences / step) * step)


def rank(plans: Sequence[RunPlan]) -> list[RunPlan]:
    """Plans from the lowest forecast loss up; those without one last."""
    return sorted(plans, key=lambda p: (p.loss is None, p.loss or 0.0))


def _mirrored(size: Interval | None, flops: float) -> Interval | None:
    """D* = C/M*: the interval of M turned over."""
    if size is None:
        return None
    kind = size.kind.replace("flops_per_token", "tokens")
    return Interval(flops / size.high, flops / size.low, size.level, kind)


def _range(law: Forecast) -> str:
    return "not known" if law.flops_range is None else " to ".join(f"{c:.2g}" for c in law.flops_range) + " FLOPs"


def _solve(ratio: Callable[[float], float], name: str) -> float:
    """FLOPs at which a rising ``ratio`` is 1, by bisection in the logarithm; InputError outside 1e6 to 1e60."""
    low, high = math.log(1e6), math.log(1e60)
    if not ratio(math.exp(low)) <= 1 <= ratio(math.exp(high)):
        raise InputError(f"{name}: no budget between 1e6 and 1e60 FLOPs meets it")
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if ratio(math.exp(middle)) < 1 else (low, middle)
    return math.exp((low + high) / 2)


def _lowest(f: Callable[[float], float], centre: float, reach: float) -> float:
    """The exponential of the argument in centre ± reach where f is lowest: a grid, refined around its best point."""
    for _ in range(4):
        grid_ = np.linspace(centre - reach, centre + reach, 61)
        values = [f(float(x)) for x in grid_]
        centre, reach = float(grid_[int(np.nanargmin(values))]), reach / 20
    return math.exp(centre)
