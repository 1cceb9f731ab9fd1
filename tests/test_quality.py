"""`benchmarks/quality.py`: a multiplier is read off the baseline's curve, and says when it is beyond it."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def quality(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("quality")


def power_law(flops: float) -> float:
    return 10.0 * flops**-0.1


def test_a_power_law_is_read_exactly_and_followed_beyond_its_end(quality) -> None:
    curve = [{"flops": 1e9 * 1.5**k, "bound": power_law(1e9 * 1.5**k)} for k in range(12)]
    for flops in (1.2e9, 5e9, 4e10):
        assert quality.baseline_flops(curve, power_law(flops)) == (pytest.approx(flops, rel=1e-6), True)
    found, on_it = quality.baseline_flops(curve, power_law(2e11))
    assert not on_it
    assert found == pytest.approx(2e11, rel=1e-6)


def test_a_curve_that_rises_again_does_not_count_twice(quality) -> None:
    curve = [{"flops": f, "bound": b} for f, b in ((1.0, 4.0), (2.0, 3.0), (4.0, 3.5), (8.0, 2.0))]
    assert 2.0 <= quality.baseline_flops(curve, 3.0)[0] <= 4.0
    assert 4.0 < quality.baseline_flops(curve, 2.9)[0] < 8.0


def test_seeds_give_a_mean_and_its_error(quality) -> None:
    assert quality.spread([2.0, 2.0]) == "2.00 ± 0 %"
    assert quality.spread([1.0, 4.0]) == f"2.00 ± {100 * math.log(4) / 2:.0f} %"


def test_what_orthogonalising_adds_is_the_share_of_the_docstring(quality) -> None:
    from difflaw.model.config import ModelConfig
    from difflaw.training.config import OptimizerConfig, RunConfig

    model = ModelConfig(vocab_size=20, layers=3, width=32, heads=1, context=128)
    optimizer = OptimizerConfig(name="muon", lr=0.1, warmup_steps=0)
    fields = {"family": "gidd", "label": "masked", "model": model, "data_hash": "none", "batch_sequences": 4}
    config = RunConfig.model_validate({**fields, "steps": 7, "optimizer": optimizer})
    hidden = 72.0 * 3 * 32**2 * 7 * 512
    assert quality.extra_flops(config, hidden) == pytest.approx(4.2 * 32 / 512, rel=0.01)
    assert quality.extra_flops(config.model_copy(update={"optimizer": OptimizerConfig(lr=0.1)}), hidden) == 0
