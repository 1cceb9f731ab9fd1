"""Figures of a ladder as PNG files, and everything it said as one HTML page that opens without a network."""

from difflaw.report.bowls import learning_rate_bowls
from difflaw.report.colours import Style, style_of
from difflaw.report.figures import (
    frontier,
    isoflop_profiles,
    loss_curves,
    optimal_size,
    optimal_tokens,
    save_figures,
)
from difflaw.report.numbers import compact, scientific, with_interval
from difflaw.report.page import ReportContext, write_report
from difflaw.report.published import PublishedExponent, published_exponents

__all__ = [
    "PublishedExponent",
    "ReportContext",
    "Style",
    "compact",
    "frontier",
    "isoflop_profiles",
    "learning_rate_bowls",
    "loss_curves",
    "optimal_size",
    "optimal_tokens",
    "published_exponents",
    "save_figures",
    "scientific",
    "style_of",
    "with_interval",
    "write_report",
]
