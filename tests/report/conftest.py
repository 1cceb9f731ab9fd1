"""A ladder that never ran: six families, five sizes, three budgets on a planted surface."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from difflaw.law.results import FamilyLaws, FittedFamilies, Interval, PowerLaw, Profile, Surface, Vertex

FAMILIES = ("autoregressive", "masked", "low-uniform", "balanced", "high-uniform", "uniform")
SIZES = (198_000, 420_000, 900_000, 1_900_000, 4_100_000)
BUDGETS = (2e13, 6e13, 2e14)
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><b>",
    '"><img src=x onerror=alert(2)>',
    "<!--<script>",
    "$x_{$",
    "__under",
    "a\u2028b\x00c\u202ed",
)


def planted(family: int, params: float, tokens: float) -> float:
    return 1.2 + 0.03 * family + (6 + 0.5 * family) * params**-0.25 + (60 + 6 * family) * tokens**-0.31


def flops_per_token(params: float) -> float:
    return 6 * params + 3e5 * params**0.1


def fit_line(y: str, x: str, xs: np.ndarray, ys: np.ndarray) -> PowerLaw:
    centre = float(np.mean(np.log(xs)))
    design = np.log(xs) - centre
    slope, intercept = np.polyfit(design, np.log(ys), 1)
    residual = np.log(ys) - intercept - slope * design
    variance = max(float(residual @ residual) / max(len(xs) - 2, 1), 1e-7)
    covariance = ((variance / len(xs), 0.0), (0.0, variance / float(design @ design)))
    half = 12.7 * float(np.sqrt(covariance[1][1]))
    return PowerLaw(
        y=y,
        x=x,
        coefficient=float(np.exp(intercept - slope * centre)),
        exponent=float(slope),
        interval=Interval(slope - half, slope + half, 0.95, "exponent, Student t with 1 degree of freedom"),
        centre=centre,
        intercept=float(intercept),
        covariance=covariance,
        degrees_of_freedom=max(len(xs) - 2, 1),
        points=len(xs),
        rmse_log=float(np.sqrt(np.mean(residual**2))),
        x_range=(float(xs.min()), float(xs.max())),
    )


def fit_profile(family: str, index: int, budget: float, rng: np.random.Generator, sizes=SIZES) -> Profile:
    params = np.array(sizes, float)
    tokens = budget / np.array([flops_per_token(p) for p in sizes])
    loss = np.array([planted(index, p, d) for p, d in zip(params, tokens, strict=True)])
    loss *= np.exp(rng.normal(0, 0.001, len(loss)))
    centre = float(np.log(params).mean())
    c2, c1, c0 = np.polyfit(np.log(params) - centre, np.log(loss), 2)
    best = float(np.exp(centre - c1 / (2 * c2)))
    status = "interior" if params.min() * 1.2 < best < params.max() / 1.2 else "edge-high"
    if c2 <= 0:
        status = "not-convex"
    vertex = Vertex(
        best, budget / flops_per_token(best), flops_per_token(best), float(np.exp(c0 - c1**2 / 4 / c2)), 0.08, 0.001
    )
    return Profile(
        family=family,
        flops=budget,
        runs=tuple(f"{family}-{int(p)}" for p in params),
        params=tuple(params),
        tokens=tuple(tokens),
        loss=tuple(loss),
        loss_se=(0.004,) * len(loss),
        used=(True,) * (len(loss) - 1) + (False,),
        centre=centre,
        coefficients=(float(c0), float(c1), float(c2)),
        vertex=vertex if status != "not-convex" else None,
        status=status,  # type: ignore[arg-type]
        message="" if status == "interior" else "the minimum lies at the largest size: add a larger one",
    )


def fit_family(family: str, index: int, rng: np.random.Generator) -> FamilyLaws:
    sizes = {2: SIZES[:3], 5: SIZES}.get(index, SIZES)
    profiles = tuple(fit_profile(family, index, budget, rng, sizes) for budget in BUDGETS)
    good = [p for p in profiles if p.vertex is not None]
    flops = np.array([p.flops for p in good])

    def column(name: str) -> np.ndarray:
        return np.array([getattr(p.vertex, name) for p in good])

    surface = Surface(
        E=1.2,
        A=6.0,
        B=60.0,
        alpha=0.25,
        beta=0.31,
        params_exponent=0.55,
        intervals={"alpha": Interval(0.2, 0.3, 0.95, "pairs bootstrap of runs"), "E": Interval(0.9, 1.4, 0.95, "same")},
        huber_delta=1e-3,
        objective=1e-5,
        rmse_log=0.0012,
        condition=84.0,
        starts_agreeing=(4, 4),
        points=45,
        runs=15,
        warnings=("E is weakly identified: its interval reaches a third of the smallest loss",),
    )
    return FamilyLaws(
        family=family,
        profiles=profiles,
        params_law=fit_line("params", "flops", flops, column("params")),
        tokens_law=fit_line("tokens", "flops", flops, column("tokens")),
        flops_per_token_law=fit_line("flops_per_token", "flops", flops, column("flops_per_token")),
        loss_law=fit_line("loss", "flops", flops, column("loss")),
        token_bound_law=None,
        surface=surface if index != 3 else None,
        warnings=("the largest budget's minimum is at the edge",) if index == 2 else (),
    )


@dataclass(frozen=True)
class Ladder:
    laws: FittedFamilies
    table: pd.DataFrame
    context: dict
    published: list


def make_ladder(families: tuple[str, ...] = FAMILIES, text: str = "O, that this too too solid flesh") -> Ladder:
    rng = np.random.default_rng(0)
    fits = {family: fit_family(family, index, rng) for index, family in enumerate(families)}
    rows, cells = [], []
    for index, family in enumerate(families):
        for rung, params in enumerate(SIZES):
            for rate in (1e-3, 2e-3, 4e-3) if rung == 1 else (2e-3,):
                status = "diverged" if rung == 4 and index == 5 else "running" if rung == 4 and index == 0 else "done"
                run = f"{family}-{params}-{rate:g}"
                final = BUDGETS[-1] / flops_per_token(params)
                for tokens in np.geomspace(final / 60, final, 14):
                    loss = planted(index, params, tokens) * np.exp(rng.normal(0, 0.001))
                    loss *= 1 + 0.01 * np.log(rate / 2.2e-3) ** 2
                    if status == "diverged" and tokens > final / 3:
                        loss *= 1.35
                    rows.append(
                        {
                            "family": family,
                            "run": run,
                            "params": params,
                            "flops_per_token": flops_per_token(params),
                            "tokens": tokens,
                            "flops": tokens * flops_per_token(params),
                            "loss": loss,
                            "loss_se": 0.004,
                            "bits_per_byte": loss * 0.34,
                            "budget": np.nan,
                            "width": 64 * (rung + 1),
                            "depth": 2 + rung,
                            "batch_tokens": 16384,
                            "lr": rate,
                            "seed": 0,
                            "epochs": 0.3,
                            "status": status,
                        }
                    )
                cells.append(
                    {
                        "cell": run,
                        "family": family,
                        "rung": f"r{rung}",
                        "status": status,
                        "loss": rows[-1]["loss"],
                        "loss_se": 0.004,
                        "tokens": final,
                        "flops": BUDGETS[-1],
                        "seconds": 431.0,
                        "note": "loss rose by 35 %" if status == "diverged" else "",
                    }
                )
    laws = FittedFamilies(
        families=fits,
        params_convention="non-embedding",
        flops_convention="6N+attention",
        rows=len(rows),
        excluded=("uniform-4100000-0.002: diverged at 1.2M tokens",),
        warnings=("three budgets give one degree of freedom: intervals are wide",),
        notes={"loss": "bound, nats per token, constant learning rate"},
    )
    context = {
        "title": "A laptop ladder on Shakespeare",
        "corpus": "tiny-shakespeare, 1.1 MB, byte-level BPE of 512 entries",
        "samples": [text, "To be, or not to be\nthat is the question"],
        "entropy_floor": 1.3,
        "unigram_entropy": 5.1,
        "params_convention": "non-embedding",
        "flops_convention": "6N+attention",
        "cells": cells,
        "hyperparameters": [
            {"name": "lr", "value": 0.002, "rule": "0.9 · (B/…)^0.34", "source": "arXiv 2512.10858"},
            {"name": "beta2", "value": 0.99, "rule": "fixed", "source": "arXiv 2512.10858"},
        ],
        "reading": ["Autoregressive is lowest at every budget tried.", "Masked comes second, by 2 % at 2e14 FLOPs."],
        "warnings": ["one run diverged"],
    }
    published = [
        SimpleNamespace(
            family=family,
            quantity=quantity,
            exponent=exponent,
            low=low,
            high=high,
            convention="non-embedding, attention counted",
            source="arXiv 2512.10858",
        )
        for family, quantity, exponent, low, high in (
            ("masked", "params", 0.623, None, None),
            ("masked", "flops_per_token", 0.566, 0.544, 0.586),
            ("masked", "loss", -0.0496, None, None),
            ("uniform", "params", 0.648, None, None),
            ("uniform", "loss", -0.0522, None, None),
            ("duo", "params", 0.5, None, None),
        )
    ]
    return Ladder(laws, pd.DataFrame(rows), context, published)


@pytest.fixture(scope="session")
def ladder() -> Ladder:
    return make_ladder()


@pytest.fixture(scope="session")
def hostile_ladder() -> Ladder:
    """Every text a person or a corpus can put in is an attack, family names included."""
    made = make_ladder(families=HOSTILE, text=" ".join(HOSTILE))
    attack = " ".join(HOSTILE)
    context = {key: attack if isinstance(value, str) else value for key, value in made.context.items()}
    context["reading"] = [attack]
    context["warnings"] = [attack]
    context["hyperparameters"] = [{"name": attack, "value": attack, "rule": attack, "source": attack}]
    context["cells"] = [{key: attack for key in made.context["cells"][0]}]
    for record in made.published:
        record.source = record.convention = attack
    return Ladder(made.laws, made.table, context, made.published)
