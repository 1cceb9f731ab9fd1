"""The quadratic of ln L in ln batch and ln rate whose optimum moves with size and tokens, by least squares.

ln L = level + k_B·u² + k_eta·v², u = ln B - (c0 + c1·ln D + c2·ln N), v = ln eta - (d0 + d1·ln B + d2·ln D + d3·ln N).
The level is either free in every cell, so that no form of L(N, D) can bend the optimum, or, where cells are too small
for that, ln(E + A·N^-alpha + B·D^-beta).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from difflaw.law.sweep_cells import within

SURFACE = ("a", "b", "e", "alpha", "beta")
"""ln A, ln B, ln E (at the centre of the rows) and the exponents."""
LOWEST = [-30, -30, -12, 0.01, 0.01]
HIGHEST = [30, 30, 3, 3, 3]


class Quadratic:
    """Model of rows whose centred logarithms are ``logs`` (params, tokens, batch, lr, loss, each of shape (n,)).

    theta = [a, b, e, alpha, beta (only with ``ids`` None)], ln k_B, ln k_eta, c of (1, *batch_on), d of (1, *rate_on).
    """

    def __init__(
        self,
        logs: dict[str, np.ndarray],
        batch_on: Sequence[str],
        rate_on: Sequence[str],
        ids: np.ndarray | None,
    ) -> None:
        self.logs, self.ids, self.batch_on, self.rate_on = logs, ids, tuple(batch_on), tuple(rate_on)
        one = np.ones(len(logs["loss"]))
        self.batch_x = np.stack([one, *(logs[t] for t in batch_on)], 1)
        self.rate_x = np.stack([one, *(logs[t] for t in rate_on)], 1)
        self.names = (
            *(SURFACE if ids is None else ()),
            *("k_batch", "k_rate", "batch:1", *(f"batch:{t}" for t in batch_on)),
            *("rate:1", *(f"rate:{t}" for t in rate_on)),
        )
        self.lead = self.names.index("k_batch")

    def take(self, rows: np.ndarray) -> Quadratic:
        """The model of some of its rows."""
        some = {name: values[rows] for name, values in self.logs.items()}
        ids = None if self.ids is None else np.unique(self.ids[rows], return_inverse=True)[1]
        return Quadratic(some, self.batch_on, self.rate_on, ids)

    @property
    def levels(self) -> int:
        """Parameters besides theta: the levels of the cells."""
        return 0 if self.ids is None else int(self.ids.max()) + 1

    def off(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(ln B/B*, ln eta/eta*), each of shape (n,)."""
        k, cut = self.lead, self.lead + 2 + self.batch_x.shape[1]
        u = self.logs["batch"] - self.batch_x @ theta[k + 2 : cut]
        return u, self.logs["lr"] - self.rate_x @ theta[cut:]

    def cost(self, theta: np.ndarray) -> np.ndarray:
        """Share of the loss that batch and rate cost, shape (n,)."""
        u, v = self.off(theta)
        return math.exp(theta[self.lead]) * u * u + math.exp(theta[self.lead + 1]) * v * v

    def error(self, theta: np.ndarray) -> np.ndarray:
        """Model less data, the level of a cell being counted as zero, shape (n,)."""
        level = np.zeros(1) if self.ids is not None else surface(theta, self.logs)[0]
        return level + self.cost(theta) - self.logs["loss"]

    def residual(self, theta: np.ndarray) -> np.ndarray:
        """Model less data, the level of a cell being the one that fits best, shape (n,)."""
        error = self.error(theta)
        return error if self.ids is None else within(self.ids, error)

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Of `residual`, shape (n, p)."""
        (u, v), kb, kr = self.off(theta), math.exp(theta[self.lead]), math.exp(theta[self.lead + 1])
        own = np.stack([kb * u * u, kr * v * v], 1)
        columns = [own, -2 * kb * u[:, None] * self.batch_x, -2 * kr * v[:, None] * self.rate_x]
        if self.ids is None:
            columns.insert(0, surface(theta, self.logs)[1])
        found = np.concatenate(columns, 1)
        return found if self.ids is None else within(self.ids, found)

    def minimise(self, start: np.ndarray | None = None) -> np.ndarray:
        """The theta of the least squares, from ``start`` or from starts of its own."""
        from scipy.optimize import least_squares

        optimum = self.batch_x.shape[1] + self.rate_x.shape[1]
        lower = np.array([*(LOWEST if self.ids is None else []), -14, -14, *([-60] * optimum)], float)
        upper = np.array([*(HIGHEST if self.ids is None else []), 3, 3, *([60] * optimum)], float)
        derivatives: Any = self.jacobian  # SciPy's stubs know only the names of its own methods
        found = [
            least_squares(
                self.residual,
                np.clip(first, lower + 1e-6, upper - 1e-6),
                derivatives,
                bounds=(lower, upper),
                x_scale="jac",
                xtol=1e-10,
                ftol=1e-11,
                max_nfev=100,
            )
            for first in (self._starts() if start is None else [start])
        ]
        return min(found, key=lambda fit: fit.cost).x

    def _starts(self) -> list[np.ndarray]:
        """The quadratic of all products, which is linear; failing that, optima at the lowest rows, three curvatures."""
        low = float(self.logs["loss"].min())
        level = [low - 1.5, low - 1.5, low - 0.3, 0.35, 0.35] if self.ids is None else []
        if (linear := self._linear()) is not None:
            return [np.concatenate([level, linear])]
        logs, design = self.logs, level_columns(self.logs)
        above = logs["loss"] - design @ np.linalg.lstsq(design, logs["loss"], rcond=1e-9)[0]
        good = above <= np.quantile(above, 0.3)
        batch = np.linalg.lstsq(self.batch_x[good], logs["batch"][good], rcond=1e-6)[0]
        rate = np.linalg.lstsq(self.rate_x[good], logs["lr"][good], rcond=1e-6)[0]
        return [np.concatenate([level, [math.log(k)] * 2, batch, rate]) for k in (1e-3, 1e-2, 5e-2)]

    def _linear(self) -> np.ndarray | None:
        """Optimum from the coefficients of b², b·e, e² and b, e times (1, ln D, ln N); None where there is none."""
        b, e, tilted = self.logs["batch"], self.logs["lr"], "batch" in self.rate_on
        moved = [t for t in self.rate_on if t != "batch"]
        terms = dict.fromkeys(["1", *self.batch_on, *(moved if tilted else ())])
        values = {"1": np.ones_like(b), **self.logs}
        columns = {("b", "b"): b * b, ("e", "e"): e * e} | ({("b", "e"): b * e} if tilted else {})
        columns |= {("b", t): b * values[t] for t in terms} | {("e", t): e * values[t] for t in ("1", *moved)}
        design, loss = np.stack(list(columns.values()), 1), self.logs["loss"]
        if self.ids is None:
            design = np.concatenate([design, level_columns(self.logs)], 1)
        else:
            design, loss = within(self.ids, design), within(self.ids, loss)
        at = dict(zip(columns, np.linalg.lstsq(design, loss, rcond=1e-9)[0], strict=False))
        kr = at["e", "e"]
        if kr <= 0:
            return None
        d = {t: -at["e", t] / (2 * kr) for t in ("1", *moved)}
        slope = -at["b", "e"] / (2 * kr) if tilted else 0.0
        kb = at["b", "b"] - kr * slope * slope
        if kb <= 0:
            return None
        c = [(2 * kr * slope * d.get(t, 0.0) - at["b", t]) / (2 * kb) for t in ("1", *self.batch_on)]
        rate = [slope if t == "batch" else d[t] for t in ("1", *self.rate_on)]
        return np.array([math.log(kb), math.log(kr), *c, *rate])


def level_columns(logs: dict[str, np.ndarray]) -> np.ndarray:
    """Columns of a smooth level in ln N and ln D, shape (n, 5)."""
    n, d = logs["params"], logs["tokens"]
    return np.stack([np.ones_like(n), n, d, n * n, d * d], 1)


def surface(theta: np.ndarray, logs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """ln(E + A·N^-alpha + B·D^-beta) at rows, shape (n,), and its derivatives by (a, b, e, alpha, beta), (n, 5)."""
    a, b, e, alpha, beta = theta[:5]
    parts = np.stack([a - alpha * logs["params"], b - beta * logs["tokens"], np.full(len(logs["params"]), e)], 1)
    parts = np.exp(parts)
    total = parts.sum(1)
    share = parts / total[:, None]
    slopes = [-share[:, 0] * logs["params"], -share[:, 1] * logs["tokens"]]
    return np.log(total), np.concatenate([share, np.stack(slopes, 1)], 1)


def fit_levels(logs: dict[str, np.ndarray], level: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The surface through levels of cells, weighted by their ``rows``, and residual·√rows with its derivatives.

    Returns:
        theta, shape (5,), and residuals next to their jacobian, shape (cells, 6).
    """
    from scipy.optimize import least_squares

    root = np.sqrt(rows / rows.mean())
    residual: Any = lambda theta: root * (surface(theta, logs)[0] - level)  # noqa: E731
    jacobian: Any = lambda theta: root[:, None] * surface(theta, logs)[1]  # noqa: E731
    low, found = float(level.min()), []
    for gap in (0.1, 0.3, 1.0):
        start = np.array([low - 1.5, low - 1.5, low - gap, 0.35, 0.35])
        found.append(least_squares(residual, start, jacobian, bounds=(LOWEST, HIGHEST), xtol=1e-13, ftol=1e-13))
    theta = min(found, key=lambda fit: fit.cost).x
    return theta, np.column_stack([residual(theta), jacobian(theta)])
