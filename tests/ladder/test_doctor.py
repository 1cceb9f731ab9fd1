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
    return doctor.Measured(matmul, {1: 1e10, 2: 2e10}, device, None if device is None else 1e12)


@pytest.mark.parametrize(("ratio", "chosen"), [(0.05, "float32"), (1.4, "float32"), (1.6, "bfloat16")])
def test_bfloat16_where_it_is_measured_to_pay(ratio: float, chosen: str) -> None:
    assert doctor.precision_of(rates(ratio))[0] == chosen


def test_the_accelerator_decides_where_there_is_one() -> None:
    precision, why = doctor.precision_of(rates(0.5, accelerator=8.0))
    assert precision == "bfloat16"
    assert "accelerator" in why


def test_steps_are_compiled_where_something_can_compile_them() -> None:
    assert doctor.compiles(PLAIN) == (True, "/usr/bin/c++")
    compiled, why = doctor.compiles(replace(PLAIN, compiler=None))
    assert not compiled
    assert "g++" in why
    assert doctor.compiles(GPU)[0]
    assert not doctor.compiles(replace(GPU, triton=None))[0]


def test_choices_name_everything_once() -> None:
    choices = {choice.name: choice.value for choice in doctor.choose(PLAIN, rates(2.0))}
    assert list(choices) == ["device", "precision", "threads per cell", "workers", "compiled steps"]
    assert choices["workers"] == 2


def test_notes_warn_of_a_quota_and_of_a_full_disk() -> None:
    assert doctor.notes_on(PLAIN) == ()
    quota, disk = doctor.notes_on(replace(PLAIN, cores=64, core_quota=2.5, disk_free_bytes=2**28))
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
    assert set(seen) == {1, 2}
