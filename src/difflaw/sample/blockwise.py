"""The frame around every window sampler: blanks in groups from left to right, each finished before the next is begun.

One group is plain diffusion; several are semi-autoregressive generation, in which finished groups become clean and what
is given or finished is read from the cache (`sample.reader`). Block diffusion is always of this form, in blocks of its
own. A row whose text has ended takes no further part.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from difflaw.families import Diffusion
from difflaw.sample.canvas import Canvas, windows
from difflaw.sample.categorical import Shaping
from difflaw.sample.draws import Draws
from difflaw.sample.frame import Recorder
from difflaw.sample.prior import prior
from difflaw.sample.reader import BlockReader, Reading, WindowReader
from difflaw.sample.window import WINDOW_STEPS, Window


@runtime_checkable
class WindowSampler(Protocol):
    """An algorithm that writes one window."""

    def run(self, window: Window) -> None:
        """Write its active places."""
        ...


def write_windows(
    canvas: Canvas,
    reading: Reading,
    sampler: WindowSampler,
    recorder: Recorder,
    *,
    shaping: Shaping,
    block_length: int | None,
    eos_id: int,
) -> None:
    """Fill the canvas, in place. ``eos_id`` -1: no token ends a text."""
    family = reading.family
    if not isinstance(family, Diffusion):
        raise TypeError(f"{family.name} has no noise to start from")
    noise = prior(family, canvas.positions, canvas.draws)
    canvas.tokens.copy_(torch.where(canvas.blank | canvas.beyond, noise, canvas.tokens))
    write = _Writer(canvas, reading, family, sampler, recorder, shaping, eos_id)
    if family.block_length is not None:
        write.own_blocks(family.block_length)
        return
    for number, where in enumerate(windows(canvas.blank, block_length)):
        write.group(number, where)


class _Writer:
    def __init__(
        self,
        canvas: Canvas,
        reading: Reading,
        family: Diffusion,
        sampler: WindowSampler,
        recorder: Recorder,
        shaping: Shaping,
        eos_id: int,
    ) -> None:
        self.canvas, self.reading, self.sampler, self.recorder = canvas, reading, sampler, recorder
        self.family = family
        self.shaping, self.eos_id = shaping, eos_id
        self.ended = torch.zeros(canvas.rows, dtype=torch.bool, device=canvas.tokens.device)

    def group(self, number: int, where: Tensor) -> None:
        """One window of a family that reads everything at once."""
        rows = (where.any(1) & ~self.ended).nonzero()[:, 0]
        if not len(rows):
            return
        part = self.canvas.select(rows)
        reader = WindowReader(self.reading, part)
        active = where[rows].gather(1, reader.places) & reader.real
        self.run(number, rows, part.draws, reader, active)

    def own_blocks(self, length: int) -> None:
        """Block diffusion: the blocks of each row from its first with a blank to its last."""
        canvas = self.canvas
        number = canvas.positions // length
        first = torch.where(canvas.blank, number, number.shape[1]).amin(1)
        last = torch.where(canvas.blank, number, -1).amax(1)
        rows = (last >= 0).nonzero()[:, 0]
        if not len(rows):
            return
        reader = BlockReader(self.reading, canvas.select(rows), first[rows])
        for window in range(int((last - first).max()) + 1):
            going = (~self.ended[rows] & (reader.block_B <= last[rows])).nonzero()[:, 0]
            if not len(going):
                return
            if len(going) < len(rows):
                rows = rows[going]
                reader.select(canvas.select(rows), going)
            active = canvas.blank[rows].gather(1, reader.places)
            self.run(window, rows, reader.canvas.draws, reader, active)
            reader.canvas = canvas.select(rows)
            if bool((reader.block_B < last[rows]).any()):
                reader.next_block()

    def run(self, number: int, rows: Tensor, draws: Draws, reader: WindowReader | BlockReader, active: Tensor) -> None:
        """Let the sampler write ``active`` (b, N) at the reader's places of these rows."""
        canvas, places = self.canvas, reader.places
        at_row, at_place = active.nonzero(as_tuple=True)
        columns = places[at_row, at_place]
        index = rows[at_row]

        def watch(window: Window) -> None:
            tokens = canvas.tokens.clone()
            tokens[index, columns] = window.z[active]
            self.recorder.wrote(index, columns, window.confidence[active])
            self.recorder.show(tokens, canvas.valid & ~canvas.clean, window.log_snr, self.reading.passes)

        window = Window(
            self.family,
            reader,
            canvas.tokens[rows].gather(1, places),
            active,
            places,
            canvas.no_eos[rows].gather(1, places),
            draws,
            self.shaping,
            eos_id=self.eos_id,
            first_step=number * WINDOW_STEPS,
            watch=watch if self.recorder.wanted else None,
        )
        if bool(active.any()):
            self.sampler.run(window)
        canvas.tokens[index, columns] = window.z[active]
        canvas.clean[index, columns] = True
        self.ended[rows] |= ((window.z == self.eos_id) & active).any(1)
        self.recorder.show(canvas.tokens, canvas.valid & ~canvas.clean, window.log_snr, self.reading.passes)
