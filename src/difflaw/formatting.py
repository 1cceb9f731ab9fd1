"""Numbers as people read them, in messages, tables and figures: 198k, 2e12, 0.520 [0.47, 0.57], 3 min 05 s.

Every function takes anything: what is no number (None, NaN, text, pandas' missing values) is written as ``UNKNOWN``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

UNKNOWN = "–"
"""Shown where there is no number, so that an empty cell is never mistaken for zero."""

_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def as_float(value: Any) -> float:
    """``value`` as a float; NaN for None, text that is no number, and pandas' missing values."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def significant(value: Any, digits: int = 3) -> str:
    """``value`` to ``digits`` significant digits without an exponent: 0.0496, 12.3, 1450."""
    number = as_float(value)
    if not math.isfinite(number):
        return _not_finite(number)
    if number == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(number)))
    return _trim(f"{round(number, digits - 1 - magnitude):.{max(0, digits - 1 - magnitude)}f}")


def short_count(value: Any, digits: int = 3) -> str:
    """Sizes and tokens with a suffix: 14_200 -> 14.2k, 1.5e9 -> 1.5B; above 1e15 as ``scientific``."""
    number = as_float(value)
    if not math.isfinite(number):
        return _not_finite(number)
    # Rounding first keeps 999,999 from becoming "1000k".
    rounded = float(f"{number:.{digits - 1}e}")
    size = abs(rounded)
    if size >= 1e15 or 0 < size < 1e-3:
        return scientific(rounded, digits)
    for unit, suffix in _SUFFIXES:
        if size >= unit:
            return significant(rounded / unit, digits) + suffix
    return significant(rounded, digits)


def scientific(value: Any, digits: int = 3) -> str:
    """FLOPs and rates with the shortest exponent: 2e12 -> ``2e12``, 3.162e-4 -> ``3.16e-4``."""
    number = as_float(value)
    if not math.isfinite(number):
        return _not_finite(number)
    if number == 0:
        return "0"
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    return f"{_trim(mantissa)}e{int(exponent)}"


def flops(value: Any) -> str:
    """A budget with its unit: 3.2e12 -> ``3.2e12 FLOPs``."""
    return f"{scientific(value)} FLOPs"


def fixed(value: Any, decimals: int = 3) -> str:
    """``value`` with ``decimals`` decimals, for columns that must line up."""
    number = as_float(value)
    return f"{number:.{decimals}f}" if math.isfinite(number) else _not_finite(number)


def with_interval(value: Any, low: Any = None, high: Any = None) -> str:
    """A value and its interval, as many decimals as the interval deserves: ``0.520 [0.47, 0.57]``.

    The ends show the first significant digit of the half-width (two decimals at least), the value one more, so a
    loss exponent of -0.0496 ± 0.0025 does not collapse to "-0.05 [-0.05, -0.05]". No interval, no brackets.
    """
    centre, lower, upper = as_float(value), as_float(low), as_float(high)
    if math.isnan(lower) and math.isnan(upper):
        return fixed(centre, 3)
    half = (upper - lower) / 2
    decimals = 2
    if math.isfinite(half) and half > 0:
        decimals = min(6, max(2, -math.floor(math.log10(half))))
    return f"{fixed(centre, decimals + 1)} [{fixed(lower, decimals)}, {fixed(upper, decimals)}]"


def with_error(value: Any, error: Any) -> str:
    """A value ± its standard error, rounded at the error's second digit: ``3.412 ± 0.011``."""
    centre, spread = as_float(value), as_float(error)
    if not math.isfinite(spread) or spread <= 0:
        return fixed(centre, 4)
    decimals = min(6, max(1, 1 - math.floor(math.log10(spread))))
    return f"{fixed(centre, decimals)} ± {fixed(spread, decimals)}"


def duration(seconds: Any) -> str:
    """Wall-clock time in the two largest units: 42 s, 3 min 05 s, 2 h 10 min, 41 d 16 h."""
    number = as_float(seconds)
    if not math.isfinite(number):
        return _not_finite(number)
    whole = round(number)
    if whole < 60:
        return f"{significant(number, 2)} s" if number < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def listed(items: Sequence[str], most: int = 6) -> str:
    """Join for a sentence, cutting long lists: "a, b, c and 4 more"."""
    if len(items) <= most:
        return ", ".join(items)
    return ", ".join(items[:most]) + f" and {len(items) - most} more"


def _not_finite(number: float) -> str:
    if math.isnan(number):
        return UNKNOWN
    return "∞" if number > 0 else "-∞"


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
