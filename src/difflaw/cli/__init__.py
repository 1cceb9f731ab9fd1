"""The command line: one verb a file; parses, calls, prints. `main` turns wrong input into exit code 2."""

from __future__ import annotations

import sys
from typing import Any


def main() -> None:
    """Entry point of ``difflaw`` and ``python -m difflaw``: what was wrong in one or two lines, exit code 2."""
    import typer

    from difflaw.training.threads import wait_passively

    wait_passively()  # before any verb loads torch
    from difflaw.cli.app import app
    from difflaw.errors import InputError

    # typer brings a copy of click of its own from some version on; its public exceptions lead to either
    bases = [c for c in typer.BadParameter.__mro__ if issubclass(c, Exception)]
    of_the_command_line: type[Exception] = next(c for c in bases if c.__name__ == "ClickException")
    try:
        code = app(prog_name="difflaw", standalone_mode=False)
    except InputError as error:
        print(f"difflaw: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except of_the_command_line as error:
        print(_usage(error), file=sys.stderr)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, typer.Abort):
        print("difflaw: stopped; run the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _usage(error: Any) -> str:
    """A fault of the command's words in a line, with where its help is; nothing was given: the help itself."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # typer has printed the help when it built the message
        return error.format_message().strip()
    verb = context.command_path if context is not None else "difflaw"
    return f"difflaw: {error.format_message().strip().replace('Value error, ', '')} (see {verb} --help)"
