"""The ways a step can be run: what decides, and that compiled steps compute what eager ones do."""

from __future__ import annotations

import json

import pytest
import torch

from difflaw.errors import InputError
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.training import engine
from difflaw.training.engine import compiled_body, compiler, decided, decided_threads


def test_small_work_stays_eager_and_large_work_is_compiled(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(engine, "can_compile", lambda device: True)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert decided(tmp_path / "a", "auto", "cpu", 5.0) is False
    assert decided(tmp_path / "b", "auto", "cpu", 5000.0) is True
    # continued with other words and another estimate, a run goes on as it began
    assert decided(tmp_path / "a", "on", "cpu", 5000.0) is False
    assert decided(tmp_path / "b", "off", "cpu", 5.0) is True
    assert json.loads((tmp_path / "b" / "engine.json").read_text())["compiled"] is True


def test_a_compiled_run_is_not_continued_without_a_compiler(tmp_path, monkeypatch) -> None:
    (tmp_path / "engine.json").write_text('{"compiled": true}')
    monkeypatch.setattr(engine, "can_compile", lambda device: False)
    with pytest.raises(InputError, match=r"compiler \(g\+\+, or another in \$CXX\) is missing"):
        decided(tmp_path, "off", "cpu", 0.0)


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")
def test_compiled_layers_give_eager_states_and_gradients() -> None:
    """Causal, bidirectional, with a mask a sequence and other positions: all through one compiled form."""
    config = ModelConfig(vocab_size=29, layers=1, width=16, heads=2, context=12)
    torch.manual_seed(0)
    z = torch.randint(0, 29, (3, 12))
    order = torch.stack([torch.randperm(12) for _ in range(3)])
    mask = torch.rand(3, 12, 12) < 0.5
    for causal, given in ((False, ()), (True, ()), (False, (mask, order))):
        model = Transformer(config, causal=causal).initialise(1)
        body, pull = compiled_body(model), torch.randn(3, 12, 16)
        found = []
        for run in (model.hidden, body):
            model.zero_grad()
            states = run(z, *given)
            states.backward(pull)
            found.append([states.detach(), *(p.grad for p in model.model.parameters())])
        for eager, compiled in zip(*found, strict=True):
            assert float((eager - compiled).norm() / eager.norm()) < 1e-5


def test_the_compiler_is_the_one_torch_would_call(monkeypatch) -> None:
    asked: list[str] = []

    def which(name: str) -> None:
        asked.append(name)

    monkeypatch.setattr(engine.shutil, "which", which)
    assert engine.compiler.__wrapped__() is None
    assert asked
    assert None not in asked
    monkeypatch.setattr(engine.shutil, "which", lambda name: f"/bin/{name}")
    assert engine.compiler.__wrapped__() == f"/bin/{asked[0]}"


def test_a_run_goes_on_with_the_threads_it_began_with(tmp_path) -> None:
    assert decided_threads(tmp_path, 2) == 2
    assert decided(tmp_path, "off", "cpu", 0.0) is False  # another fact in the same file
    assert decided_threads(tmp_path, 1) == 2
    assert json.loads((tmp_path / "engine.json").read_text())["threads"] == 2


def test_a_run_made_before_threads_were_written_down(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(engine, "can_compile", lambda device: True)
    (tmp_path / "engine.json").write_text('{"compiled": true, "device": "cpu", "torch": "2.6"}')
    assert decided_threads(tmp_path, 1) == 1
    assert decided(tmp_path, "off", "cpu", 0.0) is True
    (tmp_path / "engine.json").write_text("[]")
    with pytest.raises(InputError, match=r"engine\.json: must be an object"):
        decided_threads(tmp_path, 1)


def test_the_processor_is_left_as_it_was() -> None:
    """Denormal numbers are zero while a run trains, and numbers again behind it."""
    tiny = torch.tensor(1e-40)
    assert float(tiny * 1.0) != 0.0
    with engine.prepared_processor():
        assert float(tiny * 1.0) == 0.0
    assert float(tiny * 1.0) != 0.0
