"""Text that denoises in the terminal: colour is confidence, a changed token flashes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from difflaw.sample.frame import Frame, Watch
from difflaw.sample.pieces import Piece, Pieces


def colour(confidence: float) -> str:
    """Red at 0 over yellow at one half to green at 1."""
    share = min(max(confidence, 0.0), 1.0)
    return f"#{round(255 * min(1, 2 - 2 * share)):02x}{round(215 * min(1, 2 * share)):02x}40"


def styled(pieces: list[Piece]) -> Text:
    """One row."""
    text = Text(overflow="fold")
    for piece in pieces:
        if piece.confidence is None:
            text.append(piece.text, "bold")
        elif piece.is_open and piece.confidence == 0.0:
            text.append(piece.text, "bright_black")
        else:
            text.append(piece.text, f"{colour(piece.confidence)}{' reverse' if piece.changed else ''}")
    return text


@contextmanager
def watching(pieces: Pieces, delay: float, console: Console | None = None) -> Iterator[Watch]:
    """Give `generate` what this yields; ``delay`` seconds are waited after each frame, to be seen."""
    shown: dict[int, Text] = {}
    with Live(console=console or Console(stderr=True), auto_refresh=False) as live:

        def show(frame: Frame) -> None:
            for row, row_pieces in pieces.rows(frame):
                shown[row] = styled(row_pieces)
            lines = Text("\n\n").join([shown[row] for row in sorted(shown)])
            noise = "" if frame.log_snr != frame.log_snr else f"λ {frame.log_snr:+.2f}, "
            live.update(Text.assemble(lines, (f"\n{noise}{frame.passes} passes", "bright_black")), refresh=True)
            if delay:
                time.sleep(delay)

        yield show
