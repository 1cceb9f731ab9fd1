"""Warm-up, constant, decay against the reference schedule."""

from __future__ import annotations

import numpy as np
import pytest

from difflaw.training.schedule import warmup_stable_decay


@pytest.mark.parametrize("index", [0, 1, 2])
def test_golden_schedule(shared, index: int) -> None:
    golden = np.load(shared / "golden/laprop/wsd.npz")
    total, base, warmup, cooldown = golden[f"args_{index}"]
    ours = [
        base * warmup_stable_decay(s, int(total), int(warmup), int(cooldown)) for s in range(len(golden[f"lr_{index}"]))
    ]
    assert np.allclose(ours, golden[f"lr_{index}"], rtol=1e-6, atol=1e-7 * base)


def test_plain_constant() -> None:
    assert [warmup_stable_decay(s, 5, 0, 0) for s in range(5)] == [1.0] * 5
