"""Templates escape everything they are given, and refuse names nobody filled in."""

import json
import math

import numpy as np
import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from difflaw.templates import environment, escape, script_json, visible

HOSTILE = "<script>alert(1)</script>\u202e\"'&"


def test_a_value_is_escaped_and_hidden_characters_are_shown():
    text = environment("difflaw.report").from_string("<p title='{{ x }}'>{{ x }}{{ safe }}</p>")
    made = text.render(x=HOSTILE, safe=Markup("<b>"))
    shown = "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd&quot;&#x27;&amp;"
    assert made == f"<p title='{shown}'>{shown}<b></p>"


def test_a_name_that_was_not_given_is_an_error():
    with pytest.raises(UndefinedError):
        environment("difflaw.report").from_string("{{ forgotten }}").render()


def test_visible_and_escape():
    assert visible("abc", 2) == "a…"
    assert escape(Markup("<b>")) == "<b>"
    assert escape(3) == "3"


def test_script_json_knows_numpy_and_has_no_nan():
    blob = script_json({"x": np.array([1.0, math.nan]), "n": np.int64(3), 4: (None, True)})
    assert json.loads(blob) == {"x": [1.0, None], "n": 3, "4": [None, True]}
