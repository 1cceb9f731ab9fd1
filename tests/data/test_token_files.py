"""Tokens on disk are the tokens of the text."""

from contextlib import closing

import numpy as np
import pytest

from difflaw.data import EOS_ID, encode_texts, token_files, train_tokenizer
from difflaw.data.token_files import TokenFile, encode_documents, token_dtype, unigram_cross_entropy

from .conftest import make_texts


def test_width_follows_the_vocabulary():
    assert token_dtype(65536) == np.dtype("<u2")
    assert token_dtype(65537) == np.dtype("<u4")


@pytest.mark.parametrize("batch", [50, 1 << 22])
def test_documents_in_order_with_an_end_each(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(token_files, "_BATCH_CHARACTERS", batch)
    texts = [*make_texts(20), "é"]
    tokenizer = train_tokenizer(texts, 300)
    with (
        closing(TokenFile(tmp_path / "even", 300)) as even,
        closing(TokenFile(tmp_path / "odd", 300)) as odd,
    ):
        encode_documents(tokenizer, [((even, odd)[i % 2], text) for i, text in enumerate(texts)])
    for name, file, part in (("even", even, texts[::2]), ("odd", odd, texts[1::2])):
        expected = [i for ids in encode_texts(tokenizer, part) for i in [*ids, EOS_ID]]
        assert np.fromfile(tmp_path / name, dtype="<u2").tolist() == expected
        assert file.tokens == len(expected)
        assert file.documents == len(part)
        assert file.bytes == sum(len(text.encode()) for text in part)
        assert np.array_equal(file.counts_V, np.bincount(expected, minlength=300))


def test_unigram_cross_entropy_by_hand():
    # training counts 3, 1, 0 become 4/7, 2/7, 1/7
    expected = -(2 * np.log(4 / 7) + 1 * np.log(1 / 7)) / 3
    assert unigram_cross_entropy(np.array([3, 1, 0]), np.array([2, 0, 1])) == pytest.approx(expected)
