"""The essential part of the golden checks, from numbers small enough to be carried: runs in a clone alone.

`make.py` says how each number comes from the reference implementations. Not carried, so checked only where ../shared
is: the golden networks themselves with their gradients and whole generations (their weights are files of random
numbers, too large; a small network from a seed stands for them) and the refits of Chinchilla (they need its 245 runs,
which are others' data).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from difflaw.families import attention_masks, get
from difflaw.model.completep import parameter_groups
from difflaw.model.config import ModelConfig
from difflaw.model.transformer import Transformer
from difflaw.noise.clock import LogSnrRange, sigmoid
from difflaw.noise.gaussian import GaussianOperator, evaluate
from difflaw.sample.categorical import Shaping
from difflaw.training.laprop import LaProp
from difflaw.training.schedule import warmup_stable_decay
from tests.facts.inputs import (
    BETAS,
    MASK,
    NETWORKS,
    NOISE,
    SHAPE,
    SHAPINGS,
    Places,
    V,
    gradients,
    places,
    text,
    weights,
)

HERE = Path(__file__).parent


def facts(name: str) -> dict:
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def tensors(at: Places) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(array) for array in (at.logits, at.x, at.z, at.log_snr))


# -- families ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "name"), list(enumerate(NOISE)))
def test_gidd_loss_bound_and_gradient(seed: int, name: str) -> None:
    shift, scale, beta = NOISE[name]
    family, expected, at = (
        get("gidd", V, MASK, shift=shift, scale=scale, beta_is_div=beta),
        facts("gidd")[name],
        places(seed, shift),
    )
    logits, x, z, log_snr = tensors(at)
    logits.requires_grad_()
    loss = family.loss(logits, x, z, log_snr)
    np.testing.assert_allclose(loss.detach().numpy(), expected["loss"], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(family.bound(logits, x, z, log_snr).detach().numpy(), expected["bound"], rtol=1e-9)
    loss.sum().backward()
    assert logits.grad is not None
    slope = (logits.grad.numpy() * at.direction).sum(-1)
    np.testing.assert_allclose(slope, expected["slope"], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(("seed", "name"), list(enumerate(NOISE))[:5])
def test_gidd_in_float32(seed: int, name: str) -> None:
    """The golden files' own tolerance, at low signal too."""
    shift, scale, beta = NOISE[name]
    expected, at = np.array(facts("gidd")[name]["bound"]), places(seed, shift)
    logits, x, z, log_snr = tensors(at)
    ours = get("gidd", V, MASK, shift=shift, scale=scale, beta_is_div=beta).bound(logits.float(), x, z, log_snr.float())
    assert np.all(np.abs(ours.numpy() - expected) <= 2e-5 + 3e-4 * np.abs(expected))


@pytest.mark.parametrize(("seed", "name"), list(enumerate(NOISE))[:5])
def test_gidd_reverse_step(seed: int, name: str) -> None:
    at = places(seed, NOISE[name][0])
    logits, _, z, _ = tensors(at)
    ours = get(name, V, MASK).reverse(logits[None, 1:3], z[None, 1:3], torch.tensor(-1.0), torch.tensor(0.5))
    np.testing.assert_allclose(ours[0].numpy(), facts("gidd")[name]["step"], rtol=1e-7, atol=1e-12)


def test_duo_bound() -> None:
    at = places(100, 1000.0)
    ours = get("duo", V, MASK).bound(*tensors(at)).numpy()
    np.testing.assert_allclose(ours, facts("duo")["bound"], rtol=1e-9)


def test_mdlm_loss_and_bound() -> None:
    at, expected = places(200, -1000.0), facts("mdlm")
    for name in ("mdlm", "esolm"):  # Eso-LM at α₀ = 1 is MDLM read in another order
        family = get(name, V, MASK)
        np.testing.assert_allclose(family.loss(*tensors(at)).numpy(), expected["low_variance"], rtol=1e-9)
        np.testing.assert_allclose(family.bound(*tensors(at)).numpy(), expected["bound"], rtol=1e-9)


def test_attention_masks_of_esolm_and_block_diffusion() -> None:
    expected = facts("esolm")
    length, cutoffs = expected["length"], torch.tensor(expected["cutoffs"])
    ours = {
        "mixed2": attention_masks.clean_bidirectional(length, cutoffs),
        "seq_causal": attention_masks.sequential(length)[None],
        "seq_prefix_lm": attention_masks.sequential_prefix(length, cutoffs),
        "block_diff_bs4": attention_masks.block_diffusion(length, 4)[None],
    }
    for name, masks in ours.items():
        rows = [[int("".join("01"[b] for b in row), 2) for row in mask.int().tolist()] for mask in masks]
        assert rows == expected[name], name


