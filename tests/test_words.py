"""One word for each thing (docs/glossary.md): words that were given up stay out of names, prose, messages and pages."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

BANNED = {
    "told": "condition (what the network is given), or say, state, name",
    "foretold": "forecast",
    "foretell": "forecast",
    "foretells": "forecasts",
    "pull_through": "backward_pass",
    "take_out": "exclude, suppress",
    "priced": "fused loss; costed",
    "bowl": "hyperparameter fit",
    "bowls": "hyperparameter fits",
    "page of YAML": "config file",
    "facts §": "the paper, its section and equation, or docs/derivations.md#anchor",
    "design §": "docs/derivations.md#anchor",
    "facts:": "the paper, its section and equation, or docs/derivations.md#anchor",
    "2512.10858 §": "the public code's file: the paper's own sections are not known here",
    "beyond-masked §": "the paper, its section and equation, or the public code's file",
    "design: ground truth": "docs/derivations.md#anchor",
}
"""What is not to be written → what is. Parts of a name between underscores and capitals count as words."""

UNFINISHED: dict[str, str] = {}
"""File below the repository → why a banned word may still stand there."""

PAGES = sorted(
    set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / name for name in ("log.md", "glossary.md", "map.md")}
)
"""All but the history, the glossary itself, and the map, whose lines are docstrings checked in their files."""
SOURCES = sorted((ROOT / "src/difflaw").rglob("*.py"))
PATTERNS = {
    word: re.compile(
        rf"(?<![A-Za-z]){re.escape(word)}" + (r"(?![A-Za-z])" if word[-1].isalpha() else ""), re.IGNORECASE
    )
    for word in BANNED
}


def words_of(name: str) -> str:
    """A name as words: BowlLaw and bowl_law both hold the word bowl."""
    return name + " " + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")


def written(path: Path) -> list[tuple[int, str]]:
    """(line, text) of every name, string and comment of a Python file, or of every line of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return list(enumerate(text.splitlines(), 1))
    strings = {getattr(tokenize, name, tokenize.STRING) for name in ("STRING", "FSTRING_MIDDLE")}
    found: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            found.append((token.start[0], words_of(token.string)))
        elif token.type in strings or token.type == tokenize.COMMENT:
            lines = token.string.splitlines()
            found += [(token.start[0] + i, line) for i, line in enumerate(lines)]
    return found


def offences(path: Path) -> list[str]:
    """What is wrong in a file, a line each."""
    name = path.relative_to(ROOT).as_posix()
    places = [(0, words_of(path.stem)), *written(path)]
    return [
        f"{name}:{line}: '{word}'; write {BANNED[word]}"
        for line, text in places
        for word, pattern in PATTERNS.items()
        if pattern.search(text)
    ]


@pytest.mark.parametrize("path", [*SOURCES, *PAGES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_word_that_was_given_up(path: Path) -> None:
    found = offences(path)
    if path.relative_to(ROOT).as_posix() in UNFINISHED:
        assert found, f"{path.name} is finished: take it out of UNFINISHED"
        return
    assert not found, "\n".join(found)


def test_files_of_the_glossary_exist() -> None:
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) <= 90
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", page):
        assert (ROOT / "src/difflaw" / name).exists(), name


def test_exceptions_are_files_that_exist() -> None:
    assert set(UNFINISHED) <= {path.relative_to(ROOT).as_posix() for path in [*SOURCES, *PAGES]}


def test_names_strings_and_comments_are_all_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tests.test_words.ROOT", tmp_path)
    path = tmp_path / "sample.py"
    lines = [
        "class BowlLaw: ...",
        'x = "as told"',
        "y = f'told {x}'",
        "# facts §2",
        "def is_foretold(): ...",
        "bowler = 1",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert [int(line.split(":")[1]) for line in offences(path)] == [1, 2, 3, 4, 5]
