"""`difflaw sample CKPT`: complete prompts, fill in blanks, or write from nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from difflaw.cli.options import Cache, Dtype, Json, Threads


def sample(
    checkpoint: Annotated[str, typer.Argument(metavar="CKPT", help="Run, export, or owner/name on the Hub.")],
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", "-p", help="Text to complete; may be repeated.")
    ] = None,
    infill: Annotated[
        list[str] | None,
        typer.Option("--infill", metavar="TEMPLATE", help="Text with blanks, e.g. 'The {} sat on {:5}'; repeatable."),
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="See docs/sampling.md (default: the family's).")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps of each block.")] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", help="New tokens behind each prompt.")] = None,
    block_length: Annotated[int | None, typer.Option("--block-length", help="Write in blocks of so many.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="Texts of each prompt.")] = 1,
    temperature: Annotated[float, typer.Option("--temperature", help="0 takes the most likely token.")] = 1.0,
    top_k: Annotated[int | None, typer.Option("--top-k")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p")] = None,
    min_tokens: Annotated[int, typer.Option("--min-tokens", help="No end before so many new tokens.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same texts.")] = 0,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="An option of the sampler, e.g. eta=0.02; repeatable."),
    ] = None,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Number type of the weights; auto: as stored.")] = Dtype.AUTO,
    watch: Annotated[bool, typer.Option("--watch", help="Show the text denoise in the terminal.")] = False,
    delay: Annotated[float, typer.Option("--delay", min=0.0, help="Seconds between steps under --watch.")] = 0.03,
    stream: Annotated[bool, typer.Option("--stream", help="Print text as soon as its block is finished.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that plays the steps.")
    ] = None,
    threads: Threads = None,
    cache: Cache = None,
    json_: Json = False,
) -> None:
    """Write text with a trained model."""
    from contextlib import nullcontext

    from difflaw.errors import InputError
    from difflaw.files import write_atomically
    from difflaw.sample import generate
    from difflaw.sample.pieces import Pieces
    from difflaw.sample.player import page
    from difflaw.sample.prompts import read_prompts
    from difflaw.sample.stream import Streamer
    from difflaw.sample.terminal import watching
    from difflaw.training.loaded import load
    from difflaw.training.threads import using_threads

    if prompt and infill:
        raise InputError("--prompt and --infill: give one of the two")
    if stream and (watch or json_ or n * len(infill or prompt or [""]) > 1):
        raise InputError("--stream: for one text, and without --watch and --json")
    settings: dict[str, Any] = {
        "sampler": sampler,
        "steps": steps,
        "max_tokens": max_tokens,
        "block_length": block_length,
        "n": n,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_tokens": min_tokens,
        "seed": seed,
        **_options(option or []),
    }
    model = load(checkpoint, dtype=dtype.value, cache=cache)
    texts = infill or prompt or ([""] if model.tokenizer is not None else [[]])

    def pieces() -> Pieces:
        from difflaw.sample.generate import with_blanks

        found = with_blanks(read_prompts(texts, model, infill=bool(infill)), model, max_tokens, bool(infill))
        return Pieces(model, [tuple(not b for b in one.blank) for one in found for _ in range(n)])

    if html is not None and not html.parent.is_dir():
        raise InputError(f"--html: {html.parent} is no folder")
    streamer = Streamer(model) if stream else None
    view = watching(pieces(), delay) if watch else nullcontext(streamer)
    with using_threads(model.threads(n * len(texts), threads)), view as look:
        done = generate(model, texts, infill=bool(infill), trace=html is not None, watch=look, **settings)
    caption = (
        f"{done.sampler}, seed {done.seed}: {done.new_tokens} new tokens in {done.nfe} calls of the network and "
        f"{done.seconds:.2f} s, {done.tokens_per_second:.1f} tokens/s"
    )
    if html is not None and done.trace is not None:
        write_atomically(html, page(done.trace, pieces(), f"difflaw sample {checkpoint}", caption))
    if json_:
        typer.echo(json.dumps(_as_json(done, model.info, checkpoint)))
        return
    if streamer is not None:
        streamer.finish(done)
    else:
        for index in range(len(done.lengths)):
            if index:
                typer.echo("---")
            typer.echo(done.text[index] if done.text is not None else " ".join(map(str, _tokens(done, index))))
    print(caption + (f"; {html}" if html is not None else ""), file=sys.stderr)


def _tokens(done: Any, row: int) -> list[int]:
    return done.tokens[row, : done.lengths[row]].tolist()


def _as_json(done: Any, info: dict[str, Any], checkpoint: str) -> dict[str, Any]:
    rows = range(len(done.lengths))
    return {
        "checkpoint": checkpoint,
        "sampler": done.sampler,
        "seed": done.seed,
        "texts": [
            {
                "text": done.text[row] if done.text is not None else None,
                "completion": done.completions[row] if done.completions is not None else None,
                "tokens": _tokens(done, row),
                "new_tokens": int(done.written[row].sum()),
            }
            for row in rows
        ],
        "nfe": done.nfe,
        "positions_read": done.positions_read,
        "seconds": done.seconds,
        "tokens_per_second": done.tokens_per_second,
        "family": info.get("family"),
    }


def _options(given: list[str]) -> dict[str, Any]:
    """KEY=VALUE pairs, values as YAML reads them; what has an option of its own here is refused."""
    from inspect import signature

    import yaml

    from difflaw.errors import InputError
    from difflaw.sample import generate

    taken = set(signature(generate).parameters) - {"bos", "cache", "isolate_prompt", "stop_at_eos", "whole_context"}
    found = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"--option: {pair!r} is not of the form KEY=VALUE")
        if key in taken:
            raise InputError(f"--option {key}: not an option of a sampler; see difflaw sample --help")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"--option {key}: {value!r} is no value") from None
    return found
