"""Batches are a pure function of (seed, step)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflaw.data import Batches, validation_rows
from difflaw.data.batches import permutation
from difflaw.errors import InputError

TOKENS = np.arange(1003, dtype=np.uint16)  # 100 chunks of 10 and 3 tokens over


def make(seed: int = 0, sequences: int = 8) -> Batches:
    return Batches(TOKENS, context=10, sequences=sequences, seed=seed)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_slices_of_all_processes_are_the_batch_bit_for_bit(processes):
    batches = make()
    for step in (0, 11, 12, 13, 500):  # step 12 crosses from one epoch to the next
        share = batches.sequences // processes
        slices = [make().rows(step * batches.sequences + rank * share, share) for rank in range(processes)]
        x_BL, index_B = batches.batch(step)
        assert np.concatenate([x for x, _ in slices]).tobytes() == x_BL.tobytes()
        assert np.concatenate([index for _, index in slices]).tobytes() == index_B.tobytes()


@given(st.integers(0, 2000), st.integers(0, 300), st.integers(0, 300))
def test_any_cut_of_the_sample_stream_gives_the_same_samples(first, left, right):
    whole = make().rows(first, left + right)
    parts = make().rows(first, left), make().rows(first + left, right)
    for i in range(2):
        assert np.array_equal(whole[i], np.concatenate([parts[0][i], parts[1][i]]))


def test_restart_reads_the_same():
    before = [make().batch(step)[0] for step in range(30)]
    permutation.cache_clear()
    resumed = make()
    for step in (29, 3, 17):
        assert np.array_equal(resumed.batch(step)[0], before[step])


def test_each_epoch_visits_every_chunk_once_in_its_own_order():
    batches = make(sequences=10)
    orders = []
    for epoch in range(3):
        x_NL, index_N = batches.rows(epoch * 100, 100)
        assert np.array_equal(index_N, np.arange(epoch * 100, epoch * 100 + 100))
        assert np.array_equal(x_NL, x_NL[:, :1] + np.arange(10))
        assert np.array_equal(np.sort(x_NL[:, 0]), np.arange(0, 1000, 10))
        orders.append(tuple(x_NL[:, 0]))
    assert len(set(orders)) == 3
    assert tuple(make(seed=1).rows(0, 100)[0][:, 0]) not in orders


def test_shapes_types_and_epochs():
    x_BL, index_B = make().batch(2)
    assert x_BL.shape == (8, 10)
    assert x_BL.dtype == index_B.dtype == np.int64
    assert list(index_B) == list(range(16, 24))
    assert make().chunks == 100
    assert make().epochs(2500) == 2.5


def test_a_step_longer_than_several_epochs():
    batches = Batches(TOKENS[:20], context=10, sequences=7, seed=0)
    x_BL, _ = batches.batch(1)
    assert sorted(x_BL[1:3, 0]) == [0, 10]  # samples 8 and 9 are epoch 4


def subset(unique: int, seed: int = 0, sequences: int = 8) -> set[int]:
    """First tokens of the chunks that a run with so many unique tokens visits in three epochs."""
    batches = Batches(TOKENS, context=10, sequences=sequences, seed=seed, unique=unique)
    x_NL, _ = batches.rows(0, 3 * batches.chunks)
    assert np.array_equal(x_NL, x_NL[:, :1] + np.arange(10))
    return set(x_NL[:, 0].tolist())


def test_unique_tokens_are_the_same_chunks_for_every_seed_and_batch():
    first = subset(300)
    assert len(first) == 30
    assert first == subset(300, seed=7) == subset(300, sequences=3) == subset(309)


def test_a_smaller_text_is_part_of_a_larger_and_all_are_spread_over_the_whole():
    small, large = subset(200), subset(400)
    assert small < large < subset(1000)
    assert subset(1000) == set(range(0, 1000, 10))
    assert len({first // 250 for first in small}) == 4  # chunks from every quarter of the text


def test_each_epoch_of_unique_tokens_visits_them_once_in_its_own_order():
    batches = Batches(TOKENS, context=10, sequences=8, seed=0, unique=200)
    assert batches.chunks == 20
    assert batches.epochs(1000) == 5.0
    orders = [batches.rows(epoch * 20, 20)[0][:, 0].tolist() for epoch in range(3)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"unique": 1010}, "unique_tokens 1,010: the text has 1,000 training tokens"),
        ({"unique": 9}, "unique_tokens 9: the text"),
        ({"context": 2000}, "at least one chunk of context = 2000"),
        ({"context": 0}, "at least one token"),
        ({"sequences": 0}, "at least one"),
        ({"seed": -1}, "whole number"),
    ],
)
def test_bad_batches_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        Batches(**{"tokens": TOKENS, "context": 10, "sequences": 1, "seed": 0, **settings})


def test_negative_samples_are_refused():
    with pytest.raises(InputError, match="must not be negative"):
        make().batch(-1)


@given(st.integers(1, 130), st.integers(0, 5))
def test_validation_rows_are_distinct_and_spread(count, seed):
    x_BL, chunk_B = validation_rows(TOKENS, 10, count, seed)
    assert len(x_BL) == len(np.unique(chunk_B)) == min(count, 100)
    assert np.array_equal(x_BL[:, 0], chunk_B * 10)
    assert np.diff(chunk_B, prepend=0, append=100).max() <= 2 * -(-100 // count)
    assert np.array_equal(chunk_B, validation_rows(TOKENS, 10, count, seed)[1])


def test_validation_rows_refuse_too_little():
    with pytest.raises(InputError, match="validation data too small"):
        validation_rows(TOKENS[:5], 10, 4, 0)
    with pytest.raises(InputError, match="at least one is needed"):
        validation_rows(TOKENS, 10, 0, 0)
