"""Reading in two parts with the cache is reading at once with the first part blind to the second."""

from __future__ import annotations

import pytest
import torch

from tests.families.helpers import random_network


@pytest.mark.parametrize("options", [{}, {"sink": False, "qk_norm": False}, {"adaln": True}])
@torch.no_grad()
def test_two_parts_are_the_whole(options: dict) -> None:
    model = random_network(11, 16, **options)
    z = torch.randint(4, 11, (3, 10), generator=torch.Generator().manual_seed(0))
    at = torch.arange(10).expand(3, -1)
    noised = torch.arange(10) >= 6
    whole = model.hidden(z, noised[:, None] >= noised[None, :])
    cache = model.new_cache(3, 1)  # grows
    first = model.hidden(z[:, :6], None, at[:, :6], cache=cache)
    cache.keep(torch.ones(3, 6, dtype=torch.bool))
    for _ in range(2):  # what is not kept leaves no trace
        second = model.hidden(z[:, 6:], None, at[:, 6:], cache=cache)
    both = torch.cat([first, second], 1)
    assert (both - whole).abs().max() <= 1e-5 * whole.abs().max()
    cache.select(torch.tensor([2]))
    one = model.hidden(z[2:, 6:], None, at[2:, 6:], cache=cache)
    assert (one - whole[2:, 6:]).abs().max() <= 1e-5 * whole.abs().max()


@torch.no_grad()
def test_what_a_row_may_not_see_does_not_matter() -> None:
    model = random_network(11, 16)
    at = torch.arange(4).expand(1, -1)

    def read(stranger: int) -> torch.Tensor:
        cache = model.new_cache(1, 8)
        model.hidden(torch.tensor([[5, 6, stranger, 7]]), torch.eye(4, dtype=torch.bool), at, cache=cache)
        cache.keep(torch.tensor([[True, True, False, True]]))
        return model.hidden(torch.tensor([[8, 9]]), None, torch.tensor([[4, 5]]), cache=cache)

    assert torch.equal(read(4), read(10))


def test_positions_must_be_given() -> None:
    model = random_network(11, 16)
    with pytest.raises(ValueError, match="positions"):
        model.hidden(torch.tensor([[5]]), cache=model.new_cache(1, 1))
