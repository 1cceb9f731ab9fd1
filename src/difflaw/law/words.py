"""FittedFamilies read aloud: what the data say, what they cannot say, and how far."""

from __future__ import annotations

import math
from itertools import combinations

from difflaw.formatting import flops as in_flops
from difflaw.formatting import short_count
from difflaw.law.power import quantile
from difflaw.law.results import Estimate, FamilyLaws, FittedFamilies, PowerLaw
from difflaw.law.surface.hold_out import hold_out_text


def reading(laws: FittedFamilies) -> list[str]:
    """Sentences for someone who is no statistician: minima, exponents, comparisons of families, range, warnings."""
    lines = [_minima(f) for f in laws.families.values()]
    lines += [line for f in laws.families.values() if (line := _exponents(f))]
    for one, other in combinations(laws.families.values(), 2):
        lines += _compare(one, other)
    for family in laws.families.values():
        if family.hold_out is not None:
            lines += [f"{family.family}, surface: {line}" for line in hold_out_text(family.hold_out)]
    lines += _range(laws)
    without = [f.family for f in laws.families.values() if f.params_law is None and not _answered(f)]
    alone = [f.family for f in laws.families.values() if f.params_law is None and _answered(f)]
    if alone:
        lines.append(
            f"The minima alone give no law of the best size for {', '.join(alone)}: what is said of it rests on the "
            "surface through every run; see the warnings for what to run."
        )
    if without:
        lines.append(
            f"No law of the best size can be stated for {', '.join(without)}; see the warnings for what to run."
        )
    return lines


def _minima(family: FamilyLaws) -> str:
    total = len(family.profiles)
    inside = [p for p in family.profiles if p.status == "interior"]
    if not total:
        return f"{family.family}: no budget has runs of several sizes, so there is no isoFLOP profile."
    text = f"{family.family}: {len(inside)} of {total} budgets have their best size inside the sizes that were run"
    if inside and inside[-1].vertex is not None:
        v = inside[-1].vertex
        text += (
            f"; at {in_flops(inside[-1].flops)} it is {short_count(v.params)} parameters on {short_count(v.tokens)} "
            f"tokens, loss {v.loss:.3f}"
        )
    missed = [p.message for p in family.profiles if p.status != "interior" and p.message]
    return f"{text}." + (f" Not counted: {'; '.join(missed)}." if missed else "")


def _answered(family: FamilyLaws) -> bool:
    return family.answer is not None and family.answer.params_exponent is not None


def _exponents(family: FamilyLaws) -> str:
    given = family.answer
    if given is not None and given.params_exponent and given.tokens_exponent and given.loss_exponent:
        n, d, loss = (_estimate(e) for e in (given.params_exponent, given.tokens_exponent, given.loss_exponent))
        return _growth(family.family, n, d, loss)
    if family.params_law is None or family.tokens_law is None or family.loss_law is None:
        return ""
    n, d, loss = (_with_interval(law) for law in (family.params_law, family.tokens_law, family.loss_law))
    return _growth(family.family, n, d, loss)


def _growth(family: str, n: str, d: str, loss: str) -> str:
    return f"{family}: with compute C the best size grows as C^{n}, the tokens as C^{d}, and the loss as C^{loss}."


def _estimate(value: Estimate) -> str:
    digits = 4 if abs(value.estimate) < 0.2 else 3
    return f"{value.estimate:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def _with_interval(law: PowerLaw) -> str:
    digits = 4 if abs(law.exponent) < 0.2 else 3
    if law.interval is None:
        return f"{law.exponent:.{digits}f} (no interval: too few points)"
    low, high = law.interval.low, law.interval.high
    return f"{law.exponent:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def compare_exponents(one: PowerLaw, other: PowerLaw) -> tuple[float, float] | None:
    """(difference other - one, half width of its interval), the two being independent; None without intervals."""
    if one.interval is None or other.interval is None:
        return None
    halves = [(law.interval.high - law.interval.low) / 2 for law in (one, other) if law.interval]
    return other.exponent - one.exponent, math.hypot(*halves)


