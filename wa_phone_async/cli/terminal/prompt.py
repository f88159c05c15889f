"""Prompts for secrets: typed at a terminal that does not show them, or lines of a pipe."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from getpass import getpass
from typing import Final

from wa_phone_async.redaction import Secret, conceal, printable

from .output import tell
from .stdin import LineReader

_LONGEST: Final = 4096  # bytes; no code or PIN is as long


class NoInputError(Exception):
    """Nobody has typed what is needed, and nobody is there to try again."""


class Prompt:
    """Reads what a person types, or the lines of a pipe. It waits beside other work, so Ctrl-C ends it at once."""

    is_terminal: bool
    """Whether a person types, who can try again."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdin is not None and sys.stdin.isatty()
        self._lines: LineReader | None = None

    async def read(self, label: str) -> Secret:
        """Show a label, and read a line without the blanks around it. A traceback does not show it.

        Raises:
            NoInputError: Standard input has ended, or is closed.
        """
        name = label.strip(" :")
        if sys.stdin is None:
            raise NoInputError(f"standard input is closed: {name} is missing")
        # A pipe keeps one reader, which has read lines ahead. At a terminal a line that was typed before its label was
        # shown is not meant for it: a PIN that is typed into the prompt for the code would count as a wrong code.
        if self._lines is None or self.is_terminal:
            self._lines = LineReader(sys.stdin.fileno(), longest=_LONGEST)
        if self.is_terminal:
            _hide_typing(forget=True)
            _show(label)
        else:
            tell(label.strip())
        try:
            line = await self._lines.line()
        finally:
            if self.is_terminal:
                _show("\n")  # the terminal hides the one that is typed, too
        if line is None:
            raise NoInputError(f"standard input has ended: {name} is missing")
        return conceal(line.decode("utf-8", "replace").strip())


class _ConsolePrompt(Prompt):
    """A console of Windows, where all other work stands still until the line is typed."""

    async def read(self, label: str) -> Secret:
        return conceal(getpass(label, sys.stderr).strip())


@contextmanager
def prompting() -> Generator[Prompt]:
    """Give a prompt, and hide all that is typed while the block runs: people type ahead."""
    prompt = Prompt()
    if not prompt.is_terminal:
        yield prompt
        return
    try:
        import termios  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        yield _ConsolePrompt()
        return
    file, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(file)
    _hide_typing()
    # After Ctrl-Z and fg, most shells have set the terminal as they want it, and it would show a secret.
    loop.add_signal_handler(signal.SIGCONT, _hide_typing)
    try:
        yield prompt
    finally:
        loop.remove_signal_handler(signal.SIGCONT)
        with suppress(termios.error):  # the terminal was closed
            # TCSAFLUSH drops what was typed and not read: a shell would take it for a command, and keep it in its
            # history.
            termios.tcsetattr(file, termios.TCSAFLUSH, before)


async def confirm(text: str) -> bool:
    """Ask a person at a terminal whether to go on; only `y` and `yes` count. What is typed is shown."""
    _show(f"{text} [y/N] ")
    line = await LineReader(sys.stdin.fileno(), longest=_LONGEST).line()
    return line is not None and line.strip().lower() in {b"y", b"yes"}


def _hide_typing(*, forget: bool = False) -> None:
    """Let the terminal show nothing that is typed.

    Args:
        forget: Drop what was typed and not read.

    Raises:
        OSError: The terminal was closed.
    """
    import termios  # noqa: PLC0415 - see above

    file = sys.stdin.fileno()
    try:
        attributes = termios.tcgetattr(file)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(file, termios.TCSAFLUSH if forget else termios.TCSANOW, attributes)
    except termios.error as error:
        raise OSError(*error.args) from None


def _show(text: str) -> None:
    """Write to stderr without ending the line. If that fails, nothing happens."""
    with suppress(OSError):
        sys.stderr.write(text if text == "\n" else printable(text))
        sys.stderr.flush()
