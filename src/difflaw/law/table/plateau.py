"""The plateau as a rule on rows: a network that knows only how often tokens come says nothing of size or data.

Before a diffusion model learns from context its loss stays near the entropy of single tokens, at every size, for as
many tokens as its size and its noise ask; then it falls faster than any power of the data. A surface fitted through
the plateau bends to it. Where a table says what that entropy is, rows near it are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LEARNT = 0.9
"""Share of the entropy of single tokens below which a loss shows that context is used. A document's own frequencies
alone bring it to about 0.93 (measured: 4.63 nats of 4.96 on the standard library's text, before context is used)."""


def on_plateau(frame: Any) -> np.ndarray:
    """Whether each row of a canonical data frame shows a network that has not learnt from context, shape (n,).

    Tables without the column ``unigram_entropy`` (nats per token) have none.
    """
    if "unigram_entropy" not in frame:
        return np.zeros(len(frame), bool)
    return frame["loss"].to_numpy(float) > LEARNT * frame["unigram_entropy"].to_numpy(float)


def plateau_text(frame: Any) -> list[str]:
    """A sentence for each family with rows on the plateau."""
    out, gone = [], on_plateau(frame)
    for name in sorted(set(frame["family"][gone])):
        own = (frame["family"] == name).to_numpy()
        out.append(
            f"{name}: {int((own & gone).sum())} of {int(own.sum())} rows lie on the plateau before context is used "
            f"(loss above {LEARNT:g} times the entropy of single tokens) and carry no law"
        )
    return out
