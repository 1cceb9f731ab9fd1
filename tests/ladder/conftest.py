"""A ladder so small that it runs in seconds, on the synthetic source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

SMALL: dict[str, Any] = {
    "name": "small",
    "data": {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 60_000}},
    "context": 16,
    "families": ["autoregressive", "masked", "uniform"],
    "rungs": [{"width": 8, "depth": 1}, {"width": 12, "depth": 1}, {"width": 16, "depth": 1}],
    "horizons": [12_800, 25_600],
    "batch": 256,
    "lr": 0.2,
    "warmup": 10,
    "evaluation": {"sequences": 32, "points": 3},
}


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    return SMALL


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def write_ladder(tmp_path):
    """Write SMALL with changes to a file; returns its path."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "ladder.yaml"
        path.write_text(yaml.safe_dump({**SMALL, **changes}))
        return path

    return write
