"""What every diffusion family must satisfy, checked without any reference: entropy, discrete time, sampling, limits."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from difflaw.errors import InputError
from difflaw.evaluate.bound import validation_bound
from difflaw.families import FAMILIES, check, get, names
from difflaw.families.diffusion import Diffusion
from difflaw.families.score import score
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.noise.mixing import NOISE_TYPES
from tests.families import oracle
from tests.families.helpers import random_network

TOKENWISE = [*NOISE_TYPES, "mdlm", "duo"]
"""Families whose noise acts on each token alone; Eso-LM and block diffusion have tests of their own."""
EVERY = [("autoregressive", {}), *((n, {}) for n in TOKENWISE), ("esolm", {}), ("esolm", {"alpha_0": 0.3})]
EVERY += [("esolm", {"alpha_0": 0.0}), ("block", {"block_length": 1}), ("block", {"block_length": 4})]


def tiny(name: str) -> Diffusion:
    family = get(name, oracle.VOCABULARY, oracle.MASK)
    assert isinstance(family, Diffusion)
    return family


@pytest.mark.parametrize("name", TOKENWISE)
def test_oracle_bound_is_the_entropy(name: str) -> None:
    """Fed the leave-one-out posterior, the bound integrates to the source's entropy."""
    family, p = tiny(name), oracle.source()
    bound = oracle.integrate_bound(family, p, lambda lam: oracle.leave_one_out_logits(family, p, lam))
    assert bound == pytest.approx(oracle.entropy(p), abs=1e-3)


@pytest.mark.parametrize("name", ["balanced", "uniform", "duo"])
def test_ordinary_posterior_is_not_what_the_network_learns(name: str) -> None:
    """With p(x_l | all of z) the bound is far above the entropy: the network's output is leave-one-out."""
    family, p = tiny(name), oracle.source()
    bound = oracle.integrate_bound(family, p, lambda lam: oracle.posterior_logits(family, p, lam))
    assert bound > oracle.entropy(p) + 0.2


