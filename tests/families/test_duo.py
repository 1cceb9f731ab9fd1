"""Duo's base against the reference's ELBO, gradients and posterior, and against enumeration."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difflaw.errors import InputError
from difflaw.families import Duo, get
from difflaw.families.score import score
from difflaw.noise.gaussian import GaussianOperator
from tests.families.helpers import random_network


def log_snr_of(golden) -> torch.Tensor:
    alpha = torch.tensor(golden["alpha_t64"]).expand(golden["x0"].shape)
    return torch.log(alpha) - torch.log1p(-alpha)


def test_golden_elbo_over_all_states(shared) -> None:
    """Where no id is special the reference's V states are GIDD's V tokens (docs/derivations.md#duo)."""
    golden = np.load(shared / "golden/duo/duo_nelbo.npz")
    v = int(golden["vocab_size"])
    family = get("uniform", v + 1, v)
    raw = torch.tensor(golden["raw_logits"]).double()
    logits = torch.cat([raw, torch.zeros(*raw.shape[:2], 1, dtype=torch.float64)], -1).requires_grad_()
    x, z = torch.tensor(golden["x0"]), torch.tensor(golden["xt"])
    slope = -torch.tensor(golden["dalpha_t"]).double()
    bound = family.bound(logits, x, z, log_snr_of(golden)) * slope
    assert np.abs(bound.detach().numpy() / golden["nelbo_f64"] - 1).max() < 1e-6
    bound.sum().backward()
    assert logits.grad is not None
    expected = golden["grad_raw_logits_f64"]
    assert np.abs(logits.grad[..., :v].numpy() - expected).max() < 1e-6 * np.abs(expected).max()


def test_golden_elbo_with_the_mask_suppressed(shared) -> None:
    base, golden = (np.load(shared / f"golden/duo/{n}.npz") for n in ("duo_nelbo", "duo_nelbo_scaling_repo"))
    family = get("duo", int(base["vocab_size"]), int(golden["mask_id"]))
    x, z = torch.tensor(base["x0"]), torch.tensor(base["xt"])
    slope = -torch.tensor(base["dalpha_t"]).double()
    possible = base["x0"] != int(golden["mask_id"])
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 3e-4)):
        bound = family.bound(torch.tensor(base["raw_logits"]).to(dtype), x, z, log_snr_of(base)) * slope
        error = np.abs(bound.numpy() - golden["nelbo_f64"])
        assert np.all((error <= tolerance * np.abs(golden["nelbo_f64"]) + 1e-6)[possible])


def test_golden_posterior(shared) -> None:
    golden = np.load(shared / "golden/duo/duo_nelbo.npz")
    v = int(golden["vocab_size"])
    family = get("duo", v, v - 1)
    # the reference suppresses nothing here, so the prediction is put in by hand
    family.predict = lambda logits: torch.tensor(golden["raw_logits"]).double().softmax(-1)  # type: ignore[method-assign]
    lam_t, lam_s = (torch.logit(torch.tensor(golden[key])) for key in ("alpha_t64", "alpha_s64"))
    raw = torch.tensor(golden["raw_logits"]).double()
    ours = family.reverse(raw, torch.tensor(golden["xt"]), lam_t, lam_s).numpy()
    assert np.abs(ours - golden["p_xs_given_xt"]).max() < 1e-6


def test_noise_lands_on_every_id() -> None:
    family = get("duo", 7, 3)
    x = torch.full((500, 20), 5)
    z = family.corrupt_at(x, np.full(500, -9.0), np.arange(500), 0).z_BL
    counts = torch.bincount(z.reshape(-1), minlength=7).double() / z.numel()
    assert torch.allclose(counts, torch.full((7,), 1 / 7, dtype=torch.float64), atol=0.02)


def test_a_mask_in_the_noise_gives_finite_gradients() -> None:
    family = get("duo", 11, 3)
    logits = torch.randn(2, 3, 11, requires_grad=True)
    x, z = torch.full((2, 3), 6), torch.tensor([[3, 6, 4], [3, 3, 3]])
    bound = family.bound(logits, x, z, torch.tensor([[-9.0, 0.0, 9.0], [-9.0, 0.0, 9.0]]))
    bound.sum().backward()
    assert torch.isfinite(bound).all()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


# -- curriculum -------------------------------------------------------------------------------------------------------


def curriculum(**options) -> Duo:
    family = get("duo", 11, 3, **{"curriculum": 0.5, "run_sequences": 40, **options})
    assert isinstance(family, Duo)
    return family


