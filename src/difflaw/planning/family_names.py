"""Names of families that a plan treats alike, as tables and published laws spell them."""

from __future__ import annotations

AR = ("ar", "autoregressive")
"""Two names of one family."""
AUTOREGRESSIVE = (*AR, "all")
"""Families planned with what is known of autoregressive models; "all" is a table without a column of families."""
