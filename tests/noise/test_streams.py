"""Random streams: a pure function of seed, stream and index."""

import numpy as np

from difflaw.noise.streams import Stream, generator, uniforms


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    whole = uniforms(7, Stream.CORRUPTION, range(10), 3, 5)
    parts = np.concatenate([uniforms(7, Stream.CORRUPTION, [i], 3, 5) for i in range(10)])
    assert np.array_equal(whole, parts)


def test_seeds_streams_and_indices_differ() -> None:
    draws = [generator(*key).random() for key in ((0, 2, 0), (1, 2, 0), (0, 3, 0), (0, 2, 1))]  # type: ignore[arg-type]
    assert len(set(draws)) == 4


def test_streams_do_not_overlap() -> None:
    one = generator(0, Stream.LOG_SNR, 5).random(10_000)
    other = generator(0, Stream.CORRUPTION, 5).random(10_000)
    assert not set(one) & set(other)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
