"""A search through the command line: it ends with laws' material, survives a kill with the same decisions, refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from difflaw.api.ladders import prepare_ladder, run_ladder
from difflaw.errors import InputError

SEARCH: dict[str, Any] = {
    "name": "found",
    "data": {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 400_000}},
    "context": 16,
    "families": ["autoregressive", "masked"],
    "search": {"largest": 1.6e8, "flops": 1.2e9, "budgets": 3, "widths": [4, 32], "points": 1},
    "batch": 64,
    "lr": 0.2,
    "warmup": 10,
    "evaluation": {"sequences": 16},
}


def difflaw(*arguments: object, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DIFFLAW_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "difflaw", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "search.yaml"
    path.write_text(yaml.safe_dump({**SEARCH, **changes}))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache) -> tuple[Path, str]:
    """(folder of a search run without interruption, what it printed)."""
    folder = tmp_path_factory.mktemp("search")
    done = difflaw("ladder", "run", write(folder), "-o", folder / "out", "--workers", 2, cache=cache)
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stderr


def test_every_decision_is_written_with_its_reason(finished, cache) -> None:
    out, printed = finished
    lines = [json.loads(line) for line in (out / "decisions.jsonl").read_text().splitlines()]
    assert {line["family"] for line in lines} == {"autoregressive", "masked"}
    assert all(line["reason"] and line["runs"] for line in lines)
    for line in lines:
        assert line["reason"] in printed
    given = json.loads(difflaw("ladder", "decisions", out, "--json", cache=cache).stdout)
    assert given["decisions"] == lines
    assert given["state"]["verdict"]
    assert given["state"]["spent"] == pytest.approx(sum(line["flops"] for line in lines))
    assert given["state"]["spent"] <= given["state"]["flops"]
    assert "asked for" in difflaw("ladder", "status", out, cache=cache).stdout
    assert "search ended" in printed
    assert lines[0]["reason"] in (out / "report.html").read_text()


def test_runs_are_made_longer_not_made_again(finished) -> None:
    out, _ = finished
    runs = {}
    for path in (out / "runs").iterdir():
        config = json.loads((path / "config.json").read_text())
        key = (config["label"], config["model"]["width"], config["seed"])
        assert key not in runs, f"{key} was run twice"
        runs[key] = config["steps"]
    asked: dict[Any, float] = {}
    for line in map(json.loads, (out / "decisions.jsonl").read_text().splitlines()):
        for run in line["runs"]:
            key = (line["family"], int(run["shape"].split("x")[0]), run["seed"])
            asked[key] = max(asked.get(key, 0.0), run["budget"])
    assert set(asked) == set(runs)


def bounds(out: Path) -> dict[str, list[tuple[int, float]]]:
    found = {}
    for run in sorted((out / "runs").iterdir()):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if line.endswith("}")]
        found[run.name] = sorted({r["step"]: r["bound"] for r in lines if r["kind"] == "evaluation"}.items())
    return found


def test_killed_and_started_again_it_decides_the_same(finished, cache, tmp_path) -> None:
    out, whole = tmp_path / "out", finished[0]
    command = [sys.executable, "-m", "difflaw", "ladder", "run", str(write(tmp_path)), "-o", str(out), "--workers", "1"]
    command += ["--checkpoint-seconds", "0.2"]
    environment = {**os.environ, "DIFFLAW_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    for wanted in (2, 5):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        limit = time.monotonic() + 120
        while len(list(out.glob("runs/*/summary.json"))) < wanted and process.poll() is None:
            assert time.monotonic() < limit
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    run_ladder(write(tmp_path), out, workers=1, cache=cache)
    assert (out / "decisions.jsonl").read_text() == (whole / "decisions.jsonl").read_text()
    assert bounds(out) == bounds(whole)


def test_running_again_changes_nothing(finished, cache, tmp_path) -> None:
    out, _ = finished
    before = (out / "decisions.jsonl").read_text(), bounds(out)
    said: list[str] = []
    run_ladder(write(tmp_path), out, cache=cache, say=said.append)
    assert [line for line in said if line.startswith("masked")] == []
    assert ((out / "decisions.jsonl").read_text(), bounds(out)) == before


def test_a_dry_run_says_what_may_be_run_and_makes_no_folder(cache, tmp_path) -> None:
    done = difflaw("ladder", "run", write(tmp_path), "-o", tmp_path / "out", "--dry-run", "--json", cache=cache)
    plan = json.loads(done.stdout)
    assert plan["budgets"] == [4e7, 8e7, 1.6e8]
    assert plan["flops"] == 1.2e9
    assert plan["seconds"] > 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rungs": [{"width": 8, "depth": 1}]}, "search and rungs are both given"),
        ({"budgets": [1e8]}, "search and budgets are both given"),
        ({"seeds": [0, 1]}, "search and seeds are both given"),
        ({"search": {"budgets": 4}}, "give flops (of the whole ladder), largest"),
        ({"search": {"largest": 1e5, "widths": [4, 32]}}, "need search.largest of about"),
        ({"search": {"largest": 1e12, "widths": [4, 32]}}, "it carries a search up to --set search.largest="),
        ({"search": {"largest": 1.6e8, "widths": [8, 12]}}, "widen it"),
        ({"search": {"largest": 1.6e8, "sizes": 3}}, "search.sizes"),
        ({"cooldown": 0.2}, "leave cooldown out"),
        ({"warmup": 0.1}, "warmup is in steps"),
        ({"batch": "paper"}, "one number of tokens"),
        ({"lr": [0.1, 0.2]}, "give one lr"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(changes, words, cache, tmp_path) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as found:
        prepare_ladder(write(tmp_path, **changes), cache=cache)
    assert "\n" not in str(found.value)


def test_a_config_changed_between_sittings_is_refused_and_more_flops_are_not(finished, cache, tmp_path) -> None:
    out, _ = finished
    before = bounds(out)
    changed = difflaw("ladder", "run", write(tmp_path, lr=0.1), "-o", out, cache=cache)
    assert changed.returncode == 2
    assert "lr differ" in changed.stderr
    with pytest.raises(InputError, match="lr differ"):
        run_ladder(write(tmp_path, lr=0.1), out, extend=True, cache=cache)
    larger = {**SEARCH["search"], "flops": 18 * 1.6e8}
    with pytest.raises(InputError, match="--extend"):
        run_ladder(write(tmp_path, search=larger), out, cache=cache)
    assert bounds(out) == before


def test_decisions_of_a_fixed_ladder_are_refused(cache, tmp_path) -> None:
    (tmp_path / "ladder.json").write_text('{"config": {}, "data": {}, "cells": {}}')
    done = difflaw("ladder", "decisions", tmp_path, cache=cache)
    assert done.returncode == 2
    assert "is a fixed ladder" in done.stderr
