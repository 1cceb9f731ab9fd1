"""`generate`: prompts in, texts out, with any sampler the family admits.

Counting rules. NFE is the number of calls of the network on the batch, those that read prompts included. Tokens per
second are new tokens over wall time from laid-out prompts to finished tokens; a new token is a blank that was written,
up to and with the EOS that ends a text, padding ("empty") tokens not counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.sample.blockwise import WindowSampler, write_windows
from difflaw.sample.canvas import Canvas, lay_out
from difflaw.sample.categorical import Shaping
from difflaw.sample.draws import Draws
from difflaw.sample.frame import Frame, Recorder, Watch
from difflaw.sample.prompts import Given, Model, Prompt, decode, read_prompts
from difflaw.sample.reader import Reading
from difflaw.sample.registry import get

DEFAULT_TOKENS = 128
"""Written behind a prompt unless another number is given, or what the context has room for."""


@dataclass(frozen=True)
class Generations:
    """What was generated, on the processor. B rows, L the longest."""

    tokens: Tensor
    """(B, L): given and written tokens; padding behind each row's end."""
    written: Tensor
    """(B, L): which of them are new; the counting rule of the module."""
    lengths: tuple[int, ...]
    """Tokens of each row, an EOS included."""
    text: tuple[str, ...] | None
    """Whole texts without special tokens; None where there is no tokenizer."""
    completions: tuple[str, ...] | None
    """Only what was written."""
    sampler: str
    seed: int
    nfe: int
    """Calls of the network, summed over batches."""
    positions_read: int
    """Positions put through the network, all rows: what the calls cost."""
    seconds: float
    trace: tuple[Frame, ...] | None
    """One frame a step, if asked for."""

    @property
    def new_tokens(self) -> int:
        """Tokens written, all rows."""
        return int(self.written.sum())

    @property
    def tokens_per_second(self) -> float:
        """New tokens per second of wall time."""
        return self.new_tokens / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class _Plan:
    """What does not differ from batch to batch."""

    model: Model
    sampler: Any
    shaping: Shaping
    isolate_prompt: bool
    cached: bool
    block_length: int | None
    min_tokens: int
    whole_context: bool
    eos_id: int
    watch: Watch | None


@torch.inference_mode()
def generate(
    model: Model,
    prompts: Given | Sequence[Given] | None = None,
    *,
    sampler: str | None = None,
    steps: int | None = None,
    max_tokens: int | None = None,
    block_length: int | None = None,
    n: int = 1,
    infill: bool = False,
    blanks: Sequence[Sequence[bool]] | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_tokens: int = 0,
    stop_at_eos: bool = True,
    bos: bool | None = None,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    batch_size: int | None = None,
    cache: bool = True,
    isolate_prompt: bool | None = None,
    whole_context: bool = False,
    trace: bool = False,
    watch: Watch | None = None,
    **options: Any,
) -> Generations:
    """Write texts.

    >>> import difflaw
    >>> model = difflaw.load(difflaw.example_run())  # of symbols, not text: prompts are token ids
    >>> made = difflaw.generate(model, [[4, 5, 6]], max_tokens=5, steps=5, seed=1)
    >>> made.tokens.shape, made.new_tokens <= 5
    (torch.Size([1, 8]), True)

    Args:
        model: what `difflaw.load` returns, or anything with its network, family, tokenizer and ids.
        prompts: a text, texts, or token ids; None is one empty text. Lengths may differ.
        sampler: see docs/sampling.md; None is the family's default.
        steps: denoising steps of each block (of the whole, without blocks); not for samplers that find their own.
        max_tokens: blanks behind each prompt; default 128 or what fits; 0 with infill unless given.
        block_length: finish blanks in groups of so many, from left to right; block diffusion has its own.
        n: texts of each prompt.
        infill: texts are templates with blanks, ``"The {} sat on {:5}"``.
        blanks: for token ids, True where a token is to be written.
        temperature: 0 takes the most likely token of what the network predicts.
        top_k: act on the prediction, like temperature and top_p, never on a reverse step.
        top_p: keep the most likely tokens up to and with the one that reaches this.
        min_tokens: no EOS among so many tokens behind the prompt. Never is there one in front of a given token.
        stop_at_eos: a text ends at the first EOS that was written; what stands behind becomes padding.
        bos: begin texts with BOS; None does as the tokenizer says.
        seed: same seed, same texts, bit for bit on one machine.
        rows: numbers that stand for the rows in every random draw (default 0, 1, …): a row's text depends on the seed
            and its number, not on the rows beside it.
        batch_size: rows at once; all, if None.
        cache: keep keys and values wherever that is exact.
        isolate_prompt: clean tokens see clean tokens only, so that they can be cached. None: if trained so
            (``prompt_probability`` above 0).
        whole_context: also read noise behind the text up to the context, as the published sampler does.
        trace: keep a frame of every step.
        watch: called with a frame after every step.
        options: of the sampler (tokens_per_step, eta, kappa, …).

    Raises:
        InputError: names the argument that does not fit.
    """
    family = model.family
    started = time.perf_counter()
    chosen = get(sampler, family, steps=steps, **options)
    shaping = Shaping(temperature, top_k, top_p)
    texts = read_prompts(prompts, model, infill=infill, blanks=blanks, bos=bos)
    texts = [text for text in with_blanks(texts, model, max_tokens, infill or blanks is not None) for _ in range(n)]
    _check(model, texts, n, block_length, batch_size, min_tokens)
    numbers = np.arange(len(texts)) if rows is None else np.asarray(rows, dtype=np.int64)
    if len(numbers) != len(texts):
        raise InputError(f"rows: {len(numbers)} numbers for {len(texts)} texts")
    frames: list[Frame] = []

    def look(frame: Frame) -> None:
        if trace:
            frames.append(frame)
        if watch is not None:
            watch(frame)

    isolate_prompt = family.conditioning.prompt_probability > 0 if isolate_prompt is None else isolate_prompt
    plan = _Plan(
        model,
        chosen,
        shaping,
        isolate_prompt,
        cache,
        block_length,
        min_tokens,
        whole_context,
        model.eos_id if stop_at_eos else -1,
        look if trace or watch else None,
    )
    done, passes, read = [], 0, 0
    size = batch_size or len(texts)
    for first in range(0, len(texts), size):
        part = slice(first, first + size)
        canvas, reading = _write(plan, texts[part], Draws(seed, numbers[part]))
        done += _finished(canvas, plan, texts[part])
        passes, read = passes + reading.passes, read + reading.positions_read
    seconds = time.perf_counter() - started
    name = sampler or family.samplers[0]
    return _collect(model, done, name, seed, passes, read, seconds, tuple(frames) if trace else None)


