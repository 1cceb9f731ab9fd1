"""The backbone against the reference implementation's logits and gradients, and its own rules."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from difflaw.model.config import ModelConfig, default_heads
from difflaw.model.transformer import Transformer

CONFIGS = ("ckptlike", "fanin_nobias", "noqk_tied")


def golden_model(folder) -> Transformer:
    raw = json.loads((folder / "config.json").read_text())
    config = ModelConfig(
        vocab_size=raw["vocab_size"],
        layers=raw["num_hidden_layers"],
        width=raw["hidden_size"],
        heads=raw["num_attention_heads"],
        context=raw["max_position_embeddings"],
        resid_scale=raw["resid_scale"],
        head_scale=raw["head_scaling"],
        weight_scaling=raw["weight_scaling"],
        qk_norm=raw["use_qk_norm"],
        sink=raw["attention_bias"],
        mlp_bias=raw["mlp_bias"],
        soft_cap=raw["attn_soft_cap"],
        rope_theta=raw["rope_theta"],
        norm_eps=raw["rms_norm_eps"],
        tied=raw["tie_word_embeddings"],
    )
    model = Transformer(config)
    weights = load_file(folder / "model.safetensors")
    if config.tied:
        del weights["lm_head.weight"]  # stored, but unused by the reference when tied
    missing = model.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"lm_head.weight"}
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_golden_logits(shared, name: str) -> None:
    """The weights are a file, too large to carry; tests/facts has a small network from a seed."""
    folder = shared / "golden/gidd_model" / name
    model, io = golden_model(folder), np.load(folder / "io.npz")
    ids = torch.tensor(io["input_ids"])
    pad = torch.tensor(io["mask_pad2d"])[:, None, :].expand(-1, ids.shape[1], -1)
    with torch.no_grad():
        ours = {
            "logits_full": model.logits(ids),
            "logits_pad2d": model.logits(ids, pad),
            "logits_block3d": model.logits(ids, torch.tensor(io["mask_block3d"])),
            "logits_random3d": model.logits(ids, torch.tensor(io["mask_random3d"])),
            "logits_posids": model.logits(ids, positions=torch.tensor(io["position_ids"])),
            "logits_len64": model.logits(torch.tensor(io["input_ids_len64"])),
        }
    for key, logits in ours.items():
        assert np.abs(logits.numpy() - io[key]).max() <= 2e-5 * np.abs(io[key]).max(), key


@pytest.mark.parametrize(("scaling", "scale"), [("fan_in", 64**-0.5), ("fan_out", 97**-0.5)])
def test_golden_logits_with_a_head_scaled_by_its_sides(shared, scaling: str, scale: float) -> None:
    """The reference's logits are linear in the head's factor, 8 in this config; "fan_in" is 1/√64, "fan_out" 1/√97."""
    folder = shared / "golden/gidd_model/ckptlike"
    golden, io = golden_model(folder), np.load(folder / "io.npz")
    model = Transformer(golden.config.model_copy(update={"head_scale": scaling}))
    model.load_state_dict(golden.state_dict())
    with torch.no_grad():
        logits = model.logits(torch.tensor(io["input_ids"])).numpy()
    expected = io["logits_full"] * (scale / 8.0)
    assert np.abs(logits - expected).max() <= 2e-5 * np.abs(expected).max()


def test_a_wider_feed_forward_part_with_idle_units_computes_the_same() -> None:
    """Units whose outgoing weights are zero add nothing, so that a narrow network lives inside a wider one."""
    narrow = small()
    wide = Transformer(narrow.config.model_copy(update={"feed_forward_width": 100}))
    state = narrow.state_dict()
    for name, there in wide.state_dict().items():
        if "mlp" in name and there.shape != state[name].shape:
            grown = torch.zeros_like(there) if "down_proj" in name else torch.ones_like(there)
            grown[tuple(slice(0, size) for size in state[name].shape)] = state[name]
            state[name] = grown
    wide.load_state_dict(state)
    z = torch.randint(4, 19, (2, 12), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(wide.logits(z), narrow.logits(z), atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_golden_gradients(shared, name: str) -> None:
    """Not carried in tests/facts: as above."""
    folder = shared / "golden/gidd_model" / name
    model, io = golden_model(folder), np.load(folder / "io.npz")
    logits = model.logits(torch.tensor(io["input_ids"]), torch.tensor(io["mask_block3d"]))
    (logits * torch.tensor(io["grad_cotangent"])).sum().backward()
    parameters = dict(model.named_parameters())
    for key, expected in load_file(folder / "grads.safetensors").items():
        if key == "lm_head.weight" and model.config.tied:
            continue  # one tensor with the embedding, whose gradient is compared
        gradient = parameters[key].grad
        assert gradient is not None
        assert (gradient - expected).abs().max() <= 1e-4 * expected.abs().max() + 1e-5, key


def small(causal: bool = False) -> Transformer:
    model = Transformer(ModelConfig(vocab_size=19, layers=2, width=16, heads=2, context=12), causal).initialise(0)
    with torch.no_grad():
        model.lm_head.weight.normal_(generator=torch.Generator().manual_seed(1))
    return model


def test_causal_attention_does_not_look_ahead() -> None:
    model = small(causal=True)
    z = torch.randint(4, 19, (2, 12), generator=torch.Generator().manual_seed(0))
    changed = z.clone()
    changed[:, 7:] = 5
    assert torch.equal(model.logits(z)[:, :7], model.logits(changed)[:, :7])
    assert not torch.equal(model.logits(z)[:, 8:], model.logits(changed)[:, 8:])


def test_initialisation_follows_completep() -> None:
    model = Transformer(ModelConfig(vocab_size=300, layers=2, width=64, heads=2, context=8)).initialise(3)
    for name, parameter in model.named_parameters():
        if "proj.weight" in name:
            assert float(parameter.detach().std()) == pytest.approx(0.4 / 8, rel=0.05), name
        elif "embed_tokens" in name:
            assert float(parameter.detach().std()) == pytest.approx(0.02, rel=0.05)
        else:
            assert not parameter.any(), name
    again = Transformer(model.config).initialise(3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_prompt_does_not_depend_on_what_follows() -> None:
    """Clean queries see clean keys only, so their states can be cached (2512.10858's diffusion_trainer.py)."""
    from difflaw.noise.conditioning import prompt_attention

    model = small()
    z = torch.randint(4, 19, (1, 12), generator=torch.Generator().manual_seed(0))
    noised = np.arange(12)[None] >= 5
    attention = torch.from_numpy(prompt_attention(noised))
    changed = z.clone()
    changed[:, 5:] = 7
    assert torch.allclose(model.logits(z, attention)[:, :5], model.logits(changed, attention)[:, :5], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"width": 24, "heads": 5}, "not divisible"),
        ({"width": 9, "heads": 3}, "odd"),
        ({"vocab_size": 2}, "vocab_size"),
    ],
)
def test_bad_shapes(shape: dict, message: str) -> None:
    base = {"vocab_size": 19, "layers": 1, "width": 16, "heads": 2, "context": 8}
    with pytest.raises(ValueError, match=message):
        ModelConfig(**{**base, **shape})


