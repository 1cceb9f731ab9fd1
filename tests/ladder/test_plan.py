"""From YAML to cells: budgets become steps, rules are cited, impossible plans are refused by name."""

from __future__ import annotations

import pytest

from difflaw.data.store import prepare
from difflaw.errors import InputError
from difflaw.files import write_json
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.plan import make_plan
from difflaw.ladder.rules import batch_tokens, learning_rate
from difflaw.training import engine
from difflaw.yaml_config import load


def plan_of(path, cache):
    config = load(path, LadderConfig)
    return make_plan(config, prepare(config.data, cache))


def test_horizons_give_one_run_per_rung_and_family(write_ladder, cache) -> None:
    plan = plan_of(write_ladder(), cache)
    assert len(plan.cells) == 9
    assert {cell.run.steps for cell in plan.cells} == {100}
    assert len({cell.run.name for cell in plan.cells}) == 9
    assert plan.flops == pytest.approx(sum(c.run.steps * 256 * c.flops_per_token for c in plan.cells))


def test_budgets_become_steps_under_the_named_convention(write_ladder, cache) -> None:
    plan = plan_of(write_ladder(horizons=[], budgets=[2e8, 4e8], flops="method-2"), cache)
    for cell in plan.cells:
        assert cell.flops_per_token == 6 * cell.params
        for step, budget in cell.budget_steps.items():
            assert step * 256 * cell.flops_per_token == pytest.approx(budget, rel=0.03)
            assert step in cell.run.evaluation_steps


def test_rules_of_the_first_paper() -> None:
    assert batch_tokens(1e9).value == pytest.approx(10**-2.4 * 1e9**0.8225)
    assert batch_tokens(1e9, "uniform").value == pytest.approx(10**-2.95 * 1e9**0.8787)
    assert learning_rate(2**18).value == pytest.approx(10**-2.06 * (2**18) ** 0.3412)
    assert "2512.10858" in batch_tokens(1e9).source


