"""A file that appears under its name only when it is whole.

It is written beside its place under another name, synced to the disk, and renamed. A process that is killed, a full
disk and a power failure leave either the old file or the new one.
"""

from __future__ import annotations

import errno
import functools
import glob
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from wa_phone_async import ExportError, InvalidArgumentError
from wa_phone_async.files.lines_on_disk import sync_directory
from wa_phone_async.files.lock import lock, must_close_first, remove_unlocked

from .paths import AnyPath, read_path

_LONGEST: Final = 255 - len("..partial-01234567")  # bytes of a name: most file systems take 255

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


def check_is_file(path: AnyPath, argument: str = "path") -> Path:
    """Check that a new file can take this path, and return it.

    Args:
        path: The path.
        argument: What the error calls it.

    Raises:
        InvalidArgumentError: It is no path: see `read_path`. Or it is that of a directory, a device, a pipe or a
            socket. Or it is that of a standard stream, such as `/dev/stdout`: the new file would replace a log that
            other programs write to.
    """
    path = read_path(path, argument)
    kind = _kind(path)
    if kind is not None:
        hint = (
            ""
            if kind in {"a directory", "a link in a circle"}
            else "; for standard output there is wa-phone list --format csv"
        )
        raise InvalidArgumentError(argument, "a file", path, hint=f"it is {kind}{hint}")
    return path


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

    Until then its name is `.NAME.partial-RANDOM`, and it is locked. Only a process that was killed leaves such a file.

    Args:
        path: Its path. If that is a symbolic link, the new file replaces the one that it points at.

    Raises:
        InvalidArgumentError: Something else than a file is at this path: see `check_is_file`.
        ExportError: The file cannot be made.
    """

    def __init__(self, path: AnyPath) -> None:
        self._path = Path(os.path.realpath(check_is_file(path)))
        self._is_kept = False
        with self._explained():
            self._mode = _mode(self._path)  # an error if the name is too long: the partial file has another one
            # Private from its first moment, if the file that it replaces is: somebody might open it before a `chmod`.
            self._partial, self._file = _open_partial(self._path, 0o666 if self._mode is None else self._mode & 0o666)
            if self._mode is not None:
                self._try_mode()

    def _try_mode(self) -> None:
        """Fail now if modes cannot be set here, and not when the file is whole. The mode stays as it is."""
        try:
            self._partial.chmod(stat.S_IMODE(self._partial.stat().st_mode))
        except OSError:
            self.drop()
            raise

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
            if self._mode is not None:
                self._partial.chmod(self._mode)
            if must_close_first():
                self._file.close()
            # Before it is closed, since its lock keeps `remove_partials` away from it.
            self._partial.replace(self._path)
            self._is_kept = True
            self._file.close()
            sync_directory(self._path.parent)

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
        return "the file that was there is unchanged" if os.path.exists(self._path) else "no file was left"  # noqa: PTH110 - `Path.exists` raises for a long name


def _mode(path: Path) -> int | None:
    """The mode of the file at this path, or `None` if there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def directory_mode(path: Path) -> int:
    """The mode, before the umask, of a directory that keeps parts of a file: private if the file at the path is."""
    mode = _mode(path)
    return 0o777 if mode is None else 0o700 | (mode & 0o066) | (mode & 0o044) >> 2


def partial_path(path: Path) -> Path:
    """A new name beside a path, for a file that is not whole or a directory that is being removed."""
    return path.with_name(f"{_partial_prefix(path)}{secrets.token_hex(4)}")


def remove_partials(path: Path) -> None:
    """Remove what killed processes left of a file or a directory. What a process is writing now stays."""
    path = Path(os.path.realpath(path))
    for partial in path.parent.glob(f"{glob.escape(_partial_prefix(path))}*"):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            with suppress(OSError):  # it may be another user's, and does no harm
                remove_unlocked(partial)


def _partial_prefix(path: Path) -> str:
    # A name may be so long that nothing can be added to it. Its digest takes its place.
    name = os.fsencode(path.name)
    return f".{path.name if len(name) <= _LONGEST else hashlib.blake2b(name, digest_size=16).hexdigest()}.partial-"


def _open_partial(path: Path, mode: int) -> tuple[Path, IO[bytes]]:
    """Make the file that will be renamed to this path, with this mode without the bits of the umask, and lock it."""
    opener = functools.partial(os.open, mode=mode)
    while True:
        partial = partial_path(path)
        # Unbuffered, so dropping it writes nothing. `Path.open` takes no opener, and the caller closes the file.
        file = open(partial, "xb", buffering=0, opener=opener)  # noqa: SIM115 - see above
        is_ours = True
        with suppress(OSError):  # a file system without locks
            is_ours = lock(file, partial)
        if is_ours:
            return partial, file
        file.close()  # `remove_partials` found it before it was locked
