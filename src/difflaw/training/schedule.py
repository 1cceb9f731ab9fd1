"""Warm-up, constant, decay: the factor on the peak learning rate at each step (2512.10858)."""

from __future__ import annotations

import math


def warmup_stable_decay(step: int, total: int, warmup: int, cooldown: int) -> float:
    """Factor in [0, 1] at ``step`` = 0, 1, … (the update number ``step`` + 1 uses it).

    Linear from 0 over ``warmup`` steps, then 1, then 1 - √(k/cooldown) over the last ``cooldown`` steps, k steps in.
    """
    if step < warmup:
        return step / warmup
    into = step - (total - cooldown)
    if cooldown > 0 and into > 0:
        return 1.0 - math.sqrt(min(into, cooldown) / cooldown)
    return 1.0
