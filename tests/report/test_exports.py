"""One description, two exports: files by their suffix, plotly's dictionaries, and the same data in both."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from difflaw.errors import InputError
from difflaw.law import fit_laws, table_from_frame
from difflaw.report import all_figures
from difflaw.report.keys import MOST_ENTRIES, scale_of
from difflaw.report.loss_figures import frontier
from difflaw.report.matplotlib_figure import draw, save
from difflaw.report.plotly_figure import to_plotly
from difflaw.report.regret_figures import FILLS, LEVELS, contours
from difflaw.report.spec import Axis, FigureSpec, LineMark, Panel, PointMark, empty, padded


@pytest.fixture(scope="module")
def fitted():
    rows = [
        {"family": family, "params": n, "tokens": c / (6 * n), "flops": c}
        for family in ("masked", "uniform")
        for c in np.geomspace(1e17, 1e20, 7)
        for n in 3e7 * (c / 1e18) ** 0.5 * 1.6 ** np.arange(-3, 4)
    ]
    frame = pd.DataFrame(rows)
    frame["loss"] = 1.8 + 480 * frame["params"] ** -0.35 + 2100 * frame["tokens"] ** -0.37
    table = table_from_frame(frame)
    return table.frame, fit_laws(table, hold_out=True)


def test_every_figure_is_valid_plotly(fitted, ladder):
    described = all_figures(*fitted)
    assert {"residuals", "drift", "regret"} <= set(described)
    for spec in (*described.values(), *all_figures(ladder.table, ladder.laws, 1.3).values()):
        exported = to_plotly(spec)
        assert go.Figure(exported).data


def test_the_kind_of_file_is_its_suffix(ladder, tmp_path):
    spec = frontier(ladder.table, ladder.laws)
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for kind, start in starts.items():
        assert save(spec, tmp_path / f"frontier.{kind}").read_bytes().startswith(start)
    for name in ("frontier.jpg", "frontier"):
        with pytest.raises(InputError, match=r"\.png, \.pdf or \.svg"):
            save(spec, tmp_path / name)


def test_both_exports_draw_the_same_points_and_lines(fitted, ladder):
    for name, spec in (*all_figures(*fitted).items(), *all_figures(ladder.table, ladder.laws).items()):
        traces, axes = to_plotly(spec)["data"], draw(spec).axes
        for index, panel in enumerate(spec.panels):
            number = "" if index == 0 else str(index + 1)
            own = [t for t in traces if t.get("xaxis") == f"x{number}" and t["type"] == "scatter"]
            drawn = [np.asarray(line.get_xydata(), float) for line in axes[index].lines]
            for mark in panel.marks:
                if isinstance(mark, LineMark | PointMark) and len(mark.x):
                    points = np.column_stack([mark.x, mark.y]).astype(float)
                    assert any(np.array_equal(points, other) for other in drawn), (name, mark)
                    page = [np.column_stack([t["x"], t["y"]]).astype(float) for t in own if len(t["x"]) == len(mark.x)]
                    assert any(np.allclose(points, other, rtol=1e-5, equal_nan=True) for other in page), (name, mark)


def test_limits_and_titles_agree(fitted):
    for spec in all_figures(*fitted).values():
        figure, layout = draw(spec), to_plotly(spec)["layout"]
        for index, panel in enumerate(spec.panels):
            number = "" if index == 0 else str(index + 1)
            if panel.x.limits is not None:
                assert figure.axes[index].get_xlim() == pytest.approx(panel.x.limits)
                assert 10 ** np.array(layout[f"xaxis{number}"]["range"]) == pytest.approx(panel.x.limits)
            assert figure.axes[index].get_ylabel() == layout[f"yaxis{number}"]["title"]["text"]


def test_a_level_of_a_contour_is_a_step_of_plotlys():
    lost = np.array([[0.0, 0.05, *LEVELS], [50.0] * (len(LEVELS) + 2)])
    x, y = np.arange(1.0, lost.shape[1] + 1), np.array([1.0, 2.0])
    panel = Panel("map", Axis("x", "count"), Axis("y", "count"), (contours(x, y, lost, labelled=False),))
    trace = to_plotly(FigureSpec((panel,)))["data"][0]
    assert trace["z"][0] == [0, 0.5, *range(1, len(LEVELS) + 1)]
    assert max(trace["z"][1]) > len(LEVELS)
    assert trace["contours"] == {"start": 1, "end": len(LEVELS), "size": 1, "coloring": "fill"}
    assert [colour for _, colour in trace["colorscale"]] == [*FILLS, "#ffffff"]
    assert trace["text"][0][1] == "0.05 %"


def test_a_clicked_entry_hides_what_it_names(ladder):
    traces = to_plotly(frontier(ladder.table, ladder.laws))["data"]
    entries = [t["legendgroup"] for t in traces if t["showlegend"] and "legendgroup" in t]
    assert entries == list(ladder.laws.families)
    for family in entries:
        assert sum(t.get("legendgroup") == family for t in traces) > 3


def test_many_sizes_have_a_colour_bar_and_few_a_legend():
    few = scale_of(np.geomspace(1e5, 1e9, MOST_ENTRIES), "count", "parameters", "size")
    assert few.bar is None
    assert len(few.entries) == len(few.colours) == MOST_ENTRIES
    many = scale_of(np.geomspace(1e5, 1e9, MOST_ENTRIES + 1), "count", "parameters", "size")
    assert many.bar is not None
    assert not many.entries
    assert (many.bar.low, many.bar.high) == pytest.approx((1e5, 1e9))
    panel = Panel("", Axis("x", "count", (1, 10)), Axis("y", "loss", (1, 10)), (LineMark([1, 2], [3, 4], "#000000"),))
    spec = FigureSpec((panel,), bar=many.bar)
    assert len(draw(spec).axes) == 2
    assert to_plotly(spec)["data"][-1]["marker"]["colorbar"]["ticktext"][0] == "100k"


def test_no_panel_says_that_nothing_has_finished():
    assert "nothing finished yet" in to_plotly(empty("Loss"))["layout"]["annotations"][0]["text"]
    assert padded([]) is None
    assert padded([float("nan"), 2.0, 8.0], 2.0) == (1.0, 16.0)
