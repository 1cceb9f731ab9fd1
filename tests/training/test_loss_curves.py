"""Golden loss curves: 50 float32 steps of every family, one thread, against tests/train/loss_curves.json.

A change that does not say it is numeric leaves every curve as it is, bit for bit. Bits are compared where the machine's
signature (processor, vector instructions in use, versions of torch and numpy) is the one stored with the curves.
Another processor or version may round a sum differently, and every step carries that on; there the curves agree to 1e-5
for ten steps and to 5e-5 after fifty. (The same processor held to plain SSE instructions: at most 8e-7 and 1.3e-5.)

    python tests/train/test_loss_curves.py --write

writes the file anew and prints by how much each curve moved. That is allowed in a change that says it is numeric, says
why, and says how far: sums in another order move a curve by some 1e-6, another formula by far more.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from difflaw.data.batches import Batches
from difflaw.families import get, resolve
from difflaw.ladder.machine import processor_name
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.training.config import ConditioningConfig, OptimizerConfig, RunConfig
from difflaw.training.loop import Execution, train
from difflaw.training.run_directory import RunDirectory

GOLDEN = Path(__file__).with_name("loss_curves.json")
VOCABULARY, CONTEXT, SEQUENCES, STEPS, MASK = 97, 32, 8, 50, 3
SHOWN = (1, 10, 20, 30, 40, STEPS)
"""Steps whose loss and bound are kept: the last depends on every bit of all before it."""
RELATIVE = (1e-5, 1e-5, 5e-5, 5e-5, 5e-5, 5e-5)
"""Allowed on another machine at the steps shown."""
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        name: (name, {})
        for name in ("autoregressive", "masked", "low-uniform", "balanced", "high-uniform", "uniform", "mdlm", "duo")
    },
    "duo, curriculum": ("duo", {"curriculum": 0.5, "tau": 0.05, "run_sequences": STEPS * SEQUENCES}),
    "esolm": ("esolm", {}),
    "esolm, alpha_0 0.5": ("esolm", {"alpha_0": 0.5}),
    "block": ("block", {"block_length": 8}),
}


def signature() -> dict[str, str]:
    """What decides how sums are rounded."""
    return {
        "processor": processor_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
    }


def text() -> np.ndarray:
    """Tokens of a noisy chain, so that there is something to learn in fifty steps."""
    rng = np.random.default_rng(0)
    steps = rng.choice([1, 2, 17], size=60 * CONTEXT * SEQUENCES, p=[0.8, 0.15, 0.05])
    return (MASK + 1 + np.cumsum(steps) % (VOCABULARY - MASK - 1)).astype(np.uint16)


def curve(case: str) -> dict[str, list[float]]:
    """Training loss and bound of the steps shown, as the loop writes them into a run directory."""
    name, options = CASES[case]
    config = RunConfig(
        family=resolve(name)[0],
        label=name,
        model=ModelConfig(vocab_size=VOCABULARY, layers=2, width=24, heads=2, context=CONTEXT),
        data_hash="none",
        mask_id=MASK,
        conditioning=ConditioningConfig(own_noise_probability=0.2, prompt_probability=0.1, max_empty_fraction=0.1),
        batch_sequences=SEQUENCES,
        steps=STEPS,
        optimizer=OptimizerConfig(lr=0.2, weight_decay=0.02, warmup_steps=5, cooldown_steps=10),
        precision="float32",
    )
    family = get(name, VOCABULARY, MASK, conditioning=config.conditioning.build(), **options)

    def no_evaluation(model: Transformer, step: int) -> dict[str, float]:
        return {"bound": 0.0}

    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder) / "run")
        directory.create(config)
        batches = Batches(text(), CONTEXT, SEQUENCES, config.seed)
        train(config, directory, family, batches, no_evaluation, Execution(device="cpu"))
        records = {record["step"]: record for record in directory.records("train")}
    return {key: [records[step][key] for step in SHOWN] for key in ("loss", "bound")}


def moved(found: dict[str, list[float]], golden: dict[str, list[float]]) -> np.ndarray:
    """Relative difference at the steps shown, of loss or bound, whichever is larger."""
    return np.max([np.abs(np.array(found[key]) / golden[key] - 1) for key in golden], 0)


def written(off: np.ndarray) -> str:
    """One difference a step shown."""
    return " ".join(f"{x:.1e}" for x in off)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("case", CASES)
def test_the_curve_is_the_golden_one(case: str) -> None:
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))
    golden, found = stored["curves"][case], curve(case)
    off = moved(found, golden)
    if stored["signature"] == signature():
        assert found == golden, f"not bit-identical: moved by {written(off)} at steps {SHOWN}. Is the change numeric?"
    else:
        assert (off < RELATIVE).all(), f"moved by {written(off)} at steps {SHOWN}"


def test_no_other_curve_is_stored() -> None:
    assert list(json.loads(GOLDEN.read_text(encoding="utf-8"))["curves"]) == list(CASES)


def write() -> None:
    """Store this machine's curves."""
    torch.set_num_threads(1)
    before = json.loads(GOLDEN.read_text(encoding="utf-8"))["curves"] if GOLDEN.exists() else {}
    found = {case: curve(case) for case in CASES}
    for case in CASES:
        off = written(moved(found[case], before[case])) if case in before else "new"
        print(f"{case:20} moved by {off}")
    curves = ",\n".join(f"{json.dumps(case)}: {json.dumps(values)}" for case, values in found.items())
    head = f'{{"signature": {json.dumps(signature())},\n"steps": {json.dumps(SHOWN)},\n"curves": {{\n'
    GOLDEN.write_text(head + curves + "}}\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        raise SystemExit(__doc__)
    write()
