"""The sums over a row of logits that the three numbers and their gradient are made of."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Sums(NamedTuple):
    """Over a row without x, each (T, 1): highest logit (x's too), Σ e^(l - top), G = Σ g(u), Σ u·g'(u), u = r·p."""

    top: Tensor
    rest: Tensor
    total: Tensor
    """``rest`` with x's e^(l - top)."""
    excess: Tensor | None
    slope: Tensor | None
