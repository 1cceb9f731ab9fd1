"""MDLM against the reference's losses and posteriors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difflaw.errors import InputError
from difflaw.families import get
from difflaw.noise.conditioning import Conditioning


@pytest.mark.parametrize("name", ["loglinear", "cosine"])
def test_golden_losses(shared, name: str) -> None:
    """In time, nelbo = α'/(1-α)·log p[x] on masks; ours is per p(λ), i.e. for α' = -1."""
    golden = np.load(shared / f"golden/mdlm/mdlm_{name}.npz")
    family = get("mdlm", int(golden["vocab_size"]), int(golden["mask_id"]))
    x, z = torch.tensor(golden["x0"]), torch.tensor(golden["xt"])
    logits = torch.tensor(golden["raw_logits"])
    alpha = torch.tensor(golden["alpha_t"]).double().expand(x.shape)
    lam = torch.log(alpha) - torch.log1p(-alpha)
    slope = -torch.tensor(golden["dalpha_t"]).double()
    bound = family.bound(logits.double(), x, z, lam) * slope
    assert np.abs(bound.numpy() - golden["nelbo"]).max() < 1e-4 * np.abs(golden["nelbo"]).max()
    loss = family.loss(logits, x, z, lam.float()).numpy()
    assert np.all(np.abs(loss - golden["low_var"]) <= 1e-5 + 1e-5 * np.abs(golden["low_var"]))


@pytest.mark.parametrize("name", ["loglinear", "cosine"])
def test_the_weight_under_the_golden_schedules(shared, name: str) -> None:
    """-α'/(1-α) in time is our weight per p(λ) times |dα/dt|, at any schedule; log-linear makes it exactly 1/t."""
    golden = np.load(shared / "golden/mdlm/schedules.npz")
    t, alpha, slope = (golden[key].astype(np.float64) for key in ("t", f"{name}_alpha", f"{name}_dalpha"))
    inside = (alpha > 1e-3) & (alpha < 1 - 1e-3)
    lam = torch.tensor(np.log(alpha[inside]) - np.log1p(-alpha[inside]))[None]
    masks, nll = torch.full(lam.shape, 3), -np.log(1 / 10)
    bound = get("mdlm", 11, 3).bound(torch.zeros(*lam.shape, 11, dtype=torch.float64), masks + 1, masks, lam)
    assert np.allclose(bound.numpy()[0] * -slope[inside], nll * -slope[inside] / (1 - alpha[inside]), rtol=1e-9)
    if name == "loglinear":
        assert np.allclose(bound.numpy()[0] * -slope[inside] / nll, 1 / t[inside], rtol=1e-4)


@pytest.mark.parametrize("name", ["loglinear", "cosine"])
def test_golden_posteriors(shared, name: str) -> None:
    golden = np.load(shared / f"golden/mdlm/mdlm_{name}.npz")
    family = get("mdlm", int(golden["vocab_size"]), int(golden["mask_id"]))
    lam_t, lam_s = (torch.logit(torch.tensor(golden[key])) for key in ("alpha_t64", "alpha_s64"))
    ours = family.reverse(torch.tensor(golden["raw_logits"]).double(), torch.tensor(golden["xt"]), lam_t, lam_s).numpy()
    masked = golden["xt"] == int(golden["mask_id"])
    assert np.abs(ours - golden["p_xs_given_xt"])[masked].max() < 1e-6
    kept = np.take_along_axis(ours, golden["xt"][..., None], -1)[..., 0]
    assert np.abs(kept - 1)[~masked].max() < 1e-9  # a token that is there stays


def test_loss_is_the_bound_without_its_weight() -> None:
    family = get("mdlm", 11, 3)
    logits = torch.randn(4, 5, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, z = torch.full((4, 5), 6), torch.full((4, 5), 3)
    lam = torch.linspace(-4, 4, 20, dtype=torch.float64).reshape(4, 5)
    t = torch.sigmoid(-lam)
    assert torch.allclose(family.bound(logits, x, z, lam) * t, family.loss(logits, x, z, lam))
    elbo = get("mdlm", 11, 3, objective="elbo")
    assert torch.equal(elbo.loss(logits, x, z, lam), family.bound(logits, x, z, lam))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("preset", ["none", "intended"])
def test_its_process_is_that_of_masked_noise_bit_for_bit(dtype: torch.dtype, preset: str) -> None:
    """Two files, one process: the same draws, and the same arithmetic in the reverse step."""
    options = {"conditioning": Conditioning.preset(preset)}
    ours, theirs = get("mdlm", 23, 3, **options), get("masked", 23, 3, **options)
    x = torch.randint(4, 23, (6, 24), generator=torch.Generator().manual_seed(0))
    index, lam = np.arange(6), np.linspace(-9, 9, 6)
    for one, other in (
        (ours.corrupt(x, index, 7), theirs.corrupt(x, index, 7)),
        (ours.corrupt_at(x, lam, index, 7), theirs.corrupt_at(x, lam, index, 7)),
    ):
        for part in ("x_BL", "z_BL", "log_snr_BL", "noised_BL"):
            assert torch.equal(getattr(one, part), getattr(other, part)), part
    z = ours.corrupt_at(x, lam, index, 7).z_BL
    logits = torch.randn(6, 24, 23, generator=torch.Generator().manual_seed(1)).to(dtype)
    logits[0, :, 5] = -torch.inf
    for t, s in ((-9.0, 9.0), (-1.0, 2.0), (3.0, float("inf"))):
        assert torch.equal(ours.reverse(logits, z, t, s), theirs.reverse(logits, z, t, s))
        level = torch.full(z.shape, s, dtype=dtype)
        assert torch.equal(ours.noise_at(z, level), theirs.noise_at(z, level))
        assert torch.equal(ours.posterior(logits, z, t), theirs.posterior(logits, z, t))


def test_a_mask_goes_where_the_equation_says() -> None:
    """(α_s-α_t)/(1-α_t)·x̂ to each token, (1-α_s)/(1-α_t) of staying; what is visible stays."""
    family = get("mdlm", 11, 3)
    logits = torch.randn(1, 2, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alpha_t, alpha_s = (float(torch.sigmoid(torch.tensor(lam, dtype=torch.float64))) for lam in (-1.0, 0.5))
    found = family.reverse(logits, torch.tensor([[3, 7]]), -1.0, 0.5)[0]
    expected = (alpha_s - alpha_t) / (1 - alpha_t) * family.predict(logits)[0, 0]
    expected[3] = (1 - alpha_s) / (1 - alpha_t)
    assert torch.allclose(found[0], expected, rtol=1e-12)
    assert torch.equal(found[1], torch.eye(11, dtype=torch.float64)[7])


@pytest.mark.parametrize(
    ("options", "message"), [({"objective": "mse"}, "objective"), ({"shift": 0.0}, "no option 'shift'")]
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get("mdlm", 11, 3, **options)
