"""The head's Triton kernels in Triton's interpreter, on the processor, against the same passes in float64."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from types import ModuleType

import pytest
import torch

from difflaw.model import fused_loss as module
from difflaw.model.head_passes import Fused, Targets, row_sums, suppress
from difflaw.model.head_passes import backward_pass as plain_backward
from tests.model import test_fused_loss as loss

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
interpreted = pytest.mark.skipif(not INTERPRETED, reason="run by test_in_a_process_of_its_own")
T, V, MASK = 6, 611, 3


@pytest.mark.skipif(INTERPRETED, reason="this is that process")
def test_in_a_process_of_its_own() -> None:
    """Triton looks once, when it is first imported, whether it interprets; here PyTorch may have imported it."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.fixture
def kernels(monkeypatch) -> ModuleType:
    """The module, with blocks that do not divide the vocabulary."""
    module = importlib.import_module("difflaw.model.head_triton")
    monkeypatch.setattr(module, "BLOCK", 128)
    return module


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("with_ratio", [False, True])
def test_passes(kernels, dtype: torch.dtype, with_ratio: bool) -> None:
    g = torch.Generator().manual_seed(0)
    logits = (4 * torch.randn(T, V, generator=g)).to(dtype)
    logits[0, 17] = 80.0  # a token the network is sure of
    ratio = torch.linspace(-5, 12, T).exp() if with_ratio else None
    x = torch.randint(4, V, (T,), generator=g)
    at_x, _ = suppress(logits, Targets(x, None, ratio, MASK))
    wide = None if ratio is None else ratio.double()
    sums, p_TV = row_sums(logits.double(), at_x.double(), wide, overwrite=False)
    found = kernels.row_sums(logits, at_x, ratio)
    for ours, theirs in zip(found, sums, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            torch.testing.assert_close(ours.double(), theirs, rtol=2e-4, atol=1e-30)
    pull = torch.randn(T, 1, generator=g)
    bent = torch.randn(T, 1, generator=g) if with_ratio else None
    expected = plain_backward(p_TV, wide, pull.double(), None if bent is None else bent.double())
    kernels.backward_pass(logits, found.top, found.total, ratio, pull, bent)
    error = (logits.double() - expected).norm() / expected.norm()
    assert float(error) < (2e-6 if dtype == torch.float32 else 5e-3)


@interpreted
@pytest.mark.parametrize("kind", ["x", "all three"])
def test_loss_and_gradient(kernels, monkeypatch, kind: str) -> None:
    passes = Fused(kernels.row_sums, kernels.backward_pass)
    monkeypatch.setattr(module, "fused", lambda device, compiled: passes)
    monkeypatch.setattr(module, "LEAST_ROWS", 11)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 1)
    loss.assert_close(loss.ours(kind, z_loss=loss.z_weights()), loss.plain(kind, z_loss=True), 5e-6)
