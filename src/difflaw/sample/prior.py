"""What a family's process ends in: the tokens a diffusion starts from."""

from __future__ import annotations

from torch import Tensor

from difflaw.families import Diffusion
from difflaw.sample.draws import Draws, Use


def prior(family: Diffusion, positions_BN: Tensor, draws: Draws) -> Tensor:
    """Tokens (B, N) drawn from π at the lowest λ of the family's range, as `Diffusion.prior` says."""
    return family.prior(draws.uniform(positions_BN, 0, Use.PRIOR), draws.uniform(positions_BN, 0, Use.WHETHER))
