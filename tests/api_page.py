"""docs/api.md from the docstrings of the front door. Run it to rewrite the page."""

from __future__ import annotations

import inspect
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/api.md"
HEAD = """# Python

What the shell does, as functions on DataFrames, paths and configs. `import difflaw` loads nothing heavy; each name is
imported when first used. Every example below is run by a test. This page is made from the docstrings (`make map`).
"""


def _signature(name: str, thing: object) -> str:
    try:
        text = str(inspect.signature(thing))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return name
    return f"{name}{text.split(' -> ')[0]}" if len(text) < 90 else f"{name}(…)"


def _doc(thing: object) -> list[str]:
    """A docstring as Markdown: examples in code fences, argument lists as they are."""
    out: list[str] = []
    fenced = False
    for line in (inspect.getdoc(thing) or "").splitlines():
        example = line.lstrip().startswith((">>>", "...")) or (fenced and line.strip() != "")
        section = line.startswith(("Args:", "Raises:", "Returns:", "Attributes:"))
        if example and not fenced:
            out.append("```python")
        if fenced and not example:
            out.append("```")
        fenced = example
        indented = line.startswith("    ") and not example
        wrapped = line.startswith("        ")
        out.append(
            f"**{line.rstrip(':')}**\n" if section else f"- {line.strip()}" if indented and not wrapped else line
        )
    return [*out, "```"] if fenced else out


def page() -> str:
    """The whole page."""
    import difflaw

    out = [HEAD]
    for name in difflaw._HOME:
        thing = getattr(difflaw, name)
        if inspect.ismodule(thing):
            out += [f"## difflaw.{name}\n", (thing.__doc__ or "").strip().splitlines()[0], ""]
            continue
        out += [f"## `difflaw.{_signature(name, thing)}`\n", *_doc(thing), ""]
        if not inspect.isclass(thing) or issubclass(thing, Exception):
            continue
        members = [(key, value) for key, value in vars(thing).items() if not key.startswith("_")]
        for key, value in members:
            function = value.__func__ if isinstance(value, classmethod) else value
            if isinstance(function, property):
                out += [f"- **`.{key}`** {(inspect.getdoc(function) or '').splitlines()[0]}"]
            elif inspect.isfunction(function):
                out += [f"- **`.{key}()`** {(inspect.getdoc(function) or '').splitlines()[0]}"]
        out.append("")
    return "\n".join(line.rstrip() for line in "\n".join(out).splitlines()).rstrip() + "\n"


def main() -> None:
    """Rewrite docs/api.md."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
