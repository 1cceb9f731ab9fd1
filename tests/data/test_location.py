"""Which of the three places wins."""

from __future__ import annotations

from pathlib import Path

from difflaw.data.location import cache_folder


def test_given_then_variable_then_user(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("DIFFLAW_CACHE", str(tmp_path / "variable"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    assert cache_folder() == tmp_path / "variable"
    monkeypatch.delenv("DIFFLAW_CACHE")
    assert cache_folder() == tmp_path / "user/difflaw"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/difflaw"
