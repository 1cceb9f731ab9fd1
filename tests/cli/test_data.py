"""`difflaw data prepare`: what it prints and what it refuses."""

from __future__ import annotations

import json

import pytest


def test_synthetic_prints_its_entropy(difflaw) -> None:
    outcome = difflaw("data", "prepare", "synthetic", "--json", "--context", 16)
    summary = json.loads(outcome.out)
    assert summary["entropy_rate"] < summary["entropy_floor"] < summary["unigram_entropy"]


def test_a_folder_of_text(difflaw, tmp_path) -> None:
    for i in range(30):
        (tmp_path / f"{i}.txt").write_text(f"document {i}: " + "some words about numbers and things " * (5 + i))
    outcome = difflaw("data", "prepare", tmp_path, "--vocab-size", 280)
    assert outcome.code == 0, outcome.err
    assert "train_tokens" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("nowhere",), "nowhere"), (("stdlib", "--vocab-size", "10"), "vocab_size"), (("hf:some/set",), "difflaw[data]")],
)
def test_bad_corpora(difflaw, arguments: tuple, words: str) -> None:
    outcome = difflaw("data", "prepare", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
