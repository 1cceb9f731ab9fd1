"""The size and the tokens that answer a request: every pair of constraints solved for what is left open."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from difflaw.errors import InputError
from difflaw.formatting import flops as in_flops
from difflaw.law.search import first_root, root
from difflaw.planning.hardware import find_gpu, flops_of_hours
from difflaw.planning.problem import Problem
from difflaw.planning.shapes import Sized

AGREE = 0.05
"""How far (in logarithms) three constraints may disagree and still be called consistent."""


def requested_size(problem: Problem) -> tuple[float, str]:
    """(size, "params" or "flops_per_token") of the continuous solution; InputError where there is none."""
    ask = problem.ask
    if ask.params is not None:
        return ask.params, "params"
    flops = budget(problem)
    if flops is not None and ask.tokens is not None:
        return flops / (ask.tokens + problem.inference), "flops_per_token"
    if ask.loss is not None and ask.tokens is not None:
        return size_for_loss(problem, ask.loss * problem.cooldown, ask.tokens), "flops_per_token"
    if flops is None and ask.loss is not None:
        flops = budget_for_loss(problem, ask.loss * problem.cooldown)
    if flops is None:
        assert ask.tokens is not None  # the only constraint left
        tokens = ask.tokens
        flops = _solve(
            lambda c: problem.tokens_left(problem.best_size(c), c) / tokens, f"--tokens {tokens:g}", problem.law.domain
        )
    return problem.best_size(flops), "flops_per_token"


def budget(problem: Problem) -> float | None:
    """FLOPs in the law's convention from --flops, or from GPU hours by the size that they are spent on."""
    ask = problem.ask
    if ask.gpu_hours is None:
        return ask.flops
    spent = flops_of_hours(ask.gpu_hours, find_gpu(ask.gpu), ask.mfu)
    flops = spent
    for _ in range(6):
        size, by = (ask.params, "params") if ask.params is not None else (problem.best_size(flops), "flops_per_token")
        flops = spent / problem.hardware_ratio(problem.snap(size, by))
    if ask.flops is not None and abs(math.log(flops / ask.flops)) > AGREE:
        raise InputError(
            f"--gpu-hours {ask.gpu_hours:g} on {ask.gpu} at MFU {ask.mfu:g} are {in_flops(flops)} "
            f"({problem.law.flops_convention}), not --flops {ask.flops:g}; give one of the two"
        )
    return ask.flops if ask.flops is not None else flops


def budget_for_loss(problem: Problem, loss: float) -> float:
    """FLOPs with which the best size reaches ``loss`` (before any cooldown); InputError below the law's floor."""
    name = f"--loss {problem.ask.loss:g}"
    floor = problem.law.floor
    if loss <= floor:
        raise InputError(
            f"{name}: {problem.law.origin} puts the floor of {problem.law.family} at {floor:.3f}; no budget reaches it"
        )

    def ratio(c: float) -> float:
        m = problem.best_size(c)
        return loss / problem.loss(m, problem.tokens_left(m, c))

    return _solve(ratio, name, problem.law.domain)


def size_for_loss(problem: Problem, loss: float, tokens: float) -> float:
    """Smallest M that reaches ``loss`` on ``tokens``."""
    centre = math.log(
        problem.law.best_size(_solve(lambda c: c / problem.law.best_size(c) / tokens, "--tokens", problem.law.domain))
    )
    sizes = np.linspace(centre - 6, centre + 6, 1201)
    smallest = first_root(lambda ln: problem.loss(math.exp(ln), tokens) - loss, sizes)
    if smallest is None:
        best = min(problem.loss(m, tokens) for m in np.exp(sizes)) / problem.cooldown
        raise InputError(
            f"--loss {problem.ask.loss:g} with --tokens {tokens:g}: no model of {problem.law.family} reaches it; "
            f"the best on these tokens is {best:.4f} by {problem.law.origin}"
        )
    return math.exp(smallest)


def tokens_for(problem: Problem, sized: Sized) -> float:
    """Tokens for the shape that will be trained, and the check that everything asked agrees."""
    ask, m = problem.ask, sized.flops_per_token
    flops = budget(problem)
    if ask.params is not None and abs(math.log(sized.params / ask.params)) > math.log(1.5):
        raise InputError(f"--params {ask.params:g}: the allowed shape nearest to it has {sized.params:.3g}")
    if ask.tokens is not None and flops is not None:
        if ask.params is not None and abs(math.log(m * ask.tokens / flops)) > 3 * AGREE:
            raise InputError(
                f"--params {ask.params:g} on --tokens {ask.tokens:g} cost {in_flops(m * ask.tokens)} "
                f"({problem.law.flops_convention}), not {flops:.3g}; leave one of the three out"
            )
        return problem.tokens_left(m, flops)
    if ask.tokens is not None:
        tokens = ask.tokens
    elif flops is not None:
        tokens = problem.tokens_left(m, flops)
    elif ask.loss is not None:
        return tokens_for_loss(problem, m, ask.loss * problem.cooldown)
    else:
        flops = _solve(lambda c: problem.best_size(c) / m, f"--params {ask.params:g}", problem.law.domain)
        tokens = problem.tokens_left(m, flops)
    if ask.loss is not None and problem.loss(m, tokens) > ask.loss * problem.cooldown * (1 + 1e-3):
        reach = problem.loss(m, tokens) / problem.cooldown
        raise InputError(
            f"{problem.law.family}: {ask.constraints}: no model reaches that loss; "
            f"the best is {reach:.4f} by {problem.law.origin}"
        )
    return tokens


def tokens_for_loss(problem: Problem, m: float, loss: float) -> float:
    """Fewest tokens with which a size reaches a loss."""
    start = math.log(_solve(lambda c: problem.law.best_size(c) / m, "--params", problem.law.domain)) - math.log(m)
    tokens = np.linspace(start - 5, start + 8, 2601)
    fewest = first_root(lambda ln: problem.loss(m, math.exp(ln)) - loss, tokens)
    if fewest is None:
        best = min(problem.loss(m, d) for d in np.exp(tokens)) / problem.cooldown
        raise InputError(
            f"--loss {problem.ask.loss:g}: {problem.law.family} with {m:.3g} FLOPs per token does not reach it on any "
            f"number of tokens the law can speak of; the best is {best:.4f}"
        )
    return math.exp(fewest)


def _solve(ratio: Callable[[float], float], name: str, domain: tuple[float, float]) -> float:
    """FLOPs at which a rising ``ratio`` is 1; InputError where that lies outside the law's domain."""
    low, high = math.log(domain[0]), math.log(domain[1])

    def ln_ratio(ln_flops: float) -> float:
        return math.log(min(max(ratio(math.exp(ln_flops)), 1e-300), 1e300))

    if not ln_ratio(low) <= 0 <= ln_ratio(high):
        raise InputError(f"{name}: no budget between {domain[0]:.0e} and {domain[1]:.0e} FLOPs meets it")
    return math.exp(root(ln_ratio, low, high))
