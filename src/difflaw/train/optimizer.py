"""The optimizer a run's config asks for, over CompleteP's groups of parameters."""

from __future__ import annotations

import torch

from difflaw.model.completep import parameter_groups
from difflaw.model.transformer import Transformer
from difflaw.train.config import RunConfig
from difflaw.train.laprop import LaProp


def build_optimizer(config: RunConfig, model: Transformer) -> torch.optim.Optimizer:
    """LaProp or AdamW with CompleteP's groups."""
    opt = config.optimizer
    groups = parameter_groups(
        model,
        width=config.model.width,
        layers=config.model.layers,
        lr=opt.lr,
        weight_decay=opt.weight_decay,
        eps=opt.eps,
    )
    kind = LaProp if opt.name == "laprop" else torch.optim.AdamW
    return kind(groups, betas=(opt.beta1, opt.beta2))
