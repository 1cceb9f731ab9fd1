"""`difflaw.train`: one run from its config to its summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflaw.data.location import cache_folder
from difflaw.data.store import TokenStore, prepare
from difflaw.ladder.cell import run_cell, run_threads
from difflaw.ladder.estimate import ASSUMED_SHARE, matmul_peak
from difflaw.ladder.plan import Cell
from difflaw.ladder.single import TrainConfig, plan_single
from difflaw.training.engine import Compile, default_device
from difflaw.training.loop import Execution
from difflaw.training.run_directory import RunDirectory
from difflaw.training.threads import using_threads
from difflaw.yaml_config import read_config

if TYPE_CHECKING:
    import pandas as pd

    from difflaw.training.loaded import LoadedModel

Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A run's folder and what it ended with."""

    path: Path
    summary: Mapping[str, Any]
    """``status`` (done, diverged, failed), ``bound`` ± ``standard_error`` in nats per token, tokens, FLOPs, seconds."""

    @property
    def bound(self) -> float:
        """The last validation bound, nats per token; NaN where there is none."""
        return float(self.summary.get("bound", float("nan")))

    def table(self) -> pd.DataFrame:
        """One row an evaluation along the run."""
        import pandas as pd

        return pd.DataFrame(RunDirectory(self.path).records("evaluation"))

    def load(self) -> LoadedModel:
        """The trained model (`difflaw.load`)."""
        from difflaw.training.loaded import load

        return load(self.path)


@dataclass(frozen=True)
class PreparedRun:
    """A run that is planned, with its data at hand: what it will cost before it begins."""

    config: TrainConfig
    cell: Cell
    store: TokenStore


def prepare_run(
    config: TrainConfig | Mapping[str, Any] | str | Path,
    *,
    overrides: Sequence[str] = (),
    cache: Path | None = None,
    say: Say = lambda line: None,
) -> PreparedRun:
    """Read the config, prepare its data, plan the run; InputError as `train`."""
    settings = read_config(config, TrainConfig, overrides)
    store = prepare(settings.data, cache_folder(cache), say)
    return PreparedRun(settings, plan_single(settings, store), store)


def train(
    config: TrainConfig | PreparedRun | Mapping[str, Any] | str | Path,
    output: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    compile: Compile = "auto",
    threads: int | None = None,
    cache: Path | None = None,
    say: Say = lambda line: None,
    watch: Callable[[RunDirectory], AbstractContextManager[Any]] = lambda directory: nullcontext(),
) -> Run:
    """Train one model; run again with the same folder it goes on where it was and ends with the same numbers.

    >>> import difflaw, tempfile
    >>> run = difflaw.train(difflaw.example_config(), tempfile.mkdtemp() + "/run")
    >>> run.summary["status"], run.bound < 2.2  # eight symbols: ln 8 = 2.08 nats and less with training
    ('done', True)

    Args:
        config: a config file, its content as a dictionary, or a `TrainConfig` (docs/commands.md lists the keys).
        output: the run's folder; default ``runs/NAME``.
        overrides: "key.sub=value", as ``--set`` of the shell.
        compile: whether steps are compiled: auto, on or off.
        threads: processor threads; default as many as the size of a step is worth. A run goes on as it began.
        cache: where prepared corpora lie; default $DIFFLAW_CACHE or the user's cache folder.
        say: called with lines about data that is being prepared.
        watch: a context that shows the run's progress while it trains.

    Raises:
        InputError: a config that makes no sense, data that is too small, a folder that holds another run.
    """
    prepared = config
    if not isinstance(prepared, PreparedRun):
        prepared = prepare_run(prepared, overrides=overrides, cache=cache, say=say)
    cell = prepared.cell
    directory = RunDirectory(Path(output) if output is not None else Path("runs") / prepared.config.name)
    directory.create(cell.run)
    execution = Execution(device=default_device(), threads=threads)
    with watch(directory):
        with using_threads(run_threads(cell.run, execution)):
            eager = cell.flops / (matmul_peak(cell.run.precision) * ASSUMED_SHARE)
        summary = run_cell(directory.path, prepared.store, execution, compile, eager)
    return Run(directory.path, summary)
