"""Accelerators a plan can be costed on: dense bfloat16 peaks, memory, hours and the memory a run needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from difflaw.errors import InputError

DEFAULT_MFU = 0.4
"""Share of the peak that well-tuned training reaches; assumed where none is given."""
STATE_BYTES = 18
"""Bytes a parameter: 4 weight, 4 gradient, 8 two moments (32-bit), 2 for the 16-bit copy."""
ACTIVATION_BYTES = 34
"""Bytes a token, layer and unit of width kept for the backward pass (Korthikanti et al. 2022, attention fused)."""
USABLE = 0.85
"""Share of the memory left after fragments, buffers and the vocabulary head's chunks."""


@dataclass(frozen=True)
class Gpu:
    """One accelerator: peak in dense bfloat16 FLOP/s (float16 where there is no bfloat16), memory in bytes."""

    name: str
    peak: float
    memory: float


# Vendors' data sheets, dense figures (no structured sparsity).
GPUS = {
    g.name: g
    for g in (
        Gpu("t4", 65e12, 16e9),
        Gpu("v100", 125e12, 32e9),
        Gpu("a10", 125e12, 24e9),
        Gpu("rtx4090", 165e12, 24e9),
        Gpu("l40s", 362e12, 48e9),
        Gpu("a100", 312e12, 80e9),
        Gpu("h100", 989e12, 80e9),
        Gpu("h200", 989e12, 141e9),
        Gpu("b200", 2250e12, 192e9),
        Gpu("mi300x", 1307e12, 192e9),
        Gpu("tpu-v5p", 459e12, 95e9),
        Gpu("tpu-v6e", 918e12, 32e9),
    )
}


@dataclass(frozen=True)
class Memory:
    """What a run needs: bytes of weights and optimizer, of one sequence's activations, and how many devices hold it."""

    states: float
    activations: float
    devices: int
    rule: str


def find_gpu(name: str) -> Gpu:
    """An accelerator by name; InputError lists the known ones."""
    if name.lower() not in GPUS:
        raise InputError(f"--gpu {name}: unknown; use one of {', '.join(GPUS)}")
    return GPUS[name.lower()]


def gpu_hours(flops: float, gpu: Gpu, mfu: float) -> float:
    """Device hours for ``flops`` (all matrix products, output matrix included) at a share ``mfu`` of the peak."""
    return flops / (gpu.peak * mfu) / 3600


def flops_of_hours(hours: float, gpu: Gpu, mfu: float) -> float:
    """FLOPs that ``hours`` device hours buy at a share ``mfu`` of the peak."""
    return hours * 3600 * gpu.peak * mfu


def memory_needed(params: float, layers: int, width: int, context: int, gpu: Gpu) -> Memory:
    """Bytes for all trained parameters and for one sequence a device, and the fewest devices that hold them.

    Weights and optimizer are taken as spread over the devices (fully sharded), a sequence as kept whole on one.
    """
    states, activations = STATE_BYTES * params, float(ACTIVATION_BYTES) * layers * width * context
    room = USABLE * gpu.memory - activations
    rule = f"{STATE_BYTES} B/parameter sharded + {ACTIVATION_BYTES} B·layers·width·context (arXiv 2205.05198)"
    if room <= 0:
        # One sequence alone overflows: recompute activations, keeping 2 bytes a token, layer and unit.
        activations *= 2 / ACTIVATION_BYTES
        room, rule = USABLE * gpu.memory - activations, rule + ", activations recomputed"
    if room <= 0:
        rule += ", and a sequence split over devices"
        return Memory(states, activations, math.ceil((states + activations) / (USABLE * gpu.memory)), rule)
    return Memory(states, activations, max(1, math.ceil(states / room)), rule)
