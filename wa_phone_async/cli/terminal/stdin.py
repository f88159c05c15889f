"""Lines of standard input, read while other work goes on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress


class LineReader:
    """Reads the lines of a pipe, a terminal or a file, and lets other tasks run while it waits for more.

    It waits with `add_reader` and then reads what is there. The file stays in blocking mode: other programs on the same
    terminal share that mode, and some fail without it. Windows can only wait in a thread. That thread ends with the
    process, since nothing can interrupt its read.

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
        self._reads = deque[bytes]()  # what the thread has read
        self._is_reading = False  # in the thread

    async def line(self) -> bytes | None:
        """Read the next line, without its line break; `None` at the end."""
        while not (self._lines or self._is_ended):
            piece = await self._read()
            if not self._is_ended:  # by `end`, while this waited
                self._take(piece)
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

    async def _read(self) -> bytes:
        """Wait for something to read, and read it. It is empty at the end, and after `end`."""
        loop = asyncio.get_running_loop()
        self._ready.clear()
        try:
            loop.add_reader(self._file, self._ready.set)
        except NotImplementedError:
            return await self._read_in_thread(loop)
        except PermissionError:  # files need no waiting
            return os.read(self._file, self._longest)
        try:
            await self._ready.wait()
        finally:
            loop.remove_reader(self._file)
        return b"" if self._is_ended else os.read(self._file, self._longest)

    async def _read_in_thread(self, loop: asyncio.AbstractEventLoop) -> bytes:
        def read() -> None:
            piece = b""
            with suppress(OSError):  # the file was closed
                piece = os.read(self._file, self._longest)
            self._reads.append(piece)
            self._is_reading = False
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(self._ready.set)

        # What a read gets that nobody waits for any more is for the next line.
        if not self._reads and not self._is_reading:
            self._is_reading = True
            threading.Thread(target=read, name="wa-phone stdin", daemon=True).start()
        while not (self._reads or self._is_ended):
            await self._ready.wait()
            self._ready.clear()
        return self._reads.popleft() if self._reads else b""
