"""The journal of an export: which accounts are complete, on the disk.

`numbers.parquet.parts/` holds the parts and `journal.jsonl`. Each part is a whole file of some accounts. The journal
has a line for the options of the export, then a line for each part, and one that it is finished when every account was
tried.

If accounts failed, a finished export stays, and resuming lists those: until half a day after it began, and at least for
an hour after it ended. Later it begins again. Otherwise a nightly job with one account that always fails would write
the numbers of its first night for ever.

One order makes it exact, whenever the process is killed: a part reaches the disk first, its line in the journal
second. So what the journal names is on the disk. A part without a line, and a last line that was cut, never happened.

Each line ends with a checksum of all entries up to it, and has the size and the checksum of its part. So a line that
was changed, removed, moved or doubled is an error, and so is another part. Only lost lines at the end look like a kill.
Then the export is as it was before them: their parts are removed, and their accounts are listed again.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, cast

from wa_phone_async import ExportError, InvalidArgumentError
from wa_phone_async.files.lines_on_disk import END, is_cut, make_line, read_line, write_synced
from wa_phone_async.files.lock import lock, must_close_first
from wa_phone_async.workflows.id_set import IdSet

from .part import Part, damaged
from .whole_file import partial_path

_VERSION: Final = 2
_FRESH_SECONDS: Final = 12 * 3600  # from the beginning
_RETRY_SECONDS: Final = (
    3600  # from the end: an export of many hours keeps its work while its failed accounts are listed
)
_NAME: Final = "journal.jsonl"
_PART: Final = re.compile(r"\d{6,}\.[a-z]+")
# Every file that an export puts into its directory. Any other file is somebody's, and is not removed with it.
_OURS: Final = re.compile(r"journal\.jsonl|\.?(?:failed-)?\d{6,}\.[a-z]+(?:\.partial-[0-9a-f]+)?")

Options = Mapping[str, Any]
"""The options of an export, as plain JSON. They must be the same when it is resumed."""


class Journal:
    """The complete accounts of an export, in its directory of parts.

    An open journal locks the directory for itself.

    Args:
        directory: The directory of the parts. It is made if it is not there.
        options: The options of the export.
        mode: The mode of the directory, before the umask, if it is made.
        resume: Whether to go on with what is there, unless it is finished and old. If `False`, a finished export is
            removed, and an unfinished one is an error.

    Raises:
        InvalidArgumentError: There is an unfinished export and `resume` is `False`; or the export has other options;
            or another version of this library began it; or another process writes to it; or something else is in the
            directory.
        ExportError: The directory cannot be used. Or the journal or a part is damaged: then its `errno` is `None`.
    """

    def __init__(self, directory: Path, options: Options, *, mode: int = 0o777, resume: bool) -> None:
        self._directory = directory
        self._forget()
        given = _as_json(options)
        with self._explained():
            directory.mkdir(mode, exist_ok=True)
            self._check_journal_is_there()  # before it is made
            self._file = (directory / _NAME).open("a+b", buffering=0)  # no rest of a failed line is written later
        try:
            with self._explained():
                self._lock()
                self._open(given, resume=resume)
        except BaseException:
            self._file.close()
            raise

    def _forget(self) -> None:
        self.complete: IdSet = IdSet()
        """The complete accounts."""
        self.parts: list[Part] = []
        """The parts with their numbers."""
        self.phone_numbers: int = 0
        """The count of numbers in the parts."""
        self._is_finished = False
        self._began_at = self._ended_at = 0  # by the clock of the machine
        self._checksum = 0  # of all entries

    def _check_journal_is_there(self) -> None:
        journal = self._directory / _NAME
        if not journal.exists() and any(_PART.fullmatch(file.name) for file in self._directory.iterdir()):
            raise damaged(journal, "is missing")

    def _lock(self) -> None:
        """Lock the directory for this process. An export that ends removes it, with the journal in it."""
        if not lock(self._file, self._directory / _NAME):
            raise InvalidArgumentError(
                "path", "free", hint=f"another export writes to {self._directory}; let it end first"
            )

    def _open(self, given: Options, *, resume: bool) -> None:
        """Go on with the export that is there, or begin one."""
        # Every check comes before the first change: a wrong argument must not cost somebody an export of hours.
        self._check_strangers()
        begun, length = self._read()
        if resume and len(self.complete) and not self._is_old(time.time()):
            self._check(begun, given)
            self._file.truncate(length)  # a line that was cut would spoil the next one
        else:
            self._check_finished()
            self._forget()
            self._file.truncate(0)
            self._write({"version": _VERSION, "options": given, "at": int(time.time())})
        self._tidy()

    def _is_old(self, now: float) -> bool:
        is_fresh = now - self._began_at <= _FRESH_SECONDS or now - self._ended_at <= _RETRY_SECONDS
        return self._is_finished and not is_fresh

    def _check_strangers(self) -> None:
        for file in self._directory.iterdir():
            if not _OURS.fullmatch(file.name):
                raise InvalidArgumentError("path", "free", hint=f"move {file}, since its directory will be removed")

    def _read(self) -> tuple[Options, int]:
        """Read what is complete. Return the options, and the length in bytes up to the first line that was cut."""
        journal = self._directory / _NAME
        options, length = dict[str, Any](), 0
        with journal.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                read = read_line(line, self._checksum)
                if read is None:
                    if number == 1:
                        self._check_version(_old_entry(line))
                    if is_cut(line, self._checksum):  # the process was killed in this line
                        break
                    raise damaged(journal, f"has another line {number} than was written")
                entry, self._checksum = read
                if not length:
                    self._check_version(entry)
                    options, self._began_at = entry["options"], entry.get("at", 0)
                self._take(entry)
                length += len(line)
        return options, length

    def _check_version(self, entry: Mapping[str, Any]) -> None:
        if entry.get("version", _VERSION) != _VERSION:
            raise InvalidArgumentError(
                "path",
                "free",
                hint=f"another version of this library began the export in {self._directory}; go on with that version, "
                "or remove the directory to begin again",
            )

    def _check(self, begun: Options, given: Options) -> None:
        for name in {**begun, **given}:
            if begun.get(name) != given.get(name):
                raise InvalidArgumentError(
                    name,
                    f"{begun.get(name)!r}, as when the export began",
                    given.get(name),
                    hint=f"give the same, or remove {self._directory} to begin again",
                )
        # Only the sizes: reading all parts takes minutes, and the job does so as it merges them.
        for part in self.parts:
            part.check_size()

    def _check_finished(self) -> None:
        if len(self.complete) and not self._is_finished:
            raise InvalidArgumentError(
                "resume", "True", hint=f"an unfinished export is in {self._directory}; remove it to begin again"
            )

    def _tidy(self) -> None:
        """Remove what was under way when the export was killed: files without a line in the journal."""
        known = {self._directory / _NAME, *(part.path for part in self.parts)}
        for file in self._directory.iterdir():
            if file not in known:
                file.unlink()

    def next_part(self, suffix: str) -> Path:
        """The path of the next part."""
        return self._directory / f"{len(self.parts) + 1:06}{suffix}"

    def add(self, part: Part | None, accounts: Sequence[str]) -> None:
        """Write down that accounts are complete. Their part must be on the disk before.

        Args:
            part: The part, or `None` if the accounts have no numbers.
            accounts: The ids of the accounts.

        Raises:
            ExportError: The line cannot be written. Its beginning may be on the disk, so open the journal again.
        """
        entry: dict[str, Any] = {"accounts": accounts}
        if part is not None:
            entry |= {"part": part.path.name, "rows": part.rows, "bytes": part.size, "part_crc32": part.checksum}
        self._write(entry)
        self._take(entry)

    def _take(self, entry: Mapping[str, Any]) -> None:
        self._is_finished = entry.get("finished", False)  # a part behind it makes the export unfinished again
        self._ended_at = entry.get("at", 0)
        if "part" in entry:
            path = self._directory / entry["part"]
            self.parts.append(Part(path, entry["rows"], entry["bytes"], entry["part_crc32"]))
            self.phone_numbers += entry["rows"]
        for waba_id in entry.get("accounts", ()):
            self.complete.add(waba_id)

    def finish(self) -> None:
        """Write down that every account was tried.

        Raises:
            ExportError: The line cannot be written.
        """
        self._write({"finished": True, "at": int(time.time())})

    def remove(self) -> None:
        """Remove the directory, and close the journal. You may call it again.

        Raises:
            ExportError: The directory cannot be removed.
        """
        if self._file.closed:
            return
        if must_close_first():
            self.close()
        doomed = partial_path(self._directory)
        with self._explained():
            # Renaming takes all of it away at once. A process killed in `rmtree` would leave half an export to resume.
            self._directory.rename(doomed)
            self.close()
            with suppress(FileNotFoundError):  # a `Job` that starts may remove it at the same time
                shutil.rmtree(doomed)

    def close(self) -> None:
        """Unlock the directory."""
        self._file.close()

    def _write(self, entry: Mapping[str, Any]) -> None:
        line, checksum = make_line(entry, self._checksum)
        with self._explained():
            write_synced(self._file, line)
        self._checksum = checksum

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except ExportError:
            raise
        except OSError as error:
            sentence = f"cannot keep the parts of the export in {self._directory}: {error.strerror}"
            raise ExportError(sentence, errno=error.errno, filename=str(self._directory)) from error


def _as_json(options: Options) -> Options:
    """The options as they will be read again: a tuple becomes a list."""
    try:
        plain: Options = json.loads(json.dumps(options))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError("options", "plain JSON", options) from error
    return plain


def _old_entry(line: bytes) -> dict[str, Any]:
    """The entry of a line as version 1 wrote it, without a checksum. It is empty if this is no such line."""
    if END.search(line):
        return {}
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
