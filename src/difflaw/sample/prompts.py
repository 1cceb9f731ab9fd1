"""What is given and what is to be written: prompts, token lists, and templates with blanks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from difflaw.errors import InputError
from difflaw.families import Family
from difflaw.model.transformer import Transformer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_FIELD = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")
_BLANK = re.compile(r"\{(?::(\d+))?\}")


class Model(Protocol):
    """What can be sampled from; `difflaw.load` returns one."""

    @property
    def model(self) -> Transformer:
        """The network."""
        ...

    @property
    def family(self) -> Family:
        """How it was trained."""
        ...

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Its vocabulary, None for data that is no text."""
        ...

    @property
    def mask_id(self) -> int:
        """Never in a result."""
        ...

    @property
    def bos_id(self) -> int:
        """What an autoregressive network reads first."""
        ...

    @property
    def eos_id(self) -> int:
        """Ends a text."""
        ...

    @property
    def pad_id(self) -> int:
        """Stands behind a text that ended, and for an empty token."""
        ...


@dataclass(frozen=True)
class Prompt:
    """One row: its tokens, and which of them are blank (their ids mean nothing)."""

    tokens: tuple[int, ...]
    blank: tuple[bool, ...]

    def followed_by(self, blanks: int) -> Prompt:
        """The same with so many blanks behind it."""
        return Prompt(self.tokens + (0,) * blanks, self.blank + (True,) * blanks)


Given = str | Sequence[int]
"""A text, or token ids."""


def read_prompts(
    given: Given | Sequence[Given] | None,
    model: Model,
    *,
    infill: bool = False,
    blanks: Sequence[Sequence[bool]] | None = None,
    bos: bool | None = None,
) -> list[Prompt]:
    """Prompts as tokens. ``None`` is one empty text.

    Args:
        given: a text, a list of texts, a list of token ids, or a list of such lists.
        model: for its vocabulary.
        infill: texts are templates: ``{}`` is a blank of one token, ``{:5}`` of five, ``{{`` and ``}}`` are braces.
        blanks: with token ids, True where a token is to be written.
        bos: begin every text with BOS; None does what the tokenizer itself does with special tokens on.

    Raises:
        InputError: a template without a blank, a text without a tokenizer, ids or masks that do not fit.
    """
    rows = _as_rows(given)
    if blanks is not None and (len(blanks) != len(rows) or any(isinstance(row, str) for row in rows)):
        raise InputError(f"blanks: give one list of True and False for each of the {len(rows)} lists of token ids")
    prompts = []
    for index, row in enumerate(rows):
        if isinstance(row, str):
            prompts.append(_from_text(row, model, infill, bos))
            continue
        blank = [False] * len(row) if blanks is None else [bool(b) for b in blanks[index]]
        _check_ids(row, blank, model, index)
        prefix = [model.bos_id] if bos else []
        prompts.append(Prompt((*prefix, *map(int, row)), (*[False] * len(prefix), *blank)))
    return prompts


def parse_template(template: str) -> list[str | int]:
    """Texts and numbers of blank tokens in turn: ``"The {} sat on {:5}"`` is ["The ", 1, " sat on ", 5]."""
    parts: list[str | int] = []
    text, last = "", 0
    for match in _FIELD.finditer(template):
        text += template[last : match.start()]
        last = match.end()
        if match.group() in ("{{", "}}"):
            text += match.group()[0]
            continue
        blank = _BLANK.fullmatch(match.group())
        count = int(blank.group(1) or 1) if blank else 0
        if count < 1:
            raise InputError(
                f"template: {match.group()!r} is no blank; write {{}} for one token, {{:5}} for five, "
                "{{ and }} for braces"
            )
        parts += [text, count] if text else [count]
        text = ""
    text += template[last:]
    parts += [text] if text else []
    if not any(isinstance(part, int) for part in parts):
        raise InputError(f"template: {template!r} has no blank; write {{}} for one token or {{:5}} for five")
    return parts


def decode(model: Model, tokens: Sequence[int]) -> str | None:
    """Text of tokens without the special ones, nothing tidied up; None without a tokenizer."""
    if model.tokenizer is None:
        return None
    special = {model.mask_id, model.bos_id, model.eos_id, model.pad_id}
    return model.tokenizer.decode([t for t in tokens if t not in special], skip_special_tokens=False)


def _as_rows(given: Given | Sequence[Given] | None) -> list[Given]:
    if given is None:
        return [""]
    if isinstance(given, str):
        return [given]
    rows: list[Any] = list(given)
    if rows and all(isinstance(row, int) for row in rows):
        return [rows]
    if not rows:
        raise InputError("prompts: the list is empty; give at least one, which may be an empty text")
    return [row if isinstance(row, str) else list(row) for row in rows]


def _from_text(text: str, model: Model, infill: bool, bos: bool | None) -> Prompt:
    if model.tokenizer is None and (text or infill):
        raise InputError("prompts: this model has no tokenizer, so give token ids instead of text")
    parts = parse_template(text) if infill else [text]
    tokens: list[int] = []
    blank: list[bool] = []
    for part in parts:
        new = [0] * part if isinstance(part, int) else _encode(part, model)
        tokens += new
        blank += [isinstance(part, int)] * len(new)
    wants_bos = _tokenizer_adds_bos(model) if bos is None else bos
    if wants_bos and (not tokens or blank[0] or tokens[0] != model.bos_id):
        tokens, blank = [model.bos_id, *tokens], [False, *blank]
    return Prompt(tuple(tokens), tuple(blank))


def _encode(text: str, model: Model) -> list[int]:
    if model.tokenizer is None or not text:
        return []
    ids = model.tokenizer.encode(text, add_special_tokens=False).ids
    if model.mask_id in ids:
        raise InputError("prompts: the text contains the mask's own string; use a template with {} for blanks")
    return list(ids)


def _tokenizer_adds_bos(model: Model) -> bool:
    """Whether the tokenizer's own rule begins a text with BOS (published ones have such a rule, ours have none)."""
    return model.tokenizer is not None and model.tokenizer.encode("", add_special_tokens=True).ids[:1] == [model.bos_id]


def _check_ids(row: Sequence[int], blank: Sequence[bool], model: Model, index: int) -> None:
    vocabulary = model.family.vocab_size
    if len(blank) != len(row):
        raise InputError(f"blanks: row {index} has {len(blank)} marks for {len(row)} tokens")
    for token, is_blank in zip(row, blank, strict=True):
        if not is_blank and not 0 <= token < vocabulary:
            raise InputError(f"prompts: row {index}: {token} is no id of a vocabulary of {vocabulary}")
        if not is_blank and token == model.mask_id:
            raise InputError(f"prompts: row {index}: holds the mask; say where to write with blanks=")
