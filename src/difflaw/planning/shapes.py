"""Which layers and widths a plan may choose, and which of two shapes of one size is the better proportioned."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from difflaw.conventions import Counts
from difflaw.errors import InputError

LARGEST = 1 << 18
"""Greatest width."""
SIZE_TOLERANCE, ASPECT_TOLERANCE = 0.1, 0.5
"""Logarithmic distances from the requested size and proportion that weigh the same; both cost below .1 % in loss."""


@dataclass(frozen=True)
class Shape:
    """A transformer's layers and width."""

    layers: int
    width: int

    def __str__(self) -> str:
        return f"{self.layers}x{self.width}"

    @property
    def aspect(self) -> float:
        """Width over layers."""
        return self.width / self.layers


@dataclass(frozen=True)
class Sized:
    """A shape with its parameters and training FLOPs per token in a law's conventions."""

    shape: Shape
    params: float
    flops_per_token: float


Count = Callable[[Shape], Counts]


def widths() -> list[int]:
    """Allowed widths: eight steps to each doubling above 512, multiples of 64 up to there, then a few tiny ones."""
    found = [16, 24, 32, 48, *range(64, 513, 64)]
    width = 512
    while width < LARGEST:
        found += [width + step * width // 8 for step in range(1, 9)]
        width *= 2
    return found


def usual_aspect(width: int) -> float:
    """Width over layers that the papers' shapes scatter around: the size of a head (2512.10858; its code, train.py).

    64 up to width 1,024 (exactly the paper's), 128 above (its larger shapes: 77 to 171), 32 for tiny ones.
    """
    return 128.0 if width > 1024 else 64.0 if width >= 512 else 32.0


def allowed_shapes(spread: float = 2.2) -> list[Shape]:
    """Every allowed shape whose proportion is within a factor ``spread`` of the usual one."""
    out = []
    for width in widths():
        usual = usual_aspect(width)
        first, last = math.ceil(width / usual / spread), math.floor(width / usual * spread)
        depth = max(first, 1)
        while depth <= max(last, 2):
            out.append(Shape(depth, width))
            depth += max(1, depth // 32)  # 3 % steps are finer than any law
    return out


def near(shapes: Sequence[Shape], size: float, measure: Callable[[Shape], Sized], by: str) -> list[Sized]:
    """Shapes of about this size, the best first: close to ``size`` and close to the usual proportion.

    Args:
        shapes: allowed shapes.
        size: requested params or FLOPs per token.
        measure: gives a shape its size in the law's conventions.
        by: "params" or "flops_per_token": what ``size`` is.

    Raises:
        InputError: no allowed shape comes within a factor 1.5 (sizes between laptop and far above any model exist).
    """
    rough = [s for s in shapes if 0.02 < 72.0 * s.layers * s.width**2 / (size if by != "params" else 6 * size) < 8]
    sized = [measure(s) for s in rough or shapes[:: max(1, len(shapes) // 64)]]
    off = {s.shape: math.log(getattr(s, by) / size) for s in sized}
    close = [s for s in sized if abs(off[s.shape]) < math.log(1.5)]
    if not close:
        ends = sorted(getattr(s, by) for s in sized)
        words = "parameters" if by == "params" else "FLOPs per token"
        raise InputError(
            f"no model fits: it would need {size:.3g} {words}, and the allowed shapes nearest to that have "
            f"{ends[0]:.3g} to {ends[-1]:.3g}"
        )

    def cost(s: Sized) -> float:
        stretch = math.log(s.shape.aspect / usual_aspect(s.shape.width))
        return (off[s.shape] / SIZE_TOLERANCE) ** 2 + (stretch / ASPECT_TOLERANCE) ** 2

    return sorted(close, key=cost)


def counted(shape: Shape, count: Count, conventions: tuple[str, str]) -> Sized:
    """A shape with its size in the conventions (params, FLOPs)."""
    counts = count(shape)
    return Sized(shape, float(counts.params(conventions[0])), float(counts.flops_per_token(conventions[1])))


def parse_shapes(texts: Iterable[str]) -> list[Shape]:
    """Shapes from "LAYERSxWIDTH"; InputError names the one that is not."""
    out = []
    for text in texts:
        match = re.fullmatch(r"\s*(\d+)\s*[x×]\s*(\d+)\s*", text)
        if not match or int(match[1]) < 1 or int(match[2]) < 2 or int(match[2]) % 2:
            raise InputError(f"--shape {text}: write LAYERSxWIDTH with an even width, such as 34x4608")
        out.append(Shape(int(match[1]), int(match[2])))
    return out
