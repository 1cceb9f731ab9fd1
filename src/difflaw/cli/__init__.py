"""The command line: one verb a file; parses, calls, prints. `main` turns wrong input into exit code 2."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of ``difflaw`` and ``python -m difflaw``."""
    from difflaw.training.threads import wait_passively

    wait_passively()  # before any verb loads torch
    from difflaw.cli.app import app
    from difflaw.errors import InputError

    try:
        app()
    except InputError as error:
        print(f"difflaw: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("difflaw: stopped; run the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None
