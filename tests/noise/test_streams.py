"""Random streams: a pure function of seed, stream and index."""

import numpy as np

from difflaw.noise.streams import Stream, generator, uniforms


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    whole = uniforms(7, Stream.CORRUPTION, range(10), 3, 5)
    parts = np.concatenate([uniforms(7, Stream.CORRUPTION, [i], 3, 5) for i in range(10)])
    assert np.array_equal(whole, parts)


def test_many_rows_at_once_are_what_each_generator_draws_first() -> None:
    """Also for a seed and indices beyond a signed word, which wrap, and after odd numbers of draws."""
    for seed, indices in ((7, [3, 0, 2**40]), (2**64 + 5, [-1, 2**63])):
        rows = uniforms(seed, Stream.ORDER, indices, 3, 5)
        for row, index in zip(rows, indices, strict=True):
            assert np.array_equal(row, generator(seed, Stream.ORDER, index).random((3, 5)))
    assert uniforms(0, Stream.ORDER, [], 4).shape == (0, 4)


def test_the_numbers_are_those_of_the_first_release() -> None:
    """They are part of every run's identity."""
    first = np.random.Philox(key=np.array([7, 9], dtype=np.uint64), counter=np.array([0, 0, 0, 3], dtype=np.uint64))
    assert np.array_equal(uniforms(7, Stream.CORRUPTION, [9], 6)[0], np.random.Generator(first).random(6))


def test_seeds_streams_and_indices_differ() -> None:
    draws = [generator(*key).random() for key in ((0, 2, 0), (1, 2, 0), (0, 3, 0), (0, 2, 1))]  # type: ignore[arg-type]
    assert len(set(draws)) == 4


def test_streams_do_not_overlap() -> None:
    one = generator(0, Stream.LOG_SNR, 5).random(10_000)
    other = generator(0, Stream.CORRUPTION, 5).random(10_000)
    assert not set(one) & set(other)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
