"""What a sampler sees: some places to write, the network's predictions there, and random numbers.

Every sampler of the package is a function of this and nothing else. Shapes: B rows, N noised places, of which the
``active`` ones are written in this window; M chosen places of all rows; V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from difflaw.families import Diffusion, Family
from difflaw.model.head import CHUNK_ELEMENTS
from difflaw.sample.categorical import Shaping, choose
from difflaw.sample.draws import Draws, Use
from difflaw.sample.reader import Predictor

WINDOW_STEPS = 1 << 20
"""Step numbers a window may use: how many steps other rows took in the windows before changes no draw."""


@dataclass(frozen=True)
class Places:
    """The chosen places of one chunk, each (M,)."""

    z: Tensor
    """The token that stands there."""
    u: Tensor
    """A uniform draw, float64."""


@dataclass(frozen=True)
class Chosen:
    """Tokens for some places, and the probability the network's unshaped prediction gave them; each (M,)."""

    token: Tensor
    confidence: Tensor


def over(
    to_logits: Callable[[Tensor], Tensor],
    family: Family,
    states: Tensor,
    places: Places,
    no_eos_M: Tensor,
    eos_id: int,
    function: Callable[[Tensor, Places], tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """``function(logits (m, V), places)`` of states (M, …), chunk by chunk, results joined.

    The logits have no mask and, where ``no_eos``, no EOS (``eos_id`` -1: there is none); places × vocabulary is never
    held at once.
    """
    size = max(1, CHUNK_ELEMENTS // family.vocab_size)
    parts = []
    for first in range(0, max(len(states), 1), size):
        part = slice(first, first + size)
        logits = to_logits(states[part])
        logits[:, family.mask_id] = -torch.inf
        if eos_id >= 0:
            logits[:, eos_id].masked_fill_(no_eos_M[part], -torch.inf)
        parts.append(function(logits, Places(places.z[part], places.u[part])))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def drawn(shaping: Shaping) -> Callable[[Tensor, Places], tuple[Tensor, Tensor]]:
    """The function for `over` that draws from the shaped prediction: (token, confidence)."""

    def pick(logits: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        token = choose(shaping(logits).softmax(-1), places.u)
        return token, probability(logits, token)

    return pick


class Window:
    """A group of blanks while it is written, step by step."""

    def __init__(
        self,
        family: Diffusion,
        predictor: Predictor,
        z_BN: Tensor,
        active_BN: Tensor,
        positions_BN: Tensor,
        no_eos_BN: Tensor,
        draws: Draws,
        shaping: Shaping,
        *,
        eos_id: int = -1,
        first_step: int = 0,
        watch: Callable[[Window], None] | None = None,
    ) -> None:
        self.family, self.predictor, self.draws, self.shaping = family, predictor, draws, shaping
        self.z, self.active, self.positions, self.no_eos = z_BN, active_BN, positions_BN, no_eos_BN
        self.confidence = torch.zeros(z_BN.shape, device=z_BN.device)
        self.step, self.log_snr = first_step, float("nan")
        self._first_step = first_step
        self._eos_id, self._watch = eos_id, watch
        self._states: Tensor | None = None
        self._read: tuple[Tensor, float] | None = None

    @property
    def masked(self) -> Tensor:
        """Active places that hold the mask, (B, N)."""
        return self.active & (self.z == self.family.mask_id)

    @property
    def only_masks(self) -> bool:
        """Whether noise is nothing but masks, so that what is written stays."""
        return self.family.absorbing

    # -- the network ----------------------------------------------------------------------------------------------

    def over(
        self, where_BN: Tensor, log_snr: float, function: Callable[[Tensor, Places], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """``function(logits (M, V), places)`` at the places of ``where``, in chunks, its results joined.

        The logits are float32 and unshaped; the mask and, where a text must not end yet, EOS have none. The network is
        asked only if a token changed since it last was (or λ did, where it is conditioned on it).
        """
        rows, columns = where_BN.nonzero(as_tuple=True)
        states = self._current_states(log_snr)[rows, columns]
        u = self.draws.uniform(self.positions, self.step, Use.TOKEN)[rows, columns]
        places, no_eos = Places(self.z[rows, columns], u), self.no_eos[rows, columns]
        return over(self.predictor.logits, self.family, states, places, no_eos, self._eos_id, function)

    def _current_states(self, log_snr: float) -> Tensor:
        level = log_snr if self.predictor.noise_conditioned else 0.0
        if (
            self._states is None
            or self._read is None
            or level != self._read[1]
            or not torch.equal(self.z, self._read[0])
        ):
            self._states = self.predictor.states(self.z, log_snr)
            self._read = (self.z.clone(), level)
        return self._states

    # -- writing --------------------------------------------------------------------------------------------------

    def draw(self, where_BN: Tensor, log_snr: float) -> Chosen:
        """Tokens from the shaped prediction at each place of ``where``."""
        return Chosen(*self.over(where_BN, log_snr, drawn(self.shaping)))

    def write(self, where_BN: Tensor, chosen: Chosen) -> None:
        """Put tokens at the places of ``where``."""
        self.z = self.z.masked_scatter(where_BN, chosen.token)
        self.confidence = self.confidence.masked_scatter(where_BN, chosen.confidence.to(self.confidence))

    def fill_masks(self, log_snr: float) -> None:
        """Draw every active mask that is left, at a step of its own number however many went before."""
        left = self.masked
        if bool(left.any()):
            self.step = self._first_step + WINDOW_STEPS // 2
            self.write(left, self.draw(left, log_snr))
            self.tick(log_snr)

    def uniform(self, use: Use) -> Tensor:
        """A draw for each place at this step, (B, N) float64."""
        return self.draws.uniform(self.positions, self.step, use)

    def tick(self, log_snr: float) -> None:
        """A step is over; ``log_snr`` is where it began."""
        self.step, self.log_snr = self.step + 1, log_snr
        if self._watch is not None:
            self._watch(self)


def probability(logits_MV: Tensor, token_M: Tensor) -> Tensor:
    """Softmax of ``logits`` at ``token``, (M,)."""
    return (logits_MV.gather(1, token_M[:, None]).squeeze(1) - logits_MV.logsumexp(-1)).exp()


def best(score_BN: Tensor, count_B: Tensor) -> Tensor:
    """The ``count`` places of the highest score > 0 in each row, (B, N) bool; the first of equals."""
    order = torch.sort(score_BN, dim=1, descending=True, stable=True).indices
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    return (rank < count_B[:, None]) & (score_BN > 0)