@pytest.mark.parametrize("name", TOKENWISE)
def test_context_free_predictor_gives_its_cross_entropy(name: str) -> None:
    """A constant prediction has bound -log p(x) under every noise, up to the ends of λ."""
    v, x_id, points = 7, 4, 561
    family = get(name, v, 3)
    assert isinstance(family, Diffusion)
    logits = torch.randn(v, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lams = torch.linspace(-14, 14, points, dtype=torch.float64)
    z, lam = torch.arange(v).expand(points, v), lams[:, None].expand(points, v)
    integrand = family.bound(logits.expand(points, v, v), torch.full((points, v), x_id), z, lam)
    q = torch.sigmoid(lam) * (z == x_id) + family.noise_at(z, lam)
    mean = torch.where(q > 0, integrand * q, 0.0).sum(1) * torch.sigmoid(lams) * torch.sigmoid(-lams)
    expected = -float(family.predict(logits)[x_id].log())
    assert float(torch.trapezoid(mean, lams)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", TOKENWISE)
def test_discrete_time_bound_converges_to_it(name: str) -> None:
    """The exact T-step NELBO of the oracle tends to the continuous one from above."""
    family, p = tiny(name), oracle.source()
    continuous = oracle.integrate_bound(family, p, lambda lam: oracle.leave_one_out_logits(family, p, lam), reach=9.0)
    coarse, fine = (_discrete_bound(family, p, steps) - continuous for steps in (16, 128))
    assert 0.0 < fine < 0.2 * coarse
    assert fine < 0.02


def _discrete_bound(family: Diffusion, p: torch.Tensor, steps: int) -> float:
    """Σ_t E KL(q(z_s|z_t,x) ‖ p(z_s|z_t)) in nats per sequence, λ even in ±9, both distributions from `reverse`."""
    known = torch.full((len(oracle.X), oracle.POSITIONS, oracle.VOCABULARY), -1e9, dtype=torch.float64)
    known.scatter_(-1, oracle.X.unsqueeze(-1), 0.0)
    pairs = len(oracle.X), len(oracle.Z), oracle.POSITIONS
    total = 0.0
    for lam_t, lam_s in pairwise(torch.linspace(-9, 9, steps + 1, dtype=torch.float64)):
        joint = oracle.likelihoods(family, float(lam_t)) * p[:, None]
        logits = oracle.leave_one_out_logits(family, p, float(lam_t))
        model = family.reverse(logits, oracle.Z, lam_t, lam_s)
        exact = family.reverse(
            known[:, None].expand(*pairs, -1).flatten(0, 1), oracle.Z.expand(*pairs).flatten(0, 1), lam_t, lam_s
        ).unflatten(0, pairs[:2])
        log_ratio = exact.clamp(min=1e-300).log() - model.clamp(min=1e-300).log()
        kl = torch.where(exact > 0, exact * log_ratio, 0.0).sum((-1, -2))
        total += float(torch.where(joint > 0, kl * joint, 0.0).sum())
    return total


@pytest.mark.parametrize("name", TOKENWISE)
def test_ancestral_steps_reproduce_the_joint(name: str) -> None:
    """Many reverse steps with the oracle carry pure noise to the joint distribution, summed exactly (truth 3)."""
    family, p = tiny(name), oracle.source()
    lams = np.linspace(-9, 9, 161)
    at = torch.full((1, oracle.VOCABULARY), lams[0], dtype=torch.float64)
    prior = family.noise_at(torch.arange(oracle.VOCABULARY)[None], at)[0]
    prior = prior / prior.sum()
    state = torch.stack([prior[oracle.Z[:, l]] for l in range(oracle.POSITIONS)]).prod(0)
    for lam_t, lam_s in pairwise(lams):
        logits = oracle.leave_one_out_logits(family, p, lam_t)
        step = family.reverse(logits, oracle.Z, torch.tensor(lam_t), torch.tensor(lam_s))  # (64, 3, V)
        kernel = torch.stack([step[:, l][:, oracle.Z[:, l]] for l in range(oracle.POSITIONS)]).prod(0)
        state = state @ kernel
    generated = torch.zeros(len(oracle.X), dtype=torch.float64)
    for row, z in enumerate(oracle.Z):
        match = (z == oracle.X).all(1).nonzero()
        if len(match):
            generated[int(match[0, 0])] = state[row]
    assert 0.5 * float((generated - p).abs().sum()) < 0.03


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_through_network_and_noise_the_bound_is_the_cross_entropy(name: str, options: dict) -> None:
    """The whole path (own noise, own order, own passes) of a network whose prediction ignores its input."""
    v, context = 11, 16
    family = get(name, v, 3, **options)
    config = ModelConfig(vocab_size=v, layers=1, width=8, heads=1, context=context, resid_scale=0)
    model = Transformer(config, causal=family.causal).initialise(0)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.ones_like(model.model.embed_tokens.weight))
        model.lm_head.weight.normal_(std=0.02, generator=torch.Generator().manual_seed(0))
        log_p = model.logits(torch.zeros(1, 1, dtype=torch.long))[0, 0]
        log_p[3] = -torch.inf
    rows = np.tile(np.random.default_rng(0).integers(4, v, (64, context)), (32, 1))
    expected = -float(log_p.log_softmax(-1)[torch.from_numpy(rows)].mean())
    estimate = validation_bound(model, family, rows, seed=1)
    assert abs(estimate.nats - expected) < 4 * estimate.standard_error + 1e-3
    if family.exact:
        assert estimate.nats == pytest.approx(expected, abs=1e-5)
    if estimate.parts:
        assert sum(estimate.parts.values()) == pytest.approx(estimate.nats, rel=1e-5)


# -- bad input ------------------------------------------------------------------------------------------------------


def test_every_name_can_be_built() -> None:
    assert set(FAMILIES) <= set(names())
    for name in names():
        check(name, {})


@pytest.mark.parametrize("name", ["masked", "uniform", "duo", "mdlm", "esolm", "block"])
def test_a_step_to_more_noise_is_refused(name: str) -> None:
    family, z = get(name, 7, 3), torch.full((1, 2), 5)
    with pytest.raises(InputError, match="log_snr_s"):
        family.reverse(torch.zeros(1, 2, 7), z, torch.tensor(1.0), torch.tensor(0.0))


def test_autoregression_cannot_fill_in() -> None:
    with pytest.raises(InputError, match=r"z: holds the mask.*cannot fill in"):
        get("ar", 7, 3).reverse(torch.zeros(1, 2, 7), torch.tensor([[5, 3]]), torch.tensor(0.0), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("logits", torch.zeros(1, 2, 8), "logits: last axis is 8"),
        ("x", torch.tensor([[5, 9]]), "x: an id lies outside the vocabulary of 7"),
        ("z", torch.tensor([[5, -1]]), "z: an id"),
        ("z", torch.tensor([[5]]), "z: shape"),
        ("log_snr", torch.tensor([[0.0, math.nan]]), "log_snr: NaN"),
    ],
)
def test_arguments_that_do_not_fit(argument: str, value: torch.Tensor, message: str) -> None:
    given = {"logits": torch.zeros(1, 2, 7), "x": torch.full((1, 2), 5), "z": torch.full((1, 2), 3)}
    given |= {"log_snr": torch.zeros(1, 2), argument: value}
    for name in ("masked", "balanced", "duo", "ar"):
        with pytest.raises(InputError, match=message):
            get(name, 7, 3).bound(given["logits"], given["x"], given["z"], given["log_snr"])


