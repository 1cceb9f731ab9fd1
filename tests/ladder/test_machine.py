"""What is said of a machine: plausible here, and right where a container or an odd system says otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from difflaw.errors import InputError
from difflaw.ladder import machine


def files(monkeypatch, contents: dict[str, str]) -> None:
    monkeypatch.setattr(machine, "_text", contents.get)


def test_this_machine_is_plausible(tmp_path) -> None:
    found = machine.look(tmp_path)
    assert found.processor
    assert found.cores >= 1
    assert found.memory_bytes is None or found.memory_bytes > 2**28
    assert found.memory_available_bytes is None or found.memory_available_bytes > 0
    assert found.disk_free_bytes >= 0
    assert found.python == ".".join(map(str, sys.version_info[:3]))


def test_family_and_model_tell_processors_of_one_name_apart(monkeypatch) -> None:
    text = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nflags : fpu avx2 avx512_bf16\n"
    files(monkeypatch, {"/proc/cpuinfo": text + "\n" + text.replace("17", "1")})
    assert machine.processor_name() == "AMD EPYC (family 25, model 17)"
    assert machine._matrix_flags() == ("avx2", "avx512_bf16")


def test_a_system_without_proc_has_a_name_too(monkeypatch) -> None:
    files(monkeypatch, {})
    assert machine.processor_name()
    assert machine._matrix_flags() == ()
    assert machine._memory_available() is None


@pytest.mark.parametrize(
    ("contents", "quota"),
    [
        ({"/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"/sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"/sys/fs/cgroup/cpu.max": "1600000 100000\n"}, None),
        (
            {
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.0,
        ),
        (
            {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ({}, None),
    ],
)
def test_a_containers_quota(monkeypatch, contents: dict[str, str], quota: float | None) -> None:
    monkeypatch.setattr(machine, "default_workers", lambda: 16)
    files(monkeypatch, contents)
    assert machine._core_quota() == quota


def test_a_containers_memory(monkeypatch) -> None:
    files(monkeypatch, {"/sys/fs/cgroup/memory.max": "1073741824\n"})
    assert machine._memory() == 2**30
    files(monkeypatch, {"/sys/fs/cgroup/memory.max": "max\n"})
    assert machine._memory() != 2**30


def test_a_folder_that_cannot_take_runs(tmp_path, monkeypatch) -> None:
    with pytest.raises(InputError, match="not a folder"):
        machine.look(tmp_path / "nowhere")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="not a folder"):
        machine.look(file)

    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    with pytest.raises(InputError, match="not writable"):
        machine.look(tmp_path)
