"""From a law and what somebody has (FLOPs, tokens, a size, a loss, GPU hours) to one run: shape, tokens, batch, loss.

The size is chosen on the law's frontier, snapped to an allowed shape, and everything that follows is computed again for
that shape, so the plan states what will be run and what the rounding costs.
"""

from __future__ import annotations

from difflaw.errors import InputError
from difflaw.formatting import short_count
from difflaw.planning.details import complete
from difflaw.planning.predict import Forecast
from difflaw.planning.problem import Problem
from difflaw.planning.request import Ask, check
from difflaw.planning.run_plan import RunPlan
from difflaw.planning.shapes import Count
from difflaw.planning.solving import requested_size, tokens_for


def plan(ask: Ask, law: Forecast, count: Count) -> RunPlan:
    """The run that ``law`` recommends for its family.

    Args:
        ask: what is fixed.
        law: of one family.
        count: counts a shape (with the law's context and vocabulary) every way.

    Raises:
        InputError: constraints that no model meets, or a law that lacks what was asked.
    """
    check(ask)
    problem = Problem(ask, law, count)
    sized = problem.snap(*requested_size(problem))
    tokens = tokens_for(problem, sized)
    if not tokens > 0:
        raise InputError(
            f"{law.family}: generating {short_count(ask.inference_tokens)} tokens with a model of "
            f"{short_count(sized.params)} parameters already costs more than the budget; raise --flops"
        )
    return complete(problem, sized, tokens)
