"""Duo's base against the reference's ELBO, gradients and posterior, and against enumeration."""

from __future__ import annotations

import numpy as np
import torch

from difflaw.families import get


def log_snr_of(golden) -> torch.Tensor:
    alpha = torch.tensor(golden["alpha_t64"]).expand(golden["x0"].shape)
    return torch.log(alpha) - torch.log1p(-alpha)


def test_golden_elbo_over_all_states(shared) -> None:
    """Where no id is special the reference's V states are GIDD's V tokens, the mask being one more id (design §4.5)."""
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
