"""Cells in worker processes: what the parent's process keeps, and what each cell writes down."""

from __future__ import annotations

import json
import os

import torch

from difflaw.data.config import DataConfig
from difflaw.data.store import prepare
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.plan import make_plan
from difflaw.ladder.runner import run_cells


def test_the_environment_is_as_before_and_cells_keep_their_threads(small, cache, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    raw = {**small, "families": ["masked"], "rungs": [{"width": 8, "depth": 1}], "horizons": [5120]}
    store = prepare(DataConfig.model_validate(raw["data"]), cache)
    ladder = LadderDirectory(tmp_path / "out")
    ladder.create(make_plan(LadderConfig.model_validate(raw), store))
    environment, threads = dict(os.environ), torch.get_num_threads()
    run_cells(ladder, store.folder, workers=1, longest_first={})
    assert dict(os.environ) == environment
    assert torch.get_num_threads() == threads
    for _, _, run in ladder.cells():
        assert run.status() == "done"
        assert json.loads((run.path / "engine.json").read_text())["threads"] == 1
        assert (run.progress() or {})["seconds_left"] == 0.0
