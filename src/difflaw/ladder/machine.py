"""What this machine has: processor, cores, memory, vector instructions, compiler, accelerators, free disk space."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from difflaw.errors import InputError
from difflaw.ladder.runner import default_workers
from difflaw.training.engine import compiler

MATRIX_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve", "bf16", "i8mm")
"""Instructions that speed up matrix products, as Linux names them (x86, then ARM)."""


@dataclass(frozen=True)
class Accelerator:
    """One CUDA device; memory in bytes, ``capability`` as "9.0"."""

    name: str
    memory_bytes: int
    capability: str


@dataclass(frozen=True)
class Machine:
    """Hardware and software, not yet measured. Memory and disk in bytes; None if the system does not report it.

    ``cores`` are those this process may run on; ``core_quota`` is a container's limit, if it is lower.
    ``vector`` is the instruction set torch uses, ``compiler`` the one torch.compile would call for the processor.
    """

    processor: str
    cores: int
    core_quota: float | None
    memory_bytes: int | None
    memory_available_bytes: int | None
    vector: str
    matrix_flags: tuple[str, ...]
    platform: str
    python: str
    torch: str
    numpy: str
    compiler: str | None
    triton: str | None
    accelerators: tuple[Accelerator, ...]
    folder: str
    disk_free_bytes: int


def look(folder: Path) -> Machine:
    """Examine this machine and the disk that holds ``folder``; InputError unless ``folder`` is writable."""
    return Machine(
        processor=processor_name(),
        cores=default_workers(),
        core_quota=_core_quota(),
        memory_bytes=_memory(),
        memory_available_bytes=_memory_available(),
        vector=torch.backends.cpu.get_cpu_capability(),
        matrix_flags=_matrix_flags(),
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=importlib.metadata.version("numpy"),
        compiler=compiler(),
        triton=importlib.metadata.version("triton") if importlib.util.find_spec("triton") else None,
        accelerators=_accelerators(),
        folder=str(folder),
        disk_free_bytes=_disk_free(folder),
    )


def processor_name() -> str:
    """Model name, with family and model number if reported: clouds use one name for many processors."""
    found = _cpuinfo()
    name = found.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in found and "model" in found:
        name += f" (family {found['cpu family']}, model {found['model']})"
    return name


def _cpuinfo() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty if there is none."""
    found: dict[str, str] = {}
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return found


def _matrix_flags() -> tuple[str, ...]:
    found = _cpuinfo()
    flags = set((found.get("flags") or found.get("Features") or "").split())
    return tuple(flag for flag in MATRIX_FLAGS if flag in flags)


def _core_quota() -> float | None:
    """Cores' worth of time that a container may use, None if it is not limited."""
    words = (_text("/sys/fs/cgroup/cpu.max") or "").split()
    if len(words) != 2:
        words = [_text(f"/sys/fs/cgroup/cpu/cpu.cfs_{key}_us") or "" for key in ("quota", "period")]
    try:
        quota = float(words[0]) / float(words[1])
    except ValueError:
        return None
    return quota if 0 < quota < default_workers() else None


def _memory() -> int | None:
    """Bytes of memory, or the container's limit if that is lower."""
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    limits = (_text(f"/sys/fs/cgroup/{name}") for name in ("memory.max", "memory/memory.limit_in_bytes"))
    return min([physical, *(int(limit) for limit in limits if limit and limit.strip().isdigit())])


def _memory_available() -> int | None:
    for line in (_text("/proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _accelerators() -> tuple[Accelerator, ...]:
    if not torch.cuda.is_available():
        return ()
    found = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
    return tuple(Accelerator(p.name, p.total_memory, f"{p.major}.{p.minor}") for p in found)


def _disk_free(folder: Path) -> int:
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; name an existing one, where runs will be written")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: not writable ({error.strerror}); name another folder") from None
    return shutil.disk_usage(folder).free


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return None
