"""A file that appears under its name only when it is whole.

It is written beside its place under another name, synced to the disk, and renamed. A process that is killed, a full
disk and a power failure leave either the old file or the new one.
"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from wa_phone_async import ExportError, InvalidArgumentError

_FULL: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "it would be larger than a file may be here",
}

_KINDS: Final = {
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def check_is_file(path: Path, argument: str = "path") -> None:
    """Check that a new file can take this path.

    Args:
        path: The path.
        argument: What the error calls it.

    Raises:
        InvalidArgumentError: The path is that of a directory, a device, a pipe or a socket. Or it is that of a standard
            stream, such as `/dev/stdout`: the new file would replace a log that other programs write to.
    """
    kind = _kind(path)
    if kind is not None:
        hint = (
            ""
            if kind in {"a directory", "a link in a circle"}
            else "; for standard output there is wa-phone list --format csv"
        )
        raise InvalidArgumentError(argument, "a file", path, hint=f"it is {kind}{hint}")


def _kind(path: Path) -> str | None:
    """What is at this path, or `None` if a new file can take it."""
    try:
        found = path.stat()
    except OSError as error:  # nothing is there, or making the file will say what is wrong
        return "a link in a circle" if error.errno == errno.ELOOP else None
    if not stat.S_ISREG(found.st_mode):
        return _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
    return "a standard stream" if _is_standard_stream(found) else None


def _is_standard_stream(found: os.stat_result) -> bool:
    for stream in range(3):
        with suppress(OSError):  # a stream may be closed
            if os.path.samestat(found, os.fstat(stream)):
                return True
    return False


class WholeFile:
    """A new file. `keep` gives it its name.

    Until then its name is `.NAME.partial-RANDOM`. Only a process that was killed leaves such a file; you may remove it.

    Args:
        path: Its path. If that is a symbolic link, the new file replaces the one that it points at.

    Raises:
        InvalidArgumentError: Something else than a file is at this path: see `check_is_file`.
        ExportError: The file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        check_is_file(path)
        self._path = Path(os.path.realpath(path))
        self._partial = self._path.with_name(f".{self._path.name}.partial-{secrets.token_hex(4)}")
        self._is_kept = False
        with self._explained():
            self._file = self._partial.open("xb", buffering=0)  # so dropping it writes nothing
            with suppress(FileNotFoundError):
                self._partial.chmod(stat.S_IMODE(self._path.stat().st_mode))  # a private file stays private

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            ExportError: The disk is full or fails.
        """
        rest = memoryview(data)
        with self._explained():
            while rest:
                rest = rest[self._file.write(rest) :]

    def keep(self) -> None:
        """Give the file its name.

        Raises:
            ExportError: The disk is full or fails.
        """
        # In this order: after a power failure the name must not stand for a file whose bytes never arrived.
        with self._explained():
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self._path)
            self._is_kept = True
            _sync_directory(self._path.parent)

    def drop(self) -> None:
        """Remove the file, unless you kept it. You may call it again."""
        self._file.close()
        if not self._is_kept:
            with suppress(OSError):  # the caller has to know what went wrong before this
                self._partial.unlink()

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            reason = _FULL.get(error.errno or 0) or error.strerror or type(error).__name__
            sentence = f"cannot write {self._path}: {reason}; {self._what_is_there()}"
            raise ExportError(sentence, errno=error.errno, filename=str(self._path)) from error

    def _what_is_there(self) -> str:
        if self._is_kept:
            return "the new file is there, and may not outlive a power failure"
        return "the file that was there is unchanged" if self._path.exists() else "no file was left"


def remove_partials(path: Path) -> None:
    """Remove what killed processes left of a file or a directory. No process may be writing it now."""
    path = Path(os.path.realpath(path))
    for partial in path.parent.glob(f".{glob.escape(path.name)}.partial-*"):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            with suppress(OSError):  # it may be another user's, and does no harm
                partial.unlink()


def _sync_directory(directory: Path) -> None:
    """Sync a new name to the disk. Windows does so by itself, and cannot open a directory."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(directory, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
