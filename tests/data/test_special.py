"""Ids follow the order of the strings."""

from difflaw.data import BOS_ID, EOS_ID, MASK_ID, PAD_ID, SPECIAL_TOKENS


def test_ids_are_the_order_of_the_strings():
    assert [SPECIAL_TOKENS[i] for i in (BOS_ID, EOS_ID, PAD_ID, MASK_ID)] == [
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|padding|>",
        "<|mask|>",
    ]
