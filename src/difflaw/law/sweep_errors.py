"""How well the laws of batch and rate are known: intervals of exponents and of their combinations, and what is shared.

Rows (or whole runs) may be noisy by themselves, and the optima of cells may scatter about their law. Each has its
sandwich, and an interval is the wider of both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from difflaw.law.power import Spread, quantile
from difflaw.law.results import Interval
from difflaw.law.surface.covariance import sandwich
from difflaw.law.sweep_cells import rows_by, within
from difflaw.law.sweep_quadratic import Quadratic, fit_levels

FEWEST_CELLS = 8
"""Cells from which an error shared by the runs of a cell can be seen."""
CLEAR = 0.999
"""Level of the interval that must exclude no change, for a curvature to be said to change over the table."""
MUCH = 1.5
"""And the factor by which it must change."""


class Errors:
    """Of a fit to the rows kept: ``runs`` names each row's run (None: a run each)."""

    def __init__(self, part: Quadratic, theta: np.ndarray, runs: np.ndarray | None, level: float) -> None:
        n = len(part.logs["loss"])
        self.level = level
        self.value = dict(zip(part.names, (float(v) for v in theta), strict=True))
        self.residual, self.jacobian = part.residual(theta), part.jacobian(theta)
        self.cluster = np.arange(n) if runs is None else np.unique(runs, return_inverse=True)[1]
        self.runs = int(self.cluster.max()) + 1
        self.spreads = self._spreads(part, self.residual, self.jacobian)
        self.surface, self.surface_intervals = tuple(float(v) for v in theta[:5]), {}
        if part.ids is not None:
            self._second_stage(part, theta)

    def _spreads(self, part: Quadratic, residual: np.ndarray, jacobian: np.ndarray) -> list[Spread]:
        """Errors by run, and by cell where there are enough of them."""
        single = self.runs == len(residual)
        dof = max(self.runs - jacobian.shape[1] - (part.levels if single else 0), 1)
        if part.ids is not None:  # the share of a row in the level of its cell, which the jacobian does not hold
            alone = residual / (1 - 1 / np.maximum(np.bincount(part.ids), 2))[part.ids]
        else:
            alone = residual
        how = "HC3" if single else "clustered by run, CR3"
        found = [Spread(sandwich(jacobian, alone, self.cluster, math.inf), dof, how)]
        if part.ids is not None and part.levels >= FEWEST_CELLS:
            dof = part.levels - 1 - max(len(part.batch_on), len(part.rate_on))
            found.append(Spread(sandwich(jacobian, residual, part.ids, math.inf), dof, "clustered by cell, CR3"))
        return found

    def interval(self, name: str, gradient: Mapping[str, float], value: float) -> Interval:
        """Of a combination of parameters with this gradient (the delta method), the wider of both kinds."""
        slope = np.array([gradient.get(other, 0.0) for other in self.value])
        half, spread = _widest(self.spreads, slope, self.level)
        kind = f"{100 * self.level:g} % for the law's {name}: {spread.how} sandwich, t({spread.dof})"
        return Interval(value - half, value + half, self.level, kind)

    def _second_stage(self, part: Quadratic, theta: np.ndarray) -> None:
        """The surface through the levels of the cells, and intervals of its exponents where there are enough cells."""
        assert part.ids is not None
        rows, error = rows_by(part.ids), part.error(theta)
        logs = {t: np.array([part.logs[t][r].mean() for r in rows]) for t in ("params", "tokens")}
        counts = np.array([float(len(r)) for r in rows])
        found, fitted = fit_levels(logs, -np.array([error[r].mean() for r in rows]), counts)
        self.surface = tuple(float(v) for v in found)
        dof = len(rows) - len(found)
        if dof < 1:
            return
        covariance = sandwich(fitted[:, 1:], fitted[:, 0], np.arange(len(rows)), math.inf)
        for i, name in ((3, "alpha"), (4, "beta")):
            half = quantile(self.level, dof) * math.sqrt(max(float(covariance[i, i]), 0.0))
            kind = f"{100 * self.level:g} % for the surface's {name}: HC3 sandwich over cells, t({dof})"
            low, high = float(found[i]) - half, float(found[i]) + half
            self.surface_intervals[name] = Interval(low, high, self.level, kind)

    def changing_curvature(self, part: Quadratic) -> list[str]:
        """Whether k_B or k_eta, which the cells share, plainly changes with size or tokens; a sentence for each."""
        warnings, theta = [], np.array(list(self.value.values()))
        u, v = part.off(theta)
        for what, k, off in (("batch", "k_batch", u), ("rate", "k_rate", v)):
            for term, symbol in (("params", "size"), ("tokens", "tokens")):
                extra = math.exp(self.value[k]) * off * off * part.logs[term]
                extra = extra if part.ids is None else within(part.ids, extra)
                jacobian = np.column_stack([self.jacobian, extra])
                change = np.linalg.lstsq(jacobian, -self.residual, rcond=1e-10)[0]
                power = abs(float(change[-1])) * float(np.ptp(part.logs[term]))
                if power < math.log(MUCH):
                    continue
                left = self.residual + jacobian @ change
                last = (np.arange(jacobian.shape[1]) == jacobian.shape[1] - 1).astype(float)
                error = _widest(self._spreads(part, left, jacobian), last, CLEAR)[0]
                if abs(change[-1]) > error:
                    warnings.append(
                        f"the cells do not share one curvature: what a wrong {what} costs "
                        f"{'rises' if change[-1] > 0 else 'falls'} by a factor {math.exp(min(power, 99)):.2g} over the "
                        f"table's range of {symbol}; the flat ranges are those of a typical cell"
                    )
        return warnings


def _widest(spreads: list[Spread], slope: np.ndarray, level: float) -> tuple[float, Spread]:
    """Half the width of the widest interval of a combination of parameters, and what it is from."""
    variances = [max(float(slope @ s.covariance @ slope), 0.0) for s in spreads]
    halves = [quantile(level, s.dof) * math.sqrt(v) for s, v in zip(spreads, variances, strict=True)]
    return max(zip(halves, spreads, strict=True), key=lambda pair: pair[0])
