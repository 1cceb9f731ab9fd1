"""The validation bound: unbiased, common noise, and an error that covers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difflaw.evaluate.bound import evaluation_log_snr, successive_difference_error, validation_bound
from difflaw.families import get
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.noise.clock import LogSnrRange

V, CONTEXT = 11, 16
ROWS = np.random.default_rng(0).integers(4, V, (64, CONTEXT))


def context_free(seed: int = 0) -> Transformer:
    """A model whose prediction does not depend on its input: all ids embedded alike, no residual branches."""
    model = Transformer(
        ModelConfig(vocab_size=V, layers=1, width=8, heads=1, context=CONTEXT, resid_scale=0)
    ).initialise(0)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.ones_like(model.model.embed_tokens.weight))
        model.lm_head.weight.normal_(std=0.02, generator=torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize("name", ["masked", "low-uniform", "balanced", "high-uniform", "uniform"])
def test_context_free_model_gives_its_cross_entropy(name: str) -> None:
    model, family = context_free(), get(name, V, 3)
    rows = np.tile(ROWS, (32, 1))
    estimate = validation_bound(model, family, rows, seed=1)
    log_p = model.logits(torch.zeros(1, 1, dtype=torch.long))[0, 0].detach()
    log_p[3] = -torch.inf
    expected = -float(log_p.log_softmax(-1)[torch.from_numpy(ROWS)].mean())
    assert abs(estimate.nats - expected) < 4 * estimate.standard_error + 1e-3
    assert estimate.standard_error < 0.1


def test_standard_error_covers_the_truth() -> None:
    """Over seeds, the estimate scatters about the truth by about its own error."""
    model, family = context_free(), get("masked", V, 3)
    log_p = model.logits(torch.zeros(1, 1, dtype=torch.long))[0, 0].detach()
    log_p[3] = -torch.inf
    truth = -float(log_p.log_softmax(-1)[torch.from_numpy(ROWS)].mean()) * family.span.mass
    estimates = [validation_bound(model, family, ROWS, seed=seed) for seed in range(60)]
    scores = np.array([(e.nats - truth) / e.standard_error for e in estimates])
    assert 0.5 < scores.std() < 1.3
    assert np.abs(scores).max() < 5


def test_error_shrinks_with_the_root_of_the_sequences() -> None:
    # ±3, since the weight 1/t of few, nearly clean sequences makes the error itself scatter on the whole range
    model, family = context_free(), get("masked", V, 3, span=LogSnrRange(-3, 3))
    few = np.mean([validation_bound(model, family, ROWS, seed=s).standard_error for s in range(8)])
    many = np.mean([validation_bound(model, family, np.tile(ROWS, (16, 1)), seed=s).standard_error for s in range(8)])
    assert few / many == pytest.approx(4.0, rel=0.35)


def test_stratified_levels_beat_independent_ones() -> None:
    model, family = context_free(), get("uniform", V, 3, span=LogSnrRange(-3, 3))
    stratified = [validation_bound(model, family, ROWS, seed=s).nats for s in range(40)]
    means = []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        lam = family.span.from_uniform(draw.random(64))
        batch = family.corrupt_at(torch.from_numpy(ROWS), lam, np.arange(64) + 1000 * seed, seed)
        with torch.no_grad():
            bound = family.bound(model.logits(batch.z_BL), batch.x_BL, batch.z_BL, batch.log_snr_BL)
        means.append(family.span.mass * float(bound.mean()))
    assert np.std(stratified) < np.std(means)


def test_common_random_numbers() -> None:
    lam_one, *_ = evaluation_log_snr(get("masked", V, 3), 32, seed=4)
    lam_other, *_ = evaluation_log_snr(get("uniform", V, 3), 32, seed=4)
    assert np.array_equal(lam_one, lam_other)
    model, family = context_free(), get("uniform", V, 3)
    small, large = (validation_bound(model, family, ROWS, seed=4, micro_batch=m) for m in (5, 64))
    assert small.nats == pytest.approx(large.nats, abs=1e-6)


def test_autoregressive_is_exact() -> None:
    estimate = validation_bound(context_free(), get("ar", V, 3), ROWS, seed=0)
    again = validation_bound(context_free(), get("ar", V, 3), ROWS, seed=1)
    assert estimate.nats == again.nats == estimate.training_loss


def test_successive_differences_on_a_known_case() -> None:
    assert successive_difference_error(np.array([1.0, 3.0, 1.0, 3.0])) == pytest.approx(np.sqrt(12 / 6 / 4))
    assert successive_difference_error(np.array([1.0])) == np.inf
