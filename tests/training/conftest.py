"""The small ladder that the ladder's tests use."""

from tests.ladder.conftest import cache, small, write_ladder

__all__ = ["cache", "small", "write_ladder"]
