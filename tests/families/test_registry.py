"""What families declare: read from source as the classes have it, and asked for without loading torch."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from difflaw.errors import InputError
from difflaw.families import FAMILIES, Family, names, resolve
from difflaw.families.registry import BUILT_IN, ENTRY_POINTS, Declaration, declarations, styles, words_of


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_read_from_source_is_what_the_class_says(name: str) -> None:
    """Also what a class computes or inherits, which the source of its own body would not show."""
    declared, cls = declarations()[name], FAMILIES[name]
    for member in Declaration.__dataclass_fields__:
        assert getattr(declared, member) == getattr(cls, member), member
    assert cls.reads_clean_copy == (cls.passes is not Family.passes)


def test_every_family_can_be_drawn_and_cited() -> None:
    for name, declared in declarations().items():
        assert declared.paper
        assert set(declared.styles) <= set(words_of(declared))
        assert set(declared.styles) == set(declared.variants or {name: {}})


def test_names_lead_to_one_family_each() -> None:
    every = [word for declared in declarations().values() for word in words_of(declared)]
    assert len(set(every)) == len(every)
    assert names()[: len(BUILT_IN)] == list(BUILT_IN)
    assert resolve("uniform") == ("gidd", {"noise_type": "uniform"})
    assert resolve("bd3-lm") == ("block", {})
    with pytest.raises(InputError, match="unknown family 'mask': use one of autoregressive, gidd"):
        resolve("mask")


def test_variants_carry_the_shifts_of_their_noise_type() -> None:
    from difflaw.noise.mixing import NOISE_TYPES

    assert list(declarations()["gidd"].variants) == list(NOISE_TYPES)
    assert all(options == {"noise_type": name} for name, options in declarations()["gidd"].variants.items())


@pytest.mark.parametrize(
    "code",
    [
        "import difflaw.law",
        "import difflaw.families; difflaw.families.names()",
        "from difflaw.report.colours import style_of; assert style_of('bd3-lm').colour == '#828282'",
        "from difflaw.planning.recommend import reads_clean_copy; assert reads_clean_copy('block')",
    ],
)
def test_torch_is_not_loaded(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_fit_loads_no_torch(tmp_path) -> None:
    """The whole verb, with its figures."""
    rows = [
        {"family": "block", "N": n, "D": c / (6 * n), "FLOPs": c, "loss": 1.8 + 480 * n**-0.35 + 1e4 * (c / n) ** -0.37}
        for c in (1e17, 1e18, 1e19)
        for n in 2.6e7 * (c / 1e17) ** 0.514 * 1.6 ** np.arange(-2, 3)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    code = (
        "import sys\n"
        "from difflaw.cli import main\n"
        f"sys.argv = ['difflaw', 'fit', {str(tmp_path / 't.csv')!r}, '--output', {str(tmp_path / 'laws')!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "False"
    assert (tmp_path / "laws/laws.json").exists()


def test_an_installed_package_brings_its_families(tmp_path) -> None:
    """In a process that never imported it: what a worker of a ladder, or the command line, is."""
    (tmp_path / "elsewhere.py").write_text(
        "from difflaw.families import Mdlm, register\n"
        "@register\n"
        "class Elsewhere(Mdlm):\n"
        "    name = 'elsewhere'\n"
        "    styles = {'elsewhere': ('#010203', 'circle')}\n"
        "    paper = 'nowhere'\n"
    )
    packed = tmp_path / "elsewhere-1.0.dist-info"
    packed.mkdir()
    (packed / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (packed / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nelsewhere = elsewhere\n")
    code = (
        "from difflaw.families import accepts, get, names\n"
        "print(type(get('elsewhere', 8, 3)).__name__, get('elsewhere', 8, 3).described, 'elsewhere' in names())\n"
        "from difflaw.report.colours import style_of\n"
        "print(style_of('elsewhere').colour, accepts('elsewhere', 'run_sequences'), accepts('duo', 'run_sequences'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
    )
    assert done.stdout.split() == ["Elsewhere", "elsewhere", "True", "#010203", "False", "True"]


def test_styles_differ() -> None:
    for part in zip(*styles().values(), strict=True):
        assert len(set(part)) == len(styles())
