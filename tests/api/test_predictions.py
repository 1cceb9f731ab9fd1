"""`difflaw.predict`: laws and runs as objects or files give the same."""

from __future__ import annotations

import pandas as pd
import pytest

import difflaw
from difflaw.errors import InputError
from tests.law.conftest import ladder


def test_objects_and_files_give_the_same(tmp_path):
    laws = difflaw.fit(ladder(0, sd=0.002))
    runs = pd.DataFrame({"params": [1e8, 3e8], "tokens": [2e9, 1e10]})
    runs.to_csv(tmp_path / "runs.csv", index=False)
    laws.write(tmp_path)
    found = difflaw.predict(laws, runs)
    assert found == difflaw.predict(tmp_path, tmp_path / "runs.csv")
    assert found == difflaw.predict(tmp_path / "laws.json", runs)
    assert difflaw.predict(laws, runs, level=0.5)[0].law_interval != found[0].law_interval
    with pytest.raises(InputError, match="the DataFrame: column 'params', row 2"):
        difflaw.predict(laws, runs.assign(params=[1e8, -1]))
