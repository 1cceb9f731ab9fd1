"""What a family's process ends in: the tokens a diffusion starts from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from difflaw.families import Duo, Family, Gidd
from difflaw.noise.clock import sigmoid
from difflaw.sample.draws import Draws, Use


def prior(family: Family, positions_BN: Tensor, draws: Draws) -> Tensor:
    """Tokens (B, N) drawn from π at the lowest λ of the family's range: masks, random tokens or both.

    GIDD's uniform part is over the ids that are not the mask, Duo's over all V, each as its process says.
    """
    if isinstance(family, Gidd) and family.is_masked:
        return torch.full_like(positions_BN, family.mask_id)
    which = draws.uniform(positions_BN, 0, Use.PRIOR)
    if isinstance(family, Duo):
        return (which * family.vocab_size).long().clamp(max=family.vocab_size - 1)
    if not isinstance(family, Gidd):
        raise TypeError(f"{family.name} has no prior")
    token = (which * (family.vocab_size - 1)).long().clamp(max=family.vocab_size - 2)
    token = token + (token >= family.mask_id)
    mixing = family.mixing
    share = float(sigmoid(np.float64(mixing.scale * family.span.low + mixing.shift)))
    is_random = draws.uniform(positions_BN, 0, Use.WHETHER) < share
    return torch.where(is_random, token, torch.full_like(token, family.mask_id))
