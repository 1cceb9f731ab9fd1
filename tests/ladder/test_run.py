"""Whole ladders through the command line: the main job, its resume, its statuses, its refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from difflaw.law.table import read_table
from difflaw.law.table.early_stopping import overtrained
from difflaw.training.run_directory import RunDirectory


def difflaw(*arguments: object, cache: Path, ok: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line; with ``ok`` it must succeed."""
    environment = {**os.environ, "DIFFLAW_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "difflaw", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    if ok:
        assert done.returncode == 0, done.stderr
    return done


def evaluations(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, bound) of every evaluation by run, last record of a step wins."""
    found = {}
    for run in sorted((folder / "runs").iterdir()):
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if line.endswith("}")]
        found[run.name] = sorted({r["step"]: r["bound"] for r in records if r["kind"] == "evaluation"}.items())
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache, small) -> Path:
    """One finished small ladder."""
    folder = tmp_path_factory.mktemp("ladder")
    (folder / "ladder.yaml").write_text(yaml.safe_dump(small))
    difflaw("ladder", "run", folder / "ladder.yaml", "-o", folder / "out", "--workers", 2, cache=cache)
    return folder


def test_the_main_job(finished, cache) -> None:
    out = finished / "out"
    status = json.loads(difflaw("ladder", "status", out, "--json", cache=cache).stdout)
    assert {cell["status"] for cell in status} == {"done"}
    report = (out / "report.html").read_text()
    assert "uniform" in report
    assert (out / "figures/frontier.png").stat().st_size > 5000
    assert (out / "table.parquet").exists()
    run = next((out / "runs").glob("masked-16x1-*"))
    assert {p.name for p in run.iterdir()} >= {
        "config.json",
        "metrics.jsonl",
        "summary.json",
        "checkpoints",
        "account.json",
    }
    assert list(run.glob("checkpoints/*/model.safetensors"))


def test_no_bound_is_below_the_entropy_of_the_source(finished, cache) -> None:
    out = finished / "out"
    floor_info = json.loads((out / "ladder.json").read_text())["data"]
    assert floor_info["entropy_rate"] is not None
    status = json.loads(difflaw("ladder", "status", out, "--json", cache=cache).stdout)
    for cell in status:
        assert cell["loss"] > floor_info["entropy_rate"] - 3 * cell["loss_se"], cell["name"]


def test_running_again_changes_nothing(finished, cache) -> None:
    before = evaluations(finished / "out")
    difflaw("ladder", "run", finished / "ladder.yaml", "-o", finished / "out", cache=cache)
    assert evaluations(finished / "out") == before


def test_killed_and_continued_ends_with_the_same_numbers(finished, cache, tmp_path) -> None:
    out = tmp_path / "out"
    environment = {**os.environ, "DIFFLAW_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "difflaw", "ladder", "run", str(finished / "ladder.yaml"), "-o", str(out)]
    command += ["--workers", "2", "--checkpoint-seconds", "0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(out.glob("runs/*/checkpoints/step-*/state.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    unfinished = [run for run in (out / "runs").iterdir() if not (run / "summary.json").exists()]
    assert unfinished, "the kill came too late to mean anything"
    begun = [run for run in unfinished if (run / "metrics.jsonl").exists()]
    victim = (begun or unfinished)[0]
    while RunDirectory(victim).locked():  # an orphaned worker ends at its next step; until then the file is its own
        time.sleep(0.05)
    with (victim / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "evaluation", "step": 4, "bou')  # a line cut by a kill
    difflaw("ladder", "run", finished / "ladder.yaml", "-o", out, cache=cache)
    assert evaluations(out) == evaluations(finished / "out")


def test_a_killed_worker_is_replaced(finished, cache, tmp_path) -> None:
    out = tmp_path / "out"
    environment = {**os.environ, "DIFFLAW_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "difflaw", "ladder", "run", str(finished / "ladder.yaml"), "-o", str(out)]
    process = subprocess.Popen(
        [*command, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(out.glob("runs/*/metrics.jsonl")):
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=200) == 0
    assert evaluations(out) == evaluations(finished / "out")


def test_a_diverged_cell_is_labelled_and_the_ladder_goes_on(write_ladder, cache, tmp_path) -> None:
    path = write_ladder(lr=[0.2, 1e9, 1e38], families=["masked"], rungs=[{"width": 8, "depth": 1}])
    difflaw("ladder", "run", path, "-o", tmp_path / "out", cache=cache)
    status = json.loads(difflaw("ladder", "status", tmp_path / "out", "--json", cache=cache).stdout)
    assert [cell["status"] for cell in status] == ["done", "diverged", "diverged"]
    assert "not below the start" in status[1]["note"]
    assert "nan" in status[2]["note"] or "inf" in status[2]["note"]
    difflaw("ladder", "report", tmp_path / "out", cache=cache)


def test_dry_run_prices_and_runs_nothing(write_ladder, cache, tmp_path) -> None:
    done = difflaw("ladder", "run", write_ladder(), "-o", tmp_path / "out", "--dry-run", "--json", cache=cache)
    priced = json.loads(done.stdout)
    assert len(priced["cells"]) == 9
    assert priced["seconds"] > 0
    assert not (tmp_path / "out").exists()


def refused(*arguments: object, cache: Path, names: str) -> None:
    done = difflaw(*arguments, cache=cache, ok=False)
    assert done.returncode == 2, done.stderr
    assert names in done.stderr
    assert "Traceback" not in done.stderr
    last = [line for line in done.stderr.strip().splitlines() if line.startswith("difflaw: ")]
    assert len(last) == 1


def test_folder_of_another_ladder(finished, cache, write_ladder) -> None:
    refused("ladder", "run", write_ladder(name="other"), "-o", finished / "out", cache=cache, names="another ladder")
    refused("ladder", "run", write_ladder(lr=0.1), "-o", finished / "out", cache=cache, names="lr")
    refused("ladder", "run", write_ladder(), "-o", finished, cache=cache, names="not empty")
    refused("ladder", "status", finished, cache=cache, names="ladder.json")


def test_extending_keeps_what_is_there(finished, cache, write_ladder, tmp_path) -> None:
    out = tmp_path / "out"
    one = write_ladder(families=["masked"], rungs=[{"width": 8, "depth": 1}])
    difflaw("ladder", "run", one, "-o", out, cache=cache)
    before = evaluations(out)
    two = write_ladder(families=["masked"], rungs=[{"width": 8, "depth": 1}, {"width": 12, "depth": 1}])
    difflaw("ladder", "run", two, "-o", out, "--extend", cache=cache)
    after = evaluations(out)
    assert len(after) == 2
    assert all(after[name] == rows for name, rows in before.items())


@pytest.mark.parametrize("damage", ["config.json", "summary.json", "checkpoint"])
def test_a_damaged_run_directory(finished, cache, tmp_path, damage: str) -> None:
    import shutil

    out = tmp_path / "out"
    shutil.copytree(finished / "out", out)
    run = next((out / "runs").glob("masked-8x1-*"))
    if damage == "config.json":
        (run / "config.json").write_text('{"family": "gi')
        refused("ladder", "run", finished / "ladder.yaml", "-o", out, cache=cache, names="not valid JSON")
        return
    if damage == "summary.json":
        (run / "summary.json").write_text('{"stat')
    else:
        (run / "summary.json").unlink()
        for file in run.glob("checkpoints/*/model.safetensors"):
            file.write_bytes(file.read_bytes()[:100])
    difflaw("ladder", "run", finished / "ladder.yaml", "-o", out, cache=cache)
    assert evaluations(out) == evaluations(finished / "out")


def test_bad_files(cache, tmp_path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: [unclosed\n")
    refused("ladder", "run", bad, cache=cache, names="bad.yaml, line")
    bad.write_text("- a\n- b\n")
    refused("ladder", "run", bad, cache=cache, names="keys and values")
    refused("ladder", "run", tmp_path / "none.yaml", cache=cache, names="no such file")
    bad.write_text("name: a\nname: b\n")
    refused("ladder", "run", bad, cache=cache, names="given twice")


def test_empty_and_binary_corpora(cache, tmp_path, write_ladder) -> None:
    (tmp_path / "empty.txt").write_text("")
    data = {"corpus": str(tmp_path / "empty.txt"), "vocab_size": 300}
    refused("ladder", "run", write_ladder(data=data), cache=cache, names="empty.txt")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 10)
    data["corpus"] = str(tmp_path / "binary.txt")
    refused("ladder", "run", write_ladder(data=data), cache=cache, names="binary.txt")
    (tmp_path / "short.txt").write_text("a few words only\n" * 40)
    data |= {"corpus": str(tmp_path / "short.txt"), "vocab_size": 5000}
    refused("ladder", "run", write_ladder(data=data), cache=cache, names="larger than the corpus supports")


def test_a_data_limited_ladder(tmp_path, cache, small) -> None:
    """Every cell trains on its own number of different tokens, and table, dry run and status say so."""
    page = {**small, "families": ["autoregressive"], "unique_tokens": [1_600, 6_400], "max_epochs": 20}
    page["horizons"] = [1_600, 3_200, 6_400, 12_800, 25_600]
    (tmp_path / "ladder.yaml").write_text(yaml.safe_dump(page))
    plan = difflaw("ladder", "run", tmp_path / "ladder.yaml", "--dry-run", cache=cache).stderr
    assert "unique" in plan
    assert "1,600" in plan
    difflaw("ladder", "run", tmp_path / "ladder.yaml", "-o", tmp_path / "out", "--workers", 1, cache=cache)
    rows: Any = read_table(tmp_path / "out" / "table.csv").frame
    assert set(rows["unique_tokens"]) == {1_600, 6_400}
    assert (rows["epochs"] == rows["tokens"] / rows["unique_tokens"]).all()
    assert rows["epochs"].max() == 16
    assert "6,400" in difflaw("ladder", "status", tmp_path / "out", cache=cache).stdout


def test_a_run_that_learns_its_text_by_heart_has_not_diverged(tmp_path, cache, small) -> None:
    """Its bound on other text ends above the start, its rows stay, and the law leaves out those past the turn."""
    page = {**small, "families": ["autoregressive", "masked"], "unique_tokens": [128], "max_epochs": 400}
    page |= {"rungs": [{"width": 32, "depth": 1}], "horizons": [640, 25_600], "batch": 32, "warmup": 5}
    (tmp_path / "ladder.yaml").write_text(yaml.safe_dump(page))
    done = difflaw("ladder", "run", tmp_path / "ladder.yaml", "-o", tmp_path / "out", "--json", cache=cache)
    found = json.loads(done.stdout)
    assert {cell["status"] for cell in found["cells"]} == {"done"}
    rows: Any = read_table(tmp_path / "out" / "table.csv").frame
    own = rows[rows["family"] == "autoregressive"].sort_values("tokens")
    assert own["loss"].iloc[-1] > 2.5 > np.log(12) > own["loss"].min()  # at first all 12 symbols are alike
    assert overtrained(own).any()
