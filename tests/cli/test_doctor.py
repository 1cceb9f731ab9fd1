"""`difflaw doctor`: what it prints, with and without a GPU, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from difflaw.ladder import doctor as rules
from difflaw.ladder import machine

MEASURED = rules.Measured({"float32": {1: 1e11, 2: 2e11}, "bfloat16": {1: 2e11, 2: 4e11}}, {1: 2e10, 2: 3e10})


def test_json_of_this_machine(difflaw, tmp_path) -> None:
    outcome = difflaw("doctor", "--json", "--folder", tmp_path)
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert set(found) == {"machine", "measured", "will_use", "notes", "seconds"}
    assert found["seconds"] < 15
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["disk_free_bytes"] > 0
    for dtype in ("float32", "bfloat16"):
        by_threads = found["measured"]["matmul_flops_per_second"][dtype]
        assert all(1e8 < rate < 1e15 for rate in by_threads.values())
        assert set(by_threads) == {"1", str(found["machine"]["cores"])}
    assert all(1e8 < rate < 1e13 for rate in found["measured"]["copy_bytes_per_second"].values())
    use = {name: choice["value"] for name, choice in found["will_use"].items()}
    assert use["device"] in ("cpu", "cuda")
    assert use["precision"] in ("float32", "bfloat16")
    assert use["threads_per_cell"] >= 1
    assert use["workers"] >= 1
    assert isinstance(use["compiled_steps"], bool)
    assert all(choice["why"] for choice in found["will_use"].values())


@pytest.mark.parametrize("cards", [0, 2])
def test_the_tables(difflaw, monkeypatch, cards: int) -> None:
    measured = MEASURED
    if cards:
        measured = replace(MEASURED, accelerator_matmul={"float32": 5e13, "bfloat16": 7e14}, accelerator_copy=3.1e12)
    here = replace(
        machine.look(rules.Path(".")),
        cores=2,
        core_quota=1.5,
        accelerators=(machine.Accelerator("Card [big] 80GB", 80 * 2**30, "9.0"),) * cards,
    )
    monkeypatch.setattr(rules, "look", lambda folder: here)
    monkeypatch.setattr(rules, "measure", lambda machine: measured)
    outcome = difflaw("doctor")
    assert outcome.code == 0, outcome.err
    for word in (
        "This machine",
        "2, limited to the time of 1.5",
        "2 cores",
        "400 GFLOP/s",
        "30.0 GB/s",
        "bfloat16",
        "--workers 1",
    ):
        assert word in outcome.out
    assert ("Card [big] 80GB" in outcome.out) == bool(cards)
    assert ("700,000 GFLOP/s" in outcome.out) == bool(cards)
    assert ("none" in outcome.out) or cards


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--folder", "no/such/folder"), "not a folder"), (("--folder",), "--folder"), (("--nonsense",), "--nonsense")],
)
def test_wrong_input(difflaw, arguments: tuple, words: str) -> None:
    outcome = difflaw("doctor", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert "Traceback" not in outcome.err


def test_help(difflaw) -> None:
    outcome = difflaw("doctor", "--help")
    assert outcome.code == 0
    assert "--json" in outcome.out
