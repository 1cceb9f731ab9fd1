"""First-hitting sampling: one mask at a time, at the very moments the process would unmask them (2409.02908).

The order of unmasking is uniformly random whatever the schedule, and the network reads no λ, so moments need not be
drawn: each row takes its masks in a random order and draws each token given all before it. Exact for an exact network
at any length, with as many passes as masks: the limit T → ∞ of ancestral sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from difflaw.sample.draws import Use
from difflaw.sample.window import Window, best


@dataclass(frozen=True)
class FirstHitting:
    """Masked noise only. No options: the number of steps is the number of masks."""

    def run(self, window: Window) -> None:
        """Write the window."""
        order = 1.0 - window.draws.uniform(window.positions, 0, Use.ORDER)  # in (0, 1]
        one = torch.ones_like(window.z[:, 0])
        start = window.family.span.low
        while bool((left := window.masked).any()):
            now = best(torch.where(left, order, -1.0), one)
            window.write(now, window.draw(now, start))
            window.tick(start)
