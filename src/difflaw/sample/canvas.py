"""Texts of different lengths side by side, what is given in them, and what is written so far.

Rows are padded at the end; padding is no key of any attention and takes part in nothing. Shapes: B rows, L the longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from difflaw.sample.draws import Draws
from difflaw.sample.prompts import Prompt


@dataclass
class Canvas:
    """A batch on its way from blanks to text; the tensors are written in place, (B, L)."""

    tokens: Tensor
    """What stands there now; at a blank that was not begun yet, noise."""
    blank: Tensor
    """To be written."""
    beyond: Tensor
    """Behind the text but read by the network as noise (the rest of its context or block); never written."""
    valid: Tensor
    """False on padding."""
    clean: Tensor
    """Given or finished."""
    no_eos: Tensor
    """Where a text must not end: before its shortest length, and before a given token."""
    draws: Draws

    @property
    def rows(self) -> int:
        """B."""
        return self.tokens.shape[0]

    @property
    def positions(self) -> Tensor:
        """(B, L): 0 … L-1 in every row."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device).expand_as(self.tokens)

    def select(self, rows: Tensor) -> Canvas:
        """A copy of these rows (indices)."""
        names = ("tokens", "blank", "beyond", "valid", "clean", "no_eos")
        return Canvas(
            **{name: getattr(self, name)[rows] for name in names}, draws=self.draws.select(rows.cpu().numpy())
        )


def lay_out(
    prompts: Sequence[Prompt], draws: Draws, *, min_tokens: int, pad_id: int, reach: Sequence[int], device: torch.device
) -> Canvas:
    """A canvas for prompts with their blanks. ``reach`` is how far the network reads in each row, ≥ its length."""
    length = max(reach)
    tokens = np.full((len(prompts), length), pad_id, dtype=np.int64)
    blank = np.zeros(tokens.shape, dtype=bool)
    no_eos = np.zeros(tokens.shape, dtype=bool)
    sizes = np.array([len(prompt.tokens) for prompt in prompts])
    at = np.arange(length)
    for row, prompt in enumerate(prompts):
        tokens[row, : sizes[row]] = prompt.tokens
        blank[row, : sizes[row]] = prompt.blank
        given = np.flatnonzero(~np.array(prompt.blank, dtype=bool))
        after_given = int(given[-1]) + 1 if len(given) else 0
        no_eos[row] = at < after_given + min_tokens
    valid = at < np.array(reach)[:, None]
    inside = at < sizes[:, None]
    as_tensor = [
        torch.from_numpy(a).to(device) for a in (tokens, blank, valid & ~inside, valid, inside & ~blank, no_eos)
    ]
    return Canvas(*as_tensor, draws=draws)


def gathered(where_BL: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the True places of each row, in order: (B, N) and which of them are real, N the most of any row.

    What is not real repeats position 0 of the row, and must be hidden.
    """
    count = where_BL.sum(1)
    most = int(count.max()) if len(count) else 0
    order = torch.argsort(~where_BL, dim=1, stable=True)[:, :most]
    real = torch.arange(most, device=where_BL.device) < count[:, None]
    return torch.where(real, order, torch.zeros_like(order)), real


def windows(blank_BL: Tensor, block_length: int | None) -> list[Tensor]:
    """Blanks in groups of ``block_length`` from left to right, each (B, L); one group where it is None."""
    if block_length is None:
        return [blank_BL] if bool(blank_BL.any()) else []
    number = blank_BL.long().cumsum(1) - 1
    groups = -(-int(blank_BL.sum(1).max()) // block_length)
    return [blank_BL & (number // block_length == group) for group in range(groups)]
