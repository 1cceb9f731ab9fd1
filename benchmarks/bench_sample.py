"""Generation against the plain algorithm: same weights, same draws, same tokens; how much less it costs.

Plain: in every step one pass over the whole text (given, being written, still noise), logits at every place, a
distribution over the vocabulary at every place, no cache, no step skipped. Counting rule: NFE is calls of the network,
tokens per second are new tokens over wall time; float32, one thread, each cell in a process of its own, best of three.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from figures import Figure, report

from difflaw.families import get
from difflaw.model.config import ModelConfig, default_heads
from difflaw.model.transformer import Transformer
from difflaw.noise.clock import sigmoid
from difflaw.noise.conditioning import Conditioning
from difflaw.sample import generate
from difflaw.sample.categorical import choose
from difflaw.sample.draws import Draws, Use
from difflaw.sample.grid import to_clean
from difflaw.sample.prior import prior
from difflaw.sample.window import WINDOW_STEPS
from tests.sample.helpers import Sampled

PROMPT, NEW = 512, 128
SIZES = {"small": (192, 6, 4096), "wide vocabulary": (128, 4, 32_768)}


def network(family_name: str, size: str) -> Sampled:
    width, layers, vocabulary = SIZES[size]
    options = {"block_length": 32} if family_name == "block" else {}
    family = get(family_name, vocabulary, 3, conditioning=Conditioning(prompt_probability=0.2), **options)
    config = ModelConfig(
        vocab_size=vocabulary, layers=layers, width=width, heads=default_heads(width), context=PROMPT + NEW
    )
    model = Transformer(config, causal=family.causal).initialise(0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # the head starts at zero; a random one makes the tokens depend on everything
        model.lm_head.weight.copy_(torch.randn(vocabulary, width, generator=generator) * 0.08)
    return Sampled(model.eval(), family)


@torch.inference_mode()
def plain(model: Sampled, prompt: list[int], block_length: int, steps: int, seed: int = 0) -> tuple[list[int], int]:
    """Ancestral sampling block by block as 2512.10858's modeling_gidd_hf.py has it."""
    family, draws, length = model.family, Draws(seed, np.arange(1)), len(prompt) + NEW
    positions = torch.arange(length)[None]
    z = torch.cat([torch.tensor([prompt]), prior(family, positions[:, len(prompt) :], draws)], 1)
    clean, passes = len(prompt), 0
    for number in range(NEW // block_length):
        noised = torch.arange(length) >= clean
        attention = noised[:, None] >= noised[None, :]
        window = torch.arange(clean, clean + block_length)
        for step, (t, s) in enumerate(to_clean(steps, "cosine", family.span)):
            logits = model.model.logits(z, attention)
            passes += 1
            if family.absorbing:
                p = family.predict(logits)[0].double()
                share = 1.0 - float(sigmoid(-s) / sigmoid(-t))
                when = number * WINDOW_STEPS + step
                token = choose(p, draws.uniform(positions, when, Use.TOKEN)[0])
                moves = (draws.uniform(positions, when, Use.WHETHER)[0] < share) & (z[0] == model.mask_id)
                z[0, window] = torch.where(moves[window], token[window], z[0, window])
            else:
                lam = [torch.tensor(v, dtype=torch.float64) for v in (t, s)]
                p = family.reverse(logits.double(), z, *lam)[0]
                token = choose(p, draws.uniform(positions, number * WINDOW_STEPS + step, Use.TOKEN)[0])
                z[0, window] = token[window]
        clean += block_length
    return z[0].tolist(), passes


@torch.inference_mode()
def plain_left_to_right(model: Sampled, prompt: list[int]) -> tuple[list[int], int]:
    draws, tokens = Draws(0, np.arange(1)), list(prompt)
    for at in range(len(prompt), len(prompt) + NEW):
        logits = model.model.logits(torch.tensor([[model.bos_id, *tokens]]))
        p = model.family.predict(logits)[0].double()
        u = draws.uniform(torch.tensor([[at]]), 0, Use.TOKEN)[0]
        tokens.append(int(choose(p[-1:], u)))
    return tokens, NEW


def cell(family: str, size: str, block_length: int, steps: int, how: str) -> dict:
    """One measurement, in this process."""
    torch.set_num_threads(1)
    model = network(family, size)
    prompt = torch.randint(4, SIZES[size][2], (PROMPT,), generator=torch.Generator().manual_seed(1)).tolist()
    if how == "plain" and family == "autoregressive":
        run = lambda: plain_left_to_right(model, prompt)  # noqa: E731
    elif how == "plain":
        run = lambda: plain(model, prompt, block_length, steps)  # noqa: E731
    else:
        blocks = {} if family == "autoregressive" else {"block_length": block_length, "steps": steps}

        def run() -> tuple[list[int], int]:
            done = generate(model, [prompt], max_tokens=NEW, stop_at_eos=False, cache=how != "uncached", **blocks)
            return done.tokens[0].tolist(), done.nfe

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(1 if how == "plain" else 3):
        started = time.perf_counter()
        tokens, passes = run()
        times.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"tokens": tokens, "nfe": passes, "seconds": min(times), "peak": (peak - before) / 1024}


def measure(*arguments: object) -> dict:
    """`cell` in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> list[Figure]:
    print(f"{NEW} new tokens behind {PROMPT}, one text; peak: memory above the loaded network")
    print(
        f"{'network':>16} {'family':>15} {'block':>6} {'steps':>6} {'way':>9} {'NFE':>5} {'s':>8} {'tokens/s':>9} "
        f"{'times':>6} {'peak MiB':>9}  same tokens"
    )
    gains, agree = [], []
    for size, family, block_length, steps in (
        ("small", "masked", 128, 128),
        ("small", "masked", 32, 32),
        ("small", "masked", 32, 8),
        ("small", "uniform", 128, 32),
        ("small", "uniform", 32, 32),
        ("small", "autoregressive", 1, 1),
        ("wide vocabulary", "masked", 32, 32),
    ):
        reference = measure(family, size, block_length, steps, "plain")
        for way in ("plain", "uncached", "cached"):
            found = reference if way == "plain" else measure(family, size, block_length, steps, way)
            times = reference["seconds"] / found["seconds"]
            same = found["tokens"] == reference["tokens"]
            print(
                f"{size:>16} {family:>15} {block_length:>6} {steps:>6} {way:>9} {found['nfe']:>5} "
                f"{found['seconds']:>8.2f} {NEW / found['seconds']:>9.1f} {times:>6.1f} {found['peak']:>9.1f}  "
                f"{'yes' if same else 'NO'}",
                flush=True,
            )
            agree.append(same)
            if way == "cached":
                gains.append(times)
    print(f"smallest gain of the default (cached): {min(gains):.1f} times; required 4")
    return [
        Figure("smallest gain over the plain algorithm", min(gains), "times", at_least=4.0),
        Figure("cells that write the plain algorithm's tokens", sum(agree) / len(agree), "of cells", at_least=1.0),
    ]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        family, size, block_length, steps, how = sys.argv[1:]
        print(json.dumps(cell(family, size, int(block_length), int(steps), how)))
    else:
        report(main)
