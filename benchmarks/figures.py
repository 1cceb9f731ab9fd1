"""What every benchmark shares: figures with their limits, and one JSON object on standard output under `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One number a benchmark is run for, and the limit it is held to, if any."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the limit holds (a NaN meets none); None where there is none."""
        if self.at_most is None and self.at_least is None:
            return None
        low = -float("inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return low <= self.value <= high

    @property
    def limit(self) -> str:
        """The limit in words."""
        bounds = (("≥", self.at_least), ("≤", self.at_most))
        return " and ".join(f"{sign} {self.written(bound)}" for sign, bound in bounds if bound is not None)

    def written(self, value: float) -> str:
        """A value of this figure without its unit: shares ("of peak") in per cent, more digits near a limit."""
        if self.unit.startswith("of "):
            return f"{value:.1%}"
        bounds = [bound for bound in (self.at_most, self.at_least) if bound]
        near = any(abs(self.value / bound - 1) < 1e-3 for bound in bounds)
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{8 if near else 4}g}"


def report(main: Callable[[], list[Figure]]) -> None:
    """Run a benchmark's ``main``, which prints its table and returns its figures; exit 1 where one misses its limit.

    With ``--json`` the table goes to standard error and standard output is one JSON object, {"figures": [...]}.
    """
    wanted = "--json" in sys.argv
    if wanted:
        sys.argv.remove("--json")
    with redirect_stdout(sys.stderr) if wanted else nullcontext():
        found = main()
    if wanted:
        print(json.dumps({"figures": [asdict(figure) | {"met": figure.met} for figure in found]}))
    missed = [figure.name for figure in found if figure.met is False]
    if missed:
        raise SystemExit(f"limits missed: {', '.join(missed)}")
