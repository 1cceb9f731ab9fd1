"""Bounds and gradients in float32 beside the papers' full-vocabulary formulas in float64, on a family's own noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from difflaw.families import get
from difflaw.families.base import Family
from tests.families.test_numbers import plain_duo, plain_gidd, plain_likelihood, plain_masked

MASK, LENGTH = 3, 16
"""Id of the mask; tokens a sequence, which share one λ."""
CHUNK_ELEMENTS = 1 << 22
"""Logits held at once."""

Formula = Callable[[Family, Tensor, Tensor, Tensor, Tensor], Tensor]


def plain_esolm(family: Family, p: Tensor, x: Tensor, z: Tensor, lam: Tensor) -> Tensor:
    """-log p[x]/(1 - min(α, α₀)) on masks."""
    nll = -p[torch.arange(len(x)), x].log()
    share = torch.sigmoid(-lam).clamp(min=1.0 - family.alpha_0)  # type: ignore[attr-defined]
    return torch.where(z == family.mask_id, nll / share, 0.0)


CASES: dict[str, tuple[str, dict[str, object], Formula]] = {
    "autoregressive": ("autoregressive", {}, plain_likelihood),
    "masked": ("masked", {}, plain_gidd),
    "low-uniform": ("low-uniform", {}, plain_gidd),
    "balanced": ("balanced", {}, plain_gidd),
    "high-uniform": ("high-uniform", {}, plain_gidd),
    "uniform": ("uniform", {}, plain_gidd),
    "mdlm": ("mdlm", {}, plain_masked),
    "duo": ("duo", {}, plain_duo),
    "esolm 1": ("esolm", {"alpha_0": 1.0}, plain_esolm),
    "esolm 0.3": ("esolm", {"alpha_0": 0.3}, plain_esolm),
    "block 4": ("block", {"block_length": 4}, plain_masked),
}
"""Every family as (name, options, its bound as the papers write it)."""


def family_of(case: str, vocab_size: int) -> Family:
    """The family of one of `CASES`."""
    name, options, _ = CASES[case]
    return get(name, vocab_size, MASK, **options)


@dataclass(frozen=True)
class Tokens:
    """Targets, what the network reads, and λ (float32, as a run has it), all (T,)."""

    x: Tensor
    z: Tensor
    log_snr: Tensor


def noised(family: Family, tokens: int, seed: int) -> Tokens:
    """Draws of the family's own forward process; λ even over ±9, one stratum a sequence."""
    rng, count = np.random.default_rng(seed), -(-tokens // LENGTH)
    x = rng.integers(0, family.vocab_size - 1, (count, LENGTH))
    x = torch.from_numpy(x + (x >= family.mask_id))
    lam = -9.0 + 18.0 * (rng.permutation(count) + rng.random(count)) / count
    batch = family.corrupt_at(x, lam, np.arange(count), seed)
    return Tokens(*(part.reshape(-1)[:tokens] for part in (batch.x_BL, batch.z_BL, batch.log_snr_BL)))


def kept_at_low_snr(family: Family, tokens: int, seed: int) -> Tokens:
    """Tokens that survived where noise makes nearly all of them, z = x at λ in [-9, -5], the first at -9 itself."""
    drawn = noised(family, tokens, seed)
    return Tokens(drawn.x, drawn.x, torch.linspace(-9.0, -5.0, tokens))


def logits_for(x: Tensor, vocab_size: int, generator: torch.Generator) -> Tensor:
    """(T, V), float32: from nearly flat to peaked; for half of the tokens the odds of x run from e^-14 to e^14."""
    spread = torch.tensor([0.1, 1.0, 4.0])[torch.randint(3, (len(x), 1), generator=generator)]
    logits = torch.randn(len(x), vocab_size, generator=generator) * spread
    odds = logits.logsumexp(1) + 28.0 * torch.rand(len(x), generator=generator) - 14.0
    chosen = torch.rand(len(x), generator=generator) < 0.5
    known = logits.gather(1, x[:, None])[:, 0]
    return logits.scatter(1, x[:, None], torch.where(chosen, odds, known)[:, None])


@dataclass(frozen=True)
class Compared:
    """Per token: the bound in float32 and float64, 1 - p[x], and the gradient's error and size (L2 over V)."""

    log_snr: np.ndarray
    kept: np.ndarray
    """Whether z = x."""
    ours: np.ndarray
    exact: np.ndarray
    rest: np.ndarray
    gradient_error: np.ndarray
    gradient_size: np.ndarray
    finite: bool
    """No NaN and no infinity in any bound or gradient."""

    def relative_error(self, chosen: np.ndarray | slice = slice(None)) -> float:
        """|Σ ours - Σ exact| / Σ exact under p(λ), from λ that are even over the range; zero if there is no bound."""
        odds = np.exp(-np.abs(self.log_snr[chosen]))
        density = odds / np.square(1.0 + odds)
        total = float((self.exact[chosen] * density).sum())
        return abs(float((self.ours[chosen] * density).sum()) - total) / total if total > 0 else 0.0

    def worst_range(self, at_least: int = 30) -> float:
        """The same in the worst of 18 ranges of λ, each one wide; NaN if none has ``at_least`` tokens with a bound."""
        which = np.clip(np.floor(self.log_snr).astype(int), -9, 8)
        ranges = [which == low for low in range(-9, 9)]
        found = [self.relative_error(here) for here in ranges if (self.exact[here] > 0).sum() >= at_least]
        return max(found, default=float("nan"))

    def worst_absolute(self) -> int:
        """The token whose bound is furthest off, in nats."""
        return int(np.abs(self.ours - self.exact).argmax())

    def worst_relative(self) -> tuple[float, int]:
        """Largest relative error of a token with 1 - p[x] > 0.01, and which token.

        Beyond that no float32 log p[x] tells how far it is from zero: the error stays, the bound vanishes.
        """
        counts = (self.rest > 0.01) & (self.exact > 0)
        error = np.where(counts, np.abs(self.ours - self.exact) / np.where(counts, self.exact, 1.0), 0.0)
        return float(error.max()), int(error.argmax())

    def gradient(self) -> float:
        """√Σ error² / √Σ size² over all tokens."""
        return float(np.sqrt(np.square(self.gradient_error).sum() / np.square(self.gradient_size).sum()))


def textbook_float32(family: Family, logits: Tensor, x: Tensor, z: Tensor, lam: Tensor) -> Tensor:
    """GIDD's integrand as its public code writes it, in float32: Σ Q·(log Q - log P) cancels at low SNR."""
    rows, lam = torch.arange(len(x)), lam.float()
    alpha, pi = torch.sigmoid(lam)[:, None], family.mixing.probabilities(lam)  # type: ignore[attr-defined]
    p = logits.float().index_fill(1, torch.tensor([family.mask_id]), -1e6).softmax(1)
    q = (1 - alpha) * pi
    p_noisy = alpha * p + q
    q[rows, x] += alpha[:, 0]
    tiny = torch.finfo(torch.float32).tiny
    log_ratio = q.clamp(min=tiny).log() - p_noisy.clamp(min=tiny).log()
    rho = (q / (p_noisy + 1e-12))[rows, z]
    divergence = (q * log_ratio).sum(1) + rho - log_ratio[rows, z] - 1
    share = family.mixing.log_uniform_share(lam).exp()  # type: ignore[attr-defined]
    slope = share * (1 - share) * torch.where(z == family.mask_id, -1.0, 1.0 / (family.vocab_size - 1))
    weight = (pi[rows, z] - slope) / (pi[rows, z] + lam.exp() * (x == z)).clamp(min=1e-8)
    return weight * divergence / (alpha * (1 - alpha))[:, 0]


def compare(case: str, family: Family, drawn: Tokens, seed: int) -> Compared:
    """Float32 bound and gradient (the family's) against float64 (the plain formula, by autograd), in chunks."""
    parts = list(_chunks(case, family, drawn, seed))
    columns = [np.concatenate(column) for column in zip(*(part[:-1] for part in parts), strict=True)]
    log_snr, kept = drawn.log_snr.numpy().astype(np.float64), (drawn.z == drawn.x).numpy()
    return Compared(log_snr, kept, *columns, finite=all(part[-1] for part in parts))


def _chunks(case: str, family: Family, drawn: Tokens, seed: int) -> Iterator[tuple]:
    formula, generator = CASES[case][2], torch.Generator().manual_seed(seed)
    for rows in torch.arange(len(drawn.x)).split(max(1, CHUNK_ELEMENTS // family.vocab_size)):
        x, z, lam = drawn.x[rows], drawn.z[rows], drawn.log_snr[rows]
        single = logits_for(x, family.vocab_size, generator)
        double = single.double().requires_grad_()
        single.requires_grad_()
        ours = family.bound(single, x, z, lam)
        ours.sum().backward()
        silenced = double.index_fill(1, torch.tensor([family.mask_id]), -math.inf)
        exact = formula(family, silenced.softmax(1), x, z, lam.double())
        exact.sum().backward()
        assert single.grad is not None
        assert double.grad is not None
        finite = bool(torch.isfinite(ours).all() and torch.isfinite(single.grad).all())
        yield (
            ours.detach().double().numpy(),
            exact.detach().numpy(),
            (1.0 - silenced.detach().softmax(1)[torch.arange(len(x)), x]).numpy(),
            (single.grad.double() - double.grad).norm(dim=1).numpy(),
            double.grad.norm(dim=1).numpy(),
            finite,
        )
