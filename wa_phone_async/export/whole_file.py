"""A file that appears under its name only when it is whole."""

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


class WholeFile:
    """A new file beside the one of that name, which `keep` puts in its place.

    Until then it is called `.NAME.partial-RANDOM`. Only a process that was killed leaves one behind; it can be removed.

    Args:
        path: What it will be called. Where that is a symbolic link, the file that it points at is replaced.

    Raises:
        InvalidArgumentError: There is something else than a file of that name.
        ExportError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))
        if self._path.exists() and not self._path.is_file():
            raise InvalidArgumentError(f"cannot write to {path}: it is no file")
        self._partial = self._path.with_name(f".{self._path.name}.partial-{secrets.token_hex(4)}")
        self._is_kept = False
        with self._explained():
            self._file = self._partial.open("xb", buffering=0)  # nothing is left to be flushed by an abandoned file
            with suppress(FileNotFoundError):
                self._partial.chmod(stat.S_IMODE(self._path.stat().st_mode))  # what was private stays private

    def write(self, data: bytes) -> None:
        """Add to the file.

        Raises:
            ExportError: The disk is full, or fails.
        """
        rest = memoryview(data)
        with self._explained():
            while rest:
                rest = rest[self._file.write(rest) :]

    def keep(self) -> None:
        """Give the file its name, after it has reached the disk.

        Raises:
            ExportError: The disk is full, or fails.
        """
        with self._explained():
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self._path)
            self._is_kept = True
            _sync_directory(self._path.parent)

    def drop(self) -> None:
        """Remove the file, unless it was kept. It may be called any number of times."""
        self._file.close()
        if not self._is_kept:
            with suppress(OSError):  # something else went wrong before, and is what the caller has to know
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
    """Remove what processes that were killed left of a file or a directory, if it can be. Nobody may be writing it."""
    path = Path(os.path.realpath(path))
    for partial in path.parent.glob(f".{glob.escape(path.name)}.partial-*"):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            with suppress(OSError):  # it may be another user's, and only takes room
                partial.unlink()


def _sync_directory(directory: Path) -> None:
    """Make a new name outlive a power failure; Windows does so by itself, and cannot open a directory."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(directory, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
