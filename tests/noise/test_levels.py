"""Spread times: pure, even over every stretch of samples, uniform one by one, unbiased and less noisy than draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difflaw.families import get
from difflaw.families.score import weights
from difflaw.noise.conditioning import Conditioning
from difflaw.noise.levels import spread, times

SEEDS = range(6)


def star_discrepancy(rows: np.ndarray) -> np.ndarray:
    """Largest, over t, of |share of a row's points below t, less t|, of rows (R, B)."""
    ordered, count = np.sort(rows, axis=1), rows.shape[1]
    place = np.arange(count)
    return np.maximum((place + 1) / count - ordered, ordered - place / count).max(1)


def windows(rule, seed: int, length: int, total: int = 1024, count: int = 1) -> np.ndarray:
    """Every stretch of ``length`` consecutive samples, rows of (total - length + 1, length), of the last column."""
    return np.lib.stride_tricks.sliding_window_view(times(rule, seed, np.arange(total), count)[:, -1], length)


# -- a pure function of (seed, sample index) --------------------------------------------------------------------------


def test_the_numbers_are_these_on_every_machine_and_for_ever() -> None:
    """In units of 2^-53: they are part of every run's identity."""
    found = spread(1, np.array([0, 1, 2, 1000, 123_456_789]), 2) * 2**53
    assert found.astype(np.int64).tolist() == [
        [2808723488678192, 2896628266651731],
        [8067053853616957, 5723420906293513],
        [1062319279283417, 7831773888387674],
        [3345061120548921, 2459689661217534],
        [7617537831269612, 1395324255087491],
    ]


@pytest.mark.parametrize("rule", ["independent", "spread"])
@pytest.mark.parametrize("count", [1, 3])
def test_any_subset_in_any_order_has_the_same_values(rule, count: int) -> None:
    index = np.array([7, 3, 1_000_000_007, 0, 64, 3])
    whole = times(rule, 5, index, count)
    assert np.array_equal(whole, np.concatenate([times(rule, 5, index[i : i + 1], count) for i in range(len(index))]))
    assert np.array_equal(whole[1], whole[5])
    assert np.array_equal(whole[:, :1], times(rule, 5, index))  # how many times a sample has does not change the first


def test_seeds_and_columns_differ() -> None:
    index = np.arange(200)
    assert len(np.unique(np.concatenate([spread(s, index, 3) for s in SEEDS]))) == 200 * 3 * len(SEEDS)


# -- even over every stretch ------------------------------------------------------------------------------------------


def test_a_power_of_two_has_one_time_in_every_stratum() -> None:
    for seed in SEEDS:
        for count in (1, 5):
            t = spread(seed, np.arange(4096), count)
            for length in (2, 16, 128, 4096):
                strata = np.sort((t.reshape(-1, length, count) * length).astype(int), axis=1)
                assert (strata == np.arange(length)[:, None]).all()


@pytest.mark.parametrize(("length", "share"), [(4, 0.75), (7, 1.0), (16, 0.4), (33, 0.5), (100, 0.4)])
def test_every_stretch_is_even(length: int, share: float) -> None:
    """The worst of all stretches, wherever they begin, against the typical stretch of independent draws."""
    for seed in SEEDS:
        worst = star_discrepancy(windows("spread", seed, length)).max()
        assert worst <= (1 + np.log2(length) / 2) / length  # van der Corput's bound: of each bit's strata two are cut
        assert worst < share * np.median(star_discrepancy(windows("independent", seed, length)))
        if length >= 16:  # a block's, whose samples are reordered besides
            later = star_discrepancy(windows("spread", seed, length, count=4)).max()
            assert later < np.median(star_discrepancy(windows("independent", seed, length)))


# -- unbiased ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 6, 12_345])
def test_one_sample_is_uniform_over_seeds(index: int) -> None:
    t = np.sort(np.concatenate([spread(seed, np.array([index]), 2) for seed in range(3000)]), axis=0)
    for column in t.T:  # Kolmogorov-Smirnov, 1 in 10,000
        assert star_discrepancy(column[None])[0] < 2.23 / np.sqrt(3000)


def test_a_batch_does_not_see_the_places_of_the_last_one_again() -> None:
    """Batches of 16: where in its stratum a time lies is uniform, and has nothing to do with the batch before."""
    for seed in SEEDS:
        inside = np.sort(spread(seed, np.arange(16 * 512))[:, 0].reshape(512, 16), axis=1) * 16 % 1
        assert star_discrepancy(inside.reshape(1, -1))[0] < 2.23 / np.sqrt(inside.size)
        assert np.corrcoef(inside[:-1].ravel(), inside[1:].ravel())[0, 1] < 0.0  # halves of a stratum alternate
        assert star_discrepancy(inside.T).max() < 0.05  # no stratum keeps to a part of itself


