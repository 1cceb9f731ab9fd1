"""The four special tokens: ids 0-3 in every vocabulary, text or synthetic."""

BOS_ID = 0
EOS_ID = 1
PAD_ID = 2
MASK_ID = 3

SPECIAL_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>", "<|padding|>", "<|mask|>")
"""Token strings in the order of their ids. Found inside a corpus they are ordinary bytes, never these ids."""
