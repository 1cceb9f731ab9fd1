"""The training loop: batches in, a run directory out; killed and run again it ends with the same numbers.

Nothing random lives in the loop. Step n's batch and noise are functions of (seed, sample index), so a resumed
run needs only weights, optimizer state and n.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from difflaw.data.batches import Batches
from difflaw.families.base import Family
from difflaw.families.score import Body, training_loss, weights
from difflaw.files import write_json
from difflaw.model.accounting import account
from difflaw.model.transformer import Transformer
from difflaw.training import checkpoint
from difflaw.training.config import RunConfig
from difflaw.training.engine import compiled_body, prepared_processor
from difflaw.training.optimizer import build_optimizer
from difflaw.training.pace import FORWARD, Pace
from difflaw.training.run_directory import RunDirectory
from difflaw.training.schedule import warmup_stable_decay

LOG_POINTS = 200
"""About this many training records per run."""


@dataclass(frozen=True)
class Execution:
    """How a run is carried out. None of it changes which numbers come out, up to the rounding of sums."""

    device: str = "cpu"
    micro_batch: int | None = None
    """Sequences per forward pass; None means the whole batch."""
    checkpoint_seconds: float = 30.0
    compiled: bool = False
    """Whether steps are compiled (`engine.decided`); other last digits than eager ones."""
    threads: int | None = None
    """Processor threads of a run (`ladder.cell`); None: as many as its size is worth. Other last digits again."""
    stop_with_parent: int | None = None
    """Stop (leaving a checkpoint) when this process is no longer the parent: an orphan must not write on."""


class Diverged(Exception):
    """The loss is not a number any more."""


class Orphaned(Exception):
    """Whoever started this run is gone."""


Objective = Callable[[Transformer, torch.Tensor, np.ndarray, bool], tuple[torch.Tensor, float, float]]
"""(model, x (B, L), sample index (B,), whether the bound is wanted) → the sum of losses over scored tokens, with its
graph; the sum of their bounds; their number (the last two may be zero where the bound is not wanted)."""

Evaluate = Callable[[Transformer, int], dict[str, Any]]
"""(model, step) → an evaluation record: ``bound``, ``standard_error``, … in nats per token."""


@prepared_processor()
def train(
    config: RunConfig,
    directory: RunDirectory,
    family: Family,
    batches: Batches,
    evaluate: Evaluate,
    execution: Execution = Execution(),
    prepare_objective: Callable[[Transformer, int], Objective] | None = None,
    start: Callable[[Transformer], None] | None = None,
) -> Transformer:
    """Run (or continue) until the last step; the trained model, with all records in ``directory``.

    ``prepare_objective`` gives what is minimised from (model, step) on, and is asked again at every step that starts a
    round of ``config.distillation``; by default it is the family's loss. ``start`` sets the weights of a run that has
    made no step yet, after `Transformer.initialise`.

    Raises Diverged when a loss is NaN or infinite, Orphaned when the parent is gone.
    """
    device = torch.device(execution.device)
    model = Transformer(config.model, causal=family.causal).initialise(config.seed).to(device)
    optimizer = build_optimizer(config, model)
    checkpoints = directory.path / "checkpoints"
    state = checkpoint.load_latest(checkpoints, model, optimizer)
    if state is None:
        state = {"step": 0, "seconds": 0.0}
        if start:
            start(model)
    first, before = int(state["step"]), float(state["seconds"])

    counts = account(config.model, family.passes(config.model.context))
    flops_per_token = counts.flops_per_token(config.flops_convention)
    measured = sorted({0, *config.evaluation_steps, config.steps})
    log_every = max(1, config.steps // LOG_POINTS)
    started = last_saved = last_shown = time.monotonic()
    evaluated_tokens = config.evaluation_sequences * config.model.context
    pace = Pace(FORWARD * evaluated_tokens / config.tokens_per_step, execution.checkpoint_seconds)

    def seconds() -> float:
        return before + time.monotonic() - started

    def record(kind: str, step: int, values: dict[str, Any]) -> None:
        tokens = step * config.tokens_per_step
        directory.append({"kind": kind, "step": step, "tokens": tokens, "flops": tokens * flops_per_token, **values})

    def judge(step: int) -> dict[str, Any]:
        begun = time.monotonic()
        values = evaluate(model, step)
        pace.evaluation(time.monotonic() - begun)
        return values

    def save(step: int) -> None:
        begun = time.monotonic()
        checkpoint.save(checkpoints, step, model, optimizer, {"seconds": seconds()})
        pace.checkpoint(time.monotonic() - begun)

    def report(step: int, loss: float | None) -> None:
        per_step = pace.seconds_per_step
        rate = config.tokens_per_step / max(per_step, 1e-9) if per_step is not None else None
        left = sum(at > step for at in measured)
        progress = {
            "step": step,
            "steps": config.steps,
            "seconds": seconds(),
            "tokens_per_second": rate,
            "flops_per_second": rate * flops_per_token if rate is not None else None,
            "loss": loss,
            "seconds_per_step": per_step,
            "seconds_per_evaluation": pace.seconds_per_evaluation,
            "seconds_left": pace.seconds_left(config.steps - step, left),
            "first_step": first,
            "process": os.getpid(),
        }
        write_json(directory.path / "progress.json", progress)

    rounds = config.distillation.steps_per_round if config.distillation else config.steps
    body = compiled_body(model) if execution.compiled else None
    objective = prepare_objective(model, first) if prepare_objective else family_objective(config, family, body)
    report(first, None)
    if first == 0:
        record("evaluation", 0, judge(0))
    latest = None
    for step in range(first, config.steps):
        factor = warmup_stable_decay(step, config.steps, config.optimizer.warmup_steps, config.optimizer.cooldown_steps)
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        if prepare_objective and step > first and step % rounds == 0:
            objective = prepare_objective(model, step)
        wanted = (step + 1) % log_every == 0
        begun = time.monotonic()
        loss, bound = _update(model, optimizer, objective, batches, step, execution, wanted)
        pace.step(time.monotonic() - begun)
        done = step + 1
        if wanted:
            values = {"loss": loss, "bound": bound, "lr": config.optimizer.lr * factor, "seconds": seconds()}
            if not (math.isfinite(loss) and math.isfinite(bound)):
                raise Diverged(f"training loss is {loss} at step {done}")
            record("train", done, values)
            latest = loss
        if done in measured:
            values = judge(done)
            if not math.isfinite(values["bound"]):
                raise Diverged(f"validation bound is {values['bound']} at step {done}")
            record("evaluation", done, {**values, "seconds": seconds()})
        now = time.monotonic()
        if now - last_shown > 1.0 or done == config.steps:
            last_shown = now
            report(done, latest)
            if execution.stop_with_parent is not None and os.getppid() != execution.stop_with_parent:
                save(done)
                raise Orphaned
        if now - last_saved > execution.checkpoint_seconds and done < config.steps:
            save(done)
            last_saved = time.monotonic()
    # a run that grows goes on from here, so it keeps the optimizer's state
    checkpoint.save(checkpoints, config.steps, model, optimizer if config.grows else None, {"seconds": seconds()})
    return model


def family_objective(config: RunConfig, family: Family, body: Body | None = None) -> Objective:
    """The family's own training loss; ``body`` is a compiled `Transformer.hidden`, if there is one."""

    def objective(
        model: Transformer, x: torch.Tensor, index: np.ndarray, want_bound: bool
    ) -> tuple[torch.Tensor, float, float]:
        batch = family.corrupt(x, index, config.seed)
        loss, numbers = training_loss(
            model, family, batch, config.precision, body=body, compiled=body is not None, z_loss=config.z_loss
        )
        if not want_bound:
            return loss, 0.0, 0.0
        bound = family.bound_of(numbers, batch.x_BL, batch.z_BL, batch.log_snr_BL) * weights(batch)
        return loss, float(bound.sum()), float(batch.noised_BL.sum())

    return objective


def _update(
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    batches: Batches,
    step: int,
    execution: Execution,
    want_bound: bool,
) -> tuple[float, float]:
    """One optimizer step on the sum of losses over noised tokens; their mean loss and bound if wanted, else NaN."""
    x_BL, index_B = batches.batch(step)
    size = execution.micro_batch or len(index_B)
    loss_sum = bound_sum = tokens = 0.0
    for start in range(0, len(index_B), size):
        rows = slice(start, start + size)
        x = torch.from_numpy(x_BL[rows]).to(execution.device)
        loss, bound, count = objective(model, x, index_B[rows], want_bound)
        loss.backward()
        loss_sum += loss.detach()
        bound_sum, tokens = bound_sum + bound, tokens + count
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if not want_bound:
        return math.nan, math.nan
    return float(loss_sum) / max(tokens, 1.0), bound_sum / max(tokens, 1.0)
