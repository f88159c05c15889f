"""Locks on files that are being written. The system releases the lock of a process that was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any, Final

try:
    import fcntl
except ImportError:  # Windows, where `msvcrt` takes its place
    fcntl = None  # type: ignore[assignment]  # a module elsewhere

_FAR: Final = 2**31 - 2
"""The byte that Windows locks. Nobody else could read it meanwhile, so it lies behind the end of the file."""


def must_close_first() -> bool:
    """Whether this system neither removes nor renames a file that a process has open, as Windows does."""
    return fcntl is None


def lock(file: IO[bytes], path: Path) -> bool:
    """Lock an open file until it is closed.

    Args:
        file: The file, open for writing.
        path: Its name.

    Returns:
        Whether the lock is ours, and the file still has that name.

    Raises:
        OSError: The file system has no locks.
    """
    if fcntl is None:
        return _lock_on_windows(file.fileno())
    try:
        # Between our `open` and our lock, another process may remove the file. Then we lock a file that has no name any
        # more, and the next process would lock another one.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _lock_on_windows(descriptor: int) -> bool:
    """Lock one byte. An open file keeps its name there, so the file is the one that has it."""
    import msvcrt  # noqa: PLC0415 - only Windows has it

    windows: Any = msvcrt  # type checkers know its names only there
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, _FAR, os.SEEK_SET)
    try:
        windows.locking(descriptor, windows.LK_NBLCK, 1)
    except PermissionError:  # somebody else has it
        return False
    finally:
        os.lseek(descriptor, position, os.SEEK_SET)
    return True


def remove_unlocked(path: Path) -> None:
    """Remove a file, unless somebody has locked it.

    Raises:
        OSError: It cannot be removed, or the file system has no locks.
    """
    with path.open("r+b") as file:
        is_free = lock(file, path)
        if is_free and not must_close_first():
            path.unlink()
    if is_free and must_close_first():
        path.unlink()  # it fails if somebody has opened it since
