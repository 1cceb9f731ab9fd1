"""What somebody asks a law: the constraints of one run, and which of them no law could answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from difflaw.errors import InputError
from difflaw.planning.hardware import DEFAULT_MFU, find_gpu
from difflaw.planning.shapes import Shape


@dataclass(frozen=True)
class Ask:
    """What is fixed. FLOPs, params and loss are in the law's conventions; hours are of one device."""

    flops: float | None = None
    tokens: float | None = None
    params: float | None = None
    loss: float | None = None
    gpu_hours: float | None = None
    gpu: str = "h100"
    mfu: float = DEFAULT_MFU
    gpus: int | None = None
    inference_tokens: float = 0.0
    inference_passes: float | None = None
    """Forward passes over the network for each generated token."""
    unique_tokens: float | None = None
    shapes: tuple[Shape, ...] = ()
    level: float = 0.95

    @property
    def constraints(self) -> str:
        """The constraints as they are written on the command line, for messages."""
        given = {"--flops": self.flops, "--tokens": self.tokens, "--params": self.params}
        given |= {"--loss": self.loss, "--gpu-hours": self.gpu_hours}
        return " with ".join(f"{name} {value:g}" for name, value in given.items() if value is not None)


def check(ask: Ask) -> None:
    """InputError for an ask that no law could answer."""
    named = {
        "--flops": ask.flops,
        "--tokens": ask.tokens,
        "--params": ask.params,
        "--loss": ask.loss,
        "--gpu-hours": ask.gpu_hours,
        "--unique-tokens": ask.unique_tokens,
        "--mfu": ask.mfu,
        "--inference-passes": ask.inference_passes,
    }
    for name, value in named.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} {value:g}: give a positive number")
    if not (math.isfinite(ask.inference_tokens) and ask.inference_tokens >= 0):
        raise InputError(f"--inference-tokens {ask.inference_tokens:g}: give a number of tokens, 0 or more")
    if ask.mfu > 1:
        raise InputError(f"--mfu {ask.mfu:g}: a share of the peak lies between 0 and 1, such as 0.4")
    if ask.gpus is not None and ask.gpus < 1:
        raise InputError(f"--gpus {ask.gpus}: give at least 1")
    find_gpu(ask.gpu)
    if all(v is None for v in (ask.flops, ask.tokens, ask.params, ask.loss, ask.gpu_hours)):
        raise InputError("nothing to plan from: give --flops, --tokens, --params, --loss or --gpu-hours")
