"""Keys and values of tokens that were read before, so that sampling reads only what is new.

Entries stand in the order in which they were read; rotary positions are in the keys, so the order means nothing.
Shapes: B rows, C capacity, K entries in use, Q new tokens, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class KeyValueCache:
    """Buffers of every layer, grown as needed. The sink, where the network has one, is the first entry.

    Each pass writes its keys and values behind those in use; `keep` makes some of them stay.
    """

    keys: list[Tensor]
    """One (B, H, C, head_dim) a layer."""
    values: list[Tensor]
    seen_BK: Tensor
    """Which entries a row may attend to; padding that came along with other rows is False."""

    @property
    def used(self) -> int:
        """Entries in use, K."""
        return self.seen_BK.shape[1]

    def extend(self, layer: int, k_BHQd: Tensor, v_BHQd: Tensor) -> tuple[Tensor, Tensor]:
        """Write new keys and values behind those in use; all of them, (B, H, K + Q, head_dim), without a copy."""
        last = self.used + k_BHQd.shape[2]
        for buffers, new in ((self.keys, k_BHQd), (self.values, v_BHQd)):
            if buffers[layer].shape[2] < last:
                old = buffers[layer]
                buffers[layer] = old.new_empty(*old.shape[:2], 2 * last, old.shape[3])
                buffers[layer][:, :, : self.used] = old[:, :, : self.used]
            buffers[layer][:, :, self.used : last] = new
        return self.keys[layer][:, :, :last], self.values[layer][:, :, :last]

    def key_mask(self, attention: Tensor | None, rows: int, new: int) -> Tensor | None:
        """Mask (B, 1, Q, K + Q), True = not seen, from "may attend" among the new tokens; None where all is seen."""
        if attention is None:
            if bool(self.seen_BK.all()):
                return None
            attention = torch.ones(1, 1, dtype=torch.bool, device=self.seen_BK.device).expand(new, new)
        within = attention.expand(rows, new, new)
        before = self.seen_BK[:, None, :].expand(rows, new, self.used)
        return ~torch.cat([before, within], -1).unsqueeze(1)

    def keep(self, seen_BQ: Tensor) -> None:
        """The first Q tokens of the last pass stay; ``seen_BQ`` (B, Q) is False where a row must never see one."""
        self.seen_BK = torch.cat([self.seen_BK, seen_BQ], 1)

    def select(self, rows: Tensor) -> None:
        """Only these rows (indices) go on."""
        self.keys = [k[rows] for k in self.keys]
        self.values = [v[rows] for v in self.values]
        self.seen_BK = self.seen_BK[rows]
