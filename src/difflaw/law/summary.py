"""A fit in three lines that can be acted on, and its warnings, the worst first."""

from __future__ import annotations

import math

from difflaw.formatting import flops as in_flops
from difflaw.formatting import short_count
from difflaw.law.document import Laws
from difflaw.law.odds import verdict
from difflaw.law.results import Answer, AnswerAt, Estimate, FamilyLaws

SHOWN = 3
"""Messages of single budgets that are listed; more are counted."""


def summary(laws: Laws) -> list[str]:
    """Best size, tokens and loss at the largest budget, at ten times it, and how sure that is, of which family."""
    name, given = _leader(laws)
    if given is None or given.largest is None or given.ten_times is None:
        reasons = [f"{n}: {f.answer.reason}" for n, f in laws.families.items() if f.answer is not None]
        return ["No answer: " + ("; ".join(reasons) or "no family could be fitted")]
    return [_at(given.largest), _at(given.ten_times), _sure(laws, name, given)]


def _leader(laws: Laws) -> tuple[str, Answer | None]:
    """The family that the lines are of: the likeliest winner at ten times, else the first with an answer."""
    if laws.standings:
        name = laws.standings[-1].families[0].family
        return name, laws.families[name].answer
    for name, family in laws.families.items():
        if family.answer is not None and family.answer.largest is not None:
            return name, family.answer
    return "", None


def _at(at: AnswerAt) -> str:
    loss = at.loss
    what = "no loss can be stated"
    if loss is not None:
        what = f"loss {loss.estimate:.4f} (one run: {loss.run[0]:.4f} to {loss.run[1]:.4f})"
    if at.params is None or at.tokens is None:
        return f"{in_flops(at.flops)}: {what}; no best size can be stated."
    return f"{in_flops(at.flops)}: {_span(at.params)} parameters on {_span(at.tokens)} tokens, {what}."


def _span(value: Estimate) -> str:
    return f"{short_count(value.estimate)} [{short_count(value.low)}, {short_count(value.high)}]"


def _sure(laws: Laws, name: str, given: Answer) -> str:
    who = "" if name in ("", "all") else f"{name}: "
    if laws.standings:
        at = laws.standings[-1]
        who = f"{verdict(at.chances)} at {in_flops(at.flops)}. {name}: "
    size = given.ten_times.params if given.ten_times is not None else None
    if size is None:
        return f"{who}{given.reason}."
    factor = math.sqrt(size.high / size.low)
    how = "well known" if factor < 1.25 else "known roughly" if factor < 2 else "hardly known"
    return f"{who}the size is {how} (within a factor {factor:.3g} at ten times the largest budget); {given.reason}."


def warnings_in_order(laws: Laws) -> list[str]:
    """Every warning of a fit: what has no answer, runs that lie off, the surface, the table, then single budgets."""
    first, middle, last = [], [], []
    for name, family in laws.families.items():
        label = "" if name == "all" else f"{name}: "
        if family.answer is not None and family.answer.largest is None:
            first.append(f"{label}no answer: {family.answer.reason}")
        plain, budgets = _split(family)
        for text in plain:
            (middle if text.startswith("surface: ") else first).append(label + text)
        last += [label + text for text in budgets[:SHOWN]]
        if len(budgets) > SHOWN:
            last.append(f"{label}{len(budgets) - SHOWN} more budgets without a minimum that counts")
    return [*first, *middle, *laws.warnings, *last]


def _split(family: FamilyLaws) -> tuple[list[str], list[str]]:
    """(warnings, messages of single budgets)."""
    single = {p.message for p in family.profiles if p.message}
    plain = [w for w in family.warnings if w not in single]
    return plain, [w for w in family.warnings if w in single]