def compare_optima(one: FamilyLaws, other: FamilyLaws, level: float = 0.95) -> dict[str, tuple[float, float]]:
    """Mean ln ratio other/one of params, tokens and loss at the budgets where both have a minimum, with half widths.

    A paired comparison: budgets cancel. One run feeds several budgets, so the error is not divided by their number.
    The evaluation's error counts for each family although they share the text, so the interval of the loss is wide.
    Student's t on the scatter's degrees of freedom (the family with fewer); empty without a common budget.
    """
    first = {p.flops: p.vertex for p in one.profiles if p.vertex is not None}
    second = {p.flops: p.vertex for p in other.profiles if p.vertex is not None}
    common = sorted(set(first) & set(second))
    if not common:
        return {}
    dof = min(_scatter_dof(one), _scatter_dof(other))
    out = {}
    for name, se in (("params", "ln_params_se"), ("tokens", "ln_params_se"), ("loss", "ln_loss_se")):
        ratios = [math.log(getattr(second[c], name) / getattr(first[c], name)) for c in common]
        errors = [math.hypot(getattr(first[c], se), getattr(second[c], se)) for c in common]
        half = quantile(level, dof) * math.sqrt(sum(e * e for e in errors) / len(errors))
        out[name] = (sum(ratios) / len(ratios), half)
    return out


def _scatter_dof(family: FamilyLaws) -> int:
    """Points in excess of three on the family's parabolas: what its scatter was estimated from (0: from loss_se)."""
    return sum(sum(p.used) - 3 for p in family.profiles if p.coefficients is not None)


def _compare(one: FamilyLaws, other: FamilyLaws) -> list[str]:
    found = []
    optima = compare_optima(one, other)
    if optima:
        ratio, half = optima["params"]
        more = "more" if ratio > 0 else "fewer"
        less = "fewer" if ratio > 0 else "more"
        tokens = math.exp(optima["tokens"][0])
        shown = f"{math.exp(ratio):.2f} [{math.exp(ratio - half):.2f}, {math.exp(ratio + half):.2f}]"
        if abs(ratio) > half:
            text = f"{other.family} is best with {more} parameters and {less} tokens than {one.family} here"
        else:
            text = f"{other.family} and {one.family} cannot be distinguished by their best size here"
        text += f": size ratio {shown}, tokens ratio {tokens:.2f}, where both have a minimum."
        if not math.isfinite(half):
            text = f"{other.family} against {one.family}: size ratio {math.exp(ratio):.2f}, but with unknown error."
        found.append(text)
        gap, half = optima["loss"]
        if math.isfinite(half):
            verdict = ("lower" if gap < 0 else "higher") if abs(gap) > half else "not distinguishable"
            percent = f"{100 * math.expm1(gap):+.2f} % ± {100 * half:.2f} %"
            found.append(
                f"At those budgets the best loss of {other.family} against {one.family} is {verdict} ({percent})."
            )
    for quantity, law_one, law_other in (
        ("size", one.params_law, other.params_law),
        ("token", one.tokens_law, other.tokens_law),
        ("loss", one.loss_law, other.loss_law),
    ):
        difference = compare_exponents(law_one, law_other) if law_one and law_other else None
        if difference is None:
            continue
        gap, half = difference
        shown = f"{gap:+.4f} ± {half:.4f}"
        pair = f"{other.family} and {one.family}"
        if abs(gap) <= half:
            found.append(f"The {quantity} exponents of {pair} cannot be distinguished (difference {shown}).")
        else:
            found.append(f"The {quantity} exponents of {pair} differ (difference {shown}).")
    return found


def _range(laws: FittedFamilies) -> list[str]:
    fitted = [f.params_law.x_range for f in laws.families.values() if f.params_law]
    if not fitted:
        return []
    low, high = min(r[0] for r in fitted), max(r[1] for r in fitted)
    return [
        f"The laws were fitted from {in_flops(low)} to {in_flops(high)}. Past that they are extrapolations: real "
        "errors of extrapolation are larger than the intervals, which assume that the law's form holds."
    ]
