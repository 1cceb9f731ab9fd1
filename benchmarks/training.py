"""Training steps against this machine's matmul peak: tokens a second, and the share of the peak that is reached.

    python benchmarks/training.py [--json] [--threads N] [--only SUBSTRING]

The peak is the best of a few square products in the same process and thread setting. A step's FLOPs are those of the
matrix products it really makes, output matrix included: under masked noise only rows that carry loss reach it. Each
case runs in a process of its own, in bfloat16 where that pays, compiled where that can be done; compiling and the first
steps are not in the time. Cells as small as a demo's run as in a ladder, one process a core, and their rates add up. A
share is of the bfloat16 peak (of the float32 peak where there is no bfloat16), as measured in the same processes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import torch

from difflaw.families import get
from difflaw.families.base import Corrupted
from difflaw.families.score import training_loss
from difflaw.model.accounting import account
from difflaw.model.completep import parameter_groups
from difflaw.model.config import ModelConfig, default_heads
from difflaw.model.transformer import Transformer
from difflaw.training.engine import BFLOAT16_WIDTH, bfloat16_pays, can_compile, compiled_body, prepare_processor
from difflaw.training.laprop import LaProp


class Case(NamedTuple):
    """A family on a shape."""

    family: str
    width: int
    depth: int
    vocabulary: int
    context: int
    sequences: int

    @property
    def words(self) -> str:
        """As it is chosen with --only."""
        return f"{self.family} {self.width}x{self.depth} V={self.vocabulary}"


LARGE = [
    Case(family, 256, 6, vocabulary, 256, 16)
    for vocabulary in (8192, 50_257)
    for family in ("autoregressive", "mdlm", "uniform")
]
SMALL = [Case(family, w, d, 384, 128, 8) for w, d in ((64, 4), (128, 6)) for family in ("autoregressive", "uniform")]
ON_GPU = [Case(family, 1024, 16, 131_072, 2048, 8) for family in ("autoregressive", "mdlm", "uniform")]
"""A 200M body, for an accelerator."""


def matmul_peaks(device: torch.device) -> dict[str, float]:
    """GFLOP/s of square products by dtype: the best of three sizes."""
    peaks = {}
    for dtype in (torch.bfloat16, torch.float32):
        rates = []
        for size in (1024, 2048) if device.type == "cpu" else (4096, 8192):
            a = torch.randn(size, size, device=device).to(dtype)
            out = torch.empty_like(a)
            for _ in range(3):
                torch.mm(a, a, out=out)
            best = min(_timed(lambda a=a, out=out: torch.mm(a, a, out=out), device) for _ in range(8))
            rates.append(2 * size**3 / best / 1e9)
        peaks[str(dtype).removeprefix("torch.")] = max(rates)
    return peaks


def _timed(call: Any, device: torch.device) -> float:
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def measure(case: Case, threads: int, device: torch.device, seconds: float = 15.0) -> dict[str, Any]:
    """One case: steps on random tokens until ``seconds`` have passed, the middle one counts."""
    prepare_processor()
    torch.set_num_threads(threads)
    heads = default_heads(case.width)
    shape: dict[str, Any] = {"layers": case.depth, "width": case.width, "heads": heads, "context": case.context}
    config = ModelConfig(vocab_size=case.vocabulary, **shape)
    family = get(case.family, case.vocabulary, 3)
    model = Transformer(config, causal=family.causal).initialise(0).to(device)
    optimizer = LaProp(parameter_groups(model, width=case.width, layers=case.depth, lr=1e-3))
    narrow = bfloat16_pays(device.type) and case.width >= BFLOAT16_WIDTH
    precision, compiled = "bfloat16" if narrow else "float32", can_compile(device.type)
    body = compiled_body(model) if compiled else None
    x = torch.randint(4, case.vocabulary, (case.sequences, case.context), device=device)

    def noised(number: int) -> Corrupted:
        return family.corrupt(x, np.arange(case.sequences) + number * case.sequences, 0)

    def share_scored(number: int) -> float:
        batch = noised(number)
        where = family.scored(batch.x_BL, batch.z_BL)
        return 1.0 if where is None else float((where & batch.noised_BL).float().mean())

    def step(number: int) -> None:
        batch = noised(number)
        loss, _ = training_loss(model, family, batch, precision, body=body, compiled=compiled)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    started = time.perf_counter()
    for number in range(4):
        step(number)
    starting, times, began = time.perf_counter() - started, [], time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - began < seconds and len(times) < 300):
        number = len(times) + 4
        times.append(_timed(lambda number=number: step(number), device))
    seconds_per_step, tokens = float(np.median(times)), case.sequences * case.context
    counts = account(config, family.passes(case.context))
    with_head = counts.flops_per_token("matmul+head")
    of_head = 6 * case.width * case.vocabulary
    scored = float(np.mean([share_scored(number) for number in range(4, len(times) + 4)]))
    flops = (with_head - of_head * (1.0 - scored)) * tokens
    memory = (
        torch.cuda.max_memory_allocated()
        if device.type == "cuda"
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    return {
        **case._asdict(),
        "body_parameters": counts.params("non-embedding"),
        "precision": precision,
        "compiled": compiled,
        "tokens_per_s": tokens / seconds_per_step,
        "seconds_per_step": seconds_per_step,
        "gflops": flops / seconds_per_step / 1e9,
        "scored_share": scored,
        "starting_s": starting,
        "peak_memory_mb": memory / 2**20,
    }


def apart(case: Case, threads: int, workers: int = 1) -> dict[str, Any]:
    """`measure` in processes of their own, all at once, with the peaks measured there too; rates and memory add up."""
    command = [sys.executable, __file__, "--case", json.dumps(case._asdict()), "--threads", str(threads)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(workers)]
    results = []
    for process in started:
        out, err = process.communicate()
        if process.returncode:
            raise SystemExit(f"{case.words}: {err.strip().splitlines()[-1]}")
        results.append(json.loads(out.splitlines()[-1]))
    added = {key: sum(r[key] for r in results) for key in ("tokens_per_s", "gflops", "peak_memory_mb")}
    peaks = {name: sum(r["peaks"][name] for r in results) for name in results[0]["peaks"]}
    return results[0] | added | {"peaks": peaks, "workers": workers, "threads": threads}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(arguments.threads)
    if arguments.case:
        found = measure(Case(**json.loads(arguments.case)), arguments.threads, device)
        print(json.dumps(found | {"peaks": matmul_peaks(device)}))
        return
    cases = [c for c in (LARGE + SMALL if device.type == "cpu" else ON_GPU + LARGE) if arguments.only in c.words]
    say = (lambda line: None) if arguments.json else (lambda line: print(line, flush=True))
    say(f"{'case':>30} {'body':>6} {'tokens/s':>9} {'GFLOP/s':>8} {'of peak':>8} {'memory':>9}  way")
    results = []
    for case in cases:
        each = case in SMALL and device.type == "cpu"
        found = apart(case, 1, arguments.threads) if each else apart(case, arguments.threads)
        found["share_of_peak"] = found["gflops"] / found["peaks"].get(
            "bfloat16" if bfloat16_pays(device.type) else "float32"
        )
        results.append(found)
        say(
            f"{case.words:>30} {found['body_parameters'] / 1e6:>5.1f}M {found['tokens_per_s']:>9,.0f} "
            f"{found['gflops']:>8.0f} {found['share_of_peak']:>8.1%} {found['peak_memory_mb']:>6.0f} MB  "
            f"{found['precision']}, {'compiled' if found['compiled'] else 'eager'}"
            f"{', a process a core' if each else ''}; peak {max(found['peaks'].values()):.0f}"
        )
    peaks = {name: max(r["peaks"][name] for r in results) for name in ("bfloat16", "float32")} if results else {}
    by_shape = {(r["width"], r["vocabulary"], r["family"]): r["seconds_per_step"] for r in results}
    ratios = {
        f"{w}x V={v}": seconds / by_shape[w, v, "autoregressive"]
        for (w, v, family), seconds in by_shape.items()
        if family == "uniform" and (w, v, "autoregressive") in by_shape
    }
    for name, ratio in ratios.items():
        say(f"a step of uniform over one of autoregressive, {name}: {ratio:.2f}")
    if arguments.json:
        figures = {
            "matmul_peak_gflops": peaks,
            "threads": arguments.threads,
            "cases": results,
            "uniform_over_ar": ratios,
        }
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