def test_laws_and_sweeps(write_ladder, cache) -> None:
    law = plan_of(write_ladder(batch="paper", lr="paper", horizons=[400_000], max_epochs=10), cache)
    expected = 16 * round(batch_tokens(400_000).value / 16)
    assert {cell.run.tokens_per_step for cell in law.cells} == {expected}
    sweep = plan_of(write_ladder(lr=[0.1, 0.2, 0.4]), cache)
    assert len(sweep.cells) == 27
    around = plan_of(write_ladder(lr={"law": "paper", "factors": [0.5, 1, 2]}), cache)
    assert len({cell.run.optimizer.lr for cell in around.cells}) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"families": ["maskd"]}, "unknown family 'maskd'"),
        ({"rungs": [{"width": 24, "depth": 1, "heads": 5}]}, "width 24 does not split into 5 heads"),
        ({"horizons": [], "budgets": [1e3]}, "budget 1000: no rung can meet it"),
        ({"horizons": [5_000_000]}, "epochs"),
        ({"horizon": [10]}, "unknown key 'horizon'"),
        ({"budgets": [1e9]}, "either budgets"),
        ({"batch": -5}, "positive"),
        ({"lr": "chinchilla"}, "lr"),
        ({"flops": "7N"}, "unknown convention '7N'"),
        ({"rungs": []}, "rungs"),
        ({"horizons": [float("inf")]}, "horizons"),
        ({"horizons": [], "budgets": [1e30]}, "epochs"),
        ({"context": 50_000}, "do not fill one context"),
        ({"families": [{"name": "gidd", "options": {"shft": 1}}]}, "no option 'shft'; it has"),
        ({"data": {"corpus": "synthetic", "vocab_sise": 3}}, "vocab_sise"),
        ({"name": "../escape"}, "name"),
        ({"families": ["masked", "masked"]}, "share the label"),
        ({"model": {"soft_kap": 3}}, "soft_kap"),
        ({"unique_tokens": [8e5]}, r"unique_tokens 800,000: the text has \d\d,\d\d\d training tokens"),
        ({"unique_tokens": [15]}, "unique_tokens 15: not one context of 16"),
        ({"unique_tokens": [640, 641]}, "unique_tokens: two numbers come to the same 40 contexts"),
        ({"unique_tokens": [640, 640]}, "unique_tokens: the same number is given twice"),
        ({"unique_tokens": [-640]}, "unique_tokens must be numbers of at least 1"),
        ({"unique_tokens": [640]}, r"unique_tokens 640: .*40\.0 epochs.*max_epochs: 40"),
        ({"conditioning": {"prompt_probability": 3}}, "prompt_probability"),
    ],
)
def test_bad_ladders_are_refused_in_one_or_two_lines(write_ladder, cache, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        plan_of(write_ladder(**changes), cache)
    assert str(caught.value).count("\n") < 2


def test_corpus_too_small_says_how_many_epochs(write_ladder, cache) -> None:
    with pytest.raises(InputError, match=r"83\.3 epochs.*max_epochs: 84"):
        plan_of(write_ladder(horizons=[5_000_000]), cache)


def test_precision_is_settled_with_the_ladder(write_ladder, cache, tmp_path, monkeypatch) -> None:
    """Automatic precision is read off the machine; a ladder that has moved keeps its own or is refused."""
    path = write_ladder(rungs=[{"width": 64, "depth": 1}])
    monkeypatch.setattr(engine, "bfloat16_pays", lambda device: True)
    begun = plan_of(path, cache)
    assert {cell.run.precision for cell in begun.cells} == {"bfloat16"}
    LadderDirectory(tmp_path / "out").create(begun)
    monkeypatch.setattr(engine, "bfloat16_pays", lambda device: False)
    moved = plan_of(path, cache)
    assert {cell.run.precision for cell in moved.cells} == {"float32"}
    for extend in (False, True):
        with pytest.raises(InputError, match=r"precision differ.*--set precision=bfloat16"):
            LadderDirectory(tmp_path / "out").create(moved, extend)
    narrow = plan_of(write_ladder(rungs=[{"width": 64, "depth": 1}, {"width": 24, "depth": 1}]), cache)
    assert {cell.run.precision for cell in narrow.cells} == {"float32"}


def test_a_ladder_older_than_a_key_of_the_page(write_ladder, cache, tmp_path) -> None:
    plan = plan_of(write_ladder(), cache)
    ladder = LadderDirectory(tmp_path / "out")
    ladder.create(plan)
    page = ladder.description()
    del page["config"]["z_loss"]
    write_json(ladder.path / "ladder.json", page)
    ladder.create(plan)
    with pytest.raises(InputError, match="z_loss differ"):
        ladder.create(plan_of(write_ladder(z_loss=1e-4), cache))


def test_a_ladder_from_before_noise_levels_is_continued_as_what_it_was(write_ladder, cache, tmp_path) -> None:
    plan, ladder = plan_of(write_ladder(), cache), LadderDirectory(tmp_path / "out")
    ladder.create(plan)
    page = ladder.description()
    del page["config"]["noise_levels"]
    write_json(ladder.path / "ladder.json", page)
    spread = plan_of(write_ladder(noise_levels="spread"), cache)
    with pytest.raises(InputError, match=r"noise_levels differ.*--extend"):
        ladder.create(spread)
    ladder.create(plan)
    assert set(ladder.description()["cells"]) == {cell.run.name for cell in plan.cells}
    assert not {cell.run.name for cell in spread.cells} & {cell.run.name for cell in plan.cells}


def test_z_loss_names_a_run_only_where_there_is_one(write_ladder, cache) -> None:
    assert all("z_loss" not in cell.run.canonical() for cell in plan_of(write_ladder(), cache).cells)
    assert all('"z_loss": 0.0001' in cell.run.canonical() for cell in plan_of(write_ladder(z_loss=1e-4), cache).cells)


def test_unique_tokens_make_every_cell_once_for_each(write_ladder, cache) -> None:
    """Whole contexts, the same for every family and seed, with the epochs that they are seen; names of their own."""
    plan = plan_of(write_ladder(unique_tokens=[6_400, 12_805], seeds=[0, 1]), cache)
    assert len(plan.cells) == 3 * 3 * 2 * 2 == len({cell.run.name for cell in plan.cells})
    assert {cell.run.unique_tokens for cell in plan.cells} == {6_400, 12_800}
    assert {(cell.run.unique_tokens, cell.epochs) for cell in plan.cells} == {(6_400, 4.0), (12_800, 2.0)}
    by_budget = plan_of(write_ladder(unique_tokens=[6_400], horizons=[], budgets=[2e8], max_epochs=50), cache)
    assert all(cell.epochs == cell.tokens / 6_400 for cell in by_budget.cells)


def test_runs_on_all_of_the_text_keep_their_names(write_ladder, cache) -> None:
    """The name is a hash of the canonical text, which does not mention the key unless it is set."""
    plain = plan_of(write_ladder(), cache)
    assert all("unique_tokens" not in cell.run.canonical() for cell in plain.cells)
    limited = plan_of(write_ladder(unique_tokens=[6_400]), cache)
    assert all('"unique_tokens": 6400' in cell.run.canonical() for cell in limited.cells)
    names = {cell.run.model_copy(update={"unique_tokens": None}).name for cell in limited.cells}
    assert names == {cell.run.name for cell in plain.cells}
