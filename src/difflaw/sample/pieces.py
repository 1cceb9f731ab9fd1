"""Single tokens as people see them, and which of them changed from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from difflaw.sample.frame import Frame
from difflaw.sample.prompts import Model

BLANK = "░"


@dataclass(frozen=True)
class Piece:
    """One place of one row in one frame."""

    text: str
    confidence: float | None
    """None for a given token."""
    is_open: bool
    changed: bool


class Pieces:
    """Turns the frames of one batch into pieces; remembers the frame before."""

    def __init__(self, model: Model, given: list[tuple[bool, ...]]) -> None:
        """``given`` (a tuple a row) is True where a token was there from the start; its length is the row's."""
        self._model, self._given = model, given
        self._texts: dict[int, str] = {}
        self._before: dict[int, list[int]] = {}

    def text(self, token: int) -> str:
        """The token alone; special ones by name, what is no text by number."""
        if token not in self._texts:
            names = {self._model.mask_id: BLANK, self._model.bos_id: "", self._model.pad_id: ""}
            names[self._model.eos_id] = "⏹"
            if token in names:
                self._texts[token] = names[token]
            elif self._model.tokenizer is None:
                self._texts[token] = f"{token} "
            else:
                self._texts[token] = self._model.tokenizer.decode([token], skip_special_tokens=False)
        return self._texts[token]

    def rows(self, frame: Frame) -> Iterator[tuple[int, list[Piece]]]:
        """(row, its pieces) of a frame."""
        for index, row in enumerate(frame.rows):
            given = self._given[row] if row < len(self._given) else ()
            size = len(given)
            tokens = frame.tokens[index, :size].tolist()
            unfinished = frame.unfinished[index, :size].tolist()
            confidence = frame.confidence[index, :size].tolist()
            before = self._before.get(row, tokens)
            self._before[row] = tokens
            yield (
                row,
                [
                    Piece(
                        self.text(tokens[at]),
                        None if given[at] else confidence[at],
                        unfinished[at] and not given[at],
                        tokens[at] != before[at],
                    )
                    for at in range(size)
                ],
            )
