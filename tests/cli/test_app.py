"""Every verb answers --help, and --version names the version."""

from __future__ import annotations

import pytest

from difflaw import __version__


@pytest.mark.parametrize(
    "verb",
    [
        (),
        ("ladder",),
        ("ladder", "run"),
        ("ladder", "status"),
        ("ladder", "report"),
        ("train",),
        ("fit",),
        ("data", "prepare"),
    ],
)
def test_help(difflaw, verb: tuple) -> None:
    outcome = difflaw(*verb, "--help")
    assert outcome.code == 0
    assert "Usage" in outcome.out
    if verb not in ((), ("ladder",)):
        assert "--json" in outcome.out


def test_version(difflaw) -> None:
    assert difflaw("--version").out.strip() == f"difflaw {__version__}"


def test_unknown_verb_is_a_usage_error(difflaw) -> None:
    assert difflaw("lader").code == 2
