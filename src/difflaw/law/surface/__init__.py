"""The loss as a function of size and tokens: its forms, their fit, its errors, and what it forecasts."""

from difflaw.law.surface.fit import METHODS, Method, fit_surface

__all__ = ["METHODS", "Method", "fit_surface"]
