"""Ids of accounts out of a file or a pipe, one in each line; a line that begins with # is a comment."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Final

from wa_phone_async import InvalidArgumentError

from .output import reason
from .stopping import Stop

STDIN: Final = Path("-")

_PIECE_BYTES: Final = 1 << 16
_MARK: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"  # with which some programs begin a file


def count_ids(file: Path) -> int | None:
    """How many ids a file has, or `None` where that cannot be known without using it up."""
    if file == STDIN or not file.is_file():
        return None
    with _open(file) as lines:
        return sum(1 for line in lines if _id_in(line))


async def read_ids(file: Path, stop: Stop) -> AsyncGenerator[str]:
    """The ids of a file or of standard input, until it is asked to stop; a pipe is read as it comes.

    Raises:
        InvalidArgumentError: It cannot be read.
    """
    with _open(file) as lines:
        if _keeps_waiting(lines):
            async for line in _as_they_come(lines.fileno(), stop):
                if waba_id := _id_in(line):
                    yield waba_id
        else:
            for line in lines:
                if stop.is_asked:
                    return
                if waba_id := _id_in(line):
                    yield waba_id


def _open(file: Path) -> AbstractContextManager[IO[bytes]]:
    if file == STDIN:
        if sys.stdin is None:  # what else has its number then is no file of ids
            raise InvalidArgumentError("--wabas", "a file", hint="standard input is closed")
        return os.fdopen(os.dup(0), "rb")
    try:
        return file.open("rb")
    except OSError as error:
        problem = reason(error)
    raise InvalidArgumentError("--wabas", "a file with an id in each line", file, hint=problem)


def _id_in(line: bytes) -> str:
    """The id of a line; none where it is empty, or says something to people."""
    text = line.decode("utf-8", "replace").strip().strip(_MARK)
    return "" if text.startswith("#") else text


def _keeps_waiting(lines: IO[bytes]) -> bool:
    """Whether reading may wait for somebody to write: a pipe, a socket or a terminal."""
    mode = os.fstat(lines.fileno()).st_mode
    return os.name != "nt" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or lines.isatty())


async def _as_they_come(pipe: int, stop: Stop) -> AsyncGenerator[bytes]:
    """The lines of a pipe or a terminal.

    It is left as it is, and not made one that never blocks: what is written on the same terminal would suffer from it.
    """
    ready, rest = asyncio.Event(), b""
    stop.then(ready.set)
    while await _is_readable(pipe, ready, stop) and (piece := os.read(pipe, _PIECE_BYTES)):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > _PIECE_BYTES:
            raise InvalidArgumentError(
                "--wabas", "a file with an id in each line", hint="a line of standard input is too long for an id"
            )
    yield rest


async def _is_readable(pipe: int, ready: asyncio.Event, stop: Stop) -> bool:
    """Wait until there is something to read, which is so at its end too, or it is asked to stop."""
    loop = asyncio.get_running_loop()
    ready.clear()
    if not stop.is_asked:
        loop.add_reader(pipe, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(pipe)
    return not stop.is_asked
