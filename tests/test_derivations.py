"""docs/derivations.md: its claims recomputed from definitions, its references alive, its anchors cited as they are."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from difflaw.families import get
from difflaw.families.diffusion import Diffusion
from difflaw.law.posterior import shared
from difflaw.law.posterior.model import COUNT
from difflaw.noise.clock import LogSnrRange
from difflaw.planning.published_forecasts import printed_power

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/derivations.md").read_text(encoding="utf-8")
ANCHORS = set(re.findall(r"^## (\S+)$", PAGE, re.MULTILINE))
V, MASK, X = 9, 3, 5


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


# -- the bound --------------------------------------------------------------------------------------------------------


def definitions(shift: float, scale: float):
    """π(λ), x̂, its logits, and (Q, P) at a λ, from the definitions alone."""
    logits = 2.0 * np.random.default_rng(0).standard_normal(V)
    guess = np.exp(logits) * (np.arange(V) != MASK)
    guess /= guess.sum()

    def pi(lam: float) -> np.ndarray:
        share = sigmoid(scale * lam + shift)
        out = np.full(V, share / (V - 1))
        out[MASK] = 1.0 - share
        return out

    def marginals(lam: float) -> tuple[np.ndarray, np.ndarray]:
        alpha = sigmoid(lam)
        noise = (1.0 - alpha) * pi(lam)
        return alpha * (np.arange(V) == X) + noise, alpha * guess + noise

    return pi, logits, marginals


HYBRIDS = [(0.0, 1.0), (2.0, 1.0), (-2.0, 1.0), (0.5, 0.6)]


@pytest.mark.parametrize(("shift", "scale"), HYBRIDS)
@pytest.mark.parametrize("z", [MASK, X, 6])
def test_the_integrand_is_the_growth_of_the_path_divergence(shift: float, scale: float, z: int) -> None:
    """nelbo, weights, three-numbers, transition: jump rates of a kernel over 2e-6 of λ, against `bound`."""
    pi, logits, marginals = definitions(shift, scale)
    lam, h = 0.7, 1e-6
    noisy, clean = lam - h, lam + h
    keep = sigmoid(noisy) / sigmoid(clean)
    into = (1 - sigmoid(noisy)) * pi(noisy) - keep * (1 - sigmoid(clean)) * pi(clean)
    q, p = marginals(lam)
    true, model = q / q[z], p / p[z]
    others = np.arange(V) != z
    growth = into[z] / (2 * h) * (true * np.log(true / model) - true + model)[others].sum()
    family = get("gidd", V, MASK, shift=shift, scale=scale)
    at = torch.tensor([lam], dtype=torch.float64)
    ours = float(family.bound(torch.tensor(logits)[None], torch.tensor([X]), torch.tensor([z]), at))
    assert ours == pytest.approx(growth / (sigmoid(lam) * sigmoid(-lam)), rel=1e-6)


@pytest.mark.parametrize(("shift", "scale"), HYBRIDS)
def test_a_constant_prediction_has_the_divergences_at_the_ends(shift: float, scale: float) -> None:
    """context-free, ends included: exact where the limit -log p(x) is off by the truncation of λ."""
    _, logits, marginals = definitions(shift, scale)
    family = get("gidd", V, MASK, shift=shift, scale=scale)
    assert isinstance(family, Diffusion)
    lams = torch.linspace(-9, 9, 8001, dtype=torch.float64)
    z, lam = torch.arange(V).expand(len(lams), V), lams[:, None].expand(len(lams), V)
    integrand = family.bound(torch.tensor(logits).expand(len(lams), V, V), torch.full((len(lams), V), X), z, lam)
    q = torch.sigmoid(lam) * (z == X) + family.noise_at(z, lam)
    total = torch.trapezoid((integrand * q).sum(1) * torch.sigmoid(lams) * torch.sigmoid(-lams), lams)
    ends = [float((q * np.log(q / p)).sum()) for q, p in (marginals(9.0), marginals(-9.0))]
    assert float(total) == pytest.approx(ends[0] - ends[1], rel=1e-8)


@pytest.mark.parametrize("z", [X, 6, MASK])
def test_duos_own_formula(z: int) -> None:
    """duo: the integrand in time as printed, times |dt/dλ| at α = 1 - t."""
    logits = 2.0 * np.random.default_rng(0).standard_normal(V)
    guess = np.exp(logits) * (np.arange(V) != MASK)
    guess /= guess.sum()
    alpha = 0.4
    clean, model = V * alpha * (np.arange(V) == X) + 1 - alpha, V * alpha * guess + 1 - alpha
    ratios = (clean / clean[z] * np.log(model[z] * clean / (model * clean[z]))).sum()
    printed = -1.0 / (V * alpha) * (V / clean[z] - V / model[z] - ratios)
    at = torch.tensor([math.log(alpha / (1 - alpha))], dtype=torch.float64)
    ours = float(get("duo", V, MASK).bound(torch.tensor(logits)[None], torch.tensor([X]), torch.tensor([z]), at))
    assert ours == pytest.approx(printed, rel=1e-9)


def test_strata_divide_a_masked_bounds_variance_by_two_and_a_half() -> None:
    """strata: ∫ v dτ against ∫ v·weight dτ for v = 1/τ - 1, and the largest weight."""
    n = 200_000
    lam, weight = LogSnrRange().stratified(n, 0.5, np.arange(n))
    variance = 1.0 / sigmoid(-lam) - 1.0
    independent, ours = (weight * variance).mean(), (weight**2 * variance).mean()  # E under p, and of weight²·v under f
    assert independent == pytest.approx(8.0, abs=0.02)
    assert ours == pytest.approx(3.165, abs=0.005)
    assert weight.max() == pytest.approx(4 / 3, abs=1e-4)


# -- laws -------------------------------------------------------------------------------------------------------------


def test_what_others_know_is_the_joint_gaussians_conditional(monkeypatch: pytest.MonkeyPatch) -> None:
    """shared: a family without rows in the joint precision of all families and their mean, inverted as a whole."""
    monkeypatch.setattr(shared, "ROUNDS", 0)  # the spread stays where it starts
    rng = np.random.default_rng(0)
    families = {}
    for name in "abc":
        theta = np.zeros((4000, COUNT))
        theta[:, shared.PLACES] = 0.1 * rng.standard_normal((4000, 3)) @ rng.standard_normal((3, 3)) + rng.normal(
            size=3
        )
        families[name] = SimpleNamespace(theta=theta, forms={"additive": 1.0})
    values, errors = zip(*(shared._summary(post) for post in families.values()), strict=True)
    spread = np.diag((3 * shared.USUAL_SPREAD) ** -2.0)
    for place, (centre, precision) in enumerate(shared.shared_priors(families).values()):
        whole, pull = np.zeros((12, 12)), np.zeros(12)
        for f in range(3):
            own = slice(3 * f, 3 * f + 3)
            data = np.linalg.inv(errors[f]) * (f != place)
            whole[own, own] = data + spread
            whole[own, 9:] = whole[9:, own] = -spread
            whole[9:, 9:] += spread
            pull[own] = data @ values[f]
        exact, own = np.linalg.inv(whole), slice(3 * place, 3 * place + 3)
        assert np.allclose(np.linalg.inv(precision), exact[own, own])
        assert np.allclose(centre, (exact @ pull)[own])


def test_a_printed_interval_implies_the_covariance_of_a_least_squares_line() -> None:
    """printed-interval: a line through many even budgets has this error of its level, given that of its exponent."""
    n, sd, span = 400, 0.01, (1e18, 1e20)
    x = np.log(np.geomspace(*span, n))
    rows = np.stack([np.ones(n), x - x.mean()], 1)
    line = sd**2 * np.linalg.inv(rows.T @ rows)
    half = 1.959964 * math.sqrt(line[1, 1])
    law = printed_power("loss", 30.0, -0.05, (-0.05 - half, -0.05 + half), span)
    assert law.covariance is not None
    assert np.allclose(law.covariance, line, rtol=1e-2, atol=1e-12)


def test_one_more_run_shrinks_the_forecast_as_said() -> None:
    """next-runs and sandwich: both rank-one and Woodbury identities, on random matrices."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((20, 4))
    before, g, run, noise = np.linalg.inv(rows.T @ rows), rng.standard_normal(4), rng.standard_normal(4), 0.3
    after = np.linalg.inv(np.linalg.inv(before) + np.outer(run, run) / noise**2)
    assert g @ (before - after) @ g == pytest.approx((g @ before @ run) ** 2 / (noise**2 + run @ before @ run))
    own, scores = rows[:3], rng.standard_normal(3)
    left_out = np.linalg.solve(np.eye(3) - own @ before @ own.T, scores)
    cheap = scores + own @ np.linalg.inv(np.linalg.inv(before) - own.T @ own) @ own.T @ scores
    assert np.allclose(left_out, cheap)


# -- the page ---------------------------------------------------------------------------------------------------------


def test_files_and_tests_it_names_exist() -> None:
    last = ""
    for file, name in re.findall(r"`((?:tests/)?[\w/*]*\.py)?(?:::(\w+))?`", PAGE):
        last = file or last
        if not last or "*" in last:
            continue
        path = ROOT / last if last.startswith("tests/") else ROOT / "src/difflaw" / last
        assert path.is_file(), last
        assert not name or re.search(rf"def {name}\b", path.read_text(encoding="utf-8")), f"{last}::{name}"


def test_citations_have_their_section() -> None:
    pattern = re.compile(r"(?:derivations\.md|\]\()#([\w-]+)")
    for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")]:
        for anchor in re.findall(r"derivations\.md#([\w-]+)", path.read_text(encoding="utf-8")):
            assert anchor in ANCHORS | {"anchor"}, f"{path.relative_to(ROOT)}: #{anchor}"
    for anchor in pattern.findall(PAGE):
        assert anchor in ANCHORS | {"anchor"}, f"docs/derivations.md: #{anchor}"
