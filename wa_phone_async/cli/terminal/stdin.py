"""Lines of standard input, read while other work goes on."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable


class LineReader:
    """Reads the lines of a pipe, a terminal or a file, and lets other tasks run while it waits for more.

    It waits with `add_reader` and then reads what is there. The file stays in blocking mode: other programs on the same
    terminal share that mode, and some fail without it.

    Args:
        file: The number of the open file.
        longest: The bytes that a line may have. A longer one is given in pieces, each at least that long.
        transcode: Changes each piece before it is cut into lines. It gets an empty one at the end.
    """

    def __init__(self, file: int, *, longest: int, transcode: Callable[[bytes], bytes] = bytes) -> None:
        self._file = file
        self._transcode = transcode
        self._longest = longest
        self._lines = deque[bytes]()
        self._rest = b""
        self._ready = asyncio.Event()
        self._is_ended = False

    async def line(self) -> bytes | None:
        """Read the next line, without its line break; `None` at the end."""
        while not (self._lines or self._is_ended):
            await self._wait()
            if not self._is_ended:  # by `end`, while this waited
                self._take(os.read(self._file, self._longest))
        return self._lines.popleft() if self._lines else None

    def arrived(self) -> tuple[bytes, ...]:
        """The lines that were read already, and that `line` gives next."""
        return tuple(self._lines)

    def end(self) -> None:
        """Give no further line. A task that waits for one gets `None` at once."""
        self._is_ended = True
        self._lines.clear()
        self._ready.set()

    def _take(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + self._transcode(piece)).split(b"\n")
        self._lines.extend(lines)
        if len(self._rest) >= (self._longest if piece else 1):  # an empty piece is the end, and ends the last line too
            self._lines.append(self._rest)
            self._rest = b""
        self._is_ended = not piece

    async def _wait(self) -> None:
        """Wait for something to read; the end counts as such."""
        loop = asyncio.get_running_loop()
        self._ready.clear()
        try:
            loop.add_reader(self._file, self._ready.set)
        except (PermissionError, NotImplementedError):  # files need no waiting; on Windows, pipes block
            return
        try:
            await self._ready.wait()
        finally:
            loop.remove_reader(self._file)
