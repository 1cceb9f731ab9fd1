"""`make bench`: figures and limits, and a run that outlives the benchmarks that fail."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
GOOD = """
from figures import Figure, report
def main():
    print("a table")
    return [Figure("speed", 5.0, "times", at_least=4.0), Figure("share [x]", 0.5, "of peak")]
report(main)
"""
MISSED = GOOD.replace("5.0", "3.0")
CRASHES = "import sys; sys.exit('no network here')"
SILENT = "pass"
NONSENSE = "print('done')"
NAN = 'print(\'{"figures": [{"name": "a", "value": NaN}]}\')'
TRAINING = """
import json
case = {"family": "masked", "vocabulary": 8192, "body_parameters": 6000000}
case |= {"tokens_per_s": 12345.6, "share_of_peak": .6}
small = case | {"body_parameters": 100000, "share_of_peak": .2}
print(json.dumps({"matmul_peak_gflops": {"float32": 100.0, "bfloat16": 220.0}, "cases": [case, small],
                  "uniform_over_ar": {"256x": 1.5}}))
"""


@pytest.fixture
def bench(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("all", "figures"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("all")
    monkeypatch.setattr(module, "LONG", {"slow": "7 min"})
    return module


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / "benchmarks"
    place.mkdir()
    (place / "figures.py").write_text((BENCHMARKS / "figures.py").read_text())
    return place


def ran(bench: ModuleType, folder: Path, *arguments: str, capsys) -> tuple[int, str]:
    code = bench.main(list(arguments), folder, folder / "results")
    return code, capsys.readouterr().out


def test_one_table_and_a_file_each(bench, folder, capsys) -> None:
    (folder / "good.py").write_text(GOOD)
    (folder / "slow.py").write_text(GOOD)
    code, out = ran(bench, folder, capsys=capsys)
    assert code == 0
    assert "a table" not in out
    for words in ("good (", "speed", "5 times", "≥ 4", "yes", "share [x]", "50.0% of peak", "slow (7 min)"):
        assert words in out
    assert [path.name for path in (folder / "results").iterdir()] == ["good.json"]
    text = (folder / "results/good.json").read_text()
    stored = json.loads(text)
    assert stored["figures"][0] == {
        "name": "speed",
        "value": 5.0,
        "unit": "times",
        "at_most": None,
        "at_least": 4.0,
        "met": True,
    }
    assert set(stored["machine"]) >= {"processor", "cores", "memory_bytes"}
    assert set(stored["versions"]) >= {"python", "torch", "numpy"}
    assert stored["date"].startswith("20")
    assert "commit" in stored
    assert str(folder) not in text
    assert str(BENCHMARKS.parent) not in text


def test_all_and_names(bench, folder, capsys) -> None:
    for name in ("good", "slow"):
        (folder / f"{name}.py").write_text(GOOD)
    _, out = ran(bench, folder, "--all", capsys=capsys)
    assert "slow (" in out
    assert "left out" not in out
    _, out = ran(bench, folder, "slow.py", capsys=capsys)
    assert "good" not in out
    with pytest.raises(SystemExit) as stop:
        ran(bench, folder, "fast", capsys=capsys)
    assert stop.value.code == 2
    assert "use one of good, slow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (CRASHES, "exit code 1: no network here"),
        (SILENT, "nothing on standard output"),
        (NONSENSE, "cannot be read"),
        (NAN, "a figure is NaN"),
        ("import time; time.sleep(60)", "given up after 3 s"),
    ],
)
def test_a_failure_is_a_row_and_the_rest_go_on(bench, folder, capsys, monkeypatch, script: str, words: str) -> None:
    (folder / "bad.py").write_text(script)
    if "sleep" in script:
        monkeypatch.setattr(bench, "PATIENCE", 3.0)
        (folder / "good.py").write_text(TRAINING)
    else:
        (folder / "good.py").write_text(GOOD)
    code, out = ran(bench, folder, capsys=capsys)
    assert code == 1
    joined = " ".join(out.split())
    assert words in joined
    assert "FAILED" in joined
    assert words in json.loads((folder / "results/bad.json").read_text())["failure"]
    assert json.loads((folder / "results/good.json").read_text())["failure"] is None


def test_a_missed_limit_is_said_and_counts(bench, folder, capsys) -> None:
    (folder / "slack.py").write_text(MISSED)
    code, out = ran(bench, folder, capsys=capsys)
    assert code == 1
    assert "NO" in out
    done = subprocess.run([sys.executable, str(folder / "slack.py")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == "a table\n"
    assert "limits missed: speed" in done.stderr


def test_the_training_table(bench, folder, capsys) -> None:
    (folder / "training.py").write_text(TRAINING)
    code, out = ran(bench, folder, "--json", capsys=capsys)
    assert code == 1
    found = json.loads(out)["benchmarks"][0]["figures"]
    assert [f["value"] for f in found] == [100.0, 220.0, 0.6, 0.2, 1.5]
    assert [f["at_least"] for f in found] == [None, None, 0.5, 0.25, None]
    assert found[-1]["at_most"] == 1.35
    assert "12,346 tokens/s" in found[2]["name"]
    assert json.loads((folder / "results/training.json").read_text())["printed"]["cases"][0]["family"] == "masked"


def test_figures_write_values_and_limits_alike(bench) -> None:
    figure = importlib.import_module("figures").Figure
    near = figure("objective", 0.00101827402, at_most=0.001018275)
    assert near.met
    assert near.written(near.value) == "0.001018274"
    assert near.limit == "≤ 0.001018275"
    assert figure("share", 0.96, "of ladders", 0.98, 0.94).limit == "≥ 94.0% and ≤ 98.0%"
    assert figure("memory", float("nan"), at_most=1.0).met is False
    assert figure("rate", 123456.7).written(123456.7) == "123,457"
    assert figure("rate", 1.0).limit == ""


def test_every_benchmark_gives_figures_and_has_a_first_line() -> None:
    for script in BENCHMARKS.glob("bench_*.py"):
        assert "report(main)" in script.read_text(encoding="utf-8"), script.name
