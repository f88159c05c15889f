"""How --help looks: like a manual page, in paragraphs that fit the width."""

from __future__ import annotations

import sys
from typing import Any, Final, NoReturn

from cyclopts.help import HelpEntry, HelpPanel
from rich.console import Console, ConsoleOptions
from rich.text import Text

from .output import broken, takes_escapes, terminal_width

_WIDEST: Final = 100
_INDENT: Final = "  "


class HelpConsole(Console):
    """Where help goes: stdout, in bold on a terminal only, and as wide as people can read."""

    def __init__(self) -> None:
        super().__init__(
            file=sys.stdout,
            force_terminal=takes_escapes(sys.stdout),
            width=min(terminal_width(sys.stdout) or 80, _WIDEST),
            highlight=False,
            markup=False,
            emoji=False,
        )

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the caller; rich itself would end the process with status 1."""
        raise BrokenPipeError


class ManualPage:
    """Formats help as plain paragraphs under headings; cyclopts calls it for one part after the other."""

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Write how the command is called."""
        console.print("USAGE")
        _write(console, options, str(usage))

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Write what the command does."""
        for paragraph in _plain(description, console).split("\n\n"):
            console.print()
            _write(console, options, paragraph, indent="")

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Write a group of commands or options."""
        if not panel.entries:
            return
        console.print()
        console.print(_plain(panel.title, console).upper())
        if panel.format == "command":
            widest = max(len(_labels(entry)) for entry in panel.entries)
            for entry in panel.entries:
                _write(console, options, _plain(entry.description, console), label=f"{_labels(entry):{widest}}  ")
        else:
            for entry in panel.entries:
                console.print(Text(f"{_INDENT}{_labels(entry)}", style="bold"), soft_wrap=True)
                _write(console, options, f"{_plain(entry.description, console)} {_facts(entry)}", indent=3 * _INDENT)


def _labels(entry: HelpEntry) -> str:
    return ", ".join(entry.display_labels_with_metavar)


def _facts(entry: HelpEntry) -> str:
    """What holds of an option besides: whether it must be there, what it may be, and what it is unless told."""
    facts = ["required"] if entry.required else []
    if entry.choices:
        facts.append(f"one of: {', '.join(entry.choices)}")
    if entry.default is not None:
        facts.append(f"default: {entry.default}")
    return f"[{'; '.join(facts)}]" if facts else ""


def _plain(text: Any, console: Console) -> str:
    """The text of what cyclopts made of a docstring."""
    with console.capture() as capture:
        console.print(text, soft_wrap=True, no_wrap=True)
    return capture.get().strip()


def _write(console: Console, options: ConsoleOptions, text: str, *, indent: str = _INDENT, label: str = "") -> None:
    first, later = indent + label, indent + " " * len(label)
    for line in broken(" ".join(text.split()), options.max_width, first=first, later=later):
        styled = Text(line)
        styled.stylize("bold", 0, len(indent + label))
        console.print(styled, soft_wrap=True)
