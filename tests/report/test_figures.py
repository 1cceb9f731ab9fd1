"""Files for people: every figure is drawn whatever is missing, and says what does not count."""

import os
import warnings
from dataclasses import replace

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

from difflaw.report import save_figures
from difflaw.report.loss_figures import frontier, loss_curves
from difflaw.report.matplotlib_figure import draw
from difflaw.report.optimum_figures import isoflop_profiles, optimal_size, optimal_tokens
from difflaw.report.rate_figure import learning_rates

NAMES = ["frontier", "isoflop-profiles", "optimal-size", "optimal-tokens", "residuals", "loss-curves"]
NAMES += ["learning-rates"]


def texts(figure: Figure) -> str:
    found = [text.get_text() for axis in figure.axes for text in axis.texts]
    return " ".join(found)


def test_saves_every_figure_at_150_dpi_and_leaves_settings_alone(ladder, tmp_path):
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = save_figures(tmp_path / "figures", ladder.table, ladder.laws, 1.3)
    assert [path.stem for path in paths] == NAMES
    for path in paths:
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert sorted(os.listdir(tmp_path / "figures")) == sorted(path.name for path in paths)
    assert dict(mpl.rcParams) == before


def test_panels_and_hollow_minima(ladder):
    figure = draw(isoflop_profiles(ladder.laws))
    assert len(figure.axes) == len(ladder.laws.families)
    profiles = ladder.laws.families["masked"].profiles
    hollow = sum(p.status != "interior" for p in profiles)
    assert 0 < hollow < len(profiles)
    stars = [line for line in figure.axes[1].lines if line.get_marker() == "*"]
    assert sum(line.get_markerfacecolor() == "white" for line in stars) == hollow
    assert sum(line.get_linestyle() == "--" for line in figure.axes[1].lines) == hollow


def test_broken_runs_end_in_a_cross(ladder):
    figure = draw(loss_curves(ladder.table))
    crosses = [line for axis in figure.axes for line in axis.lines if line.get_marker() == "x"]
    assert len(crosses) == 1


def test_the_entropy_floor_is_inside_the_picture(ladder):
    axis = draw(frontier(ladder.table, ladder.laws, 0.9)).axes[0]
    assert axis.get_ylim()[0] < 0.9
    assert draw(frontier(ladder.table, ladder.laws, None)).axes[0].get_ylim()[0] > 0.9


@pytest.mark.parametrize("table", [pd.DataFrame(), pd.DataFrame(columns=["family", "loss", "flops", "status"])])
def test_nothing_finished(table, tmp_path):
    for figure in (
        loss_curves(table),
        isoflop_profiles(None),
        frontier(table, None, 1.0),
        optimal_size(None),
        optimal_tokens(None),
    ):
        assert "nothing finished yet" in texts(draw(figure))
    assert learning_rates(table) is None
    assert len(save_figures(tmp_path, table, None)) == 5


def test_laws_that_are_none_and_runs_without_laws(ladder, tmp_path):
    bare = {
        name: replace(fit, params_law=None, tokens_law=None, flops_per_token_law=None, loss_law=None, surface=None)
        for name, fit in ladder.laws.families.items()
    }
    laws = replace(ladder.laws, families=bare)
    assert len(save_figures(tmp_path / "bare", ladder.table, laws)) == len(NAMES) - 1
    assert len(save_figures(tmp_path / "none", ladder.table, None)) == len(NAMES) - 1
    empty = {name: replace(fit, profiles=()) for name, fit in bare.items()}
    assert "nothing finished yet" in texts(draw(optimal_size(replace(laws, families=empty))))


def test_single_family_single_size_and_vertex_without_parabola(ladder, tmp_path):
    fit = ladder.laws.families["masked"]
    unknown = replace(fit.profiles[0], coefficients=None, vertex=None, status="too-few-sizes")
    fit = replace(fit, profiles=(unknown, *fit.profiles[1:]))
    laws = replace(ladder.laws, families={"masked": fit})
    table = ladder.table[(ladder.table["family"] == "masked") & (ladder.table["params"] == 198_000)]
    assert len(save_figures(tmp_path, table, laws)) == 6


def test_hostile_names_are_drawn_literally(hostile_ladder, tmp_path):
    paths = save_figures(tmp_path, hostile_ladder.table, hostile_ladder.laws)
    assert len(paths) == len(NAMES)
