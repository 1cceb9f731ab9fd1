"""What a plan costs: packing onto workers, and a roof that is measured."""

from __future__ import annotations

import torch

from difflaw.data.config import DataConfig
from difflaw.data.store import prepare
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.estimate import estimate, makespan, matmul_peak
from difflaw.ladder.plan import make_plan
from difflaw.training.threads import using_threads


def test_makespan() -> None:
    assert makespan([3, 3, 2, 2, 2], 2) == 7  # longest first: 3+2+2 against 3+2
    assert makespan([5], 4) == 5
    assert makespan([1, 1], 1) == 2


def test_peak_is_a_sensible_rate() -> None:
    assert 1e8 < matmul_peak(seconds=0.02, size=256) < 1e15


def test_an_estimate_leaves_the_number_of_threads_alone(small, cache) -> None:
    plan = make_plan(LadderConfig.model_validate(small), prepare(DataConfig.model_validate(small["data"]), cache))
    with using_threads(2):
        assert estimate(plan, 2).wall_seconds > 0
        assert torch.get_num_threads() == 2
