"""The network over a canvas: reads the clean tokens once a window where that is exact, the noised ones every pass.

Trained with clean prompts, a network lets clean tokens see clean tokens only (`noise.conditioning.prompt_attention`):
their keys and values do not depend on what is still noise, and are cached. Trained without, everything sees everything
and every pass reads it all. Shapes: B rows, N noised places, D width, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from difflaw.families import Family
from difflaw.model.cache import KeyValueCache
from difflaw.model.transformer import Transformer
from difflaw.sample.canvas import Canvas, gathered


class Predictor(Protocol):
    """Where a sampler's predictions come from; tests put an enumerated oracle here."""

    @property
    def noise_conditioned(self) -> bool:
        """Whether the prediction depends on λ besides the tokens."""
        ...

    def states(self, z_BN: Tensor, log_snr: float) -> Tensor:
        """What `logits` needs of each place, (B, N, …): one pass of the network."""
        ...

    def logits(self, states: Tensor) -> Tensor:
        """(M, …) → (M, V)."""
        ...


@dataclass
class Reading:
    """How a network is to be asked, and how often it was."""

    model: Transformer
    family: Family
    prompt_isolated: bool
    """Clean tokens see clean tokens only."""
    cached: bool
    """Keep keys and values where that changes nothing."""
    passes: int = 0
    """Calls of the network so far (NFE), prompts included."""
    positions_read: int = 0
    """Positions put through it, all rows."""
    noise_conditioned: bool = field(init=False)

    def __post_init__(self) -> None:
        self.noise_conditioned = bool(self.model.config.adaln) and type(self.family).condition is not Family.condition

    def hidden(
        self,
        z_BN: Tensor,
        positions_BN: Tensor,
        attention: Tensor | None,
        cache: KeyValueCache | None = None,
        log_snr_BN: Tensor | None = None,
    ) -> Tensor:
        """One pass, (B, N, D)."""
        self.passes += 1
        self.positions_read += z_BN.numel()
        sigma = self.family.condition(log_snr_BN) if self.noise_conditioned and log_snr_BN is not None else None
        return self.model.hidden(z_BN, attention, positions_BN, sigma=sigma, cache=cache)

    def remember(
        self,
        z_BN: Tensor,
        positions_BN: Tensor,
        attention: Tensor | None,
        cache: KeyValueCache,
        log_snr_BN: Tensor | None = None,
    ) -> None:
        """A pass for the cache alone; it counts as one, and costs a little less."""
        self.passes += 1
        self.positions_read += z_BN.numel()
        sigma = self.family.condition(log_snr_BN) if self.noise_conditioned and log_snr_BN is not None else None
        self.model.hidden(z_BN, attention, positions_BN, sigma=sigma, cache=cache, only_remember=True)

    def logits(self, states_MD: Tensor) -> Tensor:
        """(M, D) → (M, V) in float32."""
        return (self.model.lm_head(states_MD) * self.model.output_scale).float()


def may_attend(real_BN: Tensor) -> Tensor | None:
    """Padding is no key, and sees itself so that its softmax is defined: (B, N, N), None where nothing is padding."""
    if bool(real_BN.all()):
        return None
    n = real_BN.shape[1]
    return real_BN[:, None, :] | torch.eye(n, dtype=torch.bool, device=real_BN.device)


class WindowReader:
    """Predictions at the noised places of a canvas while some of them are being written."""

    def __init__(self, reading: Reading, canvas: Canvas) -> None:
        """The noised places are all that are valid and not clean, those of later windows included."""
        self.reading, self.canvas = reading, canvas
        self.noised = canvas.valid & ~canvas.clean
        self.places, self.real = gathered(self.noised)
        self.noise_conditioned = reading.noise_conditioned
        self.cache = None
        if reading.prompt_isolated and reading.cached:
            self.cache = self._read_clean()
        self._attention = self._among_noised()

    def states(self, z_BN: Tensor, log_snr: float) -> Tensor:
        """(B, N, D) at `places`."""
        reading, canvas = self.reading, self.canvas
        if self.cache is not None:
            lam = torch.full(z_BN.shape, log_snr, device=z_BN.device) if reading.noise_conditioned else None
            return reading.hidden(z_BN, self.places, self._attention, self.cache, lam)
        everything = put(canvas.tokens, self.places, self.real, z_BN)
        lam = None
        if reading.noise_conditioned:
            lam = torch.full(everything.shape, log_snr, device=z_BN.device)
            lam = torch.where(self.noised, lam, reading.family.span.high) if reading.prompt_isolated else lam
        states = reading.hidden(everything, canvas.positions, self._attention, None, lam)
        return states.gather(1, self.places[..., None].expand(-1, -1, states.shape[-1]))

    def logits(self, states: Tensor) -> Tensor:
        """(M, D) → (M, V)."""
        return self.reading.logits(states)

    def _read_clean(self) -> KeyValueCache:
        reading, canvas = self.reading, self.canvas
        places, real = gathered(canvas.clean)
        cache = reading.model.new_cache(canvas.rows, places.shape[1] + self.places.shape[1])
        if places.shape[1]:
            lam = (
                torch.full(places.shape, reading.family.span.high, device=places.device)
                if reading.noise_conditioned
                else None
            )
            reading.remember(canvas.tokens.gather(1, places), places, may_attend(real), cache, lam)
            cache.keep(real)
        return cache

    def _among_noised(self) -> Tensor | None:
        if self.cache is not None:
            return may_attend(self.real)
        valid = may_attend(self.canvas.valid)
        if not self.reading.prompt_isolated or not bool(self.canvas.clean.any()):
            return valid
        isolated = self.noised[:, :, None] >= self.noised[:, None, :]
        return isolated if valid is None else isolated & valid


