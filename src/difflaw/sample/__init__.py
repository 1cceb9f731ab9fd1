"""Turn noise into text: one algorithm a file, one frame for all families."""

from difflaw.sample.frame import Frame
from difflaw.sample.generate import Generations, generate

__all__ = ["Frame", "Generations", "generate"]
