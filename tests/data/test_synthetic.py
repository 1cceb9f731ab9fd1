"""The chain's stated entropy against counting and against enumeration."""

import itertools

import numpy as np
import pytest

from difflaw.data import SyntheticConfig, make_chain
from difflaw.data.synthetic import FIRST_SYMBOL, MarkovChain, make_tokens
from difflaw.errors import InputError


def test_stationary_distribution_is_stationary():
    for symbols, concentration in [(2, 0.3), (16, 0.3), (16, 1e-3), (300, 0.05)]:
        chain = make_chain(SyntheticConfig(symbols=symbols, concentration=concentration))
        np.testing.assert_allclose(chain.transition_KK.sum(axis=1), 1, atol=1e-12)
        np.testing.assert_allclose(chain.stationary_K @ chain.transition_KK, chain.stationary_K, atol=1e-10)
        assert chain.stationary_K.min() > 0


def test_bigram_entropy_of_a_million_tokens_is_the_stated_rate():
    chain = make_chain(SyntheticConfig())
    tokens = chain.sample(1_000_000, np.random.default_rng(1))
    pairs = np.bincount(tokens[:-1] * 16 + tokens[1:], minlength=256).reshape(16, 16) / (len(tokens) - 1)
    log_conditional = np.log(np.where(pairs > 0, pairs / pairs.sum(axis=1, keepdims=True), 1))
    assert -(pairs * log_conditional).sum() == pytest.approx(chain.entropy_rate, rel=0.005)
    np.testing.assert_allclose(np.bincount(tokens, minlength=16) / len(tokens), chain.stationary_K, atol=0.005)


@pytest.mark.parametrize("context", [1, 2, 3, 4])
def test_floor_is_the_entropy_of_all_enumerated_chunks(context):
    chain = make_chain(SyntheticConfig(symbols=4, seed=3))
    total = 0.0
    for chunk in itertools.product(range(4), repeat=context):
        p = chain.stationary_K[chunk[0]]
        for here, after in itertools.pairwise(chunk):
            p *= chain.transition_KK[here, after]
        total -= p * np.log(p)
    assert chain.entropy_floor(context) == pytest.approx(total / context, rel=1e-9)


def test_uniform_chain_has_the_entropy_of_a_die():
    chain = MarkovChain(np.full((6, 6), 1 / 6))
    assert chain.entropy_rate == pytest.approx(np.log(6))
    assert chain.entropy_floor(7) == pytest.approx(np.log(6))


def test_first_symbol_is_drawn_from_the_stationary_distribution():
    chain = make_chain(SyntheticConfig(symbols=3, seed=5))
    rng = np.random.default_rng(0)
    firsts = [chain.sample(1, rng)[0] for _ in range(20_000)]
    np.testing.assert_allclose(np.bincount(firsts, minlength=3) / 20_000, chain.stationary_K, atol=0.015)


def test_tokens_are_deterministic_and_the_two_chains_differ():
    config = SyntheticConfig(tokens=2000, symbols=8)
    train, validation = make_tokens(config, 0.5)
    again, _ = make_tokens(config, 0.5)
    assert np.array_equal(train, again)
    assert len(train) == 2000
    assert len(validation) == 1000
    assert not np.array_equal(train[:1000], validation)
    assert train.min() >= FIRST_SYMBOL == 4
    assert train.max() < FIRST_SYMBOL + 8
    other, _ = make_tokens(SyntheticConfig(tokens=2000, symbols=8, seed=1), 0.5)
    assert not np.array_equal(train, other)


def test_floor_needs_a_context():
    with pytest.raises(InputError, match="at least one token"):
        make_chain(SyntheticConfig()).entropy_floor(0)