def test_gaussian_operator() -> None:
    """Duo's published integral cache (rounded to its grid of γ), and quadrature for 97 ids."""
    gpt2, small = facts("duo")["gpt2"], facts("duo")["v97"]
    k, gamma = gpt2["vocab"], np.array(gpt2["gamma"])
    operator = GaussianOperator(k, -5.0, -1.0)
    assert np.abs((1 + (k - 1) * operator.alpha(gamma)) / k - gpt2["pt"]).max() < 2e-5
    assert np.abs(operator.derivative(gamma) * (k - 1) / k - gpt2["grad_pt"]).max() < 5e-5
    values = evaluate(np.array(small["gamma"]), 97)
    assert np.abs((1 + 96 * values.alpha) / 97 - small["pt"]).max() < 1e-9
    assert np.abs(values.derivative * 96 / 97 - small["grad_pt"]).max() < 1e-9


# -- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "name"), list(enumerate(NETWORKS)))
def test_logits_of_a_small_network(seed: int, name: str) -> None:
    """Every option of the golden networks at width 16, under a clean prompt's attention, weights from a seed."""
    model = Transformer(ModelConfig(**SHAPE, **NETWORKS[name]))
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    arrays = weights(shapes, seed, model.config.tied)
    model.load_state_dict({key: torch.from_numpy(value) for key, value in arrays.items()})
    ids, noised = text(seed)
    attention = torch.from_numpy(noised[:, None] >= noised[None])
    expected = np.array(facts("network")[name]["logits"])
    with torch.no_grad():
        ours = model.logits(torch.from_numpy(ids)[None], attention[None])[0].numpy()
    assert np.abs(ours - expected).max() <= 2e-5 * np.abs(expected).max()


# -- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", range(len(BETAS)))
def test_laprop_steps(case: int) -> None:
    """Steps 1, 4 and 20; a parameter whose gradient is zero for three steps among them."""
    b1, b2, decay = BETAS[case]
    start, steps = gradients(case)
    parameter = torch.nn.Parameter(torch.from_numpy(start).float())
    optimizer = LaProp([parameter], lr=0.03, betas=(b1, b2), eps=1e-8, weight_decay=decay)
    after = []
    for gradient in steps:
        parameter.grad = torch.from_numpy(gradient).float()
        optimizer.step()
        after.append(parameter.detach().clone().numpy())
    assert np.abs(np.array([after[i] for i in (0, 3, 19)]) - facts("training")["laprop"][case]).max() < 5e-6


def test_learning_rate_schedules() -> None:
    for case in facts("training")["schedules"]:
        total, base, warmup, cooldown = case["args"]
        steps = range(0, case["every"] * len(case["rate"]), case["every"])
        ours = [base * warmup_stable_decay(s, int(total), int(warmup), int(cooldown)) for s in steps]
        assert np.allclose(ours, case["rate"], rtol=1e-6, atol=1e-7 * base)


def test_completep_groups() -> None:
    golden = facts("training")["completep"]
    model = Transformer(ModelConfig(vocab_size=11, layers=golden["num_layers"], width=8, heads=2, context=8))
    groups = parameter_groups(
        model,
        width=golden["hidden_size"],
        layers=golden["num_layers"],
        lr=golden["lr"],
        weight_decay=golden["weight_decay"],
        norm_weight_decay=golden["ln_wd"],
        bias_weight_decay=golden["bias_wd"],
        eps=golden["adam_eps"],
    )
    names = {"bulk": "bulk", "norm": "ln", "bias": "bias", "embedding": "emb_unemb", "head": "emb_unemb"}
    for group in groups:
        expected = golden["groups"][f"{names[group['name']]}_params"]
        for key in ("peak_lr", "weight_decay", "eps"):
            assert group[key] == pytest.approx(expected[key]), (group["name"], key)


def test_log_snr_of_time() -> None:
    clock, span = facts("training")["clock"], LogSnrRange()
    expected = np.array(clock["log_snr"])
    ours = span.from_uniform(np.clip((np.array(clock["time"]) - sigmoid(-9.0)) / span.mass, 0.0, 1.0))
    assert np.all(np.abs(ours - expected) <= np.where(np.abs(expected) > 8, 1e-3, 1e-5 * np.abs(expected) + 1e-6))


# -- sampling ---------------------------------------------------------------------------------------------------------


def test_temperature_top_k_top_p() -> None:
    rows = torch.from_numpy(places(300, 0.0).logits[:2])
    for (temperature, top_k, top_p), expected in zip(SHAPINGS, facts("shaping")["probabilities"], strict=True):
        ours = Shaping(temperature, top_k, top_p)(rows).softmax(-1).numpy()
        assert np.abs(ours - expected).max() < 1e-9, (temperature, top_k, top_p)


# -- the files themselves ---------------------------------------------------------------------------------------------


def test_files_are_what_make_writes(shared) -> None:
    """Where the golden folder is, every number is derived again, and the golden arrays with it."""
    from tests.facts.make import MAKERS, plain

    for name, make in MAKERS.items():
        assert json.loads(json.dumps(plain(make(), 9))) == json.loads(json.dumps(plain(facts(name), 9))), name


def test_files_are_small() -> None:
    for path in HERE.glob("*.json"):
        assert path.stat().st_size < 10_000, path.name
