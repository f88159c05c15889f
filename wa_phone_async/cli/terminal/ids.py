"""Ids of accounts from a file or a pipe: one in each line, and comments behind a #."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Final

from wa_phone_async import InvalidArgumentError

from .output import reason
from .stdin import LineReader
from .stopping import Stop

STDIN: Final = Path("-")

_LONGEST: Final = 1 << 16  # bytes of a line
_BYTE_ORDER_MARK: Final = "\ufeff"  # some programs begin a file with it


def count_ids(file: Path) -> int | None:
    """Count the ids of a file. It is `None` for a pipe, since counting would use it up."""
    if file == STDIN or not file.is_file():
        return None
    with _open(file) as lines:
        return sum(1 for line in lines if _id_in(line))


async def read_ids(file: Path, stop: Stop) -> AsyncGenerator[str]:
    """Read the ids of a file or of standard input, line by line, until you ask it to stop.

    Args:
        file: The file; `STDIN` is standard input, whose ids come as somebody writes them.
        stop: Ends the reading.

    Raises:
        InvalidArgumentError: There is no such file, or it has a line that is too long for an id.
    """
    with _open(file) as source:
        lines = LineReader(source.fileno(), longest=_LONGEST)
        stop.then(lines.end)
        while (line := await lines.line()) is not None:
            if len(line) >= _LONGEST:
                named = "standard input" if file == STDIN else file
                raise InvalidArgumentError(
                    "--wabas", "a file with an id in each line", hint=f"a line of {named} is too long for an id"
                )
            if waba_id := _id_in(line):
                yield waba_id


def _open(file: Path) -> AbstractContextManager[IO[bytes]]:
    if file == STDIN:
        if sys.stdin is None:  # closed. Another file may have got its number since.
            raise InvalidArgumentError("--wabas", "a file", hint="standard input is closed")
        return os.fdopen(os.dup(0), "rb")
    try:
        return file.open("rb")
    except OSError as error:
        problem = reason(error)
    raise InvalidArgumentError("--wabas", "a file with an id in each line", file, hint=problem)


def _id_in(line: bytes) -> str:
    """The id in a line; empty for an empty line and for a comment."""
    text = line.decode("utf-8", "replace").strip().strip(_BYTE_ORDER_MARK)
    return "" if text.startswith("#") else text
