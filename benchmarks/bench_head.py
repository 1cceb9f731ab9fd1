"""The vocabulary head against its three plain products: time, and memory over weights, gradients and hidden states.

    python benchmarks/bench_head.py [--json]

8,192 tokens (2,048 in float32), width 512, V = 131,072: a full logits tensor is 4.3 GB. "log p[x]" is what masked
and autoregressive losses need, "all three" is GIDD's. The products are made in the same chunks into buffers that are
there already. Memory is the highest resident size in a process of its own that has made one pass before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from figures import Figure, report

from difflaw.model.fused_loss import LEAST_ROWS, fused_loss
from difflaw.model.head import TokenNumbers
from difflaw.training.engine import bfloat16_pays, compiler, prepare_processor

VOCABULARY, WIDTH, MASK = 131_072, 512, 3
TOKENS = {"bfloat16": 8192, "float32": 2048}
LIMITS = {"log p[x]": 1.3, "all three": 1.8}
MEMORY_LIMIT = 300.0


def resident() -> int:
    """Bytes of this process in memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def seconds_of(call: Callable[[], Any], repeats: int = 2) -> float:
    """The best of a few."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best


def highest_during(call: Callable[[], Any]) -> float:
    """MiB that the process grew by while ``call`` ran."""
    before, stop = resident(), threading.Event()
    highest = [before]

    def watch() -> None:
        while not stop.wait(0.004):
            highest[0] = max(highest[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    stop.set()
    watcher.join()
    return (highest[0] - before) / 2**20


def measure(kind: str, precision: str, compiled: bool, threads: int, what: str) -> dict[str, float]:
    """Seconds of the products and of the head, or its memory, in this process."""
    torch.set_num_threads(threads)
    if what == "seconds":
        prepare_processor()  # keeps freed memory, which would hide the size of buffers
    torch.set_flush_denormal(True)
    matmul, tokens = getattr(torch, precision), TOKENS[precision]
    g = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, WIDTH, generator=g).requires_grad_()
    weight = torch.randn(VOCABULARY, WIDTH, generator=g).div_(WIDTH**0.5).requires_grad_()
    x = torch.randint(4, VOCABULARY, (tokens,), generator=g)
    z = torch.where(torch.rand(tokens, generator=g) < 0.5, x, x.flip(0))
    log_ratio = torch.linspace(0, 18, tokens)

    def token_loss(n: TokenNumbers, rows: slice) -> torch.Tensor:
        if n.log_p_z is None or n.excess is None:
            return -n.log_p_x
        return -n.log_p_x - n.log_p_z + n.excess * (-log_ratio[rows]).exp()

    more = {} if kind == "log p[x]" else {"z": z, "log_ratio": log_ratio}

    def head() -> None:
        hidden.grad = weight.grad = None
        loss, _ = fused_loss(hidden, weight, 1.0, x, MASK, token_loss, matmul=matmul, compiled=compiled, **more)
        loss.backward()

    h, w = hidden.detach().to(matmul), weight.detach().to(matmul)
    if what == "memory":
        del h, w
        head()
        gradients = (hidden.numel() + weight.numel()) * 4 / 2**20
        hidden.grad = weight.grad = None
        return {"memory": highest_during(head) - gradients}
    logits, back = torch.empty(LEAST_ROWS, VOCABULARY, dtype=matmul), torch.empty(LEAST_ROWS, WIDTH, dtype=matmul)
    total = torch.empty(VOCABULARY, WIDTH, dtype=matmul)

    def products() -> None:
        for start in range(0, tokens, LEAST_ROWS):
            rows = h[start : start + LEAST_ROWS]
            torch.mm(rows, w.T, out=logits)
            torch.mm(logits, w, out=back)
            torch.mm(logits.T, rows, out=total)

    head()
    products()
    return {"products": seconds_of(products), "head": seconds_of(head)}


def apart(*arguments: Any) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def main() -> list[Figure]:
    """The table."""
    threads, compiled = len(os.sched_getaffinity(0)), compiler() is not None
    print(f"{TOKENS['bfloat16']:,} tokens, width {WIDTH}, V = {VOCABULARY:,}, {threads} threads, compiled: {compiled}")
    print(f"{'':>9} {'':>9} {'products s':>11} {'head s':>8} {'ratio':>6} {'memory':>9}")
    figures = []
    for precision in ["bfloat16", "float32"] if bfloat16_pays() else ["float32"]:
        for kind, limit in LIMITS.items():
            found = apart(kind, precision, compiled, threads, "seconds")
            memory = apart(kind, precision, compiled, threads, "memory")["memory"]
            ratio = found["head"] / found["products"]
            print(
                f"{precision:>9} {kind:>9} {found['products']:>11.2f} {found['head']:>8.2f} {ratio:>6.2f} "
                f"{memory:>6.0f} MiB",
                flush=True,
            )
            name = f"{kind}, {precision}"
            figures.append(Figure(f"time over three products, {name}", ratio, at_most=limit))
            figures.append(Figure(f"memory, {name}", memory, "MiB", at_most=MEMORY_LIMIT))
    return figures


if __name__ == "__main__":
    if "--measure" in sys.argv:
        print(json.dumps(measure(*json.loads(sys.argv[-1]))))
    else:
        report(main)
