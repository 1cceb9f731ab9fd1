"""CompleteP as the first paper runs it: which parameter learns at which rate, so that one η serves every size.

Base rate η, auxiliary rate 0.02·η unless given; hidden matrices at η/d; weight decay of hidden matrices times
d, so that the shrink per step is η·weight_decay at every width; eps/(d·L) for all (2512.10858; its code, train.py).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from difflaw.model.config import AUXILIARY_RATE


def group_of(name: str, dimensions: int) -> str:
    """Group of a parameter by its name, tried in this order: conditioning, norm, embedding, bias, head, bulk.

    adaLN and its condition have a fixed fan-in, so they learn like an input layer: at the auxiliary rate.
    """
    if "adaln" in name or "condition" in name:
        return "conditioning"
    if "norm" in name:
        return "norm"
    if "embed_tokens" in name:
        return "embedding"
    if "bias" in name:
        return "bias"
    if "lm_head" in name:
        return "head"
    if dimensions < 2:
        raise ValueError(f"parameter {name!r} is a vector without a CompleteP rule")
    return "bulk"


def parameter_groups(
    module: nn.Module,
    *,
    width: int,
    layers: int,
    lr: float,
    weight_decay: float = 0.0,
    norm_weight_decay: float = 0.0,
    bias_weight_decay: float = 0.0,
    eps: float = 1e-8,
    auxiliary_rate: float = AUXILIARY_RATE,
) -> list[dict[str, Any]]:
    """Optimizer groups with peak ``lr`` (also kept as ``peak_lr``), ``weight_decay`` and ``eps`` each.

    ``auxiliary_rate`` is the rate of all groups but the hidden matrices, as a share of ``lr``.
    """
    rules = {
        "bulk": (lr / width, weight_decay * width),
        "norm": (auxiliary_rate * lr, norm_weight_decay),
        "bias": (auxiliary_rate * lr, bias_weight_decay),
        "embedding": (auxiliary_rate * lr, 0.0),
        "head": (auxiliary_rate * lr, 0.0),
        "conditioning": (auxiliary_rate * lr, 0.0),
    }
    members: dict[str, list[Any]] = {}
    for name, parameter in module.named_parameters():
        members.setdefault(group_of(name, parameter.dim()), []).append(parameter)
    return [
        {
            "name": name,
            "params": members[name],
            "lr": rate,
            "peak_lr": rate,
            "weight_decay": decay,
            "eps": eps / (width * layers),
        }
        for name, (rate, decay) in rules.items()
        if name in members
    ]
