"""How fast a run goes and how long it still takes: recent steps, evaluations and checkpoints, each timed apart."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 20.0
"""Seconds of steps that count as recent: long enough for the odd slow step, short enough to follow the machine."""
FORWARD = 0.4
"""Cost of a token that is only evaluated, in tokens trained on."""


@dataclass
class Pace:
    """Times of what a run has done since it was started or resumed, in seconds.

    The first step of a process does not count: it also fetches memory, and compiles where steps are compiled.
    """

    steps_per_evaluation: float
    """What an evaluation is taken to cost before one was timed, in steps."""
    seconds_between_checkpoints: float
    _recent: deque[float] = field(default_factory=deque)
    _total: float = 0.0
    _begun: bool = False
    _evaluation: float | None = None
    _checkpoint: float = 0.0

    def step(self, seconds: float) -> None:
        """A step was made."""
        if not self._begun:
            self._begun = True
            return
        self._recent.append(seconds)
        self._total += seconds
        while len(self._recent) > 2 and self._total - self._recent[0] > WINDOW:
            self._total -= self._recent.popleft()

    def evaluation(self, seconds: float) -> None:
        """The bound was measured."""
        self._evaluation = seconds

    def checkpoint(self, seconds: float) -> None:
        """A checkpoint was written."""
        self._checkpoint = seconds

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of the recent steps; None before the second."""
        return self._total / len(self._recent) if self._recent else None

    @property
    def seconds_per_evaluation(self) -> float | None:
        """The last one's, or a guess from the steps; None where there is neither."""
        step = self.seconds_per_step
        return self.steps_per_evaluation * step if self._evaluation is None and step is not None else self._evaluation

    def seconds_left(self, steps: int, evaluations: int) -> float | None:
        """Time for so many steps and evaluations more, checkpoints included; None before the second step."""
        step, evaluation = self.seconds_per_step, self.seconds_per_evaluation
        if step is None or evaluation is None:
            return None
        stepping = steps * step
        checkpoints = stepping / max(self.seconds_between_checkpoints, step, 1e-9)
        return stepping + evaluations * evaluation + checkpoints * self._checkpoint
