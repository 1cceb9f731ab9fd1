"""Leave-one-out prediction ↔ posterior: what a token is given all others, and given itself as well.

A network trained on any bound here learns p_loo(x_l | z without z_l) (docs/derivations.md#leave-one-out, checked by
enumeration in tests/families/test_ground_truths.py); for a masked token both are the same. Bayes adds what z_l itself
says: p(x|z) ∝ p_loo(x)·q(z_l|x) with q(z_l|x) = α·1[x = z_l] + (1-α)·π(z_l).
"""

from __future__ import annotations

import torch
from torch import Tensor

from difflaw.errors import InputError


def to_posterior(p_loo_BLV: Tensor, z_BL: Tensor, alpha_BL: Tensor, noise_BL: Tensor) -> Tensor:
    """p(x | z), (B, L, V); ``noise_BL`` is the chance (1-α)·π(z) that noise made z.

    Where z is impossible under p_loo and the noise (0/0) the prediction is returned unchanged.
    """
    joint = p_loo_BLV * _likelihood(p_loo_BLV, z_BL, alpha_BL, noise_BL)
    total = joint.sum(-1, keepdim=True)
    return torch.where(total > 0, joint / total.clamp(min=torch.finfo(joint.dtype).tiny), p_loo_BLV)


def to_leave_one_out(posterior_BLV: Tensor, z_BL: Tensor, alpha_BL: Tensor, noise_BL: Tensor) -> Tensor:
    """p_loo(x), (B, L, V), from p(x | z): the inverse of `to_posterior`.

    Raises InputError where noise cannot have made z (a visible token under masked noise): the posterior is then all on
    z and holds no trace of what the others said.
    """
    if bool((noise_BL <= 0).any()):
        raise InputError("posterior: a token that noise cannot have made has no leave-one-out prediction left in it")
    odds = posterior_BLV / _likelihood(posterior_BLV, z_BL, alpha_BL, noise_BL)
    return odds / odds.sum(-1, keepdim=True)


def _likelihood(p_BLV: Tensor, z_BL: Tensor, alpha_BL: Tensor, noise_BL: Tensor) -> Tensor:
    likelihood = noise_BL.to(p_BLV.dtype).unsqueeze(-1).expand_as(p_BLV).clone()
    return likelihood.scatter_add_(-1, z_BL.unsqueeze(-1), alpha_BL.to(p_BLV.dtype).unsqueeze(-1))
