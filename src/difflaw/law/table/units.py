"""Sentences on numbers whose unit looks wrong: FLOPs against 6·N·D, counts in millions, losses in bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from difflaw.conventions import UNSTATED
from difflaw.formatting import listed
from difflaw.law.table.read import row_names

LOW, HIGH = 0.5, 3.0
"""Where C/(6·N·D) lies for any usual way of counting parameters and training FLOPs, save for tiny models."""
FORWARD = 0.2
"""Forward passes alone are 2·N·D, a third of 6·N·D; below this share another way of counting does not explain FLOPs."""
COUNTING = 100.0
"""Up to here a tiny model's attention, embedding and output matrix explain C/(6·N·D); units are off by 1e3 and more."""
OFF_SIZE = 1.5
"""C/(6·N·D) of one size hardly varies; a row this factor off the size's median has a number of another unit."""
SHORTEST_LOSS = 1.0
"""Nats per token that no published law or model reaches on text in a usual tokenizer."""
HIGHEST_LOSS = 15.0
"""ln of 3.3 million: guessing among all tokens of any usual vocabulary is better."""
MOST_EPOCHS = 1e5


def unit_warnings(frame: Any) -> tuple[str, ...]:
    """What of a table's numbers looks like another unit than the laws take, and what would be right.

    Sentences without a final stop. What holds of every family is said once, of the whole table; else the family is
    named in front.

    Args:
        frame: `Table.frame`; params and tokens are counts, flops totals of training, loss in nats per token.
    """
    found: list[str] = []
    families = {str(name): rows for name, rows in frame.groupby("family", sort=True)}
    for check in (_flops, _odd_rows, _params, _tokens, _epochs, _low_loss, _high_loss):
        alone = {name: sentence for name, rows in families.items() if (sentence := check(rows))}
        whole = check(frame) if len(alone) == len(families) else ""
        found += [whole] if whole else [f"{name}: {sentence}" for name, sentence in alone.items()]
    return tuple(found)


def _flops(rows: Any) -> str:
    """FLOPs against 6·N·D; where FLOPs or tokens were derived that way the ratio is 1, and nothing is said."""
    middle = float(np.exp(np.median(_ln_ratio(rows))))
    if LOW <= middle <= HIGH or (HIGH < middle <= COUNTING and _counted(rows)):
        return ""
    if middle < FORWARD:
        hint = "check their units (petaFLOPs, or per token or step? FLOPs of the whole training and counts are right)"
    elif middle < LOW:
        hint = "check what they count (forward passes alone? parameters that a token does not use? 6·N·D is training)"
    elif middle <= COUNTING:
        hint = (
            "check what both count (params without embeddings? attention, recomputation, the output matrix? "
            "small models can be so counted; state the conventions)"
        )
    else:
        hint = "check their units (params in millions? tokens in billions? counts are right)"
    return f"FLOPs are on median {middle:.2g} times 6·params·tokens; {hint}"


def _counted(rows: Any) -> bool:
    """Whether every row says how its parameters and FLOPs were counted: a tiny model's ratio is then no surprise."""
    both = ("params_convention", "flops_convention")
    return all(c in rows and (rows[c].fillna(UNSTATED) != UNSTATED).all() for c in both)


def _odd_rows(rows: Any) -> str:
    ratio = _ln_ratio(rows)
    own = ratio.groupby([rows["family"], np.log(rows["params"]).round(6)]).transform("median")
    off = np.abs(ratio - own) > math.log(OFF_SIZE)
    if not off.any():
        return ""
    count = int(off.sum())
    return (
        f"{count} row{'s' * (count > 1)} with FLOPs / (6·params·tokens) more than a factor {OFF_SIZE:g} off the median "
        f"of the same size, where it is nearly constant: {listed(row_names(rows[off]), 3)}; check FLOPs and tokens"
    )


def _params(rows: Any) -> str:
    per_param = rows["tokens"] / rows["params"]
    most = float(rows["params"].max())
    # A tiny model on 1e7 tokens is no mistake; 1e5 tokens and more for each parameter in most rows are.
    tiny = most < 1e6 and float(rows["tokens"].max()) > 1e7 and float(per_param.median()) > 1e5
    if not tiny and float(per_param.min()) <= 1e6:
        return ""
    return (
        f"params go up to {most:.4g}, with {float(per_param.median()):.2g} tokens for each on median: they look like "
        f"millions or billions; give the count ({most:.4g} million is {most * 1e6:.3g})"
    )


def _tokens(rows: Any) -> str:
    per_param = rows["tokens"] / rows["params"]
    most = float(rows["tokens"].max())
    if most >= 1e5 and float(per_param.max()) >= 1e-3:
        return ""
    return (
        f"tokens go up to {most:.4g}, {float(per_param.median()):.2g} for each parameter on median: they look like "
        f"millions or billions; give the count ({most:.4g} billion is {most * 1e9:.3g})"
    )


def _epochs(rows: Any) -> str:
    most = float(rows["epochs"].max()) if "epochs" in rows else 0.0
    if not most > MOST_EPOCHS:
        return ""
    return (
        f"some rows repeat their data {most:.2g} times: unique_tokens look like millions or billions; give the count, "
        "as tokens are given"
    )


def _low_loss(rows: Any) -> str:
    least = float(rows["loss"].min())
    if least >= SHORTEST_LOSS:
        return ""
    return (
        f"the lowest loss is {least:.3g}, below any published nats per token: bits per byte, per character or another "
        "tokenizer? Laws are fitted all the same, but exponents and floors are those of that unit"
    )


def _high_loss(rows: Any) -> str:
    high = rows[rows["loss"] > HIGHEST_LOSS]
    if not len(high):
        return ""
    return (
        f"losses go up to {float(high['loss'].max()):.4g} ({listed(row_names(high), 3)}), above guessing in any usual "
        "vocabulary: perplexity, a sum over tokens or a run that diverged? Give nats per token: of a perplexity its "
        "natural logarithm"
    )


def _ln_ratio(rows: Any) -> Any:
    """Logarithm of C/(6·N·D), a Series over ``rows``."""
    return np.log(rows["flops"] / (6.0 * rows["params"] * rows["tokens"]))
