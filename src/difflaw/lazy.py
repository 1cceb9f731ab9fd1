"""Names of a package that are imported when first asked for, so that importing the package costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of ``package``.

    ``homes`` says for each name in which module below the package it is; ``module:other`` where it has another name
    there, ``module:`` for the module itself. Asking for any other name is an AttributeError.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, colon, inner = homes[name].partition(":")
        home = import_module(f"{package}.{module}")
        found = home if colon and not inner else getattr(home, inner or name)
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return find, listed
