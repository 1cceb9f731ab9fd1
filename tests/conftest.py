"""Fixtures for all tests: the shared folder beside the checkout, which CI must have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with golden numbers and real data; absent ones skip a test, except in CI."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail("the shared folder must be present in CI")
        pytest.skip("the shared folder with golden numbers is not here; tests/facts has the essential part")
    return folder


TEXT = "the cat sat on the mat and the dog sat on the log; " * 40


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch):
    """Write a run directory nobody trained: random weights, a recorded bound, its vocabulary in the cache."""
    import torch

    from difflaw.data.tokenizer import train_tokenizer
    from difflaw.families import get
    from difflaw.model.transformer import Transformer
    from difflaw.training import checkpoint
    from difflaw.training.config import RunConfig
    from difflaw.training.run_directory import RunDirectory

    monkeypatch.setenv("DIFFLAW_CACHE", str(tmp_path / "cache"))
    vocab_size = 270

    def make(name: str = "run", family: str = "balanced", tokenizer: bool = True, **shape) -> Path:
        family, options = ("gidd", {"noise_type": family}) if "-" in family or family == "balanced" else (family, {})
        config = RunConfig.model_validate(
            {
                "family": family,
                "family_options": options,
                "label": name,
                "model": {"vocab_size": vocab_size, "layers": 2, "width": 16, "heads": 2, "context": 12, **shape},
                "data_hash": f"hash-of-{name}",
                "batch_sequences": 2,
                "steps": 20,
                "optimizer": {"lr": 0.1, "warmup_steps": 0},
                "conditioning": {"prompt_probability": 0.2},
            }
        )
        run = RunDirectory(tmp_path / name)
        run.create(config)
        model = Transformer(config.model, causal=get(family, vocab_size, 3).causal)
        for step in (10, 20):
            generator = torch.Generator().manual_seed(step)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.normal_(std=0.2, generator=generator)
            if not config.model.tied:
                checkpoint.save(run.path / "checkpoints", step, model, None, {"seconds": 1.0})
            record = {"kind": "evaluation", "step": step, "tokens": step * 24, "flops": step * 1e3}
            run.append({**record, "bound": 5.0 - step / 10, "standard_error": 0.25, "bits_per_byte": 2.0})
        if tokenizer:
            folder = tmp_path / "cache" / config.data_hash
            folder.mkdir(parents=True)
            (folder / "tokenizer.json").write_text(train_tokenizer([TEXT], vocab_size).to_str(), encoding="utf-8")
        return run.path

    return make
