"""From a corpus to batches: documents, tokenizer, memory-mapped tokens, and which tokens each step reads."""

from difflaw.data.batches import Batches, validation_rows
from difflaw.data.config import DataConfig, SyntheticConfig
from difflaw.data.corpora import find_sources, read_documents
from difflaw.data.special import BOS_ID, EOS_ID, MASK_ID, PAD_ID, SPECIAL_TOKENS
from difflaw.data.store import TokenStore, prepare
from difflaw.data.synthetic import MarkovChain, make_chain
from difflaw.data.tokenizer import decode_ids, encode_texts, load_tokenizer, train_tokenizer

__all__ = [
    "BOS_ID",
    "EOS_ID",
    "MASK_ID",
    "PAD_ID",
    "SPECIAL_TOKENS",
    "Batches",
    "DataConfig",
    "MarkovChain",
    "SyntheticConfig",
    "TokenStore",
    "decode_ids",
    "encode_texts",
    "find_sources",
    "load_tokenizer",
    "make_chain",
    "prepare",
    "read_documents",
    "train_tokenizer",
    "validation_rows",
]
