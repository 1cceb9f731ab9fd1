"""ReMDM: masked diffusion that masks written tokens again, so that mistakes can be undone (Wang et al., 2503.00307).

With remasking probability σ ≤ σ_max = min(1, (1-α_s)/α_t) a token becomes a mask with probability σ, and a mask a token
with probability (α_s - (1-σ)α_t)/(1-α_t): the marginals of masked diffusion stay what they are. Exact as T → ∞ if σ
falls with T or with the noise (rescale); with a fixed cap a share η of the places is redrawn in every step,
independently of one another, which leaves a bias, and ``conf`` lets σ depend on the text, which adds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch

from difflaw.errors import InputError
from difflaw.noise.clock import LogSnrRange, sigmoid
from difflaw.sample.draws import Use
from difflaw.sample.grid import Schedule, to_clean
from difflaw.sample.window import Window

Strategy = Literal["cap", "rescale", "conf", "loop"]
DEFAULT_ETA = {"cap": 0.008, "rescale": 0.015, "conf": 1.0, "loop": 0.02}


@dataclass(frozen=True)
class ReMdm:
    """Masked noise only."""

    steps: int = 128
    schedule: Schedule = "linear"
    strategy: Strategy = "cap"
    """cap: σ = min(η, σ_max); rescale: η·σ_max; conf: η·σ_max shared out by softmax(-confidence when written);
    loop: none until α = 0.9, then cap at that α, then none to the end.
    """
    eta: float | None = None
    """None is 0.008 (cap), 0.015 (rescale), 1 (conf), 0.02 (loop)."""
    hold: tuple[float, float] = (0.55, 0.05)
    """loop: times (1 at the start, 0 at the end) at which α = 0.9 is reached and left."""

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            raise InputError(f"strategy: {self.strategy!r} is unknown, use {', '.join(get_args(Strategy))}")
        if self.eta is not None and not 0.0 <= self.eta <= 1.0:
            raise InputError(f"eta: must lie in [0, 1], got {self.eta}")
        if not 1.0 > self.hold[0] > self.hold[1] > 0.0:
            raise InputError(f"hold: two falling times between 1 and 0, got {self.hold}")

    def run(self, window: Window) -> None:
        """Write the window; what is masked at the end is drawn then."""
        eta = DEFAULT_ETA[self.strategy] if self.eta is None else self.eta
        pairs = to_clean(self.steps, self.schedule, window.family.span)
        remasks = [True] * len(pairs)
        if self.strategy == "loop":
            pairs, remasks = loop_steps(self.steps, self.hold, window.family.span)
        for (t, s), may_remask in zip(pairs, remasks, strict=True):
            remdm_step(window, t, s, self.strategy, eta if may_remask else 0.0)
            window.tick(t)
        window.fill_masks(pairs[-1][0])


def remdm_step(window: Window, log_snr_t: float, log_snr_s: float, strategy: Strategy, eta: float) -> None:
    """Remask and unmask by one draw a place, from the state before the step."""
    alpha_t, alpha_s = float(sigmoid(log_snr_t)), float(sigmoid(log_snr_s))
    beta_t, beta_s = float(sigmoid(-log_snr_t)), float(sigmoid(-log_snr_s))
    most = min(1.0, beta_s / alpha_t)
    masked = window.masked
    written = window.active & ~masked
    sigma = torch.full(window.z.shape, min(eta, most), dtype=torch.float64, device=window.z.device)
    if strategy == "rescale":
        sigma.fill_(eta * most)
    if strategy == "conf":
        share = window.confidence.double().neg().masked_fill(~written, -torch.inf).softmax(1).nan_to_num(0.0)
        sigma = (eta * most * share).clamp(max=most)
    becomes = (alpha_s - (1.0 - torch.where(masked & (strategy == "conf"), 0.0, sigma)) * alpha_t) / beta_t
    u = window.uniform(Use.WHETHER)
    unmask, remask = masked & (u < becomes), written & (u < sigma)
    if beta_s == 0.0:
        unmask, remask = masked, torch.zeros_like(remask)
    if bool(unmask.any()):
        window.write(unmask, window.draw(unmask, log_snr_t))
    window.z = torch.where(remask, window.family.mask_id, window.z)


def loop_steps(
    steps: int, hold: tuple[float, float], span: LogSnrRange
) -> tuple[list[tuple[float, float]], list[bool]]:
    """Steps (λ_t, λ_s) and whether each may remask: α rises to 0.9, stays, then rises to 1."""
    if steps < 3:
        raise InputError(f"steps: the loop strategy has three parts and needs at least 3 steps, got {steps}")
    first = max(1, round(steps * (1 - hold[0])))
    last = max(1, round(steps * hold[1]))
    middle = max(1, steps - first - last)
    low, high = float(sigmoid(span.low)), 0.9

    def lam(alpha: np.ndarray) -> list[float]:
        return [float(v) for v in np.log(alpha) - np.log1p(-alpha)]

    rising, held = lam(np.linspace(low, high, first + 1)), lam(np.array([high]))[0]
    ending = [*lam(np.linspace(high, 1.0, last + 1)[:-1]), float("inf")]
    pairs = [*pairwise(rising), *[(held, held)] * middle]
    pairs += pairwise(ending)
    return pairs, [False] * first + [True] * middle + [False] * last
