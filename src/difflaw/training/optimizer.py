"""The optimizer a run's config asks for, over CompleteP's groups of parameters."""

from __future__ import annotations

import torch

from difflaw.model.completep import parameter_groups
from difflaw.model.transformer import Transformer
from difflaw.training.config import RunConfig
from difflaw.training.laprop import LaProp
from difflaw.training.muon import Muon


def build_optimizer(config: RunConfig, model: Transformer) -> torch.optim.Optimizer:
    """LaProp, AdamW or Muon (hidden matrices; the rest by LaProp) with CompleteP's groups."""
    opt = config.optimizer
    groups = parameter_groups(
        model,
        width=config.model.width,
        layers=config.model.layers,
        lr=opt.lr,
        weight_decay=opt.weight_decay,
        eps=opt.eps,
        auxiliary_rate=opt.auxiliary_rate,
    )
    if opt.name == "muon":
        groups = [{**group, "orthogonal": group["name"] == "bulk"} for group in groups]
    kinds = {"laprop": LaProp, "adamw": torch.optim.AdamW, "muon": Muon}
    return kinds[opt.name](groups, betas=(opt.beta1, opt.beta2))
