"""The three numbers a token against plain autograd over the whole vocabulary: time, peak memory and agreement."""

from __future__ import annotations

import time

import torch
from figures import Figure, report

from difflaw.model.head import numbers_from_hidden

MASK = 3


def plain(
    hidden: torch.Tensor, weight: torch.Tensor, x: torch.Tensor, z: torch.Tensor, ratio: torch.Tensor
) -> torch.Tensor:
    """The same loss, written as the formula stands, every step holding tokens × vocabulary."""
    logits = (hidden @ weight.T).index_fill(1, torch.tensor([MASK]), -torch.inf)
    log_p = logits.log_softmax(-1)
    u = log_p.exp() * ratio[:, None]
    others = torch.ones_like(u).scatter(1, x[:, None], 0.0)
    excess = ((u - torch.log1p(u)) * others).sum(1)
    return (-log_p.gather(1, x[:, None])[:, 0] - log_p.gather(1, z[:, None])[:, 0] + excess / ratio).sum()


def main() -> list[Figure]:
    torch.set_num_threads(1)
    figures = []
    print(f"{'V':>8} {'tokens':>7} {'plain s':>8} {'ours s':>8} {'ratio':>6} {'largest buffer: plain':>22} {'ours':>9}")
    for vocabulary, tokens in ((384, 1024), (8192, 1024), (50_257, 512)):
        g = torch.Generator().manual_seed(0)
        hidden = torch.randn(tokens, 64, generator=g, requires_grad=True)
        weight = torch.randn(vocabulary, 64, generator=g).div_(8).requires_grad_()
        x, z = (torch.randint(4, vocabulary, (tokens,), generator=g) for _ in range(2))
        ratio = torch.full((tokens,), 100.0)

        def ours(hidden=hidden, weight=weight, x=x, z=z, ratio=ratio) -> torch.Tensor:
            n = numbers_from_hidden(hidden, weight, 1.0, x, MASK, z, ratio.log())
            assert n.log_p_z is not None
            assert n.excess is not None
            return (-n.log_p_x - n.log_p_z + n.excess / ratio).sum()

        seconds, gradients = {}, {}
        for name, call in (("plain", lambda: plain(hidden, weight, x, z, ratio)), ("ours", ours)):  # noqa: B023
            best = float("inf")
            for _ in range(4):
                hidden.grad = weight.grad = None
                started = time.perf_counter()
                call().backward()
                best = min(best, time.perf_counter() - started)
            seconds[name], gradients[name] = best, weight.grad.clone()  # type: ignore[union-attr]
        difference = float((gradients["ours"] - gradients["plain"]).abs().max() / gradients["plain"].abs().max())
        held = min(tokens * vocabulary, 1 << 22) * 4 / 2**20
        print(
            f"{vocabulary:>8} {tokens:>7} {seconds['plain']:>8.4f} {seconds['ours']:>8.4f} "
            f"{seconds['plain'] / seconds['ours']:>6.2f} {tokens * vocabulary * 4 / 2**20:>18.0f} MiB {held:>5.0f} MiB"
        )
        figures.append(Figure(f"faster than plain, V = {vocabulary:,}", seconds["plain"] / seconds["ours"], "times"))
        figures.append(Figure(f"gradients differ, V = {vocabulary:,}", difference, at_most=1e-3))
    return figures


if __name__ == "__main__":
    report(main)
