"""A generation as one HTML file that plays, without a network: colour is confidence, a changed token flashes.

Texts go into the page as JSON and from there into text nodes only, so nothing in them can become markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from difflaw.sample.frame import Frame
from difflaw.sample.pieces import Pieces
from difflaw.templates import render, script_json

SHORTEST, LONGEST, WHOLE = 40, 400, 8000
"""Milliseconds: a step at least and at most, and all steps together."""


def page(frames: Sequence[Frame], pieces: Pieces, title: str, caption: str) -> str:
    """The page of a trace; ``pieces`` must be fresh. Frames hold only what changed."""
    texts: dict[str, int] = {}
    rows: dict[int, int] = {}
    cells: list[list[list[Any]]] = []
    start: list[list[list[Any]]] = []
    steps = []
    for frame in frames:
        changes = []
        for row, found in pieces.rows(frame):
            now = [
                [
                    texts.setdefault(piece.text, len(texts)),
                    None if piece.confidence is None else round(piece.confidence, 3),
                    int(piece.is_open),
                ]
                for piece in found
            ]
            if row not in rows:
                rows[row] = len(cells)
                first = [c if c[1] is None else [texts.setdefault("░", len(texts)), 0.0, 1] for c in now]
                start.append(first)
                cells.append(first)
            index = rows[row]
            for at, (old, new) in enumerate(zip(cells[index], now, strict=True)):
                if old != new:
                    changes.append([index, at, *new, int(old[0] != new[0])])
            cells[index] = now
        steps.append({"changes": changes, "log_snr": frame.log_snr if abs(frame.log_snr) < 1e9 else None})
    data = {"texts": list(texts), "start": start, "frames": steps}
    delay = max(SHORTEST, min(LONGEST, round(WHOLE / max(len(steps), 1))))
    shown = {"title": title, "caption": caption, "data": script_json(data), "delay": delay}
    return render("difflaw.sample", "player.html.j2", **shown)
