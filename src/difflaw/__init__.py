"""difflaw measures how discrete diffusion language models scale, on your data."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from difflaw.sample.generate import Generations, generate
    from difflaw.training.loaded import LoadedModel, load

__version__ = "0.1.0"
__all__ = ["Generations", "LoadedModel", "__version__", "generate", "load"]

_LAZY = {
    "load": "difflaw.training.loaded",
    "LoadedModel": "difflaw.training.loaded",
    "generate": "difflaw.sample.generate",
    "Generations": "difflaw.sample.generate",
}
"""What `difflaw.NAME` finds where; imported when first asked for, so that `import difflaw` loads no torch."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'difflaw' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