def test_blocks_of_a_sequence_see_all_combinations() -> None:
    """Two columns fill the square: no block's time tells another's, though both are bound to the same index."""
    for seed in SEEDS:
        t = spread(seed, np.arange(4096), 3)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            cells = np.histogram2d(t[:, one], t[:, other], bins=8, range=[[0, 1], [0, 1]])[0]
            assert cells.min() > 24  # 64 expected; 0 and 128 without an order of its own
            assert cells.max() < 108


# -- less noise -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [16, 20, 64])
@pytest.mark.parametrize("function", [np.square, np.sqrt, lambda t: np.cos(3 * t)])
def test_means_over_a_batch_vary_far_less(length: int, function) -> None:
    exact = function((np.arange(100_000) + 0.5) / 100_000).mean()
    error = {}
    for rule in ("independent", "spread"):
        means = [function(times(rule, s, np.arange(64 * length))[:, 0]).reshape(-1, length).mean(1) for s in SEEDS]
        error[rule] = np.mean((np.concatenate(means) - exact) ** 2)
    assert error["spread"] < error["independent"] / 20


FAMILIES = {  # family, options, and the largest share of a batch's variance that may be left
    "masked": ("gidd", {"noise_type": "masked"}, 0.35),
    "uniform": ("gidd", {"noise_type": "uniform"}, 0.3),
    "mdlm": ("mdlm", {}, 0.1),
    "duo": ("duo", {}, 1.0),  # most of it is that of rare losses at low noise
    "duo, curriculum": ("duo", {"curriculum": 1.0, "run_sequences": 1 << 20, "top_k": 3}, 0.5),
    "esolm": ("esolm", {}, 0.1),
    "esolm, two phases": (
        "esolm",
        {"alpha_0": 0.5},
        1.2,
    ),  # trains on the bound, whose mean is the same at every λ here
    "block": ("block", {"block_length": 4}, 0.6),
}


def batch_losses(name: str, rule, batches: int = 300, sequences: int = 16, length: int = 64) -> np.ndarray:
    """Mean training loss of each batch (batches,) under a fixed network, the same for every z."""
    family_name, options, _ = FAMILIES[name]
    family = get(family_name, 11, 3, conditioning=Conditioning(noise_levels=rule), **options)
    count = batches * sequences
    x = torch.from_numpy(4 + np.random.default_rng(0).integers(0, 7, (count, length)))
    logits = torch.from_numpy(1.5 * np.random.default_rng(1).standard_normal(11)).expand(count, length, 11)
    batch = family.corrupt(x, np.arange(count), seed=0)
    loss = family.loss(logits, batch.x_BL, batch.z_BL, batch.log_snr_BL) * weights(batch)
    return loss.double().reshape(batches, -1).mean(1).numpy()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_training_loss_is_the_same_and_less_noisy(name: str) -> None:
    draws, even = batch_losses(name, "independent"), batch_losses(name, "spread")
    assert not np.array_equal(draws, even)
    error = np.sqrt((draws.var(ddof=1) + even.var(ddof=1)) / len(draws))
    assert abs(even.mean() - draws.mean()) < 4 * error
    assert even.var() < FAMILIES[name][2] * draws.var()


@pytest.mark.parametrize("name", FAMILIES)
def test_micro_batches_see_what_the_whole_batch_sees(name: str) -> None:
    family_name, options, _ = FAMILIES[name]
    family = get(family_name, 11, 3, conditioning=Conditioning(noise_levels="spread"), **options)
    x, index = torch.full((6, 16), 5), np.arange(30, 36)
    whole = family.corrupt(x, index, seed=1)
    for rows in (slice(0, 2), slice(2, 6)):
        part = family.corrupt(x[rows], index[rows], seed=1)
        assert torch.equal(part.z_BL, whole.z_BL[rows])
        assert torch.equal(part.log_snr_BL, whole.log_snr_BL[rows])


def test_own_noise_of_tokens_stays_independent() -> None:
    """Diffusion forcing: forced rows are those of independent draws, the others have the spread time."""
    span = get("mdlm", 11, 3).span
    draws, even = (
        Conditioning(0.5, noise_levels=r).log_snr(span, 8, np.arange(100), 0) for r in ("independent", "spread")
    )
    forced = np.ptp(draws, axis=1) > 0
    assert np.array_equal(draws[forced], even[forced])
    assert np.array_equal(even[~forced, 0], span.from_uniform(spread(0, np.arange(100))[~forced, 0]))
