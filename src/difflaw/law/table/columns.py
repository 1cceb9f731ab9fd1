"""Which column of somebody's table is which: the canonical names and the spellings people use for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from difflaw.errors import InputError

ALIASES: dict[str, tuple[str, ...]] = {
    "family": ("noise", "noisetype", "method", "modelfamily", "algorithm"),
    "params": ("n", "nparams", "numparams", "parameters", "modelsize", "modelparams", "nonembeddingparams", "size"),
    "tokens": ("d", "ntokens", "numtokens", "trainingtokens", "traintokens", "tokensseen", "datasize"),
    "flops": ("c", "flop", "nflops", "compute", "trainingflop", "trainingflops", "trainflops", "totalflops"),
    "loss": ("l", "valloss", "validationloss", "evalloss", "testloss", "finalloss", "bound", "elbo", "nelbo"),
    "flops_per_token": ("m", "flopspertoken", "floppertoken"),
    "loss_se": ("lossstderr", "lossse", "boundse", "boundstderr", "stderr"),
    "run": ("runid", "runname", "cell", "experiment"),
    "budget": ("targetflops", "flopsbudget", "computebudget", "isoflop"),
    "batch_tokens": ("batchsizetokens", "tokensperbatch", "tokensperstep"),
    "lr": ("learningrate", "eta"),
    "seed": (),
    "width": ("dmodel", "hiddensize"),
    "depth": ("layers", "nlayers", "numlayers"),
    "status": ("state",),
    "epochs": ("epoch", "nepochs"),
    "unique_tokens": (
        "unique",
        "nunique",
        "nuniquetokens",
        "uniquedata",
        "uniquetrainingtokens",
        "uniquetraintokens",
        "datasetsize",
        "datasettokens",
        "corpustokens",
    ),
    "unigram_entropy": ("tokenentropy", "singletokenentropy"),
    "params_convention": (),
    "flops_convention": (),
}
"""Canonical name -> other spellings, already squeezed to lower case letters and digits."""


def squeeze(name: object) -> str:
    """Lower case, letters and digits only: "Model Size" -> "modelsize"."""
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def resolve(present: Iterable[object], explicit: Mapping[str, str] | None, source: str) -> dict[str, str]:
    """Map canonical names to the columns of a table, explicit mapping first, then exact names, then aliases.

    Args:
        present: the table's column names.
        explicit: canonical name -> column name, as the user gave it.
        source: file name for messages.

    Raises:
        InputError: an unknown canonical name, a mapped column that is not there, or two columns that both fit.
    """
    names = [str(name) for name in present]
    found: dict[str, str] = {}
    for canonical, column in (explicit or {}).items():
        if canonical not in ALIASES:
            raise InputError(
                f"{source}: no quantity called '{canonical}' can be mapped; choose from {', '.join(ALIASES)}"
            )
        if column not in names:
            raise InputError(f"{source}: no column '{column}' for {canonical}; columns there: {', '.join(names)}")
        found[canonical] = column
    taken = set(found.values())
    for canonical, aliases in ALIASES.items():
        if canonical in found:
            continue
        free = [name for name in names if name not in taken]
        exact = [name for name in free if name == canonical] or [n for n in free if squeeze(n) == squeeze(canonical)]
        fits = exact or [name for name in free if squeeze(name) in aliases]
        if len(fits) > 1:
            raise InputError(
                f"{source}: columns {', '.join(fits)} could each be {canonical}; "
                f"choose one, columns={{'{canonical}': '{fits[0]}'}}"
            )
        if fits:
            found[canonical] = fits[0]
            taken.add(fits[0])
    return found
