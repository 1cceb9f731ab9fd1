"""Settings are refused with a reason."""

import pytest
from pydantic import ValidationError

from difflaw.data import DataConfig, SyntheticConfig


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"vocab_size": 100}, "need 260"),
        ({"validation_fraction": 0.0}, r"not in \(0, 0.5\]"),
        ({"validation_fraction": float("nan")}, r"not in \(0, 0.5\]"),
        ({"max_bytes": 0}, "reads nothing"),
        ({"corpus": ""}, "empty"),
        ({"corpus": []}, "empty"),
        ({"corpus": ["a.txt", " "]}, "empty"),
        ({"corpus": ["a.txt", "synthetic"]}, "cannot be mixed"),
        ({"corpus": "synthetic", "validation": "a.txt"}, "makes its own validation"),
        ({"validation": "synthetic"}, "makes its own validation"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"text_key": ""}, "at least 1 character"),
        ({"corpsu": "stdlib"}, "Extra inputs"),
        ({"synthetic": {"symbols": 1}}, "greater than or equal to 2"),
        ({"synthetic": {"concentration": 0}}, "greater than 0"),
    ],
)
def test_bad_settings_are_refused(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        DataConfig(**settings)


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        DataConfig().seed = 1  # type: ignore[misc]


def test_synthetic_alone_in_a_list_is_synthetic():
    assert DataConfig(corpus=["synthetic"]).is_synthetic
    assert not DataConfig().is_synthetic
    assert SyntheticConfig().symbols == 16