class BlockReader:
    """The same for block diffusion: one block is read at a time, blocks before it from the cache, exactly.

    A row's window is a whole block of its own: the given tokens in it are read with it, as in training.
    """

    noise_conditioned = False

    def __init__(self, reading: Reading, canvas: Canvas, first_B: Tensor) -> None:
        """``first_B`` is the first block of each row that has a blank; the ones before it are read here."""
        if reading.family.block_length is None:
            raise TypeError(f"{reading.family.name} has no blocks of its own")
        self.reading, self.canvas, self.length = reading, canvas, reading.family.block_length
        self.block_B = first_B
        self.cache = reading.model.new_cache(canvas.rows, canvas.tokens.shape[1]) if reading.cached else None
        before = canvas.valid & (canvas.positions // self.length < first_B[:, None])
        if self.cache is not None and bool(before.any()):
            self._append(*gathered(before))

    @property
    def places(self) -> Tensor:
        """Positions of the current block of each row, (B, block length); all real."""
        return self.block_B[:, None] * self.length + torch.arange(self.length, device=self.block_B.device)

    @property
    def real(self) -> Tensor:
        """All True."""
        return torch.ones_like(self.places, dtype=torch.bool)

    def states(self, z_BN: Tensor, log_snr: float) -> Tensor:
        """(B, block length, D)."""
        if self.cache is not None:
            return self.reading.hidden(z_BN, self.places, None, self.cache)
        canvas = self.canvas  # one pass over [clean tokens before the block ; the block]
        before, real = gathered(canvas.valid & (canvas.positions // self.length < self.block_B[:, None]))
        n = before.shape[1]
        at = torch.cat([before, self.places], 1)
        tokens = torch.cat([canvas.tokens.gather(1, before), z_BN], 1)
        known = torch.cat([real, torch.ones_like(z_BN, dtype=torch.bool)], 1)
        number = at // self.length
        attention = (number[:, :, None] >= number[:, None, :]) & known[:, None, :]
        attention |= torch.eye(at.shape[1], dtype=torch.bool, device=at.device)
        return self.reading.hidden(tokens, at, attention)[:, n:]

    def logits(self, states: Tensor) -> Tensor:
        """(M, D) → (M, V)."""
        return self.reading.logits(states)

    def next_block(self) -> None:
        """The current block is clean now: read it once more as such, and go on."""
        if self.cache is not None:
            self._append(self.places, self.real)
        self.block_B = self.block_B + 1

    def select(self, canvas: Canvas, rows: Tensor) -> None:
        """Go on with some rows only; ``canvas`` holds just these."""
        self.canvas, self.block_B = canvas, self.block_B[rows]
        if self.cache is not None:
            self.cache.select(rows)

    def _append(self, places: Tensor, real: Tensor) -> None:
        assert self.cache is not None
        number = places // self.length
        attention = (number[:, :, None] >= number[:, None, :]) & real[:, None, :]
        attention |= torch.eye(places.shape[1], dtype=torch.bool, device=places.device)
        self.reading.remember(self.canvas.tokens.gather(1, places), places, attention, self.cache)
        self.cache.keep(real)


def put(tokens_BL: Tensor, places_BN: Tensor, real_BN: Tensor, z_BN: Tensor) -> Tensor:
    """A copy of ``tokens`` with z at the real places."""
    out = tokens_BL.clone()
    rows, columns = real_BN.nonzero(as_tuple=True)
    out[rows, places_BN[rows, columns]] = z_BN[rows, columns]
    return out
