"""Lines that outlive a kill: each is synced to the disk, and nobody can change one unseen.

A line is a JSON object. Its last member is the CRC-32 of the bytes before that member, in this line and in all lines
before it. So a line that was changed, removed, moved or doubled is found. Only lost lines at the end look like a kill.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

END: Final = re.compile(rb',"journal_crc32":"[0-9a-f]{8}"}')
"""The last member of a line."""


def make_line(entry: Mapping[str, Any], before: int) -> tuple[bytes, int]:
    """An entry as a line behind lines with the checksum `before`, and the checksum of all of them."""
    body = json.dumps(entry, separators=(",", ":")).encode().removesuffix(b"}")
    checksum = zlib.crc32(body, before)
    return body + _end(checksum), checksum


def _end(checksum: int) -> bytes:
    return b',"journal_crc32":"%08x"}\n' % checksum


def read_line(line: bytes, before: int) -> tuple[dict[str, Any], int] | None:
    """An entry and the checksum of all lines up to it, or `None` if the line is not what was written."""
    body = line[: -len(_end(0))]
    checksum = zlib.crc32(body, before)
    return (json.loads(body + b"}"), checksum) if line == body + _end(checksum) else None


def is_cut(line: bytes, before: int) -> bool:
    """Whether an invalid line is the beginning of one, as a process leaves it that was killed.

    After a power failure, zeros may follow it.
    """
    text = line.rstrip(b"\0")
    is_beginning = text.isascii() and text.decode().isprintable() and text[:2] == b'{"'[: len(text)]
    # Behind a line that is complete but for its break, another byte in the place of the break is no cut.
    is_complete = any(
        read_line(line[: end.end()] + b"\n", before) and (text[end.end() :] or len(line) == end.end() + 1)
        for end in END.finditer(line)
    )
    return is_beginning and not is_complete


def write_synced(file: IO[bytes], data: bytes) -> None:
    """Write bytes to an unbuffered file, and wait until they are on the disk.

    Raises:
        OSError: The disk is full or fails. A part of the bytes may be in the file.
    """
    rest = memoryview(data)
    while rest:  # an unbuffered file may take less than all
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Sync a new name to the disk. Windows does so by itself, and cannot open a directory."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(directory, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
