"""Reading anyone's table, and refusing what cannot be used in a line that names file, column and row."""

import numpy as np
import pandas as pd
import pytest

from difflaw.errors import InputError
from difflaw.law import extras, fit_laws, read_table, table_from_frame
from difflaw.law.table.read import row_names

GOOD = pd.DataFrame({"params": [1e6, 2e6], "tokens": [1e8, 2e8], "flops": [6e14, 2.4e15], "loss": [4.0, 3.5]})


def test_aliases_case_and_spaces():
    frame = pd.DataFrame(
        {"Model Size": [1e6], "D": [1e8], "Training FLOP": [7e14], "val_loss": [3.0], "Noise Type": ["x"]}
    )
    table = table_from_frame(frame)
    row = table.frame.iloc[0]
    assert (row["params"], row["tokens"], row["flops"], row["loss"], row["family"]) == (1e6, 1e8, 7e14, 3.0, "x")
    assert row["flops_per_token"] == pytest.approx(7e6)


def test_explicit_mapping_beats_alias():
    frame = GOOD.assign(other=[9.0, 8.0])
    assert sorted(table_from_frame(frame, {"loss": "other"}).frame["loss"]) == [8.0, 9.0]


def test_csv_and_parquet_agree(tmp_path):
    GOOD.to_csv(tmp_path / "t.csv", index=False)
    GOOD.to_parquet(tmp_path / "t.parquet")
    one, two = read_table(tmp_path / "t.csv"), read_table(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(one.frame, two.frame)
    assert one.families == ("all",)


def test_flops_from_flops_per_token():
    frame = GOOD.drop(columns="flops").assign(flops_per_token=[7e6, 13e6])
    table = table_from_frame(frame, flops_convention="matmul")
    assert table.frame["flops"].tolist() == [7e14, 2.6e15]
    assert table.flops_convention == "matmul"
    assert "flops_per_token" in table.notes[0]


def test_flops_as_6n_is_recorded():
    table = table_from_frame(GOOD.drop(columns="flops"))
    assert table.frame["flops"].tolist() == [6e14, 2.4e15]
    assert table.flops_convention == "6N"
    assert "6·params" in table.notes[0]
    with pytest.raises(InputError, match="could only be derived as 6N"):
        table_from_frame(GOOD.drop(columns="flops"), flops_convention="matmul")


def test_tokens_from_flops():
    assert table_from_frame(GOOD.drop(columns="tokens")).frame["tokens"].tolist() == [1e8, 2e8]


def test_status_other_than_done_is_excluded_and_listed():
    frame = pd.concat([GOOD, GOOD.iloc[:1].assign(loss=np.nan)]).assign(
        status=["done", "Running", "diverged"], run=["a", "b", "c"]
    )
    table = table_from_frame(frame)
    assert len(table.frame) == 2
    assert table.excluded == ("all: run c: diverged (1 row)",)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0, "x"])
@pytest.mark.parametrize("column", ["params", "tokens", "flops", "loss"])
def test_unusable_value_names_file_column_row(tmp_path, bad, column):
    frame = GOOD.astype(object)
    frame.loc[1, column] = bad
    frame.to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(InputError, match=rf"runs\.csv: column '{column}', row 2: .* is not a positive finite number"):
        read_table(tmp_path / "runs.csv")


def test_missing_column_lists_what_is_there_and_how_to_map():
    with pytest.raises(
        InputError, match=r"no column for loss; columns there: params, tokens, flops, mystery"
    ) as caught:
        table_from_frame(GOOD.rename(columns={"loss": "mystery"}))
    assert "columns={'loss': '<column>'}" in str(caught.value)


def test_ambiguous_and_wrong_mapping():
    frame = GOOD.drop(columns="loss").assign(val_loss=1.0, test_loss=2.0)
    with pytest.raises(InputError, match="could each be loss"):
        table_from_frame(frame)
    with pytest.raises(InputError, match="no column 'nope' for loss"):
        table_from_frame(GOOD, {"loss": "nope"})
    with pytest.raises(InputError, match="no quantity called 'los'"):
        table_from_frame(GOOD, {"los": "loss"})


def test_mixed_conventions():
    with pytest.raises(InputError, match="mixes conventions in flops_convention: 6N, matmul"):
        table_from_frame(GOOD.assign(flops_convention=["6N", "matmul"]))
    with pytest.raises(InputError, match="mixes conventions in params_convention"):
        table_from_frame(GOOD.assign(params_convention="total"), params_convention="non-embedding")
    assert table_from_frame(GOOD.assign(params_convention="total")).params_convention == "total"


def test_run_with_two_sizes():
    with pytest.raises(InputError, match="run 'a' has two sizes"):
        table_from_frame(GOOD.assign(run="a"))


