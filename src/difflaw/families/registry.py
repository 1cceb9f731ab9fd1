"""Which families there are, by name; what they declare about themselves, readable without loading torch.

A family is added in one place, its class: ``name``, ``aliases``, ``variants``, ``styles``, ``paper`` and
``reads_clean_copy`` are class attributes written as literals. Those of this package are found by their module's name,
and their declarations are read from its syntax tree: `difflaw fit` asks for colours and names, and importing torch for
them takes a hundred times as long as reading six syntax trees (some hundredths of a second).

Classes from elsewhere come in through `register`. An installed package makes its own known to the command line and to
the workers of a ladder by an entry point of the group ``difflaw.families``, whose module is loaded when a name is
asked for that nobody here has.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from difflaw.errors import InputError

if TYPE_CHECKING:
    from difflaw.families.base import Family

F = TypeVar("F", bound="type[Family]")
ENTRY_POINTS = "difflaw.families"
BUILT_IN = ("autoregressive", "gidd", "mdlm", "duo", "esolm", "block")
"""Modules of this package with one family each, whose ``name`` is the module's; tables list them in this order."""
SURROUNDINGS = {"vocab_size", "mask_id", "bos_id", "pad_id", "span", "conditioning", "run_sequences"}
"""What a run tells its family; not for a config to set among the family's options."""


@dataclass(frozen=True)
class Declaration:
    """What a family's class says of itself; the meaning of each is at the attribute of that name in `Family`."""

    name: str
    aliases: tuple[str, ...] = ()
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    styles: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    paper: str = ""
    reads_clean_copy: bool = False


_FIELDS = tuple(Declaration.__dataclass_fields__)
_registered: dict[str, type[Family]] = {}


def register(cls: F) -> F:
    """Class decorator: make a family known by its name, aliases and variants, as if it were of this package.

    Registering a class again under its own name replaces it (a module that is reloaded). Raises ValueError where a
    name belongs to another family, or where a member that must be declared is missing.
    """
    missing = [member for member in ("name", "paper", "styles") if not vars(cls).get(member)]
    if missing:
        raise ValueError(f"{cls.__name__}: a family declares {', '.join(missing)}")
    taken = {word: name for name, one in declarations().items() if name != cls.name for word in words_of(one)}
    for word in words_of(_from_class(cls)):
        if word in taken or (word == cls.name and cls.name in BUILT_IN):
            raise ValueError(f"{cls.__name__}: the name {word!r} belongs to the family {taken.get(word, word)}")
    _registered[cls.name] = cls
    return cls


def unregister(name: str) -> None:
    """Forget a family that `register` added."""
    del _registered[name]


def declarations() -> dict[str, Declaration]:
    """Every family's declaration by name: this package's in order, then the registered ones. Loads no torch."""
    own = {name: _from_source(name) for name in BUILT_IN}
    return own | {name: _from_class(cls) for name, cls in _registered.items()}


def words_of(declared: Declaration) -> tuple[str, ...]:
    """Every name that leads to a family: its own, its aliases, its variants."""
    return (declared.name, *declared.aliases, *declared.variants)


def _from_class(cls: type[Family]) -> Declaration:
    """What it declares itself: names and styles of the family it extends stay that family's."""
    own = {member: vars(cls)[member] for member in _FIELDS if member in vars(cls)}
    return Declaration(**{**own, "reads_clean_copy": cls.reads_clean_copy})


@cache
def _from_source(name: str) -> Declaration:
    """The literals in the body of the class of that name; what the module inherits or computes is not seen."""
    path = Path(__file__).with_name(f"{name}.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found = dict(_literals(node))
            if found.get("name") == name:
                return Declaration(**found)
    raise RuntimeError(f"{path}: no class with name = {name!r}")


def _literals(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for statement in node.body:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
            continue
        if statement.target.id in _FIELDS:
            yield statement.target.id, ast.literal_eval(statement.value)


def family_class(name: str) -> type[Family]:
    """The class behind a family's own name (see `resolve` for other names); loads torch."""
    if name in _registered:
        return _registered[name]
    module = import_module(f"difflaw.families.{name}")
    found: Any = next(c for c in vars(module).values() if inspect.isclass(c) and vars(c).get("name") == name)
    return found


class _Families(Mapping[str, "type[Family]"]):
    """Classes by name, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> type[Family]:
        if name not in declarations():
            raise KeyError(name)
        return family_class(name)

    def __iter__(self) -> Iterator[str]:
        return iter(declarations())

    def __len__(self) -> int:
        return len(declarations())


FAMILIES: Mapping[str, type[Family]] = _Families()
"""Every family's class by its own name."""


def names() -> list[str]:
    """Every name `get` understands but aliases: families, and the variants that have names of their own."""
    known = declarations()
    return [*known, *(variant for one in known.values() for variant in one.variants)]


def aliases() -> dict[str, str]:
    """Other spellings, each with the family's own name."""
    return {alias: name for name, one in declarations().items() for alias in one.aliases}


def styles() -> dict[str, tuple[str, str]]:
    """(hex colour, matplotlib marker, plotly symbol) by the name that wears it, in the order of tables."""
    return {label: style for one in declarations().values() for label, style in one.styles.items()}


def _find(word: str) -> Declaration | None:
    """The family that a name, alias or variant belongs to; installed packages are asked last, and stay loaded."""
    found = next((one for one in declarations().values() if word in words_of(one)), None)
    if found is None and _load_installed():
        found = next((one for one in declarations().values() if word in words_of(one)), None)
    return found


@cache
def _load_installed() -> int:
    """Load every entry point's module, which registers its families; how many there are. Fails as they fail."""
    points = entry_points(group=ENTRY_POINTS)
    for point in points:
        if point.module not in sys.modules:
            point.load()
    return len(points)


def resolve(name: str) -> tuple[str, dict[str, Any]]:
    """(family, options) behind a name: ``uniform`` is ('gidd', {'noise_type': 'uniform'}); InputError for another."""
    found = _find(name)
    if found is None:
        raise InputError(f"unknown family {name!r}: use one of {', '.join(names())}")
    return found.name, dict(found.variants.get(name, {}))


def reads_clean_copy(name: str) -> bool:
    """Whether a pass of the family so called costs more than its sequence; False for an unknown name."""
    found = _find(name)
    return found is not None and found.reads_clean_copy


def accepts(name: str, option: str) -> bool:
    """Whether the family so called is built with this keyword; loads torch, InputError for an unknown name."""
    return option in _options_of(family_class(resolve(name)[0]))


def get(name: str, vocab_size: int, mask_id: int, **options: Any) -> Family:
    """The family called ``name`` over ``vocab_size`` ids with the mask at ``mask_id``.

    Raises InputError for an unknown name, an option the family has not, or a value of the wrong kind or out of range.
    """
    from pydantic import TypeAdapter, ValidationError

    family, implied = resolve(name)
    cls = family_class(family)
    known = _options_of(cls)
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
        own = ", ".join(o for o in _options_of(family_class(family)) if o not in SURROUNDINGS) or "none"
        raise InputError(f"family {name!r}: {given[0]!r} is not set here, the run sets it; the family's options: {own}")
    get(name, 8, 3, **options)


def _options_of(cls: type[Family]) -> dict[str, Any]:
    """Keyword-only arguments of a family's constructor, and their types."""
    types = get_type_hints(cls.__init__)
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {p.name: types[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}
