"""`difflaw.run_ladder` and `difflaw.Ladder`: a set of trainings from its config to its laws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflaw.data.location import cache_folder
from difflaw.data.store import TokenStore, prepare
from difflaw.errors import InputError
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.estimate import Estimate, estimate
from difflaw.ladder.plan import Plan, make_plan
from difflaw.ladder.runner import default_workers, run_cells
from difflaw.ladder.search.cells import SearchPlan, plan_search
from difflaw.ladder.search.estimate import estimate_search
from difflaw.ladder.search.run import decisions, run_search, search_state
from difflaw.ladder.status import CellStatus, cell_statuses
from difflaw.ladder.table import ladder_table
from difflaw.law.document import Laws
from difflaw.report.ladder_report import LadderReport, fit_ladder, write_ladder_report
from difflaw.training.engine import Compile
from difflaw.yaml_config import read_config

if TYPE_CHECKING:
    import pandas as pd

Say = Callable[[str], None]


class Ladder:
    """A ladder's folder: its cells, its table of runs, its laws, its report. Everything is read from the runs."""

    def __init__(self, path: str | Path, *, cache: Path | None = None) -> None:
        """Open the folder of a ladder; ``cache`` is where prepared corpora lie. InputError where there is none."""
        self.directory = LadderDirectory.existing(Path(path))
        self._cache = cache
        self._laws: Laws | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.directory.path

    def status(self) -> list[CellStatus]:
        """Every cell with its state, loss and time left."""
        return cell_statuses(self.directory)

    def table(self) -> pd.DataFrame:
        """One row an evaluation along a run: family, run, params, tokens, flops, loss and more."""
        return ladder_table(self.directory)

    @property
    def is_search(self) -> bool:
        """Whether the ladder chooses its own runs."""
        return search_state(self.path) is not None

    def decisions(self) -> list[dict[str, Any]]:
        """What a search decided and why; none for a fixed ladder."""
        return decisions(self.directory)

    def search_state(self) -> dict[str, Any]:
        """Where a search stands; InputError for a fixed ladder."""
        found = search_state(self.path)
        if found is None:
            raise InputError(f"{self.path}: is a fixed ladder; only one with search: in its config makes decisions")
        return found

    @property
    def laws(self) -> Laws | None:
        """What the finished rows say; None while they are too few for any law. Fitted when first asked for."""
        if self._laws is None:
            self._laws = fit_ladder(self.directory)
        return self._laws

    def report(self) -> LadderReport:
        """Write table.parquet, table.csv, laws.json, figures and report.html into the folder, and say where."""
        written = write_ladder_report(self.directory, _sample_of_corpus(self.directory, self._cache))
        self._laws = written.laws
        return written


@dataclass(frozen=True)
class PreparedLadder:
    """A ladder that is planned, with its data at hand: its cells, and what they cost on this machine."""

    config: LadderConfig
    plan: Plan
    cost: Estimate
    store: TokenStore


@dataclass(frozen=True)
class PreparedSearch:
    """A search that is planned, with its data at hand: sizes, budgets, and what its FLOPs cost on this machine."""

    config: LadderConfig
    plan: SearchPlan
    cost: Estimate
    """Of runs of the sizes and budgets first guessed, spread over all FLOPs."""
    store: TokenStore


def prepare_ladder(
    config: LadderConfig | Mapping[str, Any] | str | Path,
    *,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    cache: Path | None = None,
    say: Say = lambda line: None,
) -> PreparedLadder | PreparedSearch:
    """Read the config, prepare its data, plan every cell and price it (``--dry-run``); InputError as `run_ladder`."""
    settings = read_config(config, LadderConfig, overrides)
    store = prepare(settings.data, cache_folder(cache), say)
    if settings.search is not None:
        search = plan_search(settings, store)
        return PreparedSearch(settings, search, estimate_search(search, workers or default_workers()), store)
    plan = make_plan(settings, store)
    return PreparedLadder(settings, plan, estimate(plan, workers or default_workers()), store)


def run_ladder(
    config: LadderConfig | PreparedLadder | PreparedSearch | Mapping[str, Any] | str | Path,
    output: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    threads: int = 1,
    compile: Compile = "auto",
    extend: bool = False,
    retry_failed: bool = False,
    checkpoint_seconds: float = 30.0,
    cache: Path | None = None,
    say: Say = lambda line: None,
    watch: Callable[[LadderDirectory, Estimate], AbstractContextManager[Any]] | None = None,
) -> Ladder:
    """Run every cell of a ladder, or its search, in worker processes; killed and run again it goes on where it was.

    >>> import difflaw, tempfile
    >>> folder = tempfile.mkdtemp() + "/ladder"
    >>> ladder = difflaw.run_ladder(difflaw.example_ladder(), folder)
    >>> sorted(set(ladder.table()["family"]))
    ['autoregressive', 'masked']
    >>> {cell.status for cell in ladder.status()}
    {'done'}
    >>> ladder.report().page.name
    'report.html'

    Worker processes import the caller's main module: a script needs ``if __name__ == "__main__":`` around the call.

    Args:
        config: a config file, its content as a dictionary, or a `LadderConfig` (docs/ladder.md lists the keys).
        output: the ladder's folder; default ``runs/NAME``.
        overrides: "key.sub=value", as ``--set`` of the shell.
        workers: cells run at the same time; default one a processor.
        threads: of each cell; more than 1 changes the last digits of results.
        compile: whether steps are compiled: auto, on or off.
        extend: add the cells of a changed config to the ladder that is there.
        retry_failed: run failed cells again.
        checkpoint_seconds: time between checkpoints: what a kill can cost.
        cache: where prepared corpora lie; default $DIFFLAW_CACHE or the user's cache folder.
        say: called with lines about data that is being prepared, and with every decision of a search.
        watch: (directory, estimate) → a context that shows progress; what it yields has a ``tick``.

    Raises:
        InputError: a config that makes no sense, data that is too small, a folder that holds another ladder.
    """
    prepared = config
    if not isinstance(prepared, PreparedLadder | PreparedSearch):
        prepared = prepare_ladder(prepared, overrides=overrides, workers=workers, cache=cache, say=say)
    directory = LadderDirectory(Path(output) if output is not None else Path("runs") / prepared.config.name)
    plan = prepared.plan
    directory.create(plan if isinstance(plan, Plan) else Plan(plan.config, (), data=prepared.store.summary()), extend)
    if retry_failed:
        directory.forget_failed()
    with watch(directory, prepared.cost) if watch is not None else nullcontext() as progress:
        if isinstance(plan, SearchPlan):
            run_search(
                plan,
                directory,
                workers=prepared.cost.workers,
                threads=threads,
                compile_=compile,
                tick=getattr(progress, "tick", lambda: None),
                checkpoint_seconds=checkpoint_seconds,
                say=say,
            )
            return Ladder(directory.path, cache=cache)
        run_cells(
            directory,
            prepared.store.folder,
            workers=prepared.cost.workers,
            threads=threads,
            longest_first=prepared.cost.seconds,
            compile_=compile,
            of_shape=prepared.cost.of_shape,
            tick=getattr(progress, "tick", lambda: None),
            checkpoint_seconds=checkpoint_seconds,
        )
    return Ladder(directory.path, cache=cache)


def _sample_of_corpus(ladder: LadderDirectory, cache: Path | None) -> list[str]:
    """A few words of the validation text, for the report; none where the cache is gone or elsewhere."""
    try:
        store = TokenStore.load(cache_folder(cache) / ladder.description()["data"]["key"])
        return [store.decode(store.validation()[:200])]
    except (InputError, OSError):
        return []
