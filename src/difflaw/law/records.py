"""Frozen records as plain JSON, and back: what laws.json holds is what was fitted."""

from __future__ import annotations

import base64
import dataclasses
import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

Record = TypeVar("Record")


def plain(value: Any) -> Any:
    """Records, dicts, lists and numbers as JSON can hold them; NaN and infinity become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        # Draws are many: 32-bit floats in base64, which is a quarter of their digits.
        data = base64.b64encode(value.astype("<f4").tobytes()).decode("ascii")
        return {"shape": list(value.shape), "float32": data}
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def read_record(kind: type[Record], raw: Any, where: str = "") -> Record:
    """The record of type ``kind`` that `plain` wrote; None where a number belongs is NaN.

    Keys the record has not are passed over and missing ones take their default, so that files of older and newer
    versions can be read.

    Raises:
        ValueError: a key that has no default is missing, or a value is of another kind; says which.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"{where or kind.__name__}: expected an object, found {type(raw).__name__}")
    hints, values = _hints(kind), {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        inner = f"{where}.{field.name}" if where else field.name
        if field.name in raw:
            values[field.name] = _value(hints[field.name], raw[field.name], inner)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{inner} is missing")
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, raw: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return raw
    if origin in (Union, types.UnionType):
        if raw is None and type(None) in inner:
            return None
        return _value(next(a for a in inner if a is not type(None)), raw, where)
    if origin is Literal:
        return _checked(raw, raw in inner, where, f"one of {', '.join(map(str, inner))}")
    if hint is np.ndarray:
        return _array(raw, where)
    if dataclasses.is_dataclass(hint):
        return read_record(hint, raw, where)  # type: ignore[arg-type]
    if origin is tuple:
        return _items(inner, _checked(raw, isinstance(raw, list), where, "a list"), where)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        _checked(raw, isinstance(raw, Mapping), where, "an object")
        return {_value(inner[0], key, where): _value(inner[1], item, f"{where}.{key}") for key, item in raw.items()}
    if hint is float:
        if isinstance(raw, str):  # a key of an object
            return float(raw)
        _checked(raw, raw is None or (isinstance(raw, int | float) and not isinstance(raw, bool)), where, "a number")
        return math.nan if raw is None else float(raw)
    known = isinstance(raw, hint) and (hint is bool or not isinstance(raw, bool))
    return _checked(raw, known, where, {int: "a whole number", str: "text", bool: "true or false"}.get(hint, str(hint)))


def _items(inner: tuple[Any, ...], raw: list[Any], where: str) -> tuple[Any, ...]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_value(inner[0], item, f"{where}[{i}]") for i, item in enumerate(raw))
    _checked(raw, len(raw) == len(inner), where, f"{len(inner)} values")
    return tuple(_value(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(inner, raw, strict=True)))


def _array(raw: Any, where: str) -> np.ndarray:
    """An array as `plain` writes it: ``shape`` and little-endian 32-bit floats in base64."""
    try:
        return np.frombuffer(base64.b64decode(raw["float32"]), "<f4").astype(float).reshape(raw["shape"])
    except (TypeError, KeyError, ValueError):
        raise ValueError(f"{where}: expected an object with shape and float32 (base64), found {raw!r:.60}") from None


def _checked(raw: Any, fits: bool, where: str, kind: str) -> Any:
    if not fits:
        raise ValueError(f"{where}: expected {kind}, found {raw!r:.60}")
    return raw
