"""The time a run still takes: right within 30 % from its first minute, whatever pauses came before."""

from __future__ import annotations

import random

import pytest

from difflaw.training.pace import Pace


def foretold(step_seconds, *, steps: int, every: int, evaluation: float, start: float, watch: float) -> list[float]:
    """Seconds left, said over true, at every step from ``watch`` seconds on of a run that takes those times."""
    pace = Pace(steps_per_evaluation=1.0, seconds_between_checkpoints=30.0)
    clock, saved, said = 0.0, 0.0, []
    pace.evaluation(evaluation)
    clock += evaluation
    for step in range(steps):
        seconds = step_seconds(step) + (start if step == 0 else 0.0)
        pace.step(seconds)
        clock += seconds
        if (step + 1) % every == 0:
            pace.evaluation(evaluation)
            clock += evaluation
        if clock - saved > 30.0:
            saved = clock
            pace.checkpoint(0.5)
            clock += 0.5
        said.append((clock, pace.seconds_left(steps - step - 1, steps // every - (step + 1) // every)))
    return [left / (clock - at) for at, left in said if at > watch and clock - at > 10.0 and left is not None]


@pytest.mark.parametrize("evaluation", [0.1, 20.0])
@pytest.mark.parametrize("start", [0.0, 40.0])
def test_time_left_is_right_from_the_first_minute(evaluation: float, start: float) -> None:
    """Steps of 0.2 s that vary by a third, costly or cheap evaluations, a first step that compiles for 40 s."""
    noise = random.Random(0)
    ratios = foretold(
        lambda step: 0.2 * noise.uniform(0.67, 1.33),
        steps=3000,
        every=500,
        evaluation=evaluation,
        start=start,
        watch=60,
    )
    assert len(ratios) > 1000
    assert all(0.7 < ratio < 1.3 for ratio in ratios), (min(ratios), max(ratios))


def test_a_machine_that_becomes_slower_is_followed() -> None:
    ratios = foretold(
        lambda step: 0.1 if step < 1000 else 0.4, steps=3000, every=3000, evaluation=1.0, start=0.0, watch=100 + 30
    )
    assert all(0.7 < ratio < 1.3 for ratio in ratios)


def test_before_anything_was_timed_nothing_is_said() -> None:
    pace = Pace(steps_per_evaluation=3.0, seconds_between_checkpoints=30.0)
    assert pace.seconds_left(10, 1) is None
    pace.step(50.0)  # compiles, perhaps
    assert pace.seconds_left(10, 1) is None
    pace.step(2.0)
    assert pace.seconds_left(10, 1) == pytest.approx(10 * 2.0 + 3 * 2.0)
    pace.evaluation(1.0)
    assert pace.seconds_left(10, 1) == pytest.approx(21.0)
    assert pace.seconds_left(0, 0) == 0.0


def test_a_checkpoint_after_every_step_is_priced() -> None:
    pace = Pace(steps_per_evaluation=1.0, seconds_between_checkpoints=0.0)
    pace.step(1.0)
    pace.step(1.0)
    pace.checkpoint(2.0)
    assert pace.seconds_left(10, 0) == pytest.approx(10 * (1.0 + 2.0))