def test_too_long_input_is_named() -> None:
    with pytest.raises(ValueError, match="context of 12"):
        small().logits(torch.zeros(1, 13, dtype=torch.long))


@pytest.mark.parametrize(("width", "heads"), [(512, 8), (1024, 16), (1536, 12), (3072, 24), (4608, 36), (64, 2)])
def test_heads_rule_of_the_paper(width: int, heads: int) -> None:
    assert default_heads(width) == heads


# -- adaLN ---------------------------------------------------------------------------------------------


def test_adaln_starts_as_the_plain_network_and_then_hears_sigma() -> None:
    shape = {"vocab_size": 31, "layers": 2, "width": 16, "heads": 2, "context": 8}
    plain, told = Transformer(ModelConfig(**shape)), Transformer(ModelConfig(**shape, adaln=True)).initialise(0)
    plain.load_state_dict({k: v for k, v in told.state_dict().items() if "adaln" not in k and "condition" not in k})
    ids = torch.randint(4, 31, (3, 8))
    sigma = torch.tensor([[0.0], [1.0], [9.0]])
    # one runs through the plain layers, the other through the fused ones, so equal up to rounding
    assert torch.allclose(told.hidden(ids, sigma=sigma), plain.hidden(ids), atol=1e-5)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in told.named_parameters():
            if "adaln" in name:
                parameter.normal_(std=0.3)
    states = told.hidden(ids[:1].expand(3, -1), sigma=sigma)
    assert not torch.allclose(states[0], states[1], atol=1e-2)
    # one σ a sequence is the same σ for each of its tokens, and none is σ = 0
    assert torch.allclose(states, told.hidden(ids[:1].expand(3, -1), sigma=sigma.expand(3, 8)), atol=1e-4)
    assert torch.equal(told.hidden(ids[:1]), told.hidden(ids[:1], sigma=sigma[:1]))


def test_every_part_of_adaln_learns() -> None:
    model = Transformer(ModelConfig(vocab_size=31, layers=1, width=16, heads=2, context=8, adaln=True)).initialise(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    model.logits(torch.randint(4, 31, (3, 8)), sigma=torch.rand(3, 1)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
