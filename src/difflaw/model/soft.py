"""Inputs that are mixtures of tokens."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class SoftTokens(NamedTuple):
    """k token ids a position and their weights, (B, L, k) each: the network reads Σ_k weight·E[id]."""

    ids: Tensor
    weights: Tensor
