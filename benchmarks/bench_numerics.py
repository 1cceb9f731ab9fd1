"""Every family's bound in float32 against float64, and how far its validation bound scatters: two tables.

First: 10^6 draws a family at V = 97 and fewer at larger vocabularies (a draw costs V), λ even over ±9, z from the
family's own forward process, logits from flat to certain; "kept" rows are forced to z = x at λ in [-9, -5]. Float64 is
the formula of the papers over the whole vocabulary, its gradient by autograd. Second: stratified against independent λ.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from figures import Figure, report

from tests.evaluate import spread
from tests.families import precision

DRAWS = {97: 1_000_000, 8192: 2048, 50_257: 512, 131_072: 256}
KEPT = {97: 20_000, 8192: 512, 50_257: 128, 131_072: 64}
LIMIT = 1e-4
"""On the relative error of the mean bound."""
ROWS, SEEDS, MOMENT_ROWS = 64, 200, 8192
SIZES, SIZE_SEEDS = [16, 32, 64, 128, 256, 512], 12


def line(case: str, vocab_size: int, kind: str, found: precision.Compared) -> float:
    """Print a case's line; the relative error of its mean bound, infinite where a number is not finite."""
    at, (relative, where) = found.worst_absolute(), found.worst_relative()
    absolute = abs(found.ours[at] - found.exact[at])
    finite = found.finite and bool(np.isfinite(found.gradient_error).all())
    mean = found.relative_error()
    holds = finite and mean < LIMIT

    def token(error: float, i: int) -> str:
        return f"{error:7.1e} of {found.exact[i]:8.2e} λ {found.log_snr[i]:5.2f} {'z=x' if found.kept[i] else 'z≠x'}"

    part = found.worst_range() if kind == "drawn" else float("nan")

    print(
        f"{case:<15}{vocab_size:>7} {kind:<6}{len(found.exact):>8}  {'yes' if finite else 'NO':<6} {mean:8.1e} "
        f"{'-' if np.isnan(part) else f'{part:.1e}':>8} {found.gradient():8.1e}   "
        f"{token(absolute, at)}   {token(relative, where)}{'' if holds else '   EXCEEDS'}",
        flush=True,
    )
    return mean if finite else float("inf")


def numerics() -> list[Figure]:
    print(
        f"{'family':<15}{'V':>7} {'z':<6}{'draws':>8}  {'finite':<6} {'mean':>8} {'worst Δλ':>8} {'gradient':>8}   "
        f"{'worst token, nats':<37}   worst token, relative (1-p[x] > 0.01)"
    )
    figures = []
    for vocab_size, draws in DRAWS.items():
        errors = []
        for seed, case in enumerate(precision.CASES):
            family = precision.family_of(case, vocab_size)
            drawn = precision.noised(family, draws, seed)
            errors.append(line(case, vocab_size, "drawn", precision.compare(case, family, drawn, seed)))
            if family.reads_z:
                drawn = precision.kept_at_low_snr(family, KEPT[vocab_size], seed)
                errors.append(line(case, vocab_size, "kept", precision.compare(case, family, drawn, seed)))
        name = f"worst error of a mean bound, V = {vocab_size:,}"
        figures.append(Figure(name, max(errors), "relative", at_most=LIMIT))
    return figures


def cancellation() -> None:
    """Uniform noise at λ = -9, where Σ Q·(log Q - log P) in float32 has lost its digits; logits N(0, 0.3²)."""
    print(f"\n{'uniform, λ = -9':<18}{'V':>8} {'float64':>11} {'float32':>11} {'textbook form in float32':>26}")
    for vocab_size in DRAWS:
        family = precision.family_of("uniform", vocab_size)
        x, lam = torch.tensor([40, 40]), torch.full((2,), -9.0)
        z = torch.tensor([40, 50])
        logits = 0.3 * torch.randn(2, vocab_size, generator=torch.Generator().manual_seed(0))
        logits[1] = logits[0]
        p = logits.double().index_fill(1, torch.tensor([family.mask_id]), -torch.inf).softmax(1)
        exact = precision.CASES["uniform"][2](family, p, x, z, lam.double())
        ours, plain = family.bound(logits, x, z, lam), precision.textbook_float32(family, logits, x, z, lam)
        for row, name in enumerate(("z = x", "z ≠ x")):
            print(f"{name:<18}{vocab_size:>8} {exact[row]:>11.4e} {ours[row]:>11.4e} {plain[row]:>26.4e}")


def scatter() -> list[Figure]:
    print(
        f"""
spread of the validation bound: {ROWS} rows of {spread.CONTEXT} random tokens, V = {spread.V}, {SEEDS} seeds; network of
2 layers, width 16, weights N(0, 0.5²). σ with λ independent, in equal strata of p(λ), in the strata in use; ratios of
variances, independent over strata, and the one expected from the second moments of {MOMENT_ROWS} rows; slope of log σ
against log n, n = {SIZES[0]} … {SIZES[-1]}, of the claimed error and of the actual one"""
    )
    print(
        f"{'family':<15}{'bound':>7}  {'σ indep.':>8} {'σ equal':>8} {'σ ours':>8}"
        f"  {'ratio: ours':>11} {'equal':>6} {'expected':>9}"
        f"  {'claimed/actual σ':>16}  {'slope: claimed':>14} {'actual':>7}"
    )
    figures = []
    for case in spread.CASES:
        family = spread.family_of(case)
        model = spread.network(family)
        claimed, actual = [], []
        for n in SIZES:
            found = np.array([spread.stratified(model, family, spread.texts(n, s), s) for s in range(SIZE_SEEDS)])
            claimed.append(float(np.sqrt(np.square(found[:, 1]).mean())))
            actual.append(float(found[:, 0].std(ddof=1)))
        slopes = f"{spread.slope(SIZES, claimed):>14.2f} {spread.slope(SIZES, actual):>7.2f}"
        x = spread.texts(ROWS, 0)
        if family.exact:
            nats = spread.stratified(model, family, x, 0)[0]
            print(f"{case:<15}{nats:>7.3f}  {'exact, no λ is drawn':<74}  {slopes}", flush=True)
            continue
        ours = np.array([spread.stratified(model, family, x, s) for s in range(SEEDS)])
        equal, independent = (
            np.array([spread.unweighted(model, family, x, s, strata=strata) for s in range(SEEDS)])
            for strata in (True, False)
        )
        first, second = spread.variances(model, family, MOMENT_ROWS, 0)
        spreads = independent.std(), equal.std(), ours[:, 0].std()
        ratio, error = independent.var() / ours[:, 0].var(), np.sqrt(4.0 / SEEDS)
        coverage = np.sqrt(np.square(ours[:, 1]).mean()) / ours[:, 0].std()
        print(
            f"{case:<15}{ours[:, 0].mean():>7.3f}  {' '.join(f'{s:>8.4f}' for s in spreads)}  "
            f"{ratio:>6.2f} ±{ratio * error:4.2f} {independent.var() / equal.var():>6.2f} {first / second:>9.2f}"
            f"  {coverage:>16.2f}  {slopes}",
            flush=True,
        )
        figures.append(Figure(f"{case}: variance, independent λ over strata in use", ratio, "times"))
    return figures


def main() -> list[Figure]:
    torch.set_num_threads(1)
    started = time.perf_counter()
    figures = numerics()
    cancellation()
    figures += scatter()
    print(f"\n{time.perf_counter() - started:.0f} s, one thread")
    return figures


if __name__ == "__main__":
    report(main)
