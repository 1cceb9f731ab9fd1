"""YAML in, frozen pydantic model out; every fault named by file and key, overrides by --set a.b=c."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from difflaw.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e12 as a number (YAML 1.1 wants 1.0e+12) and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _install_float(loader: type[yaml.SafeLoader]) -> None:
    import re

    loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    pattern = re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
    loader.add_implicit_resolver("tag:yaml.org,2002:float", pattern, list("-+.0123456789"))


_install_float(_Loader)


def load(path: Path, model: type[Model], overrides: Sequence[str] = ()) -> Model:
    """Read ``path`` into ``model``; ``overrides`` are "key.sub=value" with YAML values.

    Raises InputError: missing file, YAML that does not parse (with its line), a key that is unknown or has a bad value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    raw = _parse(text, str(path))
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected keys and values at the top level, found {type(raw).__name__}")
    for override in overrides:
        _apply(raw, override)
    return validate(raw, model, str(path))


def read_config(
    config: Model | Mapping[str, Any] | str | Path, model: type[Model], overrides: Sequence[str] = ()
) -> Model:
    """A config from a file, from a dictionary, or as it is; ``overrides`` as in `load` (not for a finished config).

    Raises InputError as `load`.
    """
    if isinstance(config, str | Path):
        return load(Path(config), model, overrides)
    if isinstance(config, Mapping):
        raw = copy.deepcopy(dict(config))
        for override in overrides:
            _apply(raw, override)
        return validate(raw, model, str(config.get("name", "config")))
    if overrides:
        raise InputError(f"{model.__name__}: overrides are for files and dictionaries; change the config itself")
    return config


def validate(raw: dict[str, Any], model: type[Model], where: str) -> Model:
    """``raw`` as ``model``; the first two faults are named by key in an InputError."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        faults = error.errors()
        lines = [_fault(fault, model) for fault in faults[:2]]
        more = f" (and {len(faults) - 2} more)" if len(faults) > 2 else ""
        raise InputError(f"{where}: " + "; ".join(lines) + more) from None


def _fault(fault: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields) if len(fault["loc"]) == 1 else "see the docs page of configurations"
        return f"unknown key {key!r}; known: {known}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    return f"{key}: {message}" if key else message


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise InputError(f"{where}{line}: {problem}") from None


def _apply(raw: dict[str, Any], override: str) -> None:
    path, separator, value = override.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys):
        raise InputError(f"--set {override!r}: write key.sub=value")
    target = raw
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise InputError(f"--set {override!r}: {key!r} is a value, not a section")
    target[keys[-1]] = _parse(value, f"--set {override!r}")
