"""Laws from anyone's table of runs: fits, intervals, published laws. NumPy and SciPy alone; loads no torch.

>>> from difflaw.law import fit_laws, read_table, reading
>>> for line in reading(fit_laws(read_table("runs.csv"))): print(line)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from difflaw.lazy import lazy_names

if TYPE_CHECKING:
    from difflaw.law.document import Laws, fit_table
    from difflaw.law.fit import fit_laws
    from difflaw.law.power import fit_power, predict_interval
    from difflaw.law.published import PublishedLaw, published_for, published_laws
    from difflaw.law.results import FamilyLaws, FittedFamilies, HoldOut, Interval, PowerLaw, Profile, Surface, Vertex
    from difflaw.law.surface.fit import fit_surface
    from difflaw.law.surface.hold_out import hold_out, hold_out_text
    from difflaw.law.surface.predict import loss_at, optimum, surface_draws
    from difflaw.law.table.read import Table, read_table, table_from_frame
    from difflaw.law.words import compare_exponents, compare_optima, reading

_HOME = {
    "FamilyLaws": "results",
    "FittedFamilies": "results",
    "HoldOut": "results",
    "Interval": "results",
    "Laws": "document",
    "PowerLaw": "results",
    "Profile": "results",
    "PublishedLaw": "published",
    "Surface": "results",
    "Table": "table.read",
    "Vertex": "results",
    "compare_exponents": "words",
    "compare_optima": "words",
    "fit_laws": "fit",
    "fit_power": "power",
    "fit_surface": "surface.fit",
    "fit_table": "document",
    "hold_out": "surface.hold_out",
    "hold_out_text": "surface.hold_out",
    "loss_at": "surface.predict",
    "optimum": "surface.predict",
    "predict_interval": "power",
    "published_for": "published",
    "published_laws": "published",
    "read_table": "table.read",
    "reading": "words",
    "surface_draws": "surface.predict",
    "table_from_frame": "table.read",
}
"""Where each name is; imported when first asked for."""

__all__ = [
    "FamilyLaws",
    "FittedFamilies",
    "HoldOut",
    "Interval",
    "Laws",
    "PowerLaw",
    "Profile",
    "PublishedLaw",
    "Surface",
    "Table",
    "Vertex",
    "compare_exponents",
    "compare_optima",
    "fit_laws",
    "fit_power",
    "fit_surface",
    "fit_table",
    "hold_out",
    "hold_out_text",
    "loss_at",
    "optimum",
    "predict_interval",
    "published_for",
    "published_laws",
    "read_table",
    "reading",
    "surface_draws",
    "table_from_frame",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
