"""The reference implementation's scores and whole generations, token by token (golden: gidd_sampler)."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from difflaw.families import get
from difflaw.noise.clock import LogSnrRange
from difflaw.sample import ancestral, generate
from difflaw.sample.adaptive import noise_weight
from difflaw.sample.categorical import Shaping
from difflaw.sample.draws import Draws
from difflaw.sample.grid import grid
from difflaw.sample.psi import psi_step
from difflaw.sample.window import Window
from tests.model.test_transformer import golden_model
from tests.sample.helpers import Sampled


class Fixed:
    """The same logits whatever is asked."""

    noise_conditioned = False

    def __init__(self, logits) -> None:
        self._logits = logits

    def states(self, z_BN, log_snr):
        return self._logits

    def logits(self, states):
        return states.clone()


@pytest.mark.parametrize("shift", ["p1000", "p0", "m2", "m1000"])
def test_adaptive_score_and_choice(shared, shift: str) -> None:
    """Not carried in tests/facts: scores and choices are of whole golden logits."""
    from difflaw.sample.adaptive import Adaptive

    golden = np.load(shared / f"golden/gidd_sampler/trans_shift_{shift}.npz")
    family = get("gidd", 97, int(golden["mask_id"]), shift=float(golden["shift"]))
    logits, z = torch.tensor(golden["logits"]), torch.tensor(golden["z"])
    positions = torch.arange(z.shape[1]).expand_as(z)
    every = torch.ones_like(z, dtype=torch.bool)
    for k, lam in enumerate(golden["log_snr_t"]):
        window = Window(
            family, Fixed(logits), z, every, positions, ~every, Draws(0, np.arange(len(z))), Shaping(temperature=0.0)
        )
        x_hat = torch.tensor(golden["x_hat"])
        gain = x_hat.amax(-1) - x_hat.gather(-1, z[..., None])[..., 0]
        score = (gain * noise_weight(window, every, float(lam))).numpy()
        expected = golden["adaptive_score"][k]
        known = np.isfinite(expected)  # NaN in the reference where uniform noise "made" a mask
        assert np.abs(score - np.where(known, expected, score)).max() < 1e-6
        assert np.isfinite(score).all()
        Adaptive(tokens_per_step=3)._step(
            window, window.masked if window.only_masks else every, torch.tensor([3, 3]), float(lam)
        )
        # where the reference had fewer than three places with a score, it overwrote others by chance
        fair = (known & (expected > 0)).sum(1) >= 3
        fair &= known.all(1)
        assert fair.any() or shift == "m1000"
        assert np.array_equal(window.z.numpy()[fair], golden["adaptive_next_greedy_n3"][k][fair])


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("method", ["ancestral", "adaptive"])
@pytest.mark.parametrize("config", ["ckptlike", "fanin_nobias"])
@pytest.mark.parametrize("cache", [True, False])
def test_whole_generation(shared, monkeypatch, config: str, method: str, schedule: str, cache: bool) -> None:
    """Blocks, prompt cache, grid, choice of places and tokens, all at once. Not carried: needs the golden weights."""
    golden = np.load(shared / f"golden/gidd_sampler/generate_{config}_{method}_{schedule}.npz")
    folder = shared / "golden/gidd_model" / config
    raw = json.loads((folder / "config.json").read_text())
    network = golden_model(folder).eval()
    with torch.no_grad():
        network.lm_head.weight.mul_(float(golden["lm_head_multiplier"]))
    model = Sampled(network, get("masked", raw["vocab_size"], 3))
    if method == "ancestral":  # the reference took the most likely outcome in place of every draw
        monkeypatch.setattr(ancestral, "choose", lambda p, u: p.argmax(-1))
        monkeypatch.setattr(ancestral, "masked_step", ancestral.tokenwise_step)
    steps, block = int(golden["steps"]), int(golden["block_length"])
    frames = []
    done = generate(
        model,
        golden["prompt"].tolist(),
        sampler=method,
        steps=steps,
        schedule=schedule,
        block_length=block,
        max_tokens=int(golden["max_length"]),
        min_tokens=int(golden["min_length"]),
        temperature=float(golden["temperature"]),
        tokens_per_step=1 if method == "adaptive" else None,
        isolate_prompt=True,
        whole_context=True,
        cache=cache,
        watch=frames.append,
    )
    prompt = golden["prompt"].shape[1]
    assert np.array_equal(done.tokens.numpy(), golden["output"])
    # a last frame of each block tells that it is finished; the others are the reference's steps
    kept = [f for i, f in enumerate(frames) if (i + 1) % (steps + 1)]
    for i, frame in enumerate(kept):
        first = prompt + block * (i // steps)
        assert np.array_equal(frame.tokens[:, first : first + block].numpy(), golden["trace"][i]), i
    assert len(kept) == len(golden["trace"])


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_grid(shared, schedule: str) -> None:
    """Not carried in tests/facts: the grid is two lines of the whole generations."""
    golden = np.load(shared / f"golden/gidd_sampler/generate_ckptlike_ancestral_{schedule}.npz")
    ends = grid(8, schedule, LogSnrRange())  # type: ignore[arg-type]
    assert np.abs(np.concatenate([ends[:-1]] * 2) - golden["log_snr_t"]).max() < 1e-4
    # the last step ends at λ = 9 there, at infinity here
    assert np.abs(np.concatenate([ends[1:]] * 2) - golden["log_snr_s"]).max() < 1e-4


def test_psi(shared) -> None:
    """Not carried in tests/facts: posteriors over the golden vocabulary; the reverse step itself is."""
    golden = np.load(shared / "golden/duo/duo_nelbo.npz")
    v = int(golden["vocab_size"])
    family = get("duo", v, v - 1)
    raw = torch.tensor(golden["raw_logits"]).double()
    # the reference suppresses nothing here, so the prediction is put in by hand
    family.predict = lambda logits: logits.softmax(-1)  # type: ignore[method-assign]
    z = torch.tensor(golden["xt"])
    for row in range(len(z)):
        t, s = (float(torch.logit(torch.tensor(golden[key][row, 0]))) for key in ("alpha_t64", "alpha_s64"))
        for kappa, key in ((float(golden["psi_kappa"]), "psi_p_xs"), (1.0, "p_xs_given_xt")):
            ours = psi_step(family, raw[row], z[row], t, s, kappa).numpy()
            assert np.abs(ours - golden[key][row]).max() < 1e-6


def test_helpers_have_every_field() -> None:
    assert replace(Sampled(None, None), eos_id=5).eos_id == 5  # type: ignore[arg-type]
