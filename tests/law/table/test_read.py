"""Reading anyone's table, and refusing what cannot be used in a line that names file, column and row."""

import numpy as np
import pandas as pd
import pytest

from difflaw.errors import InputError
from difflaw.law import read_table, table_from_frame

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
