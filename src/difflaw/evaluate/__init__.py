"""Judge a trained model: its bound with a standard error."""

from difflaw.evaluate.bound import BoundEstimate, validation_bound

__all__ = ["BoundEstimate", "validation_bound"]
