"""Questions whose answers nobody may see: typed at a terminal that does not show them, or lines of a pipe."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from getpass import getpass
from typing import Final

from .output import printable, tell

_LONGEST: Final = 4096  # bytes; what is longer is no answer


class NoAnswerError(Exception):
    """There is no answer that could be used, and nobody who could be asked again."""


class Prompt:
    """Asks, and gives what was answered. It waits beside other work, so that Ctrl-C ends it at once."""

    is_terminal: bool
    """Whether a person is there, who can be asked again."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdin is not None and sys.stdin.isatty()
        self._rest = b""

    async def ask(self, question: str) -> str:
        """Ask, and give the answer without blanks around it.

        Raises:
            NoAnswerError: There is none.
        """
        if sys.stdin is None:
            raise NoAnswerError("standard input is closed, and nothing else is read for an answer")
        if not self.is_terminal:
            tell(question.strip())
            return _text(await self._line())
        self._rest = b""  # what was typed before anybody asked answers another question
        _silence(flush=True)
        _show(question)
        try:
            return _text(await self._line())
        finally:
            _show("\n")  # the one that was typed is not shown either

    async def _line(self) -> bytes:
        """The next line, or what stands at the end without one."""
        file = sys.stdin.fileno()
        while b"\n" not in self._rest and len(self._rest) < _LONGEST:
            await _readable(file)
            piece = os.read(file, _LONGEST)
            if not piece:
                break
            self._rest += piece
        if not self._rest:
            raise NoAnswerError("standard input has ended, and there is no answer")
        line, _, self._rest = self._rest.partition(b"\n")
        return line


class _ConsolePrompt(Prompt):
    """A terminal of Windows, where nothing else goes on while a key is waited for."""

    async def ask(self, question: str) -> str:
        return getpass(question, sys.stderr).strip()


@contextmanager
def prompting() -> Generator[Prompt]:
    """Let a program ask. A terminal shows nothing that is typed meanwhile, since people type ahead.

    What was typed and never asked for is forgotten at the end too, so that no shell takes it for a command.
    """
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
    _silence()
    loop.add_signal_handler(signal.SIGCONT, _silence)  # after Ctrl-Z a shell may have set the terminal anew
    try:
        yield prompt
    finally:
        loop.remove_signal_handler(signal.SIGCONT)
        with suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(file, termios.TCSAFLUSH, before)


def _silence(*, flush: bool = False) -> None:
    """Let the terminal show nothing that is typed, and with `flush` forget what was.

    Raises:
        OSError: It was closed.
    """
    import termios  # noqa: PLC0415 - see above

    file = sys.stdin.fileno()
    try:
        attributes = termios.tcgetattr(file)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(file, termios.TCSAFLUSH if flush else termios.TCSANOW, attributes)
    except termios.error as error:
        raise OSError(*error.args) from None


async def _readable(file: int) -> None:
    """Wait until there is something to read, which is so at its end too."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(file, ready.set)
    except (PermissionError, NotImplementedError):  # a file, for which nobody waits; a pipe of Windows
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(file)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip()


def _show(text: str) -> None:
    """Write to stderr without ending the line."""
    with suppress(BrokenPipeError):
        sys.stderr.write(text if text == "\n" else printable(text))
        sys.stderr.flush()
