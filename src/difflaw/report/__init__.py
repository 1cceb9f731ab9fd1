"""Figures of a ladder as files, and everything it said as one HTML page that opens without a network.

Where to look:

- What is drawn: `runs`, `rate_sweeps`, `law_lines`, `surfaces` turn a table and its laws into curves and points.
- The figures: `loss_figures`, `optimum_figures`, `rate_figure`, `surface_figures`, `regret_figures`, `plan_figure`
  describe each of theirs once, in the words of `spec` (panels, axes, marks, legend); `colours`, `keys` and `law_marks`
  hold what several share.
- How a description becomes a picture: `matplotlib_figure` for files, `plotly_figure` for the page (marks in
  `matplotlib_marks` and `plotly_traces`); `figures` lists all.
- The page: `page` fills ``templates/`` with tables from `law_tables`, `exponents`, `run_tables`, `extras_tables`.
- Who calls: `fit_report` for `difflaw fit`, `ladder_report` for `difflaw ladder`.
"""

from difflaw.report.figures import all_figures, save_figures
from difflaw.report.page import ReportContext, write_report

__all__ = ["ReportContext", "all_figures", "save_figures", "write_report"]