@pytest.mark.parametrize("name", ["masked", "duo", "esolm", "block"])
def test_noise_outside_the_range_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"log_snr: .*\[-9, 9\]"):
        get(name, 7, 3).corrupt_at(torch.full((1, 16), 5), np.array([12.0]), np.arange(1), 0)


@pytest.mark.parametrize("name", ["masked", "mdlm", "esolm", "block"])
def test_rows_without_loss_are_skipped_and_change_nothing(name: str) -> None:
    """Numbers at masks as from full logits, zero elsewhere; a batch without a mask trains on nothing."""
    v, context = 11, 16
    family = get(name, v, 3, **({"block_length": 16} if name == "block" else {}))
    model = random_network(v, context, causal=family.causal)
    batch = family.corrupt(
        torch.randint(4, v, (6, context), generator=torch.Generator().manual_seed(0)), np.arange(6), 0
    )
    logits = model.logits(batch.z_BL, batch.attention, batch.positions_BL)
    loss = family.loss(logits, batch.x_BL, batch.z_BL, batch.log_snr_BL)
    numbers = score(model, family, batch)
    assert torch.allclose(family.loss_of(numbers, batch.x_BL, batch.z_BL, batch.log_snr_BL), loss, atol=1e-4)
    assert not numbers.log_p_x[batch.z_BL != 3].any()
    clean = replace(batch, z_BL=batch.x_BL)
    loss = family.loss_of(score(model, family, clean), clean.x_BL, clean.z_BL, clean.log_snr_BL).sum()
    loss.backward()
    assert float(loss) == 0.0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("esolm", {"alpha_0": "half"}, "alpha_0 'half'"),
        ("block", {"block_length": "x"}, "block_length 'x'"),
        ("mdlm", {"curriculum": 0.5}, "no option 'curriculum'; it has objective$"),
        ("duo", {"run_sequences": 5}, "'run_sequences' is not set here"),
        ("gidd", {"span": 3}, "'span' is not set here"),
        ("esolm", {"mask_id": 3}, "'mask_id' is not set here, the run sets it"),
        ("ar", {"noise_type": "masked"}, "no option 'noise_type'; it has none"),
    ],
)
def test_options_of_a_config(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(name, options)
