"""The commands, one module each. A module is imported when its command runs: see `cli/app.py`."""

from __future__ import annotations

from cyclopts import App, Group


def new_command(name: str, usage: str, examples: str) -> App:
    """Make a command that has no function yet. Its `default` decorates the function."""
    return App(name=name, usage=usage, help_epilogue=epilogue(examples))


def new_subcommand(command: App, name: str, usage: str, examples: str) -> App:
    """Make a command of a command, such as `wa-phone name status`, that has no function yet."""
    app = new_command(name, usage, examples)
    app.group_parameters = Group("Options", sort_key=1)
    app.sort_key = len([*command])  # --help lists them in the order in which they are made
    command.command(app)
    return app


def epilogue(examples: str) -> str:
    """Make the end of a help page: lines that one can copy."""
    return f"Examples:\n```text\n{examples}```"
