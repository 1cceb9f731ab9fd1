"""The planted ladder that the law's tests use."""

from tests.law.conftest import truth

__all__ = ["truth"]
