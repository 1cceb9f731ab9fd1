"""One surface fit, and 10,000 resamples of it: ours in batches against SciPy one by one, the public notebooks' way.

The rows are the 240 published Chinchilla runs where ../shared/data has them, else a planted table of the same shape.
SciPy is timed on a subset, from the best fit as ours is (kinder than the notebooks, which try many starts), and scaled.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from figures import Figure, report
from scipy.optimize import least_squares, minimize
from scipy.special import logsumexp

from difflaw.law.surface.bootstrap import bootstrap
from difflaw.law.surface.fit import fit_surface
from difflaw.law.surface.forms import make_form
from difflaw.law.surface.least_squares import huber_rows
from difflaw.law.surface.minimum import canonical, find_minimum

RUNS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "chinchilla_epoch" / "svg_extracted_data.csv"
COUNT, SUBSET = 10_000, 40


def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """N, D, loss of 240 runs, and where they are from."""
    if RUNS.is_file():
        import pandas as pd

        frame = pd.read_csv(RUNS)
        n, c, loss = (frame[name].to_numpy() for name in ("Model Size", "Training FLOP", "loss"))
        keep = loss < np.sort(loss)[-5]
        return n[keep], (c / 6 / n)[keep], loss[keep], "published Chinchilla runs"
    rng = np.random.default_rng(0)
    n, c = np.exp(rng.uniform(18, 23, 240)), np.exp(rng.uniform(43, 50, 240))
    d = c / 6 / n
    return n, d, (1.8 + 480 * n**-0.35 + 2100 * d**-0.37) * np.exp(0.006 * rng.standard_normal(240)), "planted runs"


def best_of(call: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of a few calls."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> list[Figure]:
    figures = []
    n, d, loss, source = rows()
    form, data = make_form(), canonical(n, d, loss)
    print(f"{len(n)} {source}")
    for delta in (1e-3, 0.0, math.inf):
        surface, _ = fit_surface(n, d, loss, delta=delta, method="hc3")
        assert surface is not None
        interval = surface.intervals["params_exponent"]
        seconds = best_of(lambda delta=delta: find_minimum(form, data, delta))
        whole = best_of(lambda delta=delta: fit_surface(n, d, loss, delta=delta))
        print(
            f"delta {delta:<6g} objective {surface.objective:.11f} E {surface.E:.5f} A {surface.A:.2f} "
            f"B {surface.B:.2f} "
            f"alpha {surface.alpha:.5f} beta {surface.beta:.5f} a {surface.params_exponent:.3f} "
            f"[{interval.low:.3f}, {interval.high:.3f}]; {seconds:.4f} s, "
            f"with intervals, tests and warnings {whole:.4f} s"
        )
        figures.append(Figure(f"one fit, delta {delta:g}", seconds, "s", at_most=0.1))
        if delta == 1e-3 and source.startswith("published"):
            figures.append(Figure("objective, Huber 1e-3", surface.objective, at_most=0.001018275))

    def old_way(weights: np.ndarray, theta: np.ndarray, delta: float, way: str) -> None:
        def residual(t: np.ndarray) -> np.ndarray:
            terms = [t[0] - t[3] * data.x, t[1] - t[4] * data.z, np.full(len(data), t[2])]
            return logsumexp(terms, axis=0) - data.y

        if way == "least_squares":
            kind = {"loss": "linear"} if math.isinf(delta) else {"loss": "huber", "f_scale": delta}
            least_squares(lambda t: np.sqrt(weights) * residual(t), theta, **kind)
        else:
            minimize(lambda t: float(weights @ huber_rows(residual(t), delta)), theta, method="L-BFGS-B")

    print(
        f"\n{'resamples of runs':18}{'ours, ' + str(COUNT):>14}{'SciPy least_squares':>24}{'ratio':>7}"
        f"{'L-BFGS-B':>14}{'ratio':>7}"
    )
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(data), np.full(len(data), 1 / len(data)), SUBSET).astype(float)
    for name, delta in (("Huber 1e-3", 1e-3), ("Huber, MAD delta", None), ("least squares", math.inf)):
        minimum = find_minimum(form, data, delta)
        assert minimum is not None
        ours = best_of(lambda minimum=minimum: bootstrap(form, data, minimum, count=COUNT), 2)
        old = []
        for way in ("least_squares", "lbfgs"):
            started = time.perf_counter()
            for weights in drawn:
                old_way(weights, minimum.theta, minimum.delta, way)
            old.append((time.perf_counter() - started) / SUBSET * COUNT)
        print(f"{name:18}{ours:>12.2f} s{old[0]:>22.0f} s{old[0] / ours:>7.0f}{old[1]:>12.0f} s{old[1] / ours:>7.0f}")
        wanted = 2.0 if delta == math.inf else 6.0
        figures.append(Figure(f"{COUNT:,} resamples, {name}", ours, "s", at_most=wanted))
        figures.append(Figure(f"faster than SciPy one by one, {name}", min(old) / ours, "times", at_least=50.0))
    print(f"SciPy timed on {SUBSET} resamples and scaled to {COUNT}; every way starts from the fit to all rows")
    return figures


if __name__ == "__main__":
    report(main)
