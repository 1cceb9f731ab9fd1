"""Fixtures for all tests: the shared folder beside the checkout, which CI must have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with golden numbers and real data; absent ones skip a test, except in CI."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail("the shared folder must be present in CI")
        pytest.skip("the shared folder with golden numbers is not here")
    return folder
