"""Samplers by name, and their options; which of them can write for a family, the family says (`Family.samplers`)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from difflaw.errors import InputError
from difflaw.families import Family
from difflaw.sample.adaptive import Adaptive
from difflaw.sample.ancestral import Ancestral, GreedyTail
from difflaw.sample.autoregressive import LeftToRight
from difflaw.sample.entropy_bounded import EntropyBounded
from difflaw.sample.first_hitting import FirstHitting
from difflaw.sample.psi import Psi
from difflaw.sample.remdm import ReMdm
from difflaw.sample.self_correction import SelfCorrection
from difflaw.sample.two_phase import TwoPhase

SAMPLERS: dict[str, type] = {
    "ancestral": Ancestral,
    "greedy-tail": GreedyTail,
    "adaptive": Adaptive,
    "entropy-bounded": EntropyBounded,
    "remdm": ReMdm,
    "self-correction": SelfCorrection,
    "psi": Psi,
    "first-hitting": FirstHitting,
    "left-to-right": LeftToRight,
    "two-phase": TwoPhase,
}


def get(name: str | None, family: Family, **options: Any) -> Any:
    """The sampler ``name`` (None: the family's default) with its options; those that are None are left out.

    Raises InputError for one the family does not admit, an option the sampler has not, or a value out of range.
    """
    fitting = family.samplers
    name = fitting[0] if name is None else name
    if name not in SAMPLERS:
        raise InputError(f"sampler: {name!r} is unknown; {family.name} has {', '.join(fitting)}")
    if name not in fitting:
        raise InputError(f"sampler: {name} is not defined for {family.described}, which has {', '.join(fitting)}")
    cls = SAMPLERS[name]
    own = [field.name for field in fields(cls)]
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        if key not in own:
            raise InputError(f"{key}: the sampler {name} has no such option; it has {', '.join(own) or 'none'}")
        if key == "steps" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise InputError(f"steps: must be a whole number of at least 1, got {value}")
    try:
        return cls(**given)
    except TypeError as error:
        raise InputError(f"sampler {name}: {error}") from None
