"""What a reader must know before believing a scaling law, filled in from the table and the fit, or "not given".

The questions follow the checklist that (Mis)Fitting (2502.18969) asks for, in our words and under the headings form,
training, data and fit (after its abstract; its table was not read), with one more heading for the checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from difflaw.conventions import UNSTATED
from difflaw.formatting import short_count
from difflaw.law.results import FamilyLaws, FittedFamilies
from difflaw.law.surface.forms import make_form
from difflaw.law.table.read import Table

NOT_GIVEN = "not given"

ASKED = {
    "data": "data and tokenizer",
    "architecture": "architecture, and how shape follows size",
    "optimizer": "optimizer",
    "schedule": "learning-rate schedule and warm-up",
    "tuning": "tuned at each size, or by a rule",
    "loss": "which loss (bound or likelihood, which split, checkpoint or end of run)",
    "evaluation": "how the loss was measured",
    "code": "code and data released",
}
"""What only the author of the table knows; keys of ``about``."""


@dataclass(frozen=True)
class Item:
    """One question and its answer."""

    heading: str
    question: str
    answer: str


def checklist(table: Table, laws: FittedFamilies, about: Mapping[str, str] | None = None) -> tuple[Item, ...]:
    """All items in a fixed order; ``about`` answers what no table says (keys of `ASKED`)."""
    frame: Any = table.frame
    given = {key: (about or {}).get(key) or NOT_GIVEN for key in ASKED}
    rows = [
        Item("form", "law", _forms(laws)),
        Item("form", "optimum", _optimum(laws)),
        Item("form", "how parameters are counted", _stated(laws.params_convention)),
        Item("form", "how FLOPs are counted", _stated(laws.flops_convention)),
        Item("form", "shared or fixed parameters", _shared(laws)),
        Item("training", "runs", _runs(frame)),
        Item("training", "range of sizes", _range(frame, "params")),
        Item("training", "range of tokens", _range(frame, "tokens")),
        Item("training", "tokens per parameter", _spread(frame["tokens"] / frame["params"])),
        Item("training", "repeated data", _column(frame, "epochs", "up to {high} epochs")),
        Item("training", "batch, tokens", _column(frame, "batch_tokens", "{low} to {high}")),
        Item("training", "learning rate", _column(frame, "lr", "{low} to {high}")),
        Item("training", "seeds", _seeds(frame)),
        *(Item("training", ASKED[key], given[key]) for key in ("architecture", "optimizer", "schedule", "tuning")),
        Item("data", ASKED["data"], given["data"]),
        Item("data", "a point is", _points(frame)),
        Item("data", ASKED["loss"], given["loss"]),
        Item("data", ASKED["evaluation"], given["evaluation"]),
        Item("data", "left out", "; ".join(table.excluded) if table.excluded else "nothing"),
        Item("data", "computed here", "; ".join(table.notes) if table.notes else "nothing"),
        Item("fit", "objective", _objective(laws)),
        Item("fit", "starts that agree", _starts(laws)),
        Item("fit", "software", _software()),
        Item("check", "intervals", _intervals(laws)),
        Item("check", "error of the fit, ln loss", _errors(laws)),
        Item("check", "error of forecast of larger runs", _held_out(laws)),
        Item("check", "optima inside the sizes run", _inside(laws)),
        Item("check", "warnings", _warnings(laws)),
        Item("check", ASKED["code"], given["code"]),
    ]
    return tuple(rows)


def _stated(convention: str) -> str:
    return NOT_GIVEN if convention == UNSTATED else convention


def _forms(laws: FittedFamilies) -> str:
    forms = []
    if any(f.params_law for f in laws.families.values()):
        forms.append("isoFLOP parabola in ln N at each budget, then N*, D*, L* = coefficient · C^exponent")
    for name, family in laws.families.items():
        if (s := family.surface) is not None:
            forms.append(f"{name}: {make_form(s.form, s.entropy).equation} ({s.form}: {family.form_reason})")
    return "; ".join(forms) or "none could be fitted"


def _optimum(laws: FittedFamilies) -> str:
    if not any(f.params_law or f.surface for f in laws.families.values()):
        return NOT_GIVEN
    return "vertex of each parabola; on the surface N* ∝ C^(beta/(alpha+beta)) at C = FLOPs per token · D"


def _shared(laws: FittedFamilies) -> str:
    held = {"tied": "alpha = beta", "zero": "E = 0", "fixed": "E at the known entropy", "kaplan": "no floor"}
    used = _each(laws, lambda family: held.get(family.surface.form, "") if family.surface else "")
    alone = "each family is fitted by itself"
    if len(laws.families) > 1:
        alone += "; exponents and floors of additive laws lean on those of the other families"
    return f"{alone}; {used}" if used else f"none: {alone}"


def _runs(frame: Any) -> str:
    parts = [f"{family} {group['run'].nunique()}" for family, group in frame.groupby("family", sort=True)]
    return f"{frame.groupby(['family', 'run']).ngroups} ({', '.join(parts)}), {len(frame)} points"


def _range(frame: Any, column: str) -> str:
    return f"{short_count(float(frame[column].min()))} to {short_count(float(frame[column].max()))}"


def _spread(values: Any) -> str:
    low, middle, high = (float(v) for v in np.quantile(values, [0.0, 0.5, 1.0]))
    return f"{low:.3g} to {high:.3g}, median {middle:.3g}"


def _column(frame: Any, column: str, words: str) -> str:
    if column not in frame or not np.isfinite(frame[column].to_numpy(float)).any():
        return NOT_GIVEN
    low, high = float(frame[column].min()), float(frame[column].max())
    return f"{high:.4g}" if low == high and "{low}" in words else words.format(low=f"{low:.4g}", high=f"{high:.4g}")


def _seeds(frame: Any) -> str:
    if "seed" not in frame:
        return NOT_GIVEN
    return f"{frame['seed'].nunique()}"


def _points(frame: Any) -> str:
    along = len(frame) > frame.groupby(["family", "run"]).ngroups
    return "an evaluation along a run; runs give several" if along else "a run's end"


def _objective(laws: FittedFamilies) -> str:
    surfaces = [f.surface for f in laws.families.values() if f.surface is not None]
    parts = ["least squares in ln loss for parabolas, weighted least squares in logarithms for laws"]
    if surfaces:
        low, high = min(s.huber_delta for s in surfaces), max(s.huber_delta for s in surfaces)
        span = f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}"
        parts.append(f"Huber loss on ln loss for surfaces, delta {span}")
    return "; ".join(parts)


def _each(laws: FittedFamilies, say: Any) -> str:
    parts = [f"{name}: {text}" for name, family in laws.families.items() if (text := say(family))]
    return "; ".join(parts)


def _starts(laws: FittedFamilies) -> str:
    def say(family: FamilyLaws) -> str:
        return "" if family.surface is None else "{} of {}".format(*family.surface.starts_agreeing)

    return _each(laws, say) or "no surface was fitted"


def _intervals(laws: FittedFamilies) -> str:
    kinds = {law.interval.kind for f in laws.families.values() for law in _laws_of(f) if law.interval is not None}
    for family in laws.families.values():
        if family.surface is not None:
            kinds |= {interval.kind for interval in family.surface.intervals.values()}
    return "; ".join(sorted(kinds)) or "none: too few points"


def _laws_of(family: FamilyLaws) -> list[Any]:
    every = (family.params_law, family.tokens_law, family.flops_per_token_law, family.loss_law, family.token_bound_law)
    return [law for law in every if law is not None]


def _errors(laws: FittedFamilies) -> str:
    def say(family: FamilyLaws) -> str:
        parts = []
        if family.loss_law is not None:
            parts.append(f"law {family.loss_law.rmse_log:.2g}")
        if family.surface is not None:
            parts.append(f"surface {family.surface.rmse_log:.2g}")
        return ", ".join(parts)

    return _each(laws, say) or NOT_GIVEN


def _held_out(laws: FittedFamilies) -> str:
    def say(family: FamilyLaws) -> str:
        held = family.hold_out
        if held is None:
            return ""
        own = [t for t in held.tests if t.form == held.form]
        farthest = max(own, key=lambda t: t.factor)
        return (
            f"root mean square {farthest.rmse_out:.2g} up to {farthest.factor:.0f} times beyond the cutoff (inside "
            f"{farthest.rmse_in:.2g}), largest run {farthest.largest:+.2g}; {100 * held.nominal:g} % intervals for one "
            f"run held {100 * held.coverage:.0f} % of {held.judged} (not widened: {100 * held.coverage_plain:.0f} %)"
        )

    return _each(laws, say) or "not measured (a hold-out is made on request, where enough runs lie below a cutoff)"


def _inside(laws: FittedFamilies) -> str:
    def say(family: FamilyLaws) -> str:
        inside = sum(p.status == "interior" for p in family.profiles)
        return f"{inside} of {len(family.profiles)}" if family.profiles else "no profiles"

    return _each(laws, say)


def _warnings(laws: FittedFamilies) -> str:
    count = len(laws.warnings) + sum(len(f.warnings) for f in laws.families.values())
    return f"{count}, listed with the laws" if count else "none"


def _software() -> str:
    import scipy

    from difflaw.version import __version__

    return f"difflaw {__version__}, NumPy {np.__version__}, SciPy {scipy.__version__}"