def test_blank_family_and_blank_run():
    with pytest.raises(InputError, match="column 'noise', row 2 is blank"):
        table_from_frame(GOOD.assign(noise=["x", None]))
    with pytest.raises(InputError, match="row 1 has no run name"):
        table_from_frame(GOOD.assign(run=[None, "b"]))


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match=r"empty\.csv: the file is empty"):
        read_table(tmp_path / "empty.csv")
    (tmp_path / "head.csv").write_text("params,tokens,flops,loss\n")
    with pytest.raises(InputError, match="no rows"):
        read_table(tmp_path / "head.csv")
    (tmp_path / "broken.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"broken\.parquet: not a readable table"):
        read_table(tmp_path / "broken.parquet")
    (tmp_path / "ragged.csv").write_text('a,b\n1,2\n1,2,3,4\n"')
    with pytest.raises(InputError, match=r"ragged\.csv: not a readable table"):
        read_table(tmp_path / "ragged.csv")


def test_unique_tokens_give_epochs_and_epochs_unique_tokens():
    table = table_from_frame(GOOD.assign(**{"Unique Tokens": [2.5e7, 5e8]}))
    assert table.frame["epochs"].tolist() == [4.0, 1.0]
    assert table.frame["unique_tokens"].tolist() == [2.5e7, 5e8]
    assert any("epochs was not in the table" in note for note in table.notes)
    for alias in ("unique", "n_unique", "unique_data", "dataset_size", "corpus_tokens"):
        assert table_from_frame(GOOD.assign(**{alias: 1e7})).frame["unique_tokens"].tolist() == [1e7, 1e7]
    assert table_from_frame(GOOD.assign(epochs=[4.0, 0.5])).frame["unique_tokens"].tolist() == [2.5e7, 2e8]
    assert table_from_frame(GOOD.assign(epochs=[4.0, None])).frame["unique_tokens"].tolist() == [2.5e7, 2e8]
    assert table_from_frame(GOOD.rename(columns={"tokens": "data_size"})).frame["tokens"].tolist() == [1e8, 2e8]


def test_blank_unique_tokens():
    some = table_from_frame(GOOD.assign(unique_tokens=[None, 1e8]))
    assert some.frame["epochs"].tolist() == [1.0, 2.0]
    assert some.frame["unique_tokens"].tolist() == [1e8, 1e8]
    assert "1 row without unique_tokens" in some.notes[-1]
    both = table_from_frame(GOOD.assign(unique_tokens=[None, 1e8], epochs=[5.0, 2.0]))
    assert both.frame["unique_tokens"].tolist() == [2e7, 1e8]
    none = table_from_frame(GOOD.assign(unique_tokens=[None, None]))
    assert not {"unique_tokens", "epochs"} & set(none.frame)
    with pytest.raises(
        InputError, match=r"column 'unique_tokens', row 2: 0\.0 is not a positive finite number or noth"
    ):
        table_from_frame(GOOD.assign(unique_tokens=[1e8, 0.0]))


def test_published_repeated_runs_read_without_options(shared):
    table = read_table(shared / "data" / "scalebench" / "data_constrained_train.parquet")
    assert len(table.frame) == 161
    assert float(np.max(table.frame["epochs"].to_numpy(float))) == 3000
    np.testing.assert_allclose(
        table.frame["epochs"], np.maximum(1, table.frame["tokens"] / table.frame["unique_tokens"])
    )


def test_the_law_of_repeated_data_gets_unique_tokens(monkeypatch):
    cells = [(n, u, u * e) for n in (1e7, 3e7, 1e8) for u in (1e8, 1e9) for e in (0.5, 1, 4, 16)]
    n, unique, tokens = np.array(cells).T
    loss = 1.8 + 480 * n**-0.35 + 2100 * tokens**-0.37
    table = table_from_frame(pd.DataFrame({"params": n, "tokens": tokens, "unique_tokens": unique, "loss": loss}))
    seen = []

    def fit(*columns, form):
        seen.append(columns)
        raise InputError("the columns are all that is asked for")

    monkeypatch.setattr(extras, "fit_data_limited", fit)
    found = extras.fit_extras(table, fit_laws(table, surface=False))
    assert "all: repeated data: the columns are all that is asked for" in found.missing
    expected = sorted(zip(n, tokens, np.minimum(unique, tokens), loss, strict=True))
    np.testing.assert_allclose(sorted(zip(*seen[-1], strict=True)), expected)


def test_rows_keep_their_number_in_the_file():
    frame = pd.concat([GOOD.iloc[::-1], GOOD.assign(loss=[4.1, 3.6], params=[5e5, 4e6])]).assign(
        status=["done", "diverged", "done", "done"]
    )
    table = table_from_frame(frame)
    assert table.frame["row"].tolist() == [3, 1, 4]
    assert table.frame["run"].tolist() == ["row-0001", "row-0002", "row-0003"]
    assert row_names(table.frame) == ["row 1", "row 3", "row 4"]
    named = table_from_frame(GOOD.assign(run=["b", "a"], params=1e6))
    assert named.frame["row"].tolist() == [2, 1]
    assert row_names(named.frame) == ["run b", "run a"]


def test_names_and_order_do_not_depend_on_the_order_of_the_file():
    draw = np.random.default_rng(0)
    tokens = np.geomspace(1e8, 1e10, 30)
    frame = pd.DataFrame({"params": np.repeat([1e7, 2e7, 4e7], 10), "tokens": tokens, "loss": draw.uniform(3, 4, 30)})
    # Rows that differ in how much of their text was different only, and rows that are equal.
    frame = pd.concat([frame.assign(unique_tokens=u) for u in (1e9, 1e7, 1e9)], ignore_index=True)
    one, other = (table_from_frame(f).frame for f in (frame, frame.sample(frac=1, random_state=1)))
    assert one["row"].tolist() != other["row"].tolist()
    pd.testing.assert_frame_equal(one.drop(columns="row"), other.drop(columns="row"))


def test_equal_losses_are_refused():
    with pytest.raises(InputError, match=r"runs: every row has the same loss, 3: nothing to fit"):
        table_from_frame(GOOD.assign(loss=3.0), source="runs")
    assert len(table_from_frame(GOOD.iloc[:1]).frame) == 1
    families = pd.concat([GOOD.assign(family="a", loss=3.0), GOOD.assign(family="b")])
    assert table_from_frame(families).families == ("a", "b")