@pytest.mark.parametrize("top_k", [2, None])
def test_the_curriculum_covers_its_share_of_the_run(top_k: int | None) -> None:
    family, x = curriculum(top_k=top_k, tau=0.3), torch.randint(4, 11, (8, 16))
    early, late, across = (family.corrupt(x, np.arange(8) + start, 0) for start in (0, 20, 16))
    plain = get("duo", 11, 3)
    assert early.soft is not None
    assert across.soft is not None
    assert late.soft is None
    assert torch.equal(late.z_BL, plain.corrupt(x, np.arange(8) + 20, 0).z_BL)
    # the first four rows of the mixed batch are as they are alone, the last four are plain tokens
    alone = family.corrupt(x[:4], np.arange(16, 20), 0)
    assert alone.soft is not None
    assert torch.equal(across.z_BL[:4], alone.z_BL)
    assert torch.equal(across.soft.weights[:4], alone.soft.weights)
    assert torch.equal(across.soft.ids[4:, :, 0], across.z_BL[4:])
    assert torch.equal(across.soft.weights[4:, :, 0], torch.ones(4, 16))
    # z is the heaviest token of the mixture
    heaviest = early.soft.ids.gather(-1, early.soft.weights.argmax(-1, keepdim=True))[..., 0]
    assert torch.equal(heaviest, early.z_BL)


def test_curriculum_loss_is_its_part_of_the_bound() -> None:
    """Mean of importance·loss over the curriculum's own λ = ∫ E[integrand]·p(λ) dλ over the range it covers."""
    v, count, length = 11, 4000, 32
    family = curriculum(curriculum=1.0, run_sequences=count, gamma_min=-4.0, gamma_max=1.0)
    logits = torch.randn(v, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x_id = 6
    batch = family.corrupt(torch.full((count, length), x_id), np.arange(count), 0)
    assert batch.importance_BL is not None
    loss = family.loss(logits.expand(count, length, v), batch.x_BL, batch.z_BL, batch.log_snr_BL.double())
    values = (loss * batch.importance_BL).mean(1)
    low, high = (float(lam) for lam in (batch.log_snr_BL.min(), batch.log_snr_BL.max()))
    operator = GaussianOperator(v, -4.0, 1.0)
    ends = operator.log_snr(np.array([1.0, -4.0]))
    assert low == pytest.approx(float(ends[0]), abs=0.01)
    assert high == pytest.approx(float(ends[1]), abs=0.2)
    lams = torch.linspace(float(ends[0]), float(ends[1]), 401, dtype=torch.float64)
    z, lam = torch.arange(v).expand(401, v), lams[:, None].expand(401, v)
    integrand = family.bound(logits.expand(401, v, v), torch.full((401, v), x_id), z, lam)
    q = torch.sigmoid(lam) * (z == x_id) + family.noise_at(z, lam)
    expected = torch.trapezoid((integrand * q).sum(1) * torch.sigmoid(lams) * torch.sigmoid(-lams), lams)
    assert float(values.mean()) == pytest.approx(float(expected), abs=4 * float(values.std()) / count**0.5)
    assert float(values.std()) / count**0.5 < 0.05 * float(expected)


def test_soft_inputs_are_mixtures_of_embeddings() -> None:
    model = random_network(11, 16)
    family = curriculum(tau=0.5, top_k=None)
    batch = family.corrupt(torch.randint(4, 11, (2, 16)), np.arange(2), 0)
    assert batch.soft is not None
    dense = torch.zeros(2, 16, 11).scatter_add_(-1, batch.soft.ids, batch.soft.weights)
    mixed = model._embed(batch.z_BL, batch.soft)
    assert torch.allclose(mixed, dense @ model.model.embed_tokens.weight, atol=1e-5)
    score(model, family, batch).log_p_x.sum().backward()
    assert model.model.embed_tokens.weight.grad is not None
    sharp = curriculum(tau=1e-10).corrupt(torch.randint(4, 11, (2, 16)), np.arange(2), 0)
    assert torch.allclose(model._embed(sharp.z_BL, sharp.soft), model._embed(sharp.z_BL, None))


def test_the_network_is_told_sigma() -> None:
    lam = torch.tensor([[0.0, 0.0], [-3.0, -3.0]])
    assert torch.allclose(get("duo", 11, 3).condition(lam)[:, 0], -torch.sigmoid(lam[:, 0]).log())
    assert not get("masked", 11, 3).condition(lam).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"curriculum": 1.5}, "curriculum"),
        ({"tau": 0.0}, "tau"),
        ({"top_k": 0}, "top_k"),
        ({"gamma_min": 0.0, "gamma_max": -1.0}, "gamma_min"),
    ],
)
def test_bad_curricula(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get("duo", 11, 3, **options)


def test_a_curriculum_needs_the_length_of_the_run() -> None:
    with pytest.raises(InputError, match="run_sequences"):
        get("duo", 11, 3, curriculum=0.5).corrupt(torch.full((2, 4), 5), np.arange(2), 0)
