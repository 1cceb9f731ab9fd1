"""Five families fitted together against each by itself: error of the best size, and how often the winner is named."""

from __future__ import annotations

import math
import sys
import time

import numpy as np
from figures import Figure, report

from difflaw.law.published import published_set
from difflaw.law.surface.joint import FORM, USUAL_SPREAD, optimum, pooled_fits, separate_fits, stacked

SIZES = np.array([2.5166e8, 4.5220e8, 7.3610e8, 1.6106e9, 4.1524e9])  # FLOPs per token of the first paper's five
BUDGETS = np.geomspace(5e17, 2e20, 5)
NOISES, DRAWS, TARGET = (0.003, 0.004), 200, 5e21
# At sd .004 separate fits err as much here (.21, .86) as in the setting the aim was set in (.22, .86 at sd .003).


def main() -> list[Figure]:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS
    print(f"{draws} ladders of 5 noise types, {len(SIZES)} sizes x {len(BUDGETS)} budgets; target {TARGET:g} FLOPs;")
    print(f"usual spreads of ln E, alpha, beta {USUAL_SPREAD}; form {FORM.equation}")
    print(f"{'run noise':10}{'fit':10}{'RMSE ln N*':>12}{'RMSE ln L*':>12}{'right winner':>14}{'ms a ladder':>13}")
    figures = [figure for noise in NOISES for figure in measure(noise, draws)]
    print(f"wanted of joint: <= 0.17 and >= 0.95: {'reached' if all(f.met for f in figures) else 'NOT reached'}")
    return figures


def measure(noise: float, draws: int) -> list[Figure]:
    """Print both fits' lines; the joint fit's figures."""
    rng = np.random.default_rng(0)
    surfaces = [s for family in published_set("gidd").families.values() if (s := family.surface) is not None]
    m, c = (v.ravel() for v in np.meshgrid(SIZES, BUDGETS))
    x, z = np.log(m), np.log(c / m)
    centre = (float(x.mean()), float(z.mean()))
    truth = np.array([s.E + s.A * m**-s.alpha + s.B * (c / m) ** -s.beta for s in surfaces])
    y = np.log(truth)[None] + noise * rng.standard_normal((draws, *truth.shape))
    theta = np.array(
        [
            [math.log(s.A) - s.alpha * centre[0], math.log(s.B) - s.beta * centre[1], math.log(s.E), s.alpha, s.beta]
            for s in surfaces
        ]
    )
    true_size, true_loss = optimum(theta, centre, TARGET, 1.0)
    winner = int(np.argmin(true_loss))
    stack = stacked([(x - centre[0], z - centre[1], row) for rows in y for row in rows])
    started = time.perf_counter()
    apart = separate_fits(stack)
    middle = time.perf_counter()
    joint = pooled_fits(stack, len(surfaces)).theta
    ended = time.perf_counter()
    figures: list[Figure] = []
    for name, found, seconds in (("separate", apart, middle - started), ("joint", joint, ended - middle)):
        ln_n, ln_l = (v.reshape(draws, -1) for v in optimum(found, centre, TARGET, 1.0))
        size = float(np.sqrt(np.mean((ln_n - true_size) ** 2)))
        loss = float(np.sqrt(np.mean((ln_l - true_loss) ** 2)))
        right = float(np.mean(np.argmin(ln_l, 1) == winner))
        print(f"{noise:<10g}{name:10}{size:12.3f}{loss:12.4f}{right:14.3f}{1000 * seconds / draws:13.1f}")
        figures = [
            Figure(f"joint fit, run noise {noise:g}: RMSE of ln N*", size, at_most=0.17),
            Figure(f"joint fit, run noise {noise:g}: right winner", right, "of ladders", at_least=0.95),
        ]
    return figures


if __name__ == "__main__":
    report(main)
