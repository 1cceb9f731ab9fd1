"""`difflaw.plan`: the run that a law recommends for what somebody has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from difflaw.law.document import Laws
from difflaw.law.records import plain
from difflaw.planning.recommend import forecasts_for, recommend
from difflaw.planning.request import Ask
from difflaw.planning.run_plan import RunPlan
from difflaw.planning.shapes import Shape, parse_shapes

if TYPE_CHECKING:
    import pandas as pd


class Plans(list[RunPlan]):
    """Plans, the best first; ``without`` says why a family of the law has none."""

    def __init__(self, plans: Iterable[RunPlan], without: Sequence[str] = ()) -> None:
        super().__init__(plans)
        self.without = tuple(without)

    def table(self) -> pd.DataFrame:
        """One row a plan, a column for each of its numbers (intervals as two: ``_low`` and ``_high``)."""
        import pandas as pd

        rows = []
        for p in self:
            row = {}
            for key, value in plain(p).items():
                if isinstance(value, dict) and {"low", "high"} <= set(value):
                    row |= {f"{key}_low": value["low"], f"{key}_high": value["high"]}
                elif not isinstance(value, dict | list):
                    row[key] = value
            rows.append(row)
        return pd.DataFrame(rows)


def plan(
    laws: Laws | str | Path,
    *,
    flops: float | None = None,
    tokens: float | None = None,
    params: float | None = None,
    loss: float | None = None,
    gpu_hours: float | None = None,
    gpu: str = "h100",
    gpus: int | None = None,
    mfu: float = 0.4,
    inference_tokens: float = 0.0,
    inference_passes: float | None = None,
    unique_tokens: float | None = None,
    shapes: Iterable[str | Shape] = (),
    families: Sequence[str] = (),
    context: int | None = None,
    vocab_size: int | None = None,
) -> Plans:
    """Family, shape, tokens, batch, rate and loss (with intervals) for what you have, one plan a family.

    >>> import difflaw
    >>> best = difflaw.plan("published:gidd", flops=1e21)[0]
    >>> best.family, best.layers, best.width, round(best.loss, 2)
    ('masked', 21, 2816, 2.41)
    >>> laws = difflaw.fit(difflaw.example_table())
    >>> [p.family for p in difflaw.plan(laws, flops=1e20)]
    ['masked', 'uniform']

    Args:
        laws: what `difflaw.fit` returns, a laws.json, a ladder's folder, or "published:NAME" (`difflaw.published`).
        flops: training FLOPs in the law's convention; give this, ``tokens``, ``params``, ``loss`` or ``gpu_hours``.
        tokens: tokens to train on.
        params: parameters in the law's convention.
        loss: to reach, nats per token after the cooldown.
        gpu_hours: hours of one device, summed over devices.
        gpu: the device that hours are counted on.
        gpus: devices at a time: gives hours by the clock.
        mfu: share of the device's peak that training reaches.
        inference_tokens: tokens the model will generate in its life.
        inference_passes: forward passes per generated token.
        unique_tokens: different tokens there are; more are repeats.
        shapes: choose among these, "LAYERSxWIDTH".
        families: only these; default every family of the law.
        context: where the law does not say it.
        vocab_size: likewise.

    Raises:
        InputError: nothing to plan from, constraints that no model meets, a family the law has not.
    """
    given = tuple(s if isinstance(s, Shape) else parse_shapes([s])[0] for s in shapes)
    ask = Ask(
        flops=flops,
        tokens=tokens,
        params=params,
        loss=loss,
        gpu_hours=gpu_hours,
        gpu=gpu,
        mfu=mfu,
        gpus=gpus,
        inference_tokens=inference_tokens,
        inference_passes=inference_passes,
        unique_tokens=unique_tokens,
        shapes=given,
    )
    return Plans(*recommend(ask, forecasts_for(laws, context, vocab_size, families)))
