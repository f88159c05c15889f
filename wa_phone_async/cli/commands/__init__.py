"""The commands, one module each. A module is imported when its command runs: see `cli/app.py`."""

from __future__ import annotations

from cyclopts import App


def new_command(name: str, usage: str, examples: str) -> App:
    """Make a command that has no function yet. Its `default` decorates the function."""
    return App(name=name, usage=usage, help_epilogue=epilogue(examples))


def epilogue(examples: str) -> str:
    """Make the end of a help page: lines that one can copy."""
    return f"Examples:\n```text\n{examples}```"
