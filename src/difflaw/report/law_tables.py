"""Tables of what was fitted: isoFLOP minima, surfaces, forecasts, and the hold-out behind them."""

from __future__ import annotations

from difflaw.formatting import UNKNOWN, fixed, scientific, short_count, significant, with_interval
from difflaw.law.results import FittedFamilies, HeldOut, Surface
from difflaw.report.cells import Grid, counted, family_cell, grid, status_cell
from difflaw.report.colours import in_order


def optima_table(laws: FittedFamilies) -> Grid:
    """One row an isoFLOP profile: its minimum, or why it has none that counts."""
    rows = []
    for family in in_order(laws.families):
        for profile in sorted(laws.families[family].profiles, key=lambda p: p.flops):
            at = profile.vertex
            found = [UNKNOWN] * 4
            if at is not None:
                found = [
                    short_count(at.params),
                    short_count(at.tokens),
                    significant(at.tokens / at.params),
                    fixed(at.loss, 4),
                ]
            status = status_cell(profile.status)
            rows.append([family_cell(family), scientific(profile.flops), *found, status, profile.message])
    headers = ["Family", "FLOPs", "N*", "D*", "D*/N*", "Loss", "Minimum", "Remark"]
    return grid("Minima of the isoFLOP profiles", headers, rows, numeric=(1, 2, 3, 4, 5))


def surface_table(laws: FittedFamilies) -> Grid | None:
    """Fits of L(N, D) = E + A·N^-α + B·D^-β; None where no family has one."""
    fits = {family: laws.families[family].surface for family in in_order(laws.families)}
    rows = [[family_cell(family), *_surface_row(fit)] for family, fit in fits.items() if fit is not None]
    if not rows:
        return None
    headers = ["Family", "Form", "E", "A", "B", "α", "β", "a = β/(α+β)", "RMS misfit in ln", "Condition"]
    headers += ["Starts agreeing", "Points", "Remark"]
    title = "Surfaces L(N, D) = E + A·N^-α + B·D^-β (or the form named), in brackets the interval for the law"
    return grid(title, headers, rows)


def _surface_row(fit: Surface) -> list[str]:
    def shown(name: str, value: float) -> str:
        interval = fit.intervals.get(name)
        return with_interval(value, interval.low, interval.high) if interval else significant(value, 4)

    numbers = [shown("E", fit.E), shown("A", fit.A), shown("B", fit.B), shown("alpha", fit.alpha)]
    numbers += [shown("beta", fit.beta), shown("params_exponent", fit.params_exponent)]
    agreeing = f"{fit.starts_agreeing[0]} of {fit.starts_agreeing[1]}"
    quality = [fixed(fit.rmse_log, 4), short_count(fit.condition), agreeing, f"{fit.points} ({fit.runs} runs)"]
    return [fit.form, *numbers, *quality, "; ".join(fit.warnings)]


def forecast_table(laws: FittedFamilies) -> Grid | None:
    """Exponent, best size, tokens and loss at each family's largest budget and ten times further."""
    rows = []
    for family in in_order(laws.families):
        given = laws.families[family].answer
        for at in (given.largest, given.ten_times) if given is not None else ():
            if at is None or at.loss is None:
                continue
            sizes = [UNKNOWN if v is None else counted(v.estimate, v) for v in (at.params, at.tokens)]
            low, high = ([fixed(end, 4) for end in pair] for pair in (at.loss.law, at.loss.run))
            spans = [f"[{a}, {b}]" for a, b in (low, high)]
            rows.append([family_cell(family), scientific(at.flops), *sizes, fixed(at.loss.estimate, 4), *spans])
    if not rows:
        return None
    headers = ["Family", "FLOPs", "N*, for the law", "D*, for the law", "Loss", "for the law", "for one new run"]
    return grid("Answers, in brackets 95 % intervals", headers, rows)


def hold_out_table(laws: FittedFamilies) -> Grid | None:
    """Every form at every cutoff: how far its forecasts of larger runs were off, and where exponent and E were."""
    held = {family: laws.families[family].hold_out for family in in_order(laws.families)}
    rows = [[family_cell(f), *_hold_out_row(t)] for f, found in held.items() if found for t in found.tests]
    if not rows:
        return None
    headers = ["Family", "Form", "Fitted up to", "Fitted", "Unseen", "Farthest, times", "Error inside"]
    headers += ["Error on the unseen", "Largest run", "a", "E"]
    return grid("Hold-out: fitted below a cutoff, asked about the runs above it", headers, rows, numeric=range(2, 11))


def _hold_out_row(t: HeldOut) -> list[object]:
    interval = t.params_exponent_interval
    exponent = with_interval(t.params_exponent, *((interval.low, interval.high) if interval else ()))
    size: list[object] = [t.form, scientific(t.cutoff), t.fitted, t.held_out, f"{t.factor:.3g}"]
    errors = [f"{100 * t.rmse_in:.2f} %", f"{100 * t.rmse_out:.2f} %", f"{100 * t.largest:+.1f} %"]
    return [*size, *errors, "1/2 by the form" if t.form == "tied" else exponent, fixed(t.floor)]
