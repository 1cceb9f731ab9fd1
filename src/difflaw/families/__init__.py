"""A paper is a file. `get` builds a family by name; noise types are names too."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

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
SURROUNDINGS = {"vocab_size", "mask_id", "bos_id", "pad_id", "span", "conditioning", "run_sequences"}
"""What a run tells its family; not for a config to set among the family's options."""
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

    Raises InputError for an unknown name, an option the family has not, or a value of the wrong kind or out of range.
    """
    family, implied = resolve(name)
    cls, known = FAMILIES[family], _options_of(FAMILIES[family])
    for option, value in options.items():
        if option not in known:
            own = ", ".join(o for o in known if o not in SURROUNDINGS) or "none"
            raise InputError(f"family {name!r} has no option {option!r}; it has {own}")
        if option not in SURROUNDINGS:
            try:
                options[option] = TypeAdapter(known[option]).validate_python(value)
            except ValidationError as error:
                fault = error.errors()[0]["msg"]
                raise InputError(f"family {name!r}: {option} {value!r}: {fault[0].lower() + fault[1:]}") from None
    try:
        return cls(vocab_size, mask_id, **{**implied, **options})
    except (TypeError, ValueError) as error:
        raise InputError(f"family {name!r}: {error}") from None


def check(name: str, options: dict[str, Any]) -> None:
    """InputError if ``name`` with ``options`` (those a config may set) cannot be built over any vocabulary."""
    family, _ = resolve(name)
    given = [option for option in options if option in SURROUNDINGS]
    if given:
        own = ", ".join(o for o in _options_of(FAMILIES[family]) if o not in SURROUNDINGS) or "none"
        raise InputError(f"family {name!r}: {given[0]!r} is not set here, the run sets it; the family's options: {own}")
    get(name, 8, 3, **options)


def _options_of(cls: type[Family]) -> dict[str, Any]:
    """Keyword-only arguments of a family's constructor, and their types."""
    types = get_type_hints(cls.__init__)
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {p.name: types[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}
