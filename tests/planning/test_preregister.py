"""A stored forecast is scored against a run, and against nothing else."""

from __future__ import annotations

import json
import math

import pytest

from difflaw.errors import InputError
from difflaw.planning.preregister import score, store
from tests.planning.test_planner import made


@pytest.fixture
def stored(tmp_path):
    p = made(flops=1e21)
    store(tmp_path / "plan.json", [p], "published:gidd")
    return tmp_path / "plan.json", p


def run(folder, p, bound, **changes):
    folder.mkdir()
    config = {
        "family": "gidd",
        "label": "uniform",
        "model": {"vocab_size": 131_072, "layers": p.layers, "width": p.width, "context": 2048},
        "batch_sequences": p.batch_sequences,
        "optimizer": {"lr": float(f"{p.lr:.4g}")},
    }
    config["model"] |= changes
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "summary.json").write_text(json.dumps({"status": "done", "bound": bound, "tokens": p.tokens}))
    return folder


def test_score_in_standard_deviations(stored, tmp_path):
    path, p = stored
    half = math.log(p.run_interval.high / p.loss)
    one_sd = p.loss * math.exp(half / 1.959964)
    found = score(path, run(tmp_path / "a", p, one_sd))
    assert found.z == pytest.approx(1.0, abs=1e-6)
    assert found.inside_run is True
    assert found.inside_law is False
    assert found.differences == ()
    assert "standard deviations" in found.reading
    assert score(path, run(tmp_path / "b", p, p.loss * 1.2)).inside_run is False


def test_another_shape_is_named(stored, tmp_path):
    path, p = stored
    found = score(path, run(tmp_path / "a", p, p.loss, layers=p.layers + 1))
    assert [d.split(":")[0] for d in found.differences] == ["layers"]


def test_what_cannot_be_scored(stored, tmp_path):
    path, p = stored
    with pytest.raises(InputError, match="different tokenizers cannot be compared"):
        score(path, run(tmp_path / "a", p, p.loss, vocab_size=1024))
    folder = run(tmp_path / "b", p, p.loss)
    (folder / "summary.json").write_text(json.dumps({"status": "diverged"}))
    with pytest.raises(InputError, match="diverged"):
        score(path, folder)
    with pytest.raises(InputError, match="no such file"):
        score(path, tmp_path / "nowhere")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match="no stored plan"):
        score(tmp_path / "x.json", folder)


def test_a_forecast_is_written_once(stored):
    path, p = stored
    with pytest.raises(InputError, match="not changed"):
        store(path, [p], "published:gidd")


def test_hashes_pin_the_law_and_the_data(tmp_path):
    (tmp_path / "laws.json").write_text("{}")
    (tmp_path / "t.csv").write_text("a")
    record = store(tmp_path / "p.json", [made(flops=1e20)], str(tmp_path / "laws.json"), tmp_path / "t.csv")
    assert len(record["law_sha256"]) == len(record["data_sha256"]) == 64
    with pytest.raises(InputError, match="cannot be read"):
        store(tmp_path / "q.json", [], "published:gidd", tmp_path / "missing.csv")
