"""`difflaw sample`: what it prints, the page it writes, and how it refuses."""

from __future__ import annotations

import json
import re

import pytest


def test_completes_and_says_what_it_cost(difflaw, make_run) -> None:
    run = make_run(family="masked", context=24)
    done = difflaw("sample", run, "--prompt", "the cat", "--max-tokens", 6, "--steps", 4, "--n", 2, "--json")
    assert done.code == 0
    said = json.loads(done.out)
    assert len(said["texts"]) == 2
    assert all(row["text"].startswith("the cat") for row in said["texts"])
    assert said["nfe"] >= 1
    again = difflaw("sample", run, "--prompt", "the cat", "--max-tokens", 6, "--steps", 4, "--n", 2, "--json")
    assert json.loads(again.out)["texts"] == said["texts"]


def test_fills_in_and_plays(difflaw, make_run, tmp_path) -> None:
    run, page = make_run(family="masked", context=24), tmp_path / "page.html"
    done = difflaw("sample", run, "--infill", "the </script>{}<b>{:3}", "--steps", 3, "--html", page)
    assert done.code == 0
    assert "the </script>" in done.out
    html = page.read_text(encoding="utf-8")
    assert html.count("</script>") == 2  # its own two: no text ends a script
    assert not re.search(r"https?://", html.split('<script type="application/json"')[0])
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])  # type: ignore[index]
    assert len(data["frames"]) >= 2
    assert data["frames"][0]["changes"]


@pytest.mark.parametrize("family", ["autoregressive", "masked"])
def test_streams_the_text_it_would_print(difflaw, make_run, family: str) -> None:
    run = make_run(name=f"run-{family}", family=family, context=24)
    common = ("sample", run, "--prompt", "the cat", "--max-tokens", 8, "--seed", 3)
    if family == "masked":
        common += ("--block-length", 2, "--steps", 2)
    assert difflaw(*common, "--stream").out.replace("\ufffd", "") == difflaw(*common).out.replace("\ufffd", "")


def test_watching_changes_nothing(difflaw, make_run) -> None:
    run = make_run(family="masked", context=24)
    common = ("sample", run, "--prompt", "the", "--max-tokens", 5, "--steps", 3)
    assert difflaw(*common, "--watch", "--delay", 0).out == difflaw(*common).out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--steps", 0), "steps"),
        (("--sampler", "left-to-right"), "not defined"),
        (("--prompt", "a", "--infill", "{}"), "one of the two"),
        (("--infill", "none"), "no blank"),
        (("--prompt", "the cat " * 40), "no room"),
        (("--option", "eta"), "KEY=VALUE"),
        (("--option", "seed=1"), "--help"),
        (("--html", "no/such/folder/page.html"), "no folder"),
        (("--stream", "--n", "2"), "--stream"),
    ],
)
def test_bad_input_is_two_lines_and_code_2(difflaw, make_run, arguments, words: str) -> None:
    done = difflaw("sample", make_run(family="masked"), *arguments)
    assert done.code == 2
    assert words in done.err
    assert done.out == ""
    assert len(done.err.strip().splitlines()) <= 2


def test_a_checkpoint_that_is_none(difflaw, tmp_path) -> None:
    done = difflaw("sample", tmp_path)
    assert done.code == 2
    assert "config.json" in done.err
