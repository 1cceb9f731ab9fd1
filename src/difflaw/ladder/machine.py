"""What this machine has: processor, memory, matmul peaks, bandwidth, compiler, accelerators; and what is used of it."""

from __future__ import annotations

import platform
from pathlib import Path


def processor_name() -> str:
    """Model name, with family and model number where the system says so: clouds give many processors one name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    name = found.get("model name", platform.machine())
    if "cpu family" in found and "model" in found:
        name += f" (family {found['cpu family']}, model {found['model']})"
    return name
