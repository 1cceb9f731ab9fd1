"""Small networks with every weight random, one of each family, that can be sampled from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from difflaw.data.special import BOS_ID, EOS_ID, MASK_ID, PAD_ID
from difflaw.families import Family, get
from difflaw.model.transformer import Transformer
from difflaw.noise.conditioning import Conditioning
from tests.families.helpers import random_network

VOCABULARY = 23
FAMILIES = ("autoregressive", "masked", "balanced", "uniform", "mdlm", "duo", "esolm", "block")


@dataclass(frozen=True)
class Sampled:
    """What `generate` asks of a model."""

    model: Transformer
    family: Family
    tokenizer: Any = None
    mask_id: int = MASK_ID
    bos_id: int = BOS_ID
    eos_id: int = EOS_ID
    pad_id: int = PAD_ID


def make(name: str, context: int = 24, *, isolated: bool = True, tokenizer: Any = None, **options: Any) -> Sampled:
    """A random network of the family over 23 ids; ``isolated``: trained with clean prompts."""
    shape = {key: options.pop(key) for key in ("adaln", "seed") if key in options}
    vocabulary = tokenizer.get_vocab_size() if tokenizer else VOCABULARY
    if name == "block":
        options = {"block_length": 4, **options}
    conditioning = Conditioning(prompt_probability=0.2 if isolated else 0.0)
    family = get(name, vocabulary, MASK_ID, conditioning=conditioning, **options)
    return Sampled(random_network(vocabulary, context, causal=family.causal, **shape).eval(), family, tokenizer)
