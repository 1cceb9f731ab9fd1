"""A recommendation becomes a config that `difflaw train` accepts, counted as the real backbone counts."""

from __future__ import annotations

import pytest

from difflaw.errors import InputError
from difflaw.families import FAMILIES, get
from difflaw.families.registry import reads_clean_copy
from difflaw.ladder.plan import model_config
from difflaw.ladder.single import TrainConfig
from difflaw.planning.recommend import counter, forecasts_for, recommend, train_config, write_train_config
from difflaw.planning.request import Ask
from difflaw.planning.shapes import Shape
from difflaw.yaml_config import load


@pytest.mark.parametrize(
    ("law", "ask"),
    [
        ("published:gidd", Ask(flops=1e22)),
        ("published:beyond-masked", Ask(flops=1e20)),
        ("published:chinchilla-refit", Ask(flops=1e21)),
        ("published:gidd", Ask(flops=1e20, unique_tokens=1e9)),
    ],
)
def test_every_plan_is_a_config_that_train_accepts(law, ask, tmp_path):
    plans, reasons = recommend(ask, forecasts_for(law, None, None, []))
    assert plans
    assert not reasons
    for p in plans:
        path = tmp_path / f"{p.family}.yaml"
        write_train_config(path, p, "my/texts")
        config = load(path, TrainConfig)
        ladder = config.as_ladder()
        model = model_config(ladder, ladder.rungs[0], p.vocab_size)
        assert (model.layers, model.width, model.context) == (p.layers, p.width, p.context)
        assert config.tokens == p.tokens
        sequences = round(config.batch.values[0] / config.context)
        assert sequences == p.batch_sequences
        assert round(config.tokens / (sequences * config.context)) == p.steps
        assert config.max_epochs >= (p.epochs or 1)
        assert "arXiv" in path.read_text()


def test_families_declare_whether_a_pass_costs_more():
    for name in FAMILIES:
        if not reads_clean_copy(name):
            assert get(name, 64, 3).passes(128) == ((1.0, 1),), name
    assert reads_clean_copy("block")
    assert reads_clean_copy("bd3lm")
    assert not reads_clean_copy("uniform")


def test_counts_are_the_accounts(tmp_path):
    law = forecasts_for("published:gidd", None, None, ["uniform"])["uniform"]
    assert counter(law)(Shape(34, 4608)).flops_per_token("method-1") == pytest.approx(5.583e10, rel=1e-4)


def test_wrong_names():
    with pytest.raises(InputError, match="masked"):
        forecasts_for("published:gidd", None, None, ["mask"])
    with pytest.raises(InputError, match="gidd"):
        forecasts_for("published:giddy", None, None, [])
    with pytest.raises(InputError, match="cannot plan"):
        forecasts_for("published:step-law", None, None, [])
    (p, *_), _ = recommend(Ask(flops=1e20), forecasts_for("published:gidd", None, None, []))
    from dataclasses import replace

    with pytest.raises(InputError, match="column family"):
        train_config(replace(p, family="all"), "x")
