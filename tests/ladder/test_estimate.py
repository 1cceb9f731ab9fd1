"""What a plan costs: packing onto workers, and a roof that is measured."""

from __future__ import annotations

from difflaw.ladder.estimate import makespan, matmul_peak


def test_makespan() -> None:
    assert makespan([3, 3, 2, 2, 2], 2) == 7  # longest first: 3+2+2 against 3+2
    assert makespan([5], 4) == 5
    assert makespan([1, 1], 1) == 2


def test_peak_is_a_sensible_rate() -> None:
    assert 1e8 < matmul_peak(seconds=0.02, size=256) < 1e15
