"""Finished text as it comes: what no later step can change is printed at once."""

from __future__ import annotations

import sys

from difflaw.sample.frame import Frame
from difflaw.sample.generate import Generations
from difflaw.sample.prompts import Model, decode


class Streamer:
    """A `Watch` for one text; prints to standard output."""

    def __init__(self, model: Model) -> None:
        self._model, self._printed = model, ""

    def __call__(self, frame: Frame) -> None:
        """Print what is finished from the left, up to an end of text; half characters wait."""
        unfinished = frame.unfinished[0].tolist()
        tokens = frame.tokens[0, : unfinished.index(True) if True in unfinished else len(unfinished)].tolist()
        if self._model.eos_id in tokens:
            return  # where the text ends is for `finish` to say: an EOS in a prompt ends nothing
        self._print((decode(self._model, tokens) or "").rstrip("\ufffd"))

    def finish(self, done: Generations) -> None:
        """Print the rest."""
        text = done.text[0] if done.text is not None else " ".join(map(str, done.tokens[0, : done.lengths[0]].tolist()))
        self._print(text)
        sys.stdout.write("\n")
        sys.stdout.flush()

    def _print(self, text: str) -> None:
        if text.startswith(self._printed):
            sys.stdout.write(text[len(self._printed) :])
            sys.stdout.flush()
            self._printed = text
