"""The vocabulary loses nothing and cannot be tricked into special tokens."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflaw.data import MASK_ID, SPECIAL_TOKENS, decode_ids, encode_texts, load_tokenizer, train_tokenizer
from difflaw.data.tokenizer import TrainingSample, cut_text
from difflaw.errors import InputError

from .conftest import make_texts

SPECIAL_TEXT = "".join(SPECIAL_TOKENS)
TEXTS = [*make_texts(100), *[f"{SPECIAL_TEXT} {SPECIAL_TEXT}"] * 50]
TOKENIZER = train_tokenizer(TEXTS, 320)


def round_trip(text: str) -> str:
    return decode_ids(TOKENIZER, encode_texts(TOKENIZER, [text])[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "  a\r\nb\r\n",
        "nul\0nul",
        "😀👩‍👩‍👧 é e\u0301 \u00a0\u2028\u200b",
        "\ufeffbom",
        "a" * 10_000,
        SPECIAL_TEXT,
        "Ġ Ċ",
    ],
)
def test_round_trip(text):
    assert round_trip(text) == text


@given(st.text())
def test_round_trip_of_any_text(text):
    assert round_trip(text) == text


def test_round_trip_of_random_bytes():
    data = np.random.default_rng(0).bytes(20_000)
    for text in (data.decode("latin-1"), data.decode(errors="replace")):
        assert round_trip(text) == text


def test_special_tokens_come_first_then_all_bytes():
    assert TOKENIZER.get_vocab_size() == 320
    assert [TOKENIZER.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3]
    smallest = train_tokenizer(["any text"], 260)
    ids = encode_texts(smallest, ["".join(map(chr, range(256)))])[0]
    assert min(ids) >= 4
    assert max(ids) < 260


def test_special_strings_in_a_corpus_are_ordinary_bytes_also_after_loading(tmp_path):
    (tmp_path / "tokenizer.json").write_text(TOKENIZER.to_str(), encoding="utf-8")
    for tokenizer in (TOKENIZER, load_tokenizer(tmp_path / "tokenizer.json")):
        ids = encode_texts(tokenizer, [f"a{SPECIAL_TEXT}b", *SPECIAL_TOKENS])
        assert min(min(row) for row in ids) >= 4
        assert MASK_ID not in tokenizer.encode("<|mask|>").ids


def test_special_ids_are_left_out_or_shown():
    ids = [0, *encode_texts(TOKENIZER, ["noise"])[0], 3, 1, 2]
    assert decode_ids(TOKENIZER, ids) == "noise"
    assert (
        decode_ids(TOKENIZER, np.array(ids), keep_special=True)
        == "<|begin_of_text|>noise<|mask|><|end_of_text|><|padding|>"
    )


def test_training_is_deterministic_and_independent_of_order():
    assert train_tokenizer(TEXTS, 320).to_str() == TOKENIZER.to_str()
    assert train_tokenizer(TEXTS[::-1], 320).to_str() == TOKENIZER.to_str()


def test_a_very_long_word_trains_in_time():
    text = "x" * 400_000 + "漢字" * 50_000
    tokenizer = train_tokenizer([text], 262)
    assert decode_ids(tokenizer, encode_texts(tokenizer, [text])[0]) == text


def test_wrong_sizes_are_refused():
    with pytest.raises(InputError, match="need at least 260"):
        train_tokenizer(["text"], 259)
    with pytest.raises(InputError, match=r"gave \d+ merges\): ask for at most (\d+)") as caught:
        train_tokenizer(make_texts(5), 50_000)
    most = int(str(caught.value).split("ask for at most ")[1].split(",")[0])
    assert train_tokenizer(make_texts(5), most).get_vocab_size() == most


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="not a tokenizer"):
        load_tokenizer(tmp_path / "missing.json")
    other = TOKENIZER.to_str().replace("<|mask|>", "<|hide|>")
    (tmp_path / "other.json").write_text(other, encoding="utf-8")
    with pytest.raises(InputError, match="ids 0-3 must be"):
        load_tokenizer(tmp_path / "other.json")


def test_pieces_give_the_tokens_of_the_whole():
    text = "".join(make_texts(20)) + " tail 12.5  of   it"
    pieces = list(cut_text(text, characters=100))
    assert len(pieces) > 50
    assert "".join(pieces) == text
    assert [i for ids in encode_texts(TOKENIZER, pieces) for i in ids] == encode_texts(TOKENIZER, [text])[0]


def test_text_without_spaces_is_cut_anyway():
    text = "漢字" * 500
    pieces = list(cut_text(text, characters=100))
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= 200


def test_sample_keeps_the_lowest_hashes_whatever_the_order():
    documents = [(f"{i:04}", hashlib.blake2b(bytes([i % 256, i // 256]), digest_size=16).digest()) for i in range(500)]
    lowest = sorted(documents, key=lambda entry: entry[1][8:])[:25]
    for order in (documents, documents[::-1]):
        sample = TrainingSample(max_bytes=100)
        for text, digest in order:
            sample.add(text, digest)
        assert sample.documents() == lowest


def test_sample_cuts_a_document_that_is_too_long():
    sample = TrainingSample(max_bytes=5)
    sample.add("éééé", b"\0" * 16)
    assert sample.documents() == [("éé", b"\0" * 16)]
    assert sample.total_bytes <= 5
