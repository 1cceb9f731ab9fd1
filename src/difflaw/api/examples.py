"""Small inputs that every example of the documentation runs on: a table, a config, a ladder, a trained run."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def example_table() -> pd.DataFrame:
    """A made-up ladder of two families, 5 budgets of 7 sizes each, planted with N* ∝ C^0.5 and 0.2 % noise.

    >>> import difflaw
    >>> list(difflaw.example_table().columns)
    ['family', 'run', 'params', 'tokens', 'flops', 'loss']
    """
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(0), []
    for family, floor, size in (("masked", 1.70, 400.0), ("uniform", 1.68, 430.0)):
        for budget in np.geomspace(1e17, 1e19, 5):
            for factor in np.geomspace(0.2, 5.0, 7):
                params = 0.1 * np.sqrt(budget) * factor
                tokens = budget / (6 * params)
                loss = floor + size / params**0.34 + 4 * size / tokens**0.34
                name = f"{family}-{len(rows):03d}"
                rows.append((family, name, params, tokens, budget, loss * np.exp(0.002 * rng.standard_normal())))
    return pd.DataFrame(rows, columns=["family", "run", "params", "tokens", "flops", "loss"])


def example_config() -> dict[str, Any]:
    """The config of a run that takes a second: eight symbols of a Markov chain, one tiny layer.

    >>> import difflaw
    >>> difflaw.example_config()["family"]
    'masked'
    """
    return {
        "name": "example",
        "data": {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 40_000}},
        **{"context": 16, "family": "masked", "width": 8, "depth": 1, "tokens": 20_480, "batch": 256, "lr": 0.2},
        "evaluation": {"sequences": 32, "points": 3},
    }


def example_ladder() -> dict[str, Any]:
    """The config of a ladder that takes ten seconds: two families, three sizes, two horizons.

    >>> import difflaw
    >>> len(difflaw.example_ladder()["rungs"])
    3
    """
    own = {key: value for key, value in example_config().items() if key not in ("family", "width", "depth", "tokens")}
    rungs = [{"width": width, "depth": 1} for width in (8, 12, 16)]
    return own | {"families": ["autoregressive", "masked"], "rungs": rungs, "horizons": [10_240, 20_480]}


@cache
def example_run() -> Path:
    """The folder of a run of `example_config`, trained when first asked for, in a folder that goes with the process.

    >>> import difflaw
    >>> difflaw.load(difflaw.example_run()).family.name
    'gidd'
    """
    import atexit
    import shutil
    import tempfile
    from pathlib import Path

    from difflaw.api.runs import train

    folder = Path(tempfile.mkdtemp(prefix="difflaw-example-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return train(example_config(), folder / "run", cache=folder / "cache").path