def with_blanks(texts: list[Prompt], model: Model, max_tokens: int | None, has_blanks: bool) -> list[Prompt]:
    """Prompts with their blanks behind them; InputError where they do not fit the context."""
    context = model.model.config.context
    if max_tokens is not None and (isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 0):
        raise InputError(f"max_tokens: must be a whole number, not negative, got {max_tokens}")
    longest = max(len(text.tokens) for text in texts)
    if longest > context or (longest == context and not has_blanks):
        raise InputError(f"prompts: {longest} tokens, and the context is {context}: no room is left")
    if max_tokens is None:
        max_tokens = 0 if has_blanks else min(DEFAULT_TOKENS, context - longest)
    if longest + max_tokens > context:
        raise InputError(
            f"max_tokens: {longest} given tokens and {max_tokens} new ones are more than the context of {context}; "
            f"at most {context - longest} fit"
        )
    return [text.followed_by(max_tokens) for text in texts]


def _check(
    model: Model, texts: list[Prompt], n: int, block_length: int | None, batch_size: int | None, min_tokens: int
) -> None:
    family = model.family
    for name, value in (("n", n), ("block_length", block_length), ("batch_size", batch_size)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise InputError(f"{name}: must be a whole number of at least 1, got {value}")
    if min_tokens < 0:
        raise InputError(f"min_tokens: must not be negative, got {min_tokens}")
    if not family.can_infill and any(
        a and not b for text in texts for a, b in zip(text.blank, text.blank[1:], strict=False)
    ):
        raise InputError(f"infill: {family.name} writes from left to right and has no way to fill in between")
    if family.block_length is not None and block_length not in (None, family.block_length):
        raise InputError(f"block_length: this network has blocks of {family.block_length}, not {block_length}")


def _write(plan: _Plan, texts: Sequence[Prompt], draws: Draws) -> tuple[Canvas, Reading]:
    model, family = plan.model, plan.model.family
    network = model.model
    context = network.config.context
    reach = [len(text.tokens) for text in texts]
    in_windows = isinstance(plan.sampler, WindowSampler)  # the others read only what is written and what they write
    if in_windows and family.block_length is not None:
        reach = [-(-size // family.block_length) * family.block_length for size in reach]
    elif in_windows and plan.whole_context:
        reach = [context] * len(texts)
    device = network.lm_head.weight.device
    canvas = lay_out(texts, draws, min_tokens=plan.min_tokens, pad_id=model.pad_id, reach=reach, device=device)
    recorder = Recorder(canvas, plan.watch)
    reading = Reading(network, family, plan.isolate_prompt, plan.cached)
    how = {"shaping": plan.shaping, "block_length": plan.block_length, "eos_id": plan.eos_id}
    if in_windows:
        write_windows(canvas, reading, plan.sampler, recorder, **how)
    else:
        plan.sampler.write(canvas, reading, recorder, **how)
    return canvas, reading


@dataclass(frozen=True)
class _Row:
    tokens: np.ndarray
    written: np.ndarray
    length: int


def _finished(canvas: Canvas, plan: _Plan, texts: Sequence[Prompt]) -> list[_Row]:
    """Each row cut behind its EOS."""
    rows = []
    for row, text in enumerate(texts):
        size = len(text.tokens)
        tokens = canvas.tokens[row, :size].cpu().numpy().copy()
        blank = np.array(text.blank, dtype=bool)
        ends = np.flatnonzero(blank & (tokens == plan.eos_id))
        length = int(ends[0]) + 1 if len(ends) else size
        tokens[length:] = plan.model.pad_id
        written = blank & (np.arange(size) < length) & (tokens != plan.model.pad_id)
        rows.append(_Row(tokens, written, length))
    return rows


def _collect(
    model: Model,
    rows: list[_Row],
    sampler: str,
    seed: int,
    nfe: int,
    positions_read: int,
    seconds: float,
    trace: tuple[Frame, ...] | None,
) -> Generations:
    length = max(len(row.tokens) for row in rows)
    tokens = np.full((len(rows), length), model.pad_id, dtype=np.int64)
    written = np.zeros(tokens.shape, dtype=bool)
    for index, row in enumerate(rows):
        tokens[index, : len(row.tokens)], written[index, : len(row.tokens)] = row.tokens, row.written
    text = completions = None
    if model.tokenizer is not None:
        text = tuple(str(decode(model, row.tokens[: row.length].tolist())) for row in rows)
        completions = tuple(str(decode(model, row.tokens[row.written].tolist())) for row in rows)
    return Generations(
        torch.from_numpy(tokens),
        torch.from_numpy(written),
        tuple(row.length for row in rows),
        text,
        completions,
        sampler,
        seed,
        nfe,
        positions_read,
        seconds,
        trace,
    )
