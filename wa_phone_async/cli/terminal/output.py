"""What a command writes: data to stdout, all else to stderr, and no control character to a terminal."""

from __future__ import annotations

import os
import sys
import textwrap
from contextlib import suppress
from typing import IO

from wa_phone_async.redaction import printable

from .hiding import without_secrets


def write(text: str) -> None:
    """Write data to stdout, at once.

    Raises:
        BrokenPipeError: Nobody reads it any more.
        OSError: There is no room for it, or no other way to write it.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, f"standard output cannot be written: {reason(error)}") from error


def tell(text: str) -> None:
    """Write a message to stderr. If that fails, nothing happens: the work matters more than its messages.

    On a terminal the message is broken between words. Secrets are hidden.
    """
    line = printable(without_secrets(text))
    width = terminal_width(sys.stderr) if sys.stderr.isatty() else None
    lines = [line] if width is None or len(line) <= width else broken(line, width)
    with suppress(OSError):
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()


def broken(text: str, width: int, *, first: str = "", later: str = "") -> list[str]:
    """Break a text between words into lines of a width. A word that is longer keeps a longer line.

    Args:
        text: The text.
        width: The columns of a line.
        first: The indent of the first line.
        later: The indent of each other line.
    """
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )


def complain(text: str) -> None:
    """Write a message about an error to stderr, with the command's name in front."""
    tell(f"wa-phone: {text}")


def use_utf8() -> None:
    """Write data for programs in UTF-8 with the line ends that they have, whatever the terminal and the system use."""
    _encode(encoding="utf-8", newline="")


def _encode(**how: str) -> None:
    """Change how stdout encodes text. What it cannot, such as half of a surrogate pair, then becomes an escape."""
    if reconfigure := getattr(sys.stdout, "reconfigure", None):  # another stream may stand in its place
        reconfigure(errors="backslashreplace", **how)


def spell_out_unknown() -> None:
    """Write characters that the terminal's encoding lacks as escapes. By default they raise an error."""
    _encode()


def drop_unwritable() -> None:
    """Let stdout and stderr go nowhere if they still hold text that cannot be written.

    Python flushes both at its end. If that fails, the exit status becomes 120, whatever the command has returned.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader of a pipe has left, a disk is full, or a terminal was closed
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 number`, `2,000 numbers`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def terminal_width(file: IO[str]) -> int | None:
    """The columns of a terminal, or `None` for a pipe and a file: their lines may have any length.

    `COLUMNS` counts before the terminal's own width, and in a pipe too.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(file.fileno()).columns or None
    except (OSError, ValueError):  # no terminal; `ValueError` is also io.UnsupportedOperation
        return None


def takes_escapes(file: IO[str]) -> bool:
    """Whether to use colours and a moving cursor: on a terminal that knows them, unless `NO_COLOR` is set."""
    knows_them = os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}
    return file.isatty() and knows_them and not os.environ.get("NO_COLOR")


def reason(error: OSError) -> str:
    """The system's words for an error, without the file's name: a secret may stand in the place of the name."""
    return error.strerror or type(error).__name__
