"""Left to right, one token a pass, with the keys and values of all tokens before it. Exact.

The network reads [BOS, x_1 … x_{l-1}] and says x_l (`families.autoregressive`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.model.cache import KeyValueCache
from difflaw.sample.canvas import Canvas
from difflaw.sample.categorical import Shaping
from difflaw.sample.draws import Use
from difflaw.sample.frame import Recorder
from difflaw.sample.reader import Reading, may_attend
from difflaw.sample.window import Places, drawn, over


@dataclass(frozen=True)
class LeftToRight:
    """Autoregressive family only. No options."""

    def write(
        self,
        canvas: Canvas,
        reading: Reading,
        recorder: Recorder,
        *,
        shaping: Shaping,
        block_length: int | None,
        eos_id: int,
    ) -> None:
        """Fill the blanks, all of which stand behind what is given, in place. InputError for a ``block_length``."""
        family = reading.family
        if block_length is not None:
            raise InputError(f"block_length: {family.name} writes token by token and has no blocks")
        rows = canvas.blank.any(1).nonzero()[:, 0]
        end = (canvas.positions * canvas.blank).amax(1) + 1
        at = canvas.clean.sum(1)  # of each row, the position that is written next
        canvas.tokens[canvas.blank] = family.pad_id
        cache = reading.model.new_cache(len(rows), canvas.tokens.shape[1]) if reading.cached else None
        first = True
        while len(rows):
            if cache is None or first:
                states = self._read_all(canvas, reading, rows, at[rows], cache)
            else:
                now = at[rows, None]
                states = reading.hidden(canvas.tokens[rows].gather(1, now - 1), now, None, cache)[:, 0]
                cache.keep(torch.ones_like(now, dtype=torch.bool))
            first = False
            column = at[rows]
            u = canvas.draws.select(rows.cpu().numpy()).uniform(column[:, None], 0, Use.TOKEN)[:, 0]
            places = Places(column, u)  # no token stands there
            no_eos = canvas.no_eos[rows, column]
            token, confidence = over(reading.logits, family, states, places, no_eos, eos_id, drawn(shaping))
            canvas.tokens[rows, column] = token
            canvas.clean[rows, column] = True
            recorder.wrote(rows, column, confidence)
            recorder.show(canvas.tokens, canvas.valid & ~canvas.clean, float("nan"), reading.passes)
            at[rows] += 1
            going = ((token != eos_id) & (at[rows] < end[rows])).nonzero()[:, 0]
            if len(going) < len(rows):
                rows = rows[going]
                if cache is not None and len(rows):
                    cache.select(going)

    @staticmethod
    def _read_all(canvas: Canvas, reading: Reading, rows: Tensor, at: Tensor, cache: KeyValueCache | None) -> Tensor:
        """States (b, D) that say the tokens at ``at``, from [BOS, everything before it]."""
        length = int(at.max()) + 1
        tokens = torch.full((len(rows), length), reading.family.bos_id, device=canvas.tokens.device)
        tokens[:, 1:] = canvas.tokens[rows, : length - 1]
        positions = torch.arange(length, device=tokens.device).expand_as(tokens)
        real = positions <= at[:, None]
        attention = torch.ones(length, length, dtype=torch.bool, device=tokens.device).tril()
        known = may_attend(real)
        states = reading.hidden(tokens, positions, attention if known is None else attention & known, cache)
        if cache is not None:
            cache.keep(real)
        return states[torch.arange(len(rows), device=tokens.device), at]
