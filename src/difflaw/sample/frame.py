"""A look at a generation under way: what `--watch`, `--html` and `trace=True` show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.sample.canvas import Canvas


@dataclass(frozen=True)
class Frame:
    """Some rows after one step; tensors (B, L), copies."""

    rows: tuple[int, ...]
    """Their numbers in the whole generation."""
    tokens: Tensor
    unfinished: Tensor
    """Still open: may change in a later step, or not begun."""
    confidence: Tensor
    """Probability that the network gave each written token when it was written; 0 elsewhere."""
    log_snr: float
    """Where the step began; NaN where a sampler has no λ."""
    passes: int
    """Calls of the network so far."""


Watch = Callable[[Frame], None]


class Recorder:
    """Makes frames of a batch while groups of its rows are written."""

    def __init__(self, canvas: Canvas, watch: Watch | None) -> None:
        self.canvas, self._watch = canvas, watch
        self._confidence = torch.zeros(canvas.tokens.shape, device=canvas.tokens.device) if watch else None

    @property
    def wanted(self) -> bool:
        """Whether anybody looks."""
        return self._watch is not None

    def wrote(self, rows: Tensor, columns: Tensor, confidence: Tensor) -> None:
        """Confidence of tokens at (rows, columns) of the batch."""
        if self._confidence is not None:
            self._confidence[rows, columns] = confidence.to(self._confidence)

    def show(self, tokens: Tensor, open_: Tensor, log_snr: float, passes: int) -> None:
        """Hand out a frame of the whole batch."""
        if self._watch is None or self._confidence is None:
            return
        numbers = tuple(int(row) for row in self.canvas.draws.rows)
        unfinished = open_ & ~self.canvas.beyond
        self._watch(Frame(numbers, tokens.clone(), unfinished.clone(), self._confidence.clone(), log_snr, passes))
