"""Named defaults of a config file: `paper`, how the first paper trains; `modern`, what was measured to pay."""

from __future__ import annotations

from typing import Any, Literal

Preset = Literal["paper", "modern"]

EVERYWHERE: dict[Preset, dict[str, Any]] = {
    "paper": {},
    "modern": {"optimizer": "muon"},
}
"""Keys of a ladder and of a single run alike; ``paper`` is what the keys default to."""

SINGLE_RUN: dict[Preset, dict[str, Any]] = {
    "paper": {},
    "modern": {"cooldown": 0.2},
}
"""Keys of a single run only. A ladder keeps its rate constant: with a cooldown only a run's last point would have one,
and the smaller budgets it passes would lie above the law of the larger ones."""


def with_preset(raw: Any, *, single: bool) -> Any:
    """``raw`` (a config file as read) and the preset's values for keys it does not give; its name stays."""
    preset = raw.get("preset") if isinstance(raw, dict) else None
    if preset not in ("paper", "modern"):
        return raw  # the field itself refuses what is no preset
    return {**EVERYWHERE[preset], **(SINGLE_RUN[preset] if single else {}), **raw}
