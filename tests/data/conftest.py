"""A small corpus of many documents, and settings that read it."""

import json
from pathlib import Path

import numpy as np
import pytest

WORD_LIST = "noise law frontier bound token mask step chain loss the a of to in ladder rung cell plan size"


def make_texts(count: int, seed: int = 0, words: int = 120) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        f"Document {i} of {seed}.\n" + " ".join(rng.choice(WORD_LIST.split(), size=words)) + "\n" for i in range(count)
    ]


def write_jsonl(path: Path, texts: list[str], key: str = "text") -> Path:
    path.write_text("".join(json.dumps({key: text}) + "\n" for text in texts), encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """400 documents as JSON lines."""
    return write_jsonl(tmp_path / "corpus.jsonl", make_texts(400))
