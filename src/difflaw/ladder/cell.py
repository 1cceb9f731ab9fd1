"""One cell from its folder to its summary: what a worker process does."""

from __future__ import annotations

import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from difflaw.data.batches import Batches, validation_rows
from difflaw.data.store import TokenStore
from difflaw.errors import InputError
from difflaw.evaluate.bound import validation_bound
from difflaw.families import accepts, get
from difflaw.families.base import Family
from difflaw.files import NoRoom, room_on_disk, write_json
from difflaw.model.accounting import account
from difflaw.model.transformer import Transformer
from difflaw.training.config import RunConfig
from difflaw.training.distillation import objectives, start_from_parent
from difflaw.training.engine import Compile, decided, decided_threads
from difflaw.training.loop import Diverged, Execution, train
from difflaw.training.run_directory import TOKENIZER, RunDirectory
from difflaw.training.threads import threads_for, using_threads

LAST_RECORDS, LEARNT = 8, 0.9
"""Of the training bound, and the share of the start below which their mean shows that the network has learnt."""


def build_family(config: RunConfig) -> Family:
    """The run's family with its conditioning, and the run's length where its training changes on the way.

    InputError where that run grows, so that it has no length.
    """
    if config.grows and config.family_options.get("curriculum"):
        raise InputError(f"{config.label}: its curriculum covers a share of the run; one that grows has no length")
    length = {"run_sequences": config.steps * config.batch_sequences} if accepts(config.family, "run_sequences") else {}
    return get(
        config.family,
        config.model.vocab_size,
        config.mask_id,
        bos_id=config.bos_id,
        pad_id=config.pad_id,
        conditioning=config.conditioning.build(config.noise_levels),
        **length,
        **config.family_options,
    )


def run_cell(
    path: Path,
    store: TokenStore,
    execution: Execution = Execution(),
    compile_: Compile = "off",
    eager_seconds: float = 0.0,
) -> dict[str, Any]:
    """Run (or continue) the cell whose config.json lies in ``path``; returns its summary.

    ``compile_`` and ``eager_seconds`` (what all cells of this shape would take) decide whether steps are compiled,
    ``execution.threads`` or the run's size with how many threads; a run goes on as it began.

    A cell that diverges or fails gets a summary saying so and is kept. NoRoom (a full disk), Orphaned and
    KeyboardInterrupt pass through and leave it to be continued, as does InputError where nothing here can compile.
    """
    directory = RunDirectory(path)
    with directory.writing():
        finished = directory.summary()
        if finished is not None:
            return finished
        compiled = decided(path, compile_, execution.device, eager_seconds)
        threads = decided_threads(path, run_threads(directory.config(), execution))
        execution = replace(execution, compiled=compiled, threads=threads)
        started = time.monotonic()
        try:
            with room_on_disk(path), using_threads(threads):
                summary = _train_and_judge(directory, store, execution)
        except NoRoom:
            raise
        except Diverged as error:
            summary: dict[str, Any] = {"status": "diverged", "note": str(error)}
        except InputError as error:
            summary = {"status": "failed", "note": str(error)}
        except (RuntimeError, OSError, ValueError, ArithmeticError) as error:
            summary = {
                "status": "failed",
                "note": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exc(),
            }
        summary["wall_seconds"] = time.monotonic() - started
        with room_on_disk(path):
            directory.finish(summary)
        return summary


def run_threads(config: RunConfig, execution: Execution = Execution()) -> int:
    """Threads for a new run: as ``execution`` says, else as many as the tokens of one pass are worth."""
    rows = execution.micro_batch or config.batch_sequences
    return threads_for(config.model.width, rows * config.model.context, execution.threads)


def _train_and_judge(directory: RunDirectory, store: TokenStore, execution: Execution) -> dict[str, Any]:
    config = directory.config()
    if store.folder.name != config.data_hash:
        raise InputError(f"{directory.path}: was planned for data {config.data_hash}, found {store.folder.name}")
    directory.keep_tokenizer(store.folder / TOKENIZER)
    family = build_family(config)
    batches = Batches(store.train(), config.model.context, config.batch_sequences, config.seed, config.unique_tokens)
    rows, _ = validation_rows(
        store.validation(), config.model.context, config.evaluation_sequences, config.evaluation_seed
    )
    counts = account(config.model, family.passes(config.model.context))
    write_json(directory.path / "account.json", counts.record())

    def evaluate(model: Transformer, step: int) -> dict[str, Any]:
        estimate = validation_bound(
            model,
            family,
            rows,
            seed=config.evaluation_seed,
            precision=config.precision,
            micro_batch=_micro_batch(config),
        )
        return {
            "bound": estimate.nats,
            "standard_error": estimate.standard_error,
            "training_loss": estimate.training_loss,
            "bits_per_byte": estimate.bits_per_byte(store.bytes_per_token),
            **estimate.parts,
        }

    if config.distillation is None:
        train(config, directory, family, batches, evaluate, execution)
    else:
        rounds = objectives(config, family, directory.path)
        parent = partial(start_from_parent, directory.path)
        train(config, directory, family, batches, evaluate, execution, rounds, parent)
    evaluations = directory.records("evaluation")
    start, last = evaluations[0], evaluations[-1]
    # Both see the same noise, so even a small step down counts; a network that died stays exactly at its start.
    # Distillation gives bound away for fewer sampling steps, and repeated text can be learnt by heart.
    worse = config.distillation is None and last["bound"] >= start["bound"]
    if worse and batches.epochs(last["tokens"]) > 1 and learnt_by_heart(directory, start["bound"]):
        worse = False
    return {
        "status": "diverged" if worse else "done",
        "note": f"final bound {last['bound']:.4g} is not below the start, {start['bound']:.4g}" if worse else "",
        "bound": last["bound"],
        "standard_error": last["standard_error"],
        "bits_per_byte": last["bits_per_byte"],
        "tokens": last["tokens"],
        "flops": last["flops"],
        "flops_convention": config.flops_convention,
        "params": counts.params(config.params_convention),
        "params_convention": config.params_convention,
        "epochs": batches.epochs(last["tokens"]),
        "seconds": last.get("seconds", 0.0),
    }


def learnt_by_heart(directory: RunDirectory, start: float) -> bool:
    """Whether the training bound of a run has fallen well below the bound at the ``start``, whatever validation says.

    So it has where a run overfits; one that died or diverged stays at its start on any text.
    """
    last = [record["bound"] for record in directory.records("train")[-LAST_RECORDS:]]
    return bool(last) and sum(last) / len(last) < LEARNT * start


def _micro_batch(config: RunConfig) -> int:
    """Rows per evaluation pass: about 4,096 tokens, so that small caches hold a pass."""
    return max(1, 4096 // config.model.context)
