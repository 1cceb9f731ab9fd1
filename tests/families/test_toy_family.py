"""A family is added in one place: this file's trains, samples, is exported and drawn, and no other file knows it.

Two masks: a lost token becomes the mask or the padding token, one as likely as the other, and stays that until it is
written again. With α = σ(λ), m either of the two, x̂ the prediction:

    q(z|x)      = α·1[z=x] + (1-α)·(1[z=mask] + 1[z=pad])/2
    bound       = -log p[x]/(1-α) where z is lost, as for one mask: which of the two it is says nothing of x
    p(z_s|z_t)  = z_t if it is not lost, else ((α_s-α_t)·x̂ + (1-α_s)·1[z_t])/(1-α_t)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

import difflaw
from difflaw.data.store import prepare
from difflaw.families import Diffusion, get, names, register
from difflaw.families.registry import unregister
from difflaw.ladder.cell import run_cell
from difflaw.ladder.config import LadderConfig
from difflaw.ladder.directory import LadderDirectory
from difflaw.ladder.plan import make_plan
from difflaw.model.head import TokenNumbers
from difflaw.noise.clock import sigmoid
from difflaw.noise.streams import Stream, uniforms
from difflaw.report.colours import canonical, in_order, style_of
from difflaw.report.ladder_report import write_ladder_report
from difflaw.training.export import export

COLOUR = "#0a7e07"


class TwoMasks(Diffusion):
    name: ClassVar[str] = "two-masks"
    aliases: ClassVar[tuple[str, ...]] = ("2masks",)
    styles: ClassVar[dict[str, tuple[str, str]]] = {"two-masks": (COLOUR, "triangle-right")}
    paper: ClassVar[str] = "two masks, a test of difflaw"

    def sample(self, x: np.ndarray, log_snr: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
        u = np.moveaxis(uniforms(seed, Stream.CORRUPTION, index, 2, x.shape[1]), 1, 0)
        return np.where(u[0] < sigmoid(log_snr), x, np.where(u[1] < 0.5, self.mask_id, self.pad_id))

    def lost(self, z: Tensor) -> Tensor:
        return (z == self.mask_id) | (z == self.pad_id)

    def noise_at(self, z_BL: Tensor, log_snr_BL: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr_BL) / 2 * self.lost(z_BL)

    def prior(self, token_u: Tensor, kind_u: Tensor) -> Tensor:
        return torch.where(kind_u < 0.5, self.mask_id, self.pad_id)

    def scored(self, x: Tensor, z: Tensor) -> Tensor:
        return self.lost(z)

    def loss_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        return -numbers.log_p_x * self.lost(z)

    def bound_of(self, numbers: TokenNumbers, x: Tensor, z: Tensor, log_snr: Tensor) -> Tensor:
        return self.loss_of(numbers, x, z, log_snr) / torch.sigmoid(-log_snr)

    def reverse(self, logits_BLV: Tensor, z_BL: Tensor, log_snr_t: Tensor | float, log_snr_s: Tensor | float) -> Tensor:
        t, s = (lam.unsqueeze(-1) for lam in self._levels(z_BL, logits_BLV.dtype, log_snr_t, log_snr_s))
        here = torch.nn.functional.one_hot(z_BL, self.vocab_size).to(logits_BLV.dtype)
        gained = (torch.sigmoid(s) - torch.sigmoid(t)) * self.predict(logits_BLV) + torch.sigmoid(-s) * here
        return torch.where(self.lost(z_BL).unsqueeze(-1), gained / torch.sigmoid(-t), here)


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    register(TwoMasks)
    yield
    unregister(TwoMasks.name)


@pytest.fixture(scope="module")
def ladder(tmp_path_factory, registered) -> LadderDirectory:
    """Two families, two sizes, a few steps each, through the real training loop."""
    data = {"corpus": "synthetic", "synthetic": {"symbols": 8, "tokens": 20_000}}
    config = LadderConfig.model_validate(
        {
            "name": "toy",
            "data": data,
            "context": 16,
            "families": ["masked", "2masks"],
            "rungs": [{"width": 8, "depth": 1}, {"width": 16, "depth": 1}],
            "horizons": [2560],
            "batch": 64,
            "lr": 0.2,
            "warmup": 2,
            "evaluation": {"sequences": 16, "points": 2},
        }
    )
    store = prepare(config.data, tmp_path_factory.mktemp("cache"))
    folder = LadderDirectory(tmp_path_factory.mktemp("ladder"))
    folder.create(make_plan(config, store))
    for _, _, run in folder.cells():
        run_cell(run.path, store)
    return folder


def test_it_is_found_by_name_and_alias() -> None:
    assert "two-masks" in names()
    assert isinstance(get("2masks", 11, 3), TwoMasks)
    assert get("two-masks", 11, 3).samplers[0] == "ancestral"
    with pytest.raises(ValueError, match="'masked' belongs to the family gidd"):
        register(
            type("Thief", (TwoMasks,), {"name": "thief", "paper": "x", "styles": {"x": ()}, "aliases": ("masked",)})
        )
    with pytest.raises(ValueError, match="declares paper, styles"):
        register(type("Silent", (TwoMasks,), {"name": "silent"}))


def test_bound_of_a_constant_prediction_is_its_cross_entropy() -> None:
    """∫ bound p(λ) dλ = -log p(x): the process and its bound belong together."""
    family = get("two-masks", 7, 3)
    logits = torch.randn(7, generator=torch.Generator().manual_seed(0)).double()
    x = np.full((4096, 8), 5)
    lam = family.span.stratified(4096, 0.5, np.arange(4096))
    batch = family.corrupt_at(torch.from_numpy(x), lam[0], np.arange(4096), 0)
    bound = family.bound(logits.expand(4096, 8, 7), batch.x_BL, batch.z_BL, batch.log_snr_BL).mean(1)
    expected = -family.predict(logits)[5].log()
    assert float((bound * torch.from_numpy(lam[1])).mean()) == pytest.approx(float(expected), rel=0.02)


def test_it_trains_samples_and_is_exported(ladder: LadderDirectory, tmp_path) -> None:
    path = next(run.path for name, _, run in ladder.cells() if name.startswith("2masks-16"))
    model = difflaw.load(path)
    assert isinstance(model.family, TwoMasks)
    assert model.info["bound"] < np.log(8) + 1.0
    done = difflaw.generate(model, [[5, 6], [7]], max_tokens=8, steps=4, seed=1)
    assert done.sampler == "ancestral"
    assert not bool((done.tokens == model.mask_id).any())
    folder = tmp_path / "export"
    export(path, folder)
    again = difflaw.load(folder)
    assert isinstance(again.family, TwoMasks)
    z = torch.tensor([[5, 3, 2, 6]])
    assert torch.equal(again.logits(z), model.logits(z))
    assert TwoMasks.paper in (folder / "README.md").read_text(encoding="utf-8")
    assert torch.equal(difflaw.generate(again, [[5, 6], [7]], max_tokens=8, steps=4, seed=1).tokens, done.tokens)


def test_its_ladder_shows_it_in_its_own_colour(ladder: LadderDirectory) -> None:
    assert canonical("2masks") == "two-masks"
    assert style_of("2masks").colour == COLOUR
    assert in_order(["2masks", "zeta", "uniform"]) == ["uniform", "2masks", "zeta"]
    page = write_ladder_report(ladder).page.read_text(encoding="utf-8")
    assert "2masks" in page
    assert COLOUR in page
