"""The one-file page: order, content, nothing loaded, nothing injected."""

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from difflaw import files, report
from difflaw.law.published import published_laws
from difflaw.law.results import Interval
from difflaw.report import write_report
from difflaw.report.exponents import QUANTITIES, published_exponents
from difflaw.report.extras_tables import standings_table
from difflaw.report.loss_figures import loss_curves
from difflaw.report.optimum_figures import optimal_size
from difflaw.report.plotly_figure import to_plotly
from difflaw.report.plotly_traces import plot_text
from difflaw.templates import escape, script_json, visible

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects elements, attributes, visible text and scripts as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        else:
            self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def html(ladder, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    assert write_report(path, ladder.laws, ladder.table, ladder.context, ladder.published) == path
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def hostile_html(hostile_ladder, tmp_path_factory) -> str:
    made = hostile_ladder
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    return write_report(path, made.laws, made.table, made.context, made.published).read_text("utf-8")


def test_sections_come_in_order_and_are_in_the_contents(html):
    reader = read(html)
    sections = [attrs["id"] for tag, attrs in reader.tags if tag == "section"]
    assert sections == [
        "reading", "frontier", "isoflop", "size", "tokens", "curves", "laws", "warnings", "surfaces", "trust", "beyond",
        "runs", "decisions", "derived", "corpus", "checklist", "conventions",
    ]  # fmt: skip
    links = [attrs["href"] for tag, attrs in reader.tags if tag == "a"]
    assert links == ["#main", *(f"#{name}" for name in sections)]
    ids = [attrs["id"] for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_says_what_was_asked(html):
    text = " ".join(read(html).text)
    for part in (
        "A laptop ladder on Shakespeare",
        "Autoregressive is lowest",
        "Compare exponents, not losses",
        "0.566 [0.54, 0.59]",
        "arXiv 2512.10858",
        "loss rose by 35 %",
        "diverged",
        "edge-high",
        "0.9 · (B/…)^0.34",
        "too too solid flesh",
        "6N+attention",
        "5.1 nats per token",
        "one degree of freedom",
        "Left out of the fits (1)",
        "Published exponents without a counterpart here",
    ):
        assert part in text, part


def test_loads_nothing_from_anywhere(html):
    reader = read(html)
    for tag, attrs in reader.tags:
        if tag == "img":  # a picture inside the page itself
            assert attrs.pop("src").startswith("data:image/png;base64,")
        assert tag not in {"link", "iframe", "object", "embed", "base", "video", "audio", "source"}
        for name in ("src", "srcset", "data", "action", "poster", "background"):
            assert name not in attrs, (tag, name)
        assert attrs.get("href", "#").startswith("#")
        assert not any(name.startswith("on") for name in attrs)
    style = re.search(r"<style>(.*?)</style>", html, re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    outside_scripts = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert "http://" not in outside_scripts
    assert "https://" not in outside_scripts
    assert html.count(get_plotlyjs()[:2000]) == 1


def test_policy_allows_only_the_pages_own_scripts(html):
    reader = read(html)
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in re.search(r"script-src[^;]*", policy).group(0)
    kinds = [attrs.get("type") for tag, attrs in reader.tags if tag == "script"]
    assert kinds == ["application/json", None, None]
    for script in reader.scripts[1:]:
        assert "\r" not in script
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_figures_are_valid_plotly_and_have_a_place(html):
    reader = read(html)
    figures = json.loads(reader.scripts[0])
    places = {attrs["id"] for tag, attrs in reader.tags if attrs.get("class") == "plot"}
    assert places == {f"plot-{name}" for name in figures}
    for spec in figures.values():
        go.Figure(spec)
        assert spec["data"]


def test_ticks_are_engineering_labels(ladder):
    layout = to_plotly(optimal_size(ladder.laws))["layout"]
    assert "2e14" in layout["xaxis"]["ticktext"]
    assert "200k" in layout["yaxis"]["ticktext"]


def test_panels_do_not_overlap(ladder):
    layout = to_plotly(loss_curves(ladder.table))["layout"]
    boxes = []
    for index in range(len(ladder.laws.families)):
        number = "" if index == 0 else str(index + 1)
        boxes.append((layout[f"xaxis{number}"]["domain"], layout[f"yaxis{number}"]["domain"]))
    for i, (ax, ay) in enumerate(boxes):
        assert 0 <= ax[0] < ax[1] <= 1
        assert 0 <= ay[0] < ay[1] <= 1
        for bx, by in boxes[:i]:
            assert ax[1] <= bx[0] or bx[1] <= ax[0] or ay[1] <= by[0] or by[1] <= ay[0]


def test_hostile_text_appears_only_escaped(hostile_html, html):
    lowered = hostile_html.lower()
    assert "<script>alert" not in lowered
    pictures = lowered.replace(get_plotlyjs().lower(), "").split("<img ")[1:]
    assert all(picture.startswith('src="data:image/png;base64,') for picture in pictures)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in hostile_html
    assert "&quot;&gt;&lt;img src=x onerror=alert(2)&gt;" in hostile_html
    honest, attacked = read(html), read(hostile_html)
    assert {tag for tag, _ in attacked.tags} <= {tag for tag, _ in honest.tags}
    assert not any(name.startswith("on") for _, attrs in attacked.tags for name in attrs)
    assert len(attacked.scripts) == 3
    assert "\u202e" not in hostile_html
    assert "\x00" not in hostile_html


def test_hostile_text_in_plot_labels_is_escaped_for_plotly_too(hostile_html):
    def strings(value):
        if isinstance(value, dict):
            for item in value.values():
                yield from strings(item)
        elif isinstance(value, list):
            for item in value:
                yield from strings(item)
        elif isinstance(value, str):
            yield value

    raw = read(hostile_html).scripts[0]
    assert "<" not in raw
    found = list(strings(json.loads(raw)))
    assert any("&lt;script&gt;" in text for text in found)
    for text in found:
        assert re.sub(r"</?b>|<br>", "", text).count("<") == 0


def test_published_laws_of_the_law_engine_are_understood(ladder, tmp_path):
    laws = published_laws()
    records = published_exponents(laws)
    assert len(records) == len(laws)
    assert {record.quantity for record in records} == set(QUANTITIES)
    unknown = SimpleNamespace(y="batch", x="tokens", interval=None)
    assert published_exponents([unknown]) == []
    path = write_report(tmp_path / "r.html", ladder.laws, ladder.table, ladder.context, laws)
    text = path.read_text("utf-8")
    assert "0.566 [0.54, 0.59]" in text
    # A convention is one numbered note, not a sentence in every row.
    assert text.count("without embeddings, forward and backward") < 6


def test_other_laws_are_tables(ladder, tmp_path):
    family, half = "<b>masked", Interval(30.0, 60.0, 0.95, "test")
    sweep = SimpleNamespace(
        batch_intercept=math.log(65_536),
        batch_exponents={"D": 0.5},
        k_batch=0.01,
        rate_intercept=math.log(2e-3),
        rate_exponents={"B": 0.34},
        k_rate=0.02,
        intervals={"batch:D": Interval(0.4, 0.6, 0.95, "test")},
        warnings=("thin",),
    )
    repeats = {"half_life": 42.0, "half_life_interval": half, "half_life_at_least": 10.0, "most_epochs": 16.0}
    extras = SimpleNamespace(
        batch_and_rate={family: sweep},
        repeated_data={family: SimpleNamespace(form="saturating", warnings=(), **repeats)},
        missing=("uniform: too few runs",),
    )
    text = write_report(tmp_path / "r.html", None, ladder.table, {"extras": extras}).read_text("utf-8")
    shown = " ".join(read(text).text)
    for part in (
        "6.55e4 · D^0.500 [0.40, 0.60]",
        "2e-3 · B^0.340",
        "42 [30, 60]",
        "too few runs",
    ):
        assert part in shown, part
    assert "&lt;b&gt;masked" in text
    assert "Nothing fitted yet." in shown


def test_odds_are_a_table():
    standing = SimpleNamespace(
        family="<b>masked",
        probability=0.83,
        best_flops_per_token=6e8,
        flops_per_token=None,
        best_loss=2.5,
        loss=Interval(2.4, 2.6, 0.95, ""),
    )
    table = standings_table(SimpleNamespace(standings=(SimpleNamespace(flops=1e20, families=(standing,)),)))
    assert table is not None
    cells = str(table)
    for part in ("83 %", "[2.400, 2.600]", "600M"):
        assert part in cells, part
    assert standings_table(SimpleNamespace(standings=())) is None


def test_a_page_of_many_long_runs_stays_small(tmp_path):
    runs, evaluations = 510, 200
    at = np.geomspace(1e15, 1e19, evaluations)
    rows = [
        {"family": f"family {run % 6}", "run": f"a run with a long name {run}", "params": 1e6 * (1 + run // 6)}
        | {"tokens": flops / 6e6, "flops": flops, "loss": 2 + (flops / 1e15) ** -0.1, "status": "done"}
        for run in range(runs)
        for flops in at
    ]
    path = write_report(tmp_path / "r.html", None, pd.DataFrame(rows), {})
    assert path.stat().st_size < 6_000_000


def test_nothing_yet(tmp_path):
    path = write_report(tmp_path / "r.html", None, pd.DataFrame(), {})
    reader = read(path.read_text("utf-8"))
    assert "nothing finished yet" in reader.scripts[0]
    assert "Nothing fitted yet." in reader.text


def test_laws_that_are_none(ladder, tmp_path):
    bare = {
        name: replace(fit, params_law=None, tokens_law=None, loss_law=None, surface=None)
        for name, fit in ladder.laws.families.items()
    }
    text = write_report(
        tmp_path / "r.html", replace(ladder.laws, families=bare), ladder.table, ladder.context, ladder.published
    ).read_text("utf-8")
    assert "not fitted" in text
    assert "No surface was fitted." in text


def test_a_failed_write_leaves_the_old_page_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_report(path, None, pd.DataFrame(), {})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_escaping_by_hand():
    assert escape("<a href='x'>&\"") == "&lt;a href=&#x27;x&#x27;&gt;&amp;&quot;"
    assert escape(escape("<b>")) == "&lt;b&gt;"
    assert plot_text('a"<b>\n') == 'a"&lt;b&gt; '
    assert visible("a\u202eb\ud800c", 2) == "a…"
    assert visible("\u202e\ud800\n") == "\ufffd\ufffd\n"
    blob = script_json({"x": [math.nan, math.inf, 1.0], "y": "</script><!--\u2028"})
    assert "<" not in blob
    assert json.loads(blob) == {"x": [None, None, 1.0], "y": "</script><!--\u2028"}


def test_no_path_of_this_machine_in_the_sources():
    for path in Path(report.__file__).parent.glob("*.py"):
        assert "/home/" not in path.read_text("utf-8")
