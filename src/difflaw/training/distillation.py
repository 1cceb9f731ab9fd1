"""Discrete Consistency Distillation of Duo: a student learns in one step what its teacher knows a little later.

One Gaussian noise gives a text at two clocks, t and t - δ; the student reads z_t, the teacher z_{t-δ}, and the student
minimises KL between their predictions. δ doubles each round, and each round's teacher is the student that starts it
(2506.10892 §4; its code: algo.py). What comes out needs far fewer sampling steps; its bound gets worse.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from difflaw.errors import InputError
from difflaw.families import Duo, Family
from difflaw.families.base import Corrupted
from difflaw.families.score import autocast, hidden_states
from difflaw.files import write_atomically
from difflaw.model.head import CHUNK_ELEMENTS
from difflaw.model.transformer import Transformer
from difflaw.noise.gaussian import GaussianOperator
from difflaw.noise.tempered import argmax_pair
from difflaw.training.checkpoint import fill, weights_of
from difflaw.training.config import DistillationConfig, RunConfig
from difflaw.training.loop import Objective

PARENT = "parent.safetensors"
"""The parent's weights, copied into the run that distils them."""


def distilled(family: Family) -> Duo:
    """The family, if it can be distilled; InputError otherwise."""
    if not isinstance(family, Duo):
        raise InputError(
            f"family {family.name!r} cannot be distilled: consistency distillation needs the Gaussian latent of duo"
        )
    return family


def start_from_parent(directory: Path, model: Transformer) -> None:
    """Load the parent's weights into a student that has not yet made a step; InputError when they are damaged."""
    path = directory / PARENT
    try:
        fill(model, load_file(path))
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{path}: cannot be read as the parent's weights ({error}); distil into a new folder"
        ) from None


def objectives(config: RunConfig, family: Family, directory: Path) -> Callable[[Transformer, int], Objective]:
    """(model, step) → what is minimised from that step to the end of its round.

    The teacher of a round is kept in ``directory`` from the round's first step on, so that a killed run that comes back
    in the middle of a round finds it there.
    """
    rule, duo = config.distillation, distilled(family)
    assert rule is not None

    def prepare(model: Transformer, step: int) -> Objective:
        number, into = divmod(step, rule.steps_per_round)
        path = directory / "teachers" / f"round-{number}.safetensors"
        if into == 0:
            write_atomically(path, save(weights_of(model)))
        teacher = copy.deepcopy(model).requires_grad_(False)
        fill(teacher, load_file(path))
        return _objective(config, rule, duo, teacher, number)

    return prepare


def pair(
    duo: Duo, rule: DistillationConfig, x: Tensor, index: np.ndarray, seed: int, number: int
) -> tuple[Corrupted, Corrupted]:
    """(what the student reads, what the teacher reads) in round ``number``, from one noise."""
    operator = GaussianOperator(duo.vocab_size, rule.gamma_min, rule.gamma_max)
    delta = min(2**number / rule.grid, 1.0)
    earlier = (1.0 - delta) * duo.conditioning.times(index, seed)
    gamma_t, gamma_s = operator.gamma_at(earlier + delta), operator.gamma_at(earlier)
    z_t, z_s = argmax_pair(x.cpu().numpy(), gamma_t, gamma_s, index, seed, duo.vocab_size)

    def read(z: np.ndarray, gamma: np.ndarray) -> Corrupted:
        log_snr = torch.from_numpy(operator.log_snr(gamma)).to(x.device, torch.float32).expand(x.shape)
        return Corrupted(x, torch.from_numpy(z).to(x.device), log_snr, torch.ones_like(x, dtype=torch.bool))

    return read(z_t, gamma_t), read(z_s, gamma_s)


def divergence(student: Tensor, teacher: Tensor, direction: str) -> Tensor:
    """KL of two predictions per token from logits (..., V) with the mask suppressed; "student-teacher" is KL(S ‖ T)."""
    log_s, log_t = student.log_softmax(-1), teacher.log_softmax(-1)
    first, second = (log_s, log_t) if direction == "student-teacher" else (log_t, log_s)
    possible = first.isfinite()  # not the mask, whose -∞ - (-∞) would be no number
    difference = torch.where(possible, first, 0.0) - torch.where(possible, second, 0.0)
    return (first.exp() * difference).sum(-1)


def _objective(config: RunConfig, rule: DistillationConfig, duo: Duo, teacher: Transformer, number: int) -> Objective:
    def objective(model: Transformer, x: Tensor, index: np.ndarray, want_bound: bool) -> tuple[Tensor, float, float]:
        ours, theirs = pair(duo, rule, x, index, config.seed, number)
        with autocast(config.precision, x.device):
            states = hidden_states(model, duo, ours).float().flatten(0, 1)
            with torch.no_grad():
                known = hidden_states(teacher, duo, theirs).float().flatten(0, 1)
        loss = states.new_zeros(())
        for rows in torch.arange(len(states)).split(max(1, CHUNK_ELEMENTS // duo.vocab_size)):
            loss = (
                loss
                + divergence(
                    _logits(model, duo, states[rows]), _logits(teacher, duo, known[rows]), rule.divergence
                ).sum()
            )
        return loss, float(loss.detach()) if want_bound else 0.0, float(x.numel())

    return objective


def _logits(model: Transformer, duo: Duo, states: Tensor) -> Tensor:
    logits = states @ model.lm_head.weight.T * model.output_scale
    return logits.index_fill(-1, torch.tensor([duo.mask_id], device=logits.device), -torch.inf)
