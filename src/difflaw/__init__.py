"""difflaw measures how discrete diffusion language models scale, on your data."""

from typing import TYPE_CHECKING

from difflaw.lazy import lazy_names
from difflaw.version import __version__

if TYPE_CHECKING:
    from difflaw import families
    from difflaw.api.choices import next_runs
    from difflaw.api.examples import example_config, example_ladder, example_run, example_table
    from difflaw.api.fits import fit
    from difflaw.api.ladders import Ladder, run_ladder
    from difflaw.api.plans import Plans, plan
    from difflaw.api.predictions import predict
    from difflaw.api.runs import Run, train
    from difflaw.errors import InputError
    from difflaw.evaluate.text import TextBound, bound
    from difflaw.law.document import Laws
    from difflaw.law.published import published_set as published
    from difflaw.sample.generate import Generations, generate
    from difflaw.training.export import export
    from difflaw.training.loaded import LoadedModel, load


_HOME = {
    "run_ladder": "api.ladders",
    "Ladder": "api.ladders",
    "fit": "api.fits",
    "Laws": "law.document",
    "plan": "api.plans",
    "predict": "api.predictions",
    "next_runs": "api.choices",
    "Plans": "api.plans",
    "published": "law.published:published_set",
    "train": "api.runs",
    "Run": "api.runs",
    "load": "training.loaded",
    "LoadedModel": "training.loaded",
    "generate": "sample.generate",
    "Generations": "sample.generate",
    "bound": "evaluate.text",
    "TextBound": "evaluate.text",
    "export": "training.export",
    "families": "families:",
    "InputError": "errors",
    "example_table": "api.examples",
    "example_config": "api.examples",
    "example_ladder": "api.examples",
    "example_run": "api.examples",
}
"""Where `difflaw.NAME` lives (``module:name`` where the name is another, ``module:`` for a module itself).

Imported when first asked for, so that `import difflaw` loads neither torch nor NumPy.
"""

__all__ = [
    "Generations",
    "InputError",
    "Ladder",
    "Laws",
    "LoadedModel",
    "Plans",
    "Run",
    "TextBound",
    "__version__",
    "bound",
    "example_config",
    "example_ladder",
    "example_run",
    "example_table",
    "export",
    "families",
    "fit",
    "generate",
    "load",
    "next_runs",
    "plan",
    "predict",
    "published",
    "run_ladder",
    "train",
]


__getattr__, __dir__ = lazy_names(__name__, _HOME)
