"""A paper is a file. `get` builds a family by name, `register` adds one; importing this package loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from difflaw.families.registry import FAMILIES, accepts, aliases, check, get, names, register, resolve
from difflaw.lazy import lazy_names

if TYPE_CHECKING:
    from difflaw.families.autoregressive import Autoregressive
    from difflaw.families.base import Corrupted, Family
    from difflaw.families.block import Block
    from difflaw.families.diffusion import Diffusion
    from difflaw.families.duo import Duo
    from difflaw.families.esolm import EsoLm
    from difflaw.families.gidd import Gidd
    from difflaw.families.mdlm import Mdlm

_CLASSES = {
    "Autoregressive": "autoregressive",
    "Block": "block",
    "Corrupted": "base",
    "Diffusion": "diffusion",
    "Duo": "duo",
    "EsoLm": "esolm",
    "Family": "base",
    "Gidd": "gidd",
    "Mdlm": "mdlm",
}
"""Classes that can be imported from here, loaded (and torch with them) when first asked for."""

__all__ = [
    "FAMILIES",
    "Autoregressive",
    "Block",
    "Corrupted",
    "Diffusion",
    "Duo",
    "EsoLm",
    "Family",
    "Gidd",
    "Mdlm",
    "accepts",
    "aliases",
    "check",
    "get",
    "names",
    "register",
    "resolve",
]


__getattr__, __dir__ = lazy_names(__name__, _CLASSES)
