"""The generator against its published answers, and that a draw depends on nothing but its address."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difflaw.sample.draws import Draws, Use, philox

# Random123's known answers for philox4x32-10: counter, key, output
KNOWN = (
    ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, 0xFFFFFFFFFFFFFFFF, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        0x299F31D0A4093822,
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key: int, expected) -> None:
    words = philox(tuple(np.array([c], dtype=np.uint64) for c in counter), key)
    assert tuple(int(word[0]) for word in words) == expected


def test_a_row_does_not_know_its_batch() -> None:
    positions = torch.arange(6).expand(4, -1)
    together = Draws(7, np.arange(4)).uniform(positions, 3, Use.TOKEN)
    alone = Draws(7, np.array([2])).uniform(positions[:1, 2:5], 3, Use.TOKEN)
    assert torch.equal(together[2:3, 2:5], alone)


def test_uniform_and_apart() -> None:
    positions = torch.arange(300).expand(300, -1)
    draws = Draws(1, np.arange(300))
    parts = [draws.uniform(positions, step, use) for step in (0, 1) for use in (Use.TOKEN, Use.WHETHER)]
    for i, u in enumerate(parts):
        counts = torch.histc(u, 20, 0, 1)
        assert float(((counts - 4500) ** 2 / 4500).sum()) < 50  # χ² of 19 degrees: beyond 50 once in 10⁴
        for other in parts[:i]:
            assert abs(float(torch.corrcoef(torch.stack([u.flatten(), other.flatten()]))[0, 1])) < 0.015
    assert float(parts[0].max()) < 1.0
