"""The pictures of docs/families.md: one sentence under every family's noise, drawn by the family's own `corrupt_at`.

Run it from anywhere: `python docs/figures/make_families.py`. The text is the opening of Lewis Carroll's Alice (1865).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from difflaw.families import get
from difflaw.families.base import Corrupted, Family
from difflaw.noise.clock import sigmoid

TEXT = str.split(
    "Alice was beginning to get very tired of sitting by her sister on the bank , and of having nothing to do : once "
    "or twice she had peeped into the book her sister was reading , but it had no pictures or conversations in it"
)
SHOWN, MASK = 16, 3
WORDS = ["BOS", "EOS", "PAD", "MASK", *dict.fromkeys(TEXT)]
X = torch.tensor([[WORDS.index(word) for word in TEXT[:SHOWN]]])
LEVELS = (4.0, 2.0, 1.0, 0.0, -1.0, -3.0)
SEED = 5
FILLS = {"kept": "#ffffff", "mask": "#bdbdbd", "replaced": "#f4b6ae", "given": "#dceaf7", "predicted": "#ffffff"}
INK = {"kept": "#202020", "mask": "#bdbdbd", "replaced": "#9b1c1c", "given": "#1f4e79", "predicted": "#202020"}
CHARACTER, GAP, ROW = 0.083, 0.07, 0.285
"""Inches: width of a letter, space between boxes, height of a line."""


@dataclass
class Line:
    """One row of boxes: what is written in each, how each is painted, and what stands to its left."""

    label: str
    words: list[str]
    kinds: list[str]
    above: list[str] | None = None
    """Small print over each box."""
    blocks: int | None = None
    """Draw a bar after every so many boxes."""


def family(name: str, **options: object) -> Family:
    """A family over the words of the text."""
    return get(name, len(WORDS), MASK, **options)


def noisy(of: Family, level: float) -> Corrupted:
    """The sentence at λ = ``level``; one seed, so that a token lost at one level stays lost at all lower ones."""
    return of.corrupt_at(X, np.array([level]), np.array([0]), SEED)


def kinds(x: torch.Tensor, z: torch.Tensor) -> list[str]:
    """How each token of z is painted."""
    return [
        "mask" if b == MASK else "kept" if a == b else "replaced" for a, b in zip(x.tolist(), z.tolist(), strict=True)
    ]


def level_label(level: float) -> str:
    """λ and the share of signal it stands for."""
    return f"λ {level:+.0f}   α {float(sigmoid(level)):.2f}".replace("-", "−").replace("+0 ", "0 ")


def lines_of(of: Family, levels: tuple[float, ...] = LEVELS, blocks: int | None = None) -> list[Line]:
    """One line a level."""
    out = []
    for level in levels:
        batch = noisy(of, level)
        z = batch.z_BL[0]
        out.append(Line(level_label(level), [WORDS[i] for i in z], kinds(batch.x_BL[0], z), blocks=blocks))
    return out


def in_reading_order(of: Family, levels: tuple[float, ...]) -> list[Line]:
    """Text order, each token with its place in the order the network reads them."""
    out = []
    for level in levels:
        batch = noisy(of, level)
        assert batch.positions_BL is not None
        back = batch.positions_BL[0].argsort()
        x, z = batch.x_BL[0][back], batch.z_BL[0][back]
        sequential = batch.reads_clean_B is not None and bool(batch.reads_clean_B[0])
        label = f"{level_label(level)}\n{'left to right' if sequential else 'any order'}"
        out.append(Line(label, [WORDS[i] for i in z], kinds(x, z), [str(int(i) + 1) for i in back]))
    return out


def autoregressive() -> list[Line]:
    """What is read and what is predicted from it."""
    batch = noisy(family("autoregressive"), 0.0)
    read, predicted = ([WORDS[i] for i in row[0]] for row in (batch.z_BL, batch.x_BL))
    return [Line("reads", read, ["given"] * SHOWN), Line("predicts", predicted, ["predicted"] * SHOWN)]


def block() -> list[Line]:
    """Every block at one λ, as evaluation draws it, and each at its own, as training does."""
    of = family("block", block_length=4)
    out = lines_of(of, (2.0, 0.0, -2.0), blocks=4)
    for index in (1, 2, 3):
        batch = of.corrupt(X, np.array([index]), SEED)
        levels = [f"λ {lam:+.1f}".replace("-", "−") for lam in batch.log_snr_BL[0, ::4].tolist()]
        above = [levels[i // 4] if i % 4 == 0 else "" for i in range(SHOWN)]
        z = batch.z_BL[0]
        label = "training:\na λ a block"
        out.append(Line(label, [WORDS[i] for i in z], kinds(batch.x_BL[0], z), above, blocks=4))
    out.append(Line("beside it", [WORDS[i] for i in X[0]], ["given"] * SHOWN, blocks=4))
    return out


def draw(name: str, panels: list[tuple[str, list[Line]]]) -> None:
    """Panels of lines under one another into docs/figures/families-``name``.png, 64 colours."""
    every = [line for _, lines in panels for line in lines]
    # a mask is painted, not written
    written = [[len(line.words[i]) for line in every if line.kinds[i] != "mask"] for i in range(SHOWN)]
    widths = [max([*lengths, len(TEXT[i])]) for i, lengths in enumerate(written)]
    left = 1.35
    starts = left + np.concatenate([[0.0], np.cumsum([CHARACTER * w + 0.08 + GAP for w in widths])])
    heights = [
        sum(ROW + (0.16 if line.above else 0.0) for line in lines) + (0.3 if title else 0.06) for title, lines in panels
    ]
    width, height = float(starts[-1]) + 0.05, sum(heights) + 0.06
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    y = 0.03
    for title, lines in panels:
        if title:
            axes.text(0.08, y + 0.2, title, fontsize=8.5, fontweight="bold", va="baseline")
            y += 0.28
        for line in lines:
            y += 0.16 if line.above else 0.0
            middle = y + ROW / 2
            axes.text(0.08, middle, line.label, fontsize=7, va="center", color="#404040", linespacing=1.1)
            for i, (word, kind) in enumerate(zip(line.words, line.kinds, strict=True)):
                box = float(starts[i]), y + 0.03, float(starts[i + 1] - starts[i]) - GAP, ROW - 0.07
                axes.add_patch(
                    FancyBboxPatch(
                        box[:2], box[2], box[3], boxstyle="round,pad=0,rounding_size=0.04", facecolor=FILLS[kind],
                        edgecolor="#b0b0b0", linewidth=0.5,
                    )
                )  # fmt: skip
                if kind != "mask":
                    centre = box[0] + box[2] / 2
                    axes.text(
                        centre,
                        middle - 0.005,
                        word,
                        fontsize=7.5,
                        family="monospace",
                        ha="center",
                        va="center_baseline",
                        color=INK[kind],
                    )
                if line.above and line.above[i]:
                    axes.text(box[0] + 0.02, y - 0.005, line.above[i], fontsize=6, color="#555555", va="center")
                if line.blocks and i % line.blocks == line.blocks - 1 and i < SHOWN - 1:
                    x = float(starts[i + 1]) - GAP / 2
                    axes.plot([x, x], [y, y + ROW], color="#303030", linewidth=1.2)
            y += ROW
        y += 0.02
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130, facecolor="white", metadata={"Software": None})
    image = Image.open(buffer).convert("RGB").quantize(64)
    image.save(Path(__file__).with_name(f"families-{name}.png"), optimize=True)


def main() -> None:
    """Draw all of them."""
    draw("autoregressive", [("", autoregressive())])
    dial = ("masked", "low-uniform", "balanced", "high-uniform", "uniform")
    draw("gidd", [(name, lines_of(family(name), LEVELS)) for name in dial])
    draw("mdlm", [("", lines_of(family("mdlm")))])
    draw("duo", [("", lines_of(family("duo")))])
    draw(
        "esolm",
        [
            (
                "α₀ = 1: any order; the number is when the network reads the token",
                in_reading_order(family("esolm"), (2.0, 0.0, -2.0)),
            ),
            (
                "α₀ = 0.3: three tenths in any order, the rest from left to right",
                in_reading_order(family("esolm", alpha_0=0.3), (2.0, 0.0, -2.0)),
            ),
        ],
    )
    draw("block", [("", block())])


if __name__ == "__main__":
    main()
