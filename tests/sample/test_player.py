"""The page that plays a generation: its data, and texts that try to be markup."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

from difflaw.sample.player import page

HOSTILE = "</script><script>alert(1)</script>"


class Pieces:
    """Two steps of one row: a given piece, and one that is open before it is written."""

    def rows(self, frame):
        given = SimpleNamespace(text=HOSTILE, confidence=None, is_open=False)
        written = SimpleNamespace(text="end", confidence=0.25 if frame.open else 0.75, is_open=frame.open)
        return [(0, [given, written])]


def made() -> str:
    frames = [SimpleNamespace(log_snr=-3.0, open=True), SimpleNamespace(log_snr=float("inf"), open=False)]
    return page(frames, Pieces(), HOSTILE, "a <b> & c")  # type: ignore[arg-type]


def test_texts_cannot_become_markup() -> None:
    text = made()
    assert text.count("<script") == 2
    assert "alert(1)</script>" not in text
    assert "<h1>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in text
    assert "<p>a &lt;b&gt; &amp; c</p>" in text
    assert "http" not in text


def test_data_are_the_steps() -> None:
    found = re.search(r'id="data">(.*?)</script>', made(), re.S)
    assert found
    data = json.loads(found.group(1))
    assert HOSTILE in data["texts"]
    assert [frame["log_snr"] for frame in data["frames"]] == [-3.0, None]
    assert data["frames"][1]["changes"] == [[0, 1, data["texts"].index("end"), 0.75, 0, 0]]
