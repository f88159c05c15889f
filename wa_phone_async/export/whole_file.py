"""A file that appears under its name only when it is whole."""

from __future__ import annotations

import errno
import glob
import os
import re
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
_OPEN_FILES: Final = re.compile(r"/dev/fd|/proc/\d+/(?:task/\d+/)?fd")
_MOST_LINKS: Final = 40  # in a row; with more of them, Linux opens no file


def check_is_file(path: Path, argument: str = "path") -> None:
    """Refuse a name under which no file can appear when it is whole.

    Raises:
        InvalidArgumentError: It is a directory, a device, a pipe or a socket, or `/dev/stdout` and the like, wherever
            that goes: a log that others write to would be replaced.
    """
    kind = "what a program has open" if _is_open_file(path) else _kind(path)
    if kind is not None:
        hint = (
            ""
            if kind in {"a directory", "a link in a circle"}
            else "; for standard output there is wa-phone list --format csv"
        )
        raise InvalidArgumentError(argument, "a file", path, hint=f"it is {kind}{hint}")


def _kind(path: Path) -> str | None:
    """What is there, if it is something else than a file."""
    try:
        mode = path.stat().st_mode
    except OSError as error:  # it is not there, or what is the matter will be said when it is made
        return "a link in a circle" if error.errno == errno.ELOOP else None
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


def _is_open_file(path: Path) -> bool:
    """Whether it leads to a number of a file that is open, on Linux by way of links."""
    for _ in range(_MOST_LINKS):
        directory = Path(os.path.realpath(path.parent))
        if _OPEN_FILES.fullmatch(str(directory)):
            return True
        path = directory / path.name
        if not path.is_symlink():
            break
        path = directory / path.readlink()
    return False


class WholeFile:
    """A new file beside the one of that name, which `keep` puts in its place.

    Until then it is called `.NAME.partial-RANDOM`. Only a process that was killed leaves one behind; it can be removed.

    Args:
        path: What it will be called. Where that is a symbolic link, the file that it points at is replaced.

    Raises:
        InvalidArgumentError: There is something else than a file of that name: see `check_is_file`.
        ExportError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        check_is_file(path)
        self._path = Path(os.path.realpath(path))
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
