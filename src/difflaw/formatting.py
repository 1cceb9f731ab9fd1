"""How sizes, budgets and ratios are written in messages."""

from __future__ import annotations


def human(value: float) -> str:
    """Write a count the short way: 14_200 -> "14.2k", 3e9 -> "3B"."""
    for scale, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * scale:
            return f"{value / scale:.3g}{suffix}"
    return f"{value:.3g}"


def flops(value: float) -> str:
    """Write a budget as "3.2e+12 FLOPs", without the sign of the exponent: "3.2e12 FLOPs"."""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)} FLOPs"


def listed(items: list[str], most: int = 6) -> str:
    """Join for a sentence, cutting long lists: "a, b, c and 4 more"."""
    if len(items) <= most:
        return ", ".join(items)
    return ", ".join(items[:most]) + f" and {len(items) - most} more"
