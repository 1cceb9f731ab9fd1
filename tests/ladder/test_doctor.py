"""The rules of `difflaw doctor`: what is chosen for which machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from difflaw.ladder import doctor, machine

HERE = machine.look(Path("."))
PLAIN = replace(HERE, cores=2, core_quota=None, accelerators=(), compiler="/usr/bin/c++", disk_free_bytes=2**40)
GPU = replace(PLAIN, accelerators=(machine.Accelerator("card", 2**36, "9.0"),), triton="3.0")


def rates(ratio: float, accelerator: float | None = None) -> doctor.Measured:
    matmul = {"float32": {1: 1e11, 2: 2e11}, "bfloat16": {1: ratio * 1e11, 2: ratio * 2e11}}
    device = None if accelerator is None else {"float32": 1e13, "bfloat16": accelerator * 1e13}
    return doctor.Measured(matmul, {1: 1e10, 2: 2e10}, 1.0, device, None if device is None else 1e12)


@pytest.mark.parametrize(("pays", "chosen"), [(False, "float32"), (True, "bfloat16")])
def test_bfloat16_where_the_engine_says_it_pays(monkeypatch, pays: bool, chosen: str) -> None:
    monkeypatch.setattr(doctor, "bfloat16_pays", lambda device: pays)
    precision, why = doctor.precision_of(rates(0.5, accelerator=8.0), "cuda")
    assert precision == chosen
    assert "8 times" in why


def test_steps_are_compiled_where_something_can_compile_them(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "can_compile", lambda device: True)
    assert "/usr/bin/c++" in doctor.compiles(PLAIN, "cpu")[1]
    assert "triton 3.0" in doctor.compiles(GPU, "cuda")[1]
    monkeypatch.setattr(doctor, "can_compile", lambda device: False)
    for machine_, missing in ((PLAIN, "g++"), (GPU, "triton")):
        compiled, why = doctor.compiles(machine_, "cpu")
        assert not compiled
        assert missing in why


def test_choices_name_everything_once() -> None:
    choices = {choice.name: choice.value for choice in doctor.choose(PLAIN, rates(2.0))}
    assert list(choices) == ["device", "precision", "threads per cell", "workers", "compiled steps"]
    assert choices["workers"] == 2


def test_notes_warn_of_a_quota_a_full_disk_and_other_work() -> None:
    assert doctor.notes_on(PLAIN, rates(2.0)) == ()
    small = replace(PLAIN, cores=64, core_quota=2.5, disk_free_bytes=2**28)
    busy, quota, disk = doctor.notes_on(small, replace(rates(2.0), undisturbed=0.55))
    assert "45%" in busy
    assert "--workers 2" in quota
    assert "256 MiB" in disk


def test_measuring_covers_one_core_and_all_and_leaves_threads_alone(monkeypatch) -> None:
    seen: list[int] = []

    def peak(dtype: str, size: int = 768, seconds: float = 0.1) -> float:
        seen.append(torch.get_num_threads())
        return 1e9 * torch.get_num_threads()

    monkeypatch.setattr(doctor, "matmul_peak", peak)
    monkeypatch.setattr(doctor, "COPIED_BYTES", 1 << 20)
    before = torch.get_num_threads()
    measured = doctor.measure(PLAIN)
    assert torch.get_num_threads() == before
    assert measured.matmul == {"float32": {1: 1e9, 2: 2e9}, "bfloat16": {1: 1e9, 2: 2e9}}
    assert set(measured.copy) == {1, 2}
    assert measured.accelerator_matmul is None
    assert 0 < measured.undisturbed <= 1
    assert set(seen) == {1, 2}
