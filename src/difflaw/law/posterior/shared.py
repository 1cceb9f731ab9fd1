"""What families of one table say of each other: ln alpha, ln beta and ln E scatter around common means.

Empirical Bayes on normal summaries of each family's own draws (EM; Dempster et al. 1977): means and spreads are
estimated from all families, and each is then given what the *others* know, so that no row counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from difflaw.law.posterior.model import INTERACTION
from difflaw.law.posterior.posterior import Posterior

USUAL_SPREAD = np.array([0.09, 0.035, 0.04])
"""Of ln alpha, ln beta, ln E between the five noise types of 2512.10858 (.03/.32, .012/.36, .04; rounded up)."""
BELIEF = 2.0
"""How many families' worth of evidence the usual spread counts for."""
ROUNDS = 200
PLACES = [3, 4, 2]


def shared_priors(families: Mapping[str, Posterior]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(mean, precision) of (ln alpha, ln beta, ln E) for each family, from the others; empty for fewer than two.

    Only families whose law is more likely additive than not take part: in the other form the parameters mean something
    else.
    """
    known = {name: post for name, post in families.items() if post.forms.get("additive", 0.0) > 0.5}
    if len(known) < 2:
        return {}
    summaries = [_summary(post) for post in known.values()]
    values, errors = np.array([s[0] for s in summaries]), np.array([s[1] for s in summaries])
    count = len(known)
    spread = 3 * USUAL_SPREAD
    mean = np.median(values, axis=0)
    for _ in range(ROUNDS):
        before = spread
        own = np.linalg.inv(np.linalg.inv(errors) + np.diag(spread**-2.0))
        drawn = mean + np.einsum("fij,fjk,fk->fi", own, np.linalg.inv(errors), values - mean)
        mean = drawn.mean(0)
        scatter = ((drawn - mean) ** 2 + np.einsum("fii->fi", own)).sum(0)
        spread = np.sqrt((scatter + BELIEF * USUAL_SPREAD**2) / (count - 1 + BELIEF))
        if np.max(np.abs(np.log(spread / before))) < 1e-5:
            break
    wide = np.diag(spread**2)
    weight = np.linalg.inv(errors + wide)
    out = {}
    for i, name in enumerate(known):
        others = np.delete(np.arange(count), i)
        precision = weight[others].sum(0)
        centre = np.linalg.solve(precision, np.einsum("fij,fj->i", weight[others], values[others]))
        out[name] = (centre, np.linalg.inv(np.linalg.inv(precision) + wide))
    return out


def _summary(post: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """Median and covariance of (ln alpha, ln beta, ln E) over additive draws; a long tail sets no scale."""
    draws = post.theta[~np.any(post.theta[:, INTERACTION], axis=1)][:, PLACES]
    low, middle, high = np.quantile(draws, [0.16, 0.5, 0.84], axis=0)
    sd = np.maximum((high - low) / 2, 1e-6)
    standard = np.clip((draws - middle) / sd, -3, 3)
    standard -= standard.mean(0)
    norm = np.maximum(np.sqrt((standard**2).mean(0)), 1e-9)
    correlation = (standard.T @ standard) / len(standard) / np.outer(norm, norm)
    np.fill_diagonal(correlation, 1 + 1e-6)
    return middle, correlation * np.outer(sd, sd)
