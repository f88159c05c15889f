"""Locks on files that are being written. The system releases the lock of a process that was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks
    fcntl = None  # type: ignore[assignment]  # a module elsewhere

HAS_LOCKS: bool = fcntl is not None
"""Whether this system has such locks. Without them, it removes and renames no file that a process has open."""


def lock(file: IO[bytes], path: Path) -> bool:
    """Lock an open file until it is closed.

    Args:
        file: The file, open for writing.
        path: Its name.

    Returns:
        Whether the lock is ours, and the file still has that name. Where there are no locks, it is `True`.

    Raises:
        OSError: The file system has no locks.
    """
    if fcntl is None:
        return True
    try:
        # Between our `open` and our lock, another process may remove the file. Then we lock a file that has no name any
        # more, and the next process would lock another one.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def remove_unlocked(path: Path) -> None:
    """Remove a file, unless somebody has locked it.

    Raises:
        OSError: It cannot be removed, or the file system has no locks.
    """
    if fcntl is None:
        path.unlink()
        return
    with path.open("r+b") as file:
        if lock(file, path):
            path.unlink()
