"""Diffusion forcing, prompts and empty tokens against their stated distributions."""

import numpy as np
import pytest

from difflaw.noise.clock import LogSnrRange
from difflaw.noise.conditioning import Conditioning, prompt_attention

INDEX = np.arange(4000)


def test_share_of_forced_sequences() -> None:
    lam = Conditioning(own_noise_probability=0.5).log_snr(LogSnrRange(), 16, INDEX, seed=0)
    forced = (np.ptp(lam, axis=1) > 0).mean()
    assert forced == pytest.approx(0.5, abs=0.03)
    plain = Conditioning().log_snr(LogSnrRange(), 16, INDEX, seed=0)
    assert np.ptp(plain, axis=1).max() == 0


def test_sequences_that_are_not_forced_have_the_same_level_either_way() -> None:
    plain = Conditioning().log_snr(LogSnrRange(), 16, INDEX[:50], seed=0)
    mixed = Conditioning(own_noise_probability=0.5).log_snr(LogSnrRange(), 16, INDEX[:50], seed=0)
    isotropic = np.ptp(mixed, axis=1) == 0
    assert isotropic.any()
    assert np.array_equal(mixed[isotropic], plain[isotropic])


def test_prompts_have_the_arccos_law() -> None:
    length = 1000
    noised = Conditioning(prompt_probability=1.0).noised(length, INDEX, seed=0)
    share = 1 - noised.mean(axis=1)
    assert not noised[:, 0].any()  # position 0 is always clean
    assert share.mean() == pytest.approx(0.5, abs=0.02)
    assert (share < 0.25).mean() == pytest.approx(0.146, abs=0.02)  # P(f < 1/4) = (1 - cos(π/4))/2
    assert all(np.array_equal(row, np.sort(row)) for row in noised[:50])  # a prefix, nothing else
    rare = Conditioning(prompt_probability=0.2).noised(length, INDEX, seed=0)
    assert (~rare).mean() == pytest.approx(0.1, abs=0.01)


def test_prompt_attention_rule() -> None:
    noised = np.array([[False, False, True], [True, True, True]])
    attention = prompt_attention(noised)
    assert attention is not None
    assert attention[0].tolist() == [[True, True, False], [True, True, False], [True, True, True]]
    assert attention[1].all()
    assert prompt_attention(noised[1:]) is None


def test_empty_tokens_keep_the_order_and_the_length() -> None:
    x = np.tile(np.arange(10, 74), (500, 1))
    out = Conditioning(max_empty_fraction=0.2).with_empty_tokens(x, 2, INDEX[:500], seed=0)
    assert out.shape == x.shape
    shares = (out == 2).mean(axis=1)
    assert 0.07 < shares.mean() < 0.12
    assert shares.max() <= 0.25
    for row in out[:50]:
        kept = row[row != 2]
        assert np.array_equal(kept, np.arange(10, 10 + len(kept)))


def test_rows_do_not_depend_on_the_batch() -> None:
    conditioning = Conditioning.preset("intended")
    whole = conditioning.noised(32, INDEX[:8], 3), conditioning.log_snr(LogSnrRange(), 32, INDEX[:8], 3)
    part = conditioning.noised(32, INDEX[5:8], 3), conditioning.log_snr(LogSnrRange(), 32, INDEX[5:8], 3)
    assert all(np.array_equal(w[5:], p) for w, p in zip(whole, part, strict=True))


def test_presets_and_bad_values() -> None:
    assert Conditioning.preset("as-run") == Conditioning(0.2, 0.2, 0.0)
    with pytest.raises(ValueError, match="as-run"):
        Conditioning.preset("as_run")
    with pytest.raises(ValueError, match="prompt_probability"):
        Conditioning(prompt_probability=1.5)
