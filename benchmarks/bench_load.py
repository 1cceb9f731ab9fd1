"""Opening a checkpoint of published form: seconds and peak memory against building, reading and copying it in.

The 566.7M rung of 2512.10858 (969M parameters with its vocabulary of 131,072) in bfloat16, two shards of zeros in files
that take no room on disk. Each way runs in a process of its own; peak is what it adds to torch itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Figure, report

_WAYS = {
    "difflaw.load, as stored": "difflaw.load(folder)",
    "difflaw.load, to float32": "difflaw.load(folder, dtype='float32')",
    "plain, as stored": "plain(folder, torch.bfloat16)",
    "plain, to float32": "plain(folder, torch.float32)",
}

_RUN = """
import sys, time, torch, difflaw
from pathlib import Path
from safetensors.torch import load_file
from difflaw.files import read_json
from difflaw.model.published_config import from_published
from difflaw.model.transformer import Transformer

def plain(folder, dtype):
    model = Transformer(from_published(read_json(folder / "config.json"), folder).model).to(dtype)
    weights = {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}
    model.load_state_dict(weights)
    return model

def memory(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key)) / 2**20

folder = Path(sys.argv[1])
difflaw.load(folder / "small")
before, started = memory("VmHWM"), time.perf_counter()
model = {way}
print(time.perf_counter() - started, memory("VmHWM") - before, memory("RssAnon"))
"""


def write(folder: Path, layers: int, width: int, heads: int, vocab_size: int) -> int:
    """A published checkpoint of zeros in two shards; bytes of weights."""
    import torch

    from difflaw.model.config import ModelConfig
    from difflaw.model.published_config import Published, to_published
    from difflaw.model.transformer import Transformer

    folder.mkdir(exist_ok=True)
    config = ModelConfig(vocab_size=vocab_size, layers=layers, width=width, heads=heads, context=2048)
    (folder / "config.json").write_text(json.dumps(to_published(Published(config), causal=False, dtype="bfloat16")))
    with torch.device("meta"):
        parameters = list(Transformer(config).named_parameters())
    places, total = {}, 0
    for shard, part in enumerate((parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]), 1):
        header, end, file = {}, 0, folder / f"model-0000{shard}-of-00002.safetensors"
        for name, parameter in part:
            kind, size = ("F32", 4) if "norm" in name else ("BF16", 2)
            start, end = end, end + parameter.numel() * size
            header[name] = {"dtype": kind, "shape": list(parameter.shape), "data_offsets": [start, end]}
            places[name] = file.name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with file.open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            out.truncate(8 + len(text) + end)
        total += end
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def main() -> list[Figure]:
    figures = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        total = write(folder, 20, 1536, 12, 131_072)
        write(folder / "small", 1, 16, 2, 9)
        print(f"weights on disk: {total / 2**30:.2f} GiB in bfloat16\n")
        print("| way | seconds | peak memory, GiB | of it not in the file, GiB |\n|---|---|---|---|")
        for name, way in _WAYS.items():
            code = _RUN.replace("{way}", way)
            run = subprocess.run([sys.executable, "-c", code, place], capture_output=True, text=True, check=True)
            seconds, peak, own = map(float, run.stdout.split())
            print(f"| {name} | {seconds:.2f} | {peak:.2f} | {own:.2f} |", flush=True)
            if "stored" in name:
                figures.append(Figure(name, seconds, "s"))
                figures.append(Figure(f"{name}: memory not in the file", own, "GiB"))
    return figures


if __name__ == "__main__":
    report(main)
