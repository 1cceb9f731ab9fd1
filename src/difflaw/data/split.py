"""Which text is for training and which for validation: decided by a hash of the text, never by order or chance."""

import hashlib
from dataclasses import dataclass
from typing import Literal

SplitKind = Literal["documents", "tails", "given"]


def document_digest(encoded: bytes, seed: int) -> bytes:
    """BLAKE2b (16 bytes) of a document's UTF-8 text, salted with the seed of the split."""
    return hashlib.blake2b(encoded, digest_size=16, key=seed.to_bytes(8, "little")).digest()


def is_held_out(digest: bytes, fraction: float) -> bool:
    """Whether a document belongs to validation: its digest, read as a number in [0, 1), is below `fraction`."""
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


@dataclass(frozen=True)
class Split:
    """A rule that divides each document into training and validation text.

    Attributes:
        kind: "documents": whole documents are held out by their hash; equal texts go to the same side.
            "tails": the end of every document is held out, for a corpus of a few long documents.
            "given": validation is a separate corpus; documents that are also in it are left out of training.
        fraction: share held out.
        given_digests: documents of the given validation corpus.
    """

    kind: SplitKind
    fraction: float
    given_digests: frozenset[bytes] = frozenset()

    def divide(self, text: str, digest: bytes) -> tuple[str, str]:
        """(training text, validation text) of one document; either may be empty."""
        if self.kind == "given":
            return ("", "") if digest in self.given_digests else (text, "")
        if self.kind == "documents":
            return ("", text) if is_held_out(digest, self.fraction) else (text, "")
        cut = len(text) - round(len(text) * self.fraction)
        line_start = text.rfind("\n", max(0, cut - 200), cut) + 1  # prefer to cut between lines
        cut = line_start or cut
        return text[:cut], text[cut:]


def choose_kind(fraction: float, held_out_bytes: int, total_bytes: int) -> SplitKind:
    """Whole documents if that holds out between half and twice the requested share, else tails.

    With few documents the share held out varies too much: a single file would be all training or all validation.
    """
    share = held_out_bytes / total_bytes
    return "documents" if fraction / 2 <= share <= fraction * 2 else "tails"
