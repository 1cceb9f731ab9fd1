"""YAML into models: numbers people write, faults by file and key, overrides."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from difflaw.errors import InputError
from difflaw.yaml_config import load


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 3


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: float = 1.0
    inner: Inner = Inner()


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "value"), [("1e12", 1e12), ("4.5E-3", 4.5e-3), ("-2e+3", -2e3), ("7", 7.0), (".5e1", 5.0)]
)
def test_numbers_as_people_write_them(tmp_path, text: str, value: float) -> None:
    assert load(write(tmp_path, f"rate: {text}"), Outer).rate == value


def test_overrides(tmp_path) -> None:
    config = load(write(tmp_path, "rate: 1"), Outer, ["inner.size=7", "rate=2e3"])
    assert (config.inner.size, config.rate) == (7, 2000.0)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("rat: 1", [], "unknown key 'rat'; known: rate, inner"),
        ("inner: {sise: 1}", [], "inner.sise"),
        ("rate: fast", [], "rate"),
        ("rate: [1", [], "line"),
        ("just text", [], "keys and values"),
        ("rate: 1\nrate: 2", [], "given twice"),
        ("rate: !!python/object/apply:os.system [ls]", [], "python/object"),
        ("rate: 1", ["rate"], "key.sub=value"),
        ("rate: 1", ["rate.x=1"], "is a value"),
    ],
)
def test_faults_name_file_and_key(tmp_path, text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(write(tmp_path, text), Outer, overrides)
    assert message in str(caught.value)
    assert str(caught.value).count("\n") < 2


def test_missing_file(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.yaml", Outer)
