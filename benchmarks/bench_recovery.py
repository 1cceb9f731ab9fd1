"""Planted ladders: are exponents recovered, do intervals cover, is an error shared by a size noticed? One table.

Truth and designs are those of a published masked diffusion surface in (M, D), M FLOPs per token: E 2.17, A 222,
alpha .292, B 1920, beta .367. `listed` is the error of a least-squares surface fit measured elsewhere on the same
designs, scaled to the noise; `ours` is `fit_surface` with its defaults (Huber, delta from the residuals).
"""

from __future__ import annotations

import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from figures import Figure, report

from difflaw.law.surface.fit import fit_surface
from difflaw.law.surface.forms import Coefficients
from difflaw.law.surface.predict import optimum

E, A, B, ALPHA, BETA = 2.17, 222.0, 1920.0, 0.292, 0.367
TRUTH = Coefficients("free", np.array(E), np.array(math.log(A)), np.array(math.log(B)), np.array(ALPHA), np.array(BETA))
NOISE = (0.001, 0.003, 0.01)
LADDERS = 300
BUDGETS = np.geomspace(1e18, 1e20, 5)


def isoflop(budgets: np.ndarray, sizes: int, step: float, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(M, D) of slices centred on the optimum times ``shift``."""
    grid = step ** (np.arange(sizes) - (sizes - 1) / 2)
    m = (shift * TRUTH.best_size(budgets, 1.0)[:, None] * grid).ravel()
    return m, np.repeat(budgets, sizes) / m


def fixed(sizes: int, budgets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, D) of the same sizes at every budget, as ladders are usually run."""
    ends = TRUTH.best_size(budgets[[0, -1]], 1.0)
    m = np.repeat(np.geomspace(ends[0] / 1.5, ends[1] * 1.5, sizes), len(budgets))
    return m, np.tile(budgets, sizes) / m


DESIGNS = {
    "5 budgets x 7 sizes, step 1.6": (isoflop(BUDGETS, 7, 1.6), (0.0104, 0.076, 0.0039)),
    "7 budgets x 9 sizes, step 2": (isoflop(np.geomspace(1e17, 1e20, 7), 9, 2.0), (0.0026, 0.026, 0.0020)),
    "same 5 x 7, centre 3 times off": (isoflop(BUDGETS, 7, 1.6, 3.0), (0.012, 0.072, 0.0038)),
}
"""Name -> ((M, D), listed errors of a, ln N* and ln L* at 50 times the largest budget for a noise of .003)."""


LISTED = {
    ("5 budgets x 7 sizes, step 1.6", 0.001): (0.0034, 0.025, 0.0012),
    ("5 budgets x 7 sizes, step 1.6", 0.01): (0.036, 0.26, 0.0135),
}
"""Listed for these noises themselves; the others are scaled."""


def one(task: tuple[str, float, int]) -> tuple[list[float], list[bool]]:
    """Errors and coverage of (a, ln N*, ln L*) on one planted ladder."""
    name, sd, seed = task
    (m, d), _ = DESIGNS[name]
    rng = np.random.default_rng([seed, round(sd * 1e6)])
    loss = TRUTH.loss(m, d) * np.exp(sd * rng.standard_normal(len(m)))
    surface, why = fit_surface(m, d, loss, first="flops_per_token")
    assert surface is not None, why
    far = 50 * float((m * d).max())
    size = float(TRUTH.best_size(far, 1.0))
    lowest = float(TRUTH.loss(size, far / size))
    best = optimum(surface, far)
    interval, sizes, mean = surface.intervals["params_exponent"], best.params_interval, best.forecast.mean
    assert sizes is not None
    assert mean is not None
    a = BETA / (ALPHA + BETA)
    errors = [surface.params_exponent - a, math.log(best.params / size), math.log(best.forecast.loss / lowest)]
    covered = [interval.low <= a <= interval.high, sizes.low <= size <= sizes.high, mean.low <= lowest <= mean.high]
    return errors, covered


def shared(task: tuple[int, float, int]) -> tuple[bool, bool, bool]:
    """(detected, covered by default, by HC3) where a size shares an error of ``ratio`` times the run variance."""
    sizes, ratio, seed = task
    m, d = fixed(sizes, BUDGETS)
    rng = np.random.default_rng([seed, sizes, round(ratio)])
    shared_error = math.sqrt(ratio) * np.repeat(rng.standard_normal(sizes), len(BUDGETS))
    loss = TRUTH.loss(m, d) * np.exp(0.003 * (rng.standard_normal(len(m)) + shared_error))
    a, found = BETA / (ALPHA + BETA), []
    for method in ("auto", "hc3"):
        surface, _ = fit_surface(m, d, loss, first="flops_per_token", method=method)
        if surface is None:
            return False, False, False
        interval = surface.intervals["params_exponent"]
        found.append(
            (surface.size_effect is not None and surface.size_effect.detected, interval.low <= a <= interval.high)
        )
    return found[0][0], found[0][1], found[1][1]


def main() -> list[Figure]:
    started = time.perf_counter()
    ladders = int(sys.argv[1]) if len(sys.argv) > 1 else LADDERS
    (m, d), _ = DESIGNS["5 budgets x 7 sizes, step 1.6"]
    exact, _ = fit_surface(m, d, TRUTH.loss(m, d), first="flops_per_token")
    assert exact is not None
    print(
        f"no noise: |alpha - truth| {abs(exact.alpha - ALPHA):.1e}, |beta - truth| {abs(exact.beta - BETA):.1e}"
        " (at most 1e-6)"
    )
    print(f"\n{ladders} ladders a cell; RMSE ours / listed for a, ln N* and ln L* at 50x; coverage of 95 % intervals")
    print(
        f"{'design':32}{'sd':>6} {'a':>15} {'ln N*':>15} {'ln L*':>17} {'worst ratio':>12} {'coverage a, N*, L*':>22}"
    )
    coverage, worst = [], 0.0
    with ProcessPoolExecutor(2) as pool:
        for name, (_, listed) in DESIGNS.items():
            for sd in NOISE:
                tasks = [(name, sd, seed) for seed in range(ladders)]
                errors, covered = (np.array(v) for v in zip(*pool.map(one, tasks, chunksize=25), strict=True))
                rmse, share, aim = (
                    np.sqrt((errors**2).mean(0)),
                    covered.mean(0),
                    np.array(LISTED.get((name, sd), np.array(listed) * sd / 0.003)),
                )
                coverage.append(share)
                ratio = float((rmse / aim).max())
                worst = max(worst, ratio)
                shown = [f"{r:.{n}f} /{t:.{n}f}" for r, t, n in zip(rmse, aim, (4, 3, 4), strict=True)]
                print(
                    f"{name:32}{sd:>6g} {shown[0]:>15} {shown[1]:>15} {shown[2]:>17} {ratio:>12.2f} "
                    f"{'  '.join(f'{s:.3f}' for s in share):>22}"
                )
        cells = np.array(coverage)
        print(
            f"worst ratio {worst:.2f} (at most 1.15); coverage {cells.min():.3f} to {cells.max():.3f} (.92 to .995), "
            f"mean {cells.mean():.3f} (.94 to .98)"
        )
        print("\nan error shared by all runs of a size (5 budgets, run noise .003); coverage of a, default and HC3")
        print(f"{'sizes':>6} {'its variance / run variance':>28} {'detected':>9} {'default':>8} {'HC3':>6}")
        detected = []
        for sizes in (5, 7, 9):
            for ratio in (0.0, 4.0):
                tasks = [(sizes, ratio, seed) for seed in range(ladders)]
                found = np.array(list(pool.map(shared, tasks, chunksize=25))).mean(0)
                print(f"{sizes:>6} {ratio:>28g} {found[0]:>9.3f} {found[1]:>8.3f} {found[2]:>6.3f}")
                if ratio:
                    detected.append(float(found[0]))
    print(f"{time.perf_counter() - started:.0f} s")
    off = max(abs(exact.alpha - ALPHA), abs(exact.beta - BETA))
    return [
        Figure("exponents off, no noise", off, at_most=1e-6),
        Figure("worst RMSE over that listed", worst, "times", at_most=1.15),
        Figure("lowest coverage of 95 % intervals", float(cells.min()), at_least=0.92),
        Figure("highest coverage of 95 % intervals", float(cells.max()), at_most=0.995),
        Figure("mean coverage of 95 % intervals", float(cells.mean()), at_least=0.94, at_most=0.98),
        Figure("error shared by a size: lowest share detected", min(detected)),
    ]


if __name__ == "__main__":
    report(main)
