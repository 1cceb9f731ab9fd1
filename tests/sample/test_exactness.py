"""Every sampler that claims to be exact draws from the joint distribution, when the network is exact."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch

from difflaw.families import get
from difflaw.families.score import score
from difflaw.sample import generate
from difflaw.sample.adaptive import Adaptive
from difflaw.sample.ancestral import Ancestral, GreedyTail
from difflaw.sample.entropy_bounded import EntropyBounded
from difflaw.sample.first_hitting import FirstHitting
from difflaw.sample.psi import Psi
from difflaw.sample.remdm import ReMdm
from tests.families.helpers import random_network
from tests.sample.helpers import Sampled
from tests.sample.oracle import family_of, sample, sampling_error, total_variation

ROWS = 8_000
NEAR = sampling_error(ROWS)

EXACT = (
    ("masked", Ancestral(48)),
    ("balanced", Ancestral(48)),
    ("uniform", Ancestral(48)),
    ("duo", Ancestral(48)),
    ("masked", FirstHitting()),
    ("masked", EntropyBounded(0.0)),
    ("masked", ReMdm(48, strategy="cap", eta=1 / 48)),
    ("masked", ReMdm(48, strategy="rescale", eta=1 / 48)),
    ("masked", ReMdm(48, strategy="loop", eta=1 / 48)),
    ("duo", Psi(48, eta=1 / 48)),
    ("balanced", Psi(48, kappa=1.0)),
)


@pytest.mark.parametrize(("name", "sampler"), EXACT)
def test_exact_in_the_limit(name: str, sampler) -> None:
    """Near the sampling error in 48 steps, where one step is 0.36 off."""
    assert total_variation(sample(family_of(name), sampler, ROWS)) < NEAR + 0.025


@pytest.mark.parametrize("name", ["masked", "balanced", "duo"])
def test_error_falls_with_steps(name: str) -> None:
    distance = [total_variation(sample(family_of(name), Ancestral(steps), ROWS)) for steps in (1, 4, 16)]
    assert distance[0] > 0.3
    assert distance[0] > 1.5 * distance[1] > 2.5 * distance[2]


def test_one_masked_step_is_the_product_of_marginals() -> None:
    """All places at once know nothing of each other: the error at T = 1 is that of independence, exactly."""
    from tests.families.oracle import POSITIONS, SYMBOLS, X, source

    p = source()
    alone = torch.stack([torch.stack([p[X[:, l] == v].sum() for v in range(SYMBOLS)]) for l in range(POSITIONS)])
    independent = torch.stack([alone[l][X[:, l]] for l in range(POSITIONS)]).prod(0)
    texts = sample(family_of("masked"), Ancestral(1), ROWS)
    assert total_variation(texts, independent) < NEAR + 0.01
    assert total_variation(texts) > 0.3


BIASED = (
    ("masked", ReMdm(16, strategy="conf")),
    ("masked", GreedyTail(4)),
    ("masked", EntropyBounded(5.0)),
    ("uniform", Adaptive(48)),
)


@pytest.mark.parametrize(("name", "sampler"), BIASED)
def test_bias_is_there_where_the_docs_say_so(name: str, sampler) -> None:
    assert total_variation(sample(family_of(name), sampler, ROWS)) > 0.05


# -- networks whose likelihood is exact, against their own samples -----------------------------------------------------

V, LENGTH, N = 6, 3, 4_000


def _frequencies(model: Sampled, **options) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    texts = list(product([v for v in range(V) if v != 3], repeat=LENGTH))
    done = generate(model, [[]] * N, max_tokens=LENGTH, stop_at_eos=False, **options).tokens.numpy()
    code = (done * V ** np.arange(LENGTH)).sum(1)
    codes = (np.array(texts) * V ** np.arange(LENGTH)).sum(1)
    return np.array([(code == c).mean() for c in codes]), texts


def _distance(frequency: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """Total variation, and what is expected of exact samples."""
    return 0.5 * float(np.abs(frequency - p).sum()), 0.5 * float(np.sqrt(2 * p * (1 - p) / (np.pi * N)).sum())


@pytest.mark.parametrize(
    ("name", "options", "how"),
    [
        ("autoregressive", {}, {}),
        ("block", {"block_length": 1}, {"sampler": "first-hitting"}),
        ("esolm", {"alpha_0": 0.0}, {}),
        ("esolm", {"alpha_0": 0.0, "variant": "A"}, {}),
    ],
)
@torch.no_grad()
def test_samples_follow_the_likelihood(name: str, options: dict, how: dict) -> None:
    family = get(name, V, 3, **options)
    network = random_network(V, LENGTH, causal=family.causal, seed=2).eval()
    network.lm_head.weight.mul_(0.015)
    frequency, texts = _frequencies(Sampled(network, family), **how)
    batch = family.corrupt(torch.tensor(texts), np.arange(len(texts)), 0)
    numbers = score(network, family, batch)
    p = np.exp(-family.bound_of(numbers, batch.x_BL, batch.z_BL, batch.log_snr_BL).double().sum(1).numpy())
    distance, expected = _distance(frequency, p)
    assert distance < 1.3 * expected
    assert _distance(np.full_like(p, 1 / len(p)), p)[0] > 3 * expected  # far enough from uniform to tell


@torch.no_grad()
def test_any_order_sampling_is_the_mean_over_orders() -> None:
    """Eso-LM, α₀ = 1, one token a step: E over orders of Π p(x_σ(i) | x_σ(<i)), teacher-forced in one pass each."""
    from difflaw.families.attention_masks import sequential

    family = get("esolm", V, 3)
    network = random_network(V, LENGTH, causal=True, seed=2).eval()
    network.lm_head.weight.mul_(0.015)
    frequency, texts = _frequencies(Sampled(network, family), steps=1000)
    x, p = torch.tensor(texts), 0.0
    for order in permutations(range(LENGTH)):
        at = torch.tensor(order)
        both = torch.cat([torch.full_like(x, 3), x[:, at]], 1)
        logits = network.logits(both, sequential(LENGTH), torch.cat([at, at]).expand(len(x), -1))[:, :LENGTH]
        log_p = family.predict(logits).gather(-1, x[:, at, None])[..., 0].double().log()
        p = p + log_p.sum(1).exp() / 6
    distance, expected = _distance(frequency, p.numpy())  # type: ignore[union-attr]
    assert distance < 1.3 * expected
