"""A paper is a file. `get` builds a family by name; noise types are names too."""

from __future__ import annotations

import inspect
from typing import Any

from difflaw.errors import InputError
from difflaw.families.autoregressive import Autoregressive
from difflaw.families.base import Corrupted, Family
from difflaw.families.block import Block
from difflaw.families.duo import Duo
from difflaw.families.esolm import EsoLm
from difflaw.families.gidd import Gidd
from difflaw.families.mdlm import Mdlm
from difflaw.noise.mixing import NOISE_TYPES

FAMILIES: dict[str, type[Family]] = {
    "autoregressive": Autoregressive,
    "gidd": Gidd,
    "mdlm": Mdlm,
    "duo": Duo,
    "esolm": EsoLm,
    "block": Block,
}
ALIASES = {"ar": "autoregressive", "eso-lm": "esolm", "bd3lm": "block", "bd3-lm": "block"}

__all__ = [
    "FAMILIES",
    "Autoregressive",
    "Block",
    "Corrupted",
    "Duo",
    "EsoLm",
    "Family",
    "Gidd",
    "Mdlm",
    "check",
    "get",
    "names",
    "resolve",
]


def names() -> list[str]:
    """Every name `get` understands: families, and the noise types of GIDD by themselves."""
    return [*FAMILIES, *NOISE_TYPES]


def resolve(name: str) -> tuple[str, dict[str, Any]]:
    """(family, options) behind a name: ``uniform`` is ('gidd', {'noise_type': 'uniform'})."""
    name = ALIASES.get(name, name)
    if name in NOISE_TYPES:
        return "gidd", {"noise_type": name}
    if name not in FAMILIES:
        raise InputError(f"unknown family {name!r}: use one of {', '.join(names())}")
    return name, {}


def get(name: str, vocab_size: int, mask_id: int, **options: Any) -> Family:
    """The family called ``name`` over ``vocab_size`` ids with the mask at ``mask_id``.

    Raises InputError for an unknown name, an option the family has not, or a value out of range.
    """
    family, implied = resolve(name)
    known = [option for cls in FAMILIES[family].__mro__ if cls is not object for option in _options_of(cls)]
    for option in options:
        if option not in known:
            own = ", ".join(dict.fromkeys(known)) or "none"
            raise InputError(f"family {name!r} has no option {option!r}; it has {own}")
    try:
        return FAMILIES[family](vocab_size, mask_id, **{**implied, **options})
    except (TypeError, ValueError) as error:
        raise InputError(f"family {name!r}: {error}") from None


def check(name: str, options: dict[str, Any]) -> None:
    """InputError if ``name`` with ``options`` (those a config may set) cannot be built over any vocabulary."""
    get(name, 8, 3, **options)


def _options_of(cls: type) -> list[str]:
    """Keyword-only arguments of a class's constructor."""
    if "__init__" not in vars(cls):
        return []
    parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
