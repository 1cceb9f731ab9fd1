"""Each document goes to one side, and the sides share nothing."""

import pytest

from difflaw.data.split import Split, choose_kind, document_digest, is_held_out

from .conftest import make_texts


def test_hash_split_is_near_its_share_and_changes_with_the_salt():
    texts = make_texts(4000, words=2)
    held = {seed: {t for t in texts if is_held_out(document_digest(t.encode(), seed), 0.05)} for seed in (0, 1)}
    assert 140 < len(held[0]) < 260
    assert held[0] != held[1]
    assert held[0] == {t for t in texts if is_held_out(document_digest(t.encode(), 0), 0.05)}


def test_a_larger_share_holds_out_the_same_documents_and_more():
    texts = make_texts(500, words=2)
    small, large = ({t for t in texts if is_held_out(document_digest(t.encode(), 0), f)} for f in (0.05, 0.2))
    assert small < large


@pytest.mark.parametrize("text", ["", "a", "line\n" * 1000, "x" * 1000, "é\n" + "y" * 5000])
def test_tails_lose_nothing(text):
    train, validation = Split("tails", 0.1).divide(text, b"")
    assert train + validation == text
    if len(text) > 100:
        assert len(validation) == pytest.approx(len(text) * 0.1, abs=200)


def test_tails_are_cut_between_lines():
    train, _ = Split("tails", 0.1).divide("a line\n" * 100, b"")
    assert train.endswith("\n")


def test_given_validation_is_left_out_of_training():
    split = Split("given", 0.05, frozenset({document_digest(b"seen", 0)}))
    assert split.divide("seen", document_digest(b"seen", 0)) == ("", "")
    assert split.divide("other", document_digest(b"other", 0)) == ("other", "")


def test_kind():
    assert choose_kind(0.05, 5, 100) == "documents"
    assert choose_kind(0.05, 0, 100) == "tails"
    assert choose_kind(0.05, 100, 100) == "tails"
