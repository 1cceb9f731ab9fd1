"""How a step is run on this machine: eager or compiled, with how many threads, and in which precision.

Compiled and eager steps differ in the last digits, and so do sums over other numbers of threads: a run keeps the way
it began with (`decided`, `decided_threads`), whatever the rule would say when it is continued.
"""

from __future__ import annotations

import ctypes
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from difflaw.errors import InputError
from difflaw.files import read_json, write_json
from difflaw.model.transformer import Transformer

Compile = Literal["auto", "on", "off"]
Precision = Literal["auto", "float32", "bfloat16"]

ENGINE = "engine.json"
"""Where a run's folder keeps how it began."""
WORTH_COMPILING = 600.0
"""Eager seconds a shape must have before it: compiling takes 15 to 40 s of every core and saves a tenth to a third."""
BFLOAT16_WIDTH = 64
"""Narrower products gain nothing from bfloat16 (docs/performance.md)."""
SHAPES = 64
"""Compiled forms kept in a process, one per shape, attention and number of rows."""


def default_device() -> str:
    """The accelerator if there is one, else the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def compiler() -> str | None:
    """The C++ compiler that torch.compile calls for the processor: $CXX or its default, the first that is installed."""
    import torch._inductor.config as inductor

    wanted = inductor.cpp.cxx
    for name in wanted if isinstance(wanted, list | tuple) else (wanted,):
        if name and (found := shutil.which(name)):
            return found
    return None


def can_compile(device: str) -> bool:
    """Whether steps on ``device`` can be compiled: a processor needs a C++ compiler, a GPU Triton."""
    if device == "cpu":
        return compiler() is not None
    return torch.utils._triton.has_triton()  # pyright: ignore[reportAttributeAccessIssue]


def bfloat16_pays(device: str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 itself, which is twice as fast as float32 or more where it does.

    Read off the hardware, not timed: the answer decides what a run is, and must not change from one call to the next.
    """
    if device != "cpu":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def precision(asked: Precision, narrowest: int, device: str) -> Literal["float32", "bfloat16"]:
    """float32 or bfloat16 for "auto", from the width of the narrowest network; anything else as asked.

    The rungs of a ladder share it, since a law must not bend where the precision changes.
    """
    if asked != "auto":
        return asked
    return "bfloat16" if narrowest >= BFLOAT16_WIDTH and bfloat16_pays(device) else "float32"


def decided(folder: Path, compile_: Compile, device: str, eager_seconds: float) -> bool:
    """Whether the run in ``folder`` is compiled: as it began, else by ``compile_``; written down for the next time.

    Raises InputError when it began compiled, or is asked to be, and nothing here can compile.
    """
    began = _began(folder)
    if "compiled" in began:
        compiled = bool(began["compiled"])
    elif compile_ == "auto":
        compiled = can_compile(device) and eager_seconds >= WORTH_COMPILING
    else:
        compiled = compile_ == "on"
    if compiled and not can_compile(device):
        missing = "a C++ compiler (g++, or another in $CXX)" if device == "cpu" else "Triton"
        raise InputError(
            f"{folder}: its steps are compiled, and {missing} is missing here; install it, or start with compile: off"
        )
    write_json(folder / ENGINE, began | {"compiled": compiled, "device": device, "torch": torch.__version__})
    return compiled


def decided_threads(folder: Path, threads: int) -> int:
    """Threads of the run in ``folder``: as it began, else as given; written down for the next time."""
    began = _began(folder)
    found = began.get("threads")
    if not isinstance(found, int) or found < 1:
        found = threads
        write_json(folder / ENGINE, began | {"threads": threads})
    return found


def _began(folder: Path) -> dict[str, Any]:
    """How the run in ``folder`` began; what runs made before did not write down is missing."""
    path = folder / ENGINE
    found = read_json(path) if path.exists() else {}
    if not isinstance(found, dict):
        raise InputError(f"{path}: must be an object; remove it, and the run goes on as a new one would")
    return found


MMAP_MAX, TRIM_THRESHOLD, TOP_PAD = -4, -1, -2
KEEPING_MALLOC = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 64 << 20}
"""No buffers are given back between steps: fetching them again page by page costs a tenth to a third of a step."""
USUAL_MALLOC = {MMAP_MAX: 65_536, TRIM_THRESHOLD: 128 << 10, TOP_PAD: 128 << 10}
"""What glibc starts with."""
ALIKE = 1 << 22
"""Entries of the attention mask up to which every pass brings one, so that all families share one compiled form."""


def compiled_body(model: Transformer) -> Callable[..., Tensor]:
    """`Transformer.hidden` with its layers compiled; equal shapes share the code, in a process and through the disk."""
    states = torch.compile(model.states)

    def hidden(z_BL: Tensor, attention: Tensor | None = None, positions: Tensor | None = None, **given: Any) -> Tensor:
        h_BLD, cos, sin, mask, condition = model.inputs(z_BL, attention, positions, **given)
        rows, length = z_BL.shape
        keys = length + int(model.config.sink)
        if rows * length * keys <= ALIKE:
            mask = h_BLD.new_zeros((), dtype=torch.bool) if mask is None else mask
            mask = mask.expand(rows, 1, length, keys).contiguous()
            cos, sin = (table.expand(rows, 1, length, -1).contiguous() for table in (cos, sin))
        with torch._dynamo.config.patch(recompile_limit=SHAPES):
            return states(h_BLD, cos, sin, mask, condition)

    return hidden


@contextmanager
def prepared_processor() -> Iterator[None]:
    """Denormal numbers are zero and freed memory is kept in this block (or decorated function); as before behind it."""
    flushed = float(torch.tensor(1e-40) * 1.0) == 0.0
    prepare_processor()
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        _tune_malloc(USUAL_MALLOC)


def prepare_processor() -> None:
    """Treat denormal numbers as zero, which slow a step several times, and keep freed memory for the next step.

    For programs of their own; a library call is `prepared_processor`.
    """
    torch.set_flush_denormal(True)
    _tune_malloc(KEEPING_MALLOC)


def _tune_malloc(settings: dict[int, int]) -> None:
    """Set glibc's parameters of malloc, where that is the C library."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in settings.items():
            mallopt(parameter, value)
