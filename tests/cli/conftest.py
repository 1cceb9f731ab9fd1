"""Run the command line in this process, as `difflaw` would."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def difflaw(monkeypatch, capsys, tmp_path):
    """Call `main` with arguments; returns exit code and output."""
    monkeypatch.setenv("DIFFLAW_CACHE", str(tmp_path / "cache"))

    def call(*arguments: object) -> Outcome:
        from difflaw.cli import main

        monkeypatch.setattr(sys, "argv", ["difflaw", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
