"""The whole chain: order of rows, seeds, several families, words and JSON."""

import dataclasses
import json
import math

import pandas as pd
import pytest

from difflaw.errors import InputError
from difflaw.formatting import flops, short_count
from difflaw.law import (
    compare_exponents,
    compare_optima,
    fit_laws,
    published_for,
    published_laws,
    read_table,
    reading,
    table_from_frame,
)
from difflaw.law.records import plain as as_json


@pytest.fixture
def two(truth):
    """Masked, and a family whose best size is half of masked's at every budget."""
    other = truth.ladder(seed=8, sd=0.001, shift=1.0, family="uniform")
    other["params"] /= 2
    other["tokens"] *= 2
    return pd.concat([truth.ladder(seed=7, sd=0.001), other], ignore_index=True)


def test_order_of_rows_is_irrelevant_and_seed_decides(two):
    first = fit_laws(table_from_frame(two))
    again = fit_laws(table_from_frame(two.sample(frac=1, random_state=3)))
    assert json.dumps(as_json(first)) == json.dumps(as_json(again))


def test_families_do_not_touch_each_other(two):
    both = fit_laws(table_from_frame(two)).families["masked"]
    alone = fit_laws(table_from_frame(two[two["family"] == "masked"])).families["masked"]
    assert both.params_law == alone.params_law


def test_json_is_plain_and_has_no_nan(truth):
    laws = fit_laws(table_from_frame(truth.ladder(sizes=3, step=2.5)))
    assert math.isnan(laws.families["masked"].profiles[0].vertex.ln_params_se)
    plain = as_json(laws)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["families"]["masked"]["profiles"][0]["vertex"]["ln_params_se"] is None
    assert set(plain) == {f.name for f in dataclasses.fields(laws)}


def test_reading_compares_families(two):
    laws = fit_laws(table_from_frame(two, params_convention="total", flops_convention="6N"))
    text = "\n".join(reading(laws))
    assert "masked: 5 of 5 budgets" in text
    assert "uniform is best with fewer parameters and more tokens than masked here: size ratio 0.5" in text
    assert "size exponents of uniform and masked cannot be distinguished" in text
    assert "fitted from 1e17 FLOPs to 1e19 FLOPs" in text
    ratio, half = compare_optima(laws.families["masked"], laws.families["uniform"])["params"]
    assert abs(ratio - math.log(0.5)) < half < 0.2


def test_exponents_that_differ_are_said_to_differ(truth):
    steep = truth.ladder(family="uniform", seed=5, sd=0.0003)
    steep["params"] *= (steep["flops"] / 1e18) ** 0.15
    steep["tokens"] = steep["flops"] / 6 / steep["params"]
    laws = fit_laws(table_from_frame(pd.concat([truth.ladder(seed=6, sd=0.0003), steep])))
    gap, half = compare_exponents(laws.families["masked"].params_law, laws.families["uniform"].params_law)
    assert gap == pytest.approx(0.15, abs=0.02)
    assert half < 0.1
    assert any("size exponents of uniform and masked differ" in line for line in reading(laws))


def test_same_law_cannot_be_distinguished(truth):
    frame = pd.concat([truth.ladder(seed=1, sd=0.003), truth.ladder(seed=2, sd=0.003, family="uniform")])
    text = "\n".join(reading(fit_laws(table_from_frame(frame))))
    assert "cannot be distinguished by their best size" in text


def test_reading_without_any_minimum(truth):
    text = "\n".join(reading(fit_laws(table_from_frame(truth.ladder(shift=0.05)))))
    assert "The minima alone give no law of the best size for masked" in text
    assert "with compute C the best size grows as" in text
    assert "add a rung above" in text


def test_reading_without_any_law(truth):
    text = "\n".join(reading(fit_laws(table_from_frame(truth.ladder(shift=0.05)), surface=False)))
    assert "No law of the best size can be stated for masked" in text
    assert "the best size grows as" not in text


def test_warnings_and_exclusions_are_carried(truth):
    frame = truth.ladder().assign(status="done", epochs=9.0)
    frame.loc[0, "status"] = "diverged"
    laws = fit_laws(table_from_frame(frame))
    assert len(laws.excluded) == 1
    text = " ".join(laws.warnings)
    assert "did not finish or diverged" in text
    assert "repeat their data up to 9 times" in text
    assert "not stated" in text
    assert "budgets" in laws.notes


def test_any_public_table_gets_an_answer(shared, truth):
    """Not carried in tests/facts: the 245 published runs are others' data."""
    laws = fit_laws(read_table(shared / "data" / "chinchilla_epoch" / "svg_extracted_data.csv"))
    assert laws.families["all"].surface.runs == 245
    assert laws.flops_convention == "6N"
    assert reading(laws)
    one = fit_laws(table_from_frame(truth.ladder().iloc[:1]))
    assert one.families["masked"].surface is None
    assert reading(one)


def test_wrong_options_are_refused(truth):
    table = table_from_frame(truth.ladder())
    for options in (
        {"level": 95},
        {"budgets": []},
        {"budgets": [-1.0]},
        {"window": 0.5},
        {"within": 1.0},
        {"delta": 0.0},
    ):
        with pytest.raises(InputError):
            fit_laws(table, **options)


def test_level_scales_the_interval(truth):
    table = table_from_frame(truth.ladder(seed=1, sd=0.003))
    narrow, wide = (fit_laws(table, level=v, surface=False).families["masked"].params_law.interval for v in (0.5, 0.99))
    assert (narrow.level, wide.level) == (0.5, 0.99)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide.kind.startswith("99 %")


def test_published_exponents_are_consistent():
    for family in ("masked", "low-uniform", "balanced", "high-uniform", "uniform"):
        (m,), (d,), (loss,) = (published_for(family, y) for y in ("flops_per_token", "tokens", "loss"))
        assert m.exponent + d.exponent == pytest.approx(1, abs=1e-4)
        assert m.coefficient * d.coefficient == pytest.approx(1, abs=2e-3)
        (bound,) = published_for(family, "loss", "tokens")
        assert bound.exponent == pytest.approx(loss.exponent / d.exponent, abs=2e-4)
        for law in (m, d, loss):
            assert law.interval[0] < law.exponent < law.interval[1]
    assert all(law.source and law.checked and law.convention for law in published_laws())
    assert len(published_for("duo", "params")) == 1


def test_numbers_in_messages():
    assert [short_count(v) for v in (999.6, 14_200, 1.5e6, 3e9, 2.31e12)] == ["1k", "14.2k", "1.5M", "3B", "2.31T"]
    assert flops(3.16e12) == "3.16e12 FLOPs"
    assert flops(1e19) == "1e19 FLOPs"


def test_hold_out_is_shown_on_request(truth):
    frame = truth.ladder(seed=1, sd=0.002, budgets=(1e17, 3e17, 1e18, 3e18, 1e19, 3e19))
    assert fit_laws(table_from_frame(frame)).families["masked"].hold_out is None
    laws = fit_laws(table_from_frame(frame), hold_out=True)
    found = laws.families["masked"]
    assert found.hold_out.form == found.surface.form == "free"
    text = "\n".join(reading(laws))
    assert "To see how far the law can be trusted" in text
    assert "interval for one run held" in text
    assert as_json(laws)["families"]["masked"]["hold_out"]["scores"]["zero"] > 0
