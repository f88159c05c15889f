"""The journal of a bulk edit: what is planned, what was sent, and how it ended, on the disk.

The first line names the plan. Then comes a line for each edit, with its old value, and one that says that the plan is
complete. Each further line has the new state of one edit. `sent` reaches the disk before the write leaves the process.
So after a kill, an edit that is `planned` was certainly not sent, and one that is `sent` may have happened.

Edits have numbers, by their place. In memory there are a byte for the state of each, and eight for its place in the
file. The file is private (mode 0600), since old values may be. It never holds a secret.

Many writes in flight share each sync of the disk: whatever waits when the thread comes to it is written at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from array import array
from collections import Counter, deque
from collections.abc import AsyncGenerator, Collection, Generator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

import attrs

from wa_phone_async.errors import InvalidArgumentError, JournalError
from wa_phone_async.files.lines_on_disk import is_cut, make_line, read_line, sync_directory, write_synced
from wa_phone_async.files.lock import lock
from wa_phone_async.files.thread import Run, file_thread
from wa_phone_async.redaction import hide_queries
from wa_phone_async.workflows.id_set import IdSet

from .edit import SENT_STATES, Edit, EditState, Needs

_FORMAT: Final = "wa_phone_async edits"
_VERSION: Final = 1
_STATES: Final = tuple(EditState)
_LONGEST_HEADER: Final = 1 << 20
_CHUNK: Final = 256
"""Edits that are read from the file at once."""


class Journal:
    """An open journal. It locks its file, so no other process can write to it. Get one from `open_journal`.

    Args:
        path: The file.
        options: The options of the plan; `None` opens a journal that is there, whatever its plan is.
    """

    def __init__(self, path: Path, options: Mapping[str, Any] | None) -> None:
        self.path: Path = path
        self.options: Mapping[str, Any] = options or {}
        """What the plan does, as its `EditPlan` says it."""
        self.id: str = secrets.token_hex(8)
        """What tells it from all other journals."""
        self.is_planned: bool = False
        """Whether all edits are in it."""
        self.resumed: int = 0
        """How many edits earlier runs had sent."""
        self._must_exist = options is None
        self._states = bytearray()
        self._places = array("Q")
        self._planned = IdSet()
        self._partial = IdSet()  # planned targets with a part that cannot be planned
        self._named = IdSet()  # the targets of this run
        self._has_gaps = False
        self._left_to_name = 0  # of those that earlier runs have planned
        self._waiting = deque[Mapping[str, Any]]()
        self._failure: BaseException | None = None
        self._checksum = self._length = 0
        self._file: IO[bytes] | None = None
        self.run: Run | None = None
        """Runs a function in the thread of the journal."""

    def __len__(self) -> int:
        """The number of edits."""
        return len(self._states)

    def count(self) -> dict[EditState, int]:
        """Return how many edits are in each state."""
        counts = Counter(self._states)
        return {state: counts[number] for number, state in enumerate(_STATES)}

    def needs(self, target: str) -> bool:
        """Whether a target still has to be planned. Call it once for each target of this run.

        Raises:
            InvalidArgumentError: The plan is complete, and does not have this target.
        """
        if not self._named.add(target):
            return False
        if target in self._planned:
            self._left_to_name -= 1
            return target in self._partial
        if self.is_planned:
            raise self._is_of_other_targets(f"it has a plan without {target}")
        return True

    def is_named(self, target: str) -> bool:
        """Whether this run has named a target."""
        return target in self._named

    def numbers(self, states: Collection[EditState]) -> array[int]:
        """Return the numbers of all edits that are now in one of these states."""
        wanted = {number for number, state in enumerate(_STATES) if state in states}
        return array("Q", (number for number, state in enumerate(self._states) if state in wanted))

    async def edits(self, numbers: array[int]) -> AsyncGenerator[Edit]:
        """Yield edits by their numbers, as they are now."""
        for start in range(0, len(numbers), _CHUNK):
            for edit in await self._in_thread(self._read_edits, numbers[start : start + _CHUNK]):
                yield edit

    async def plan(self, edit: Edit) -> Edit:
        """Add an edit, and return it with its number. It is unchanged if its old value is the new one.

        One that cannot be planned gets no number, and leaves the plan incomplete: the next run tries it again. So it is
        where only a part of a target can be planned: the next run reads the target again, and that part stays planned.
        """
        if edit.state is not EditState.PLANNED:
            self._has_gaps = True
            if edit.target in self._planned and self._partial.add(edit.target):
                await self._write({"partial": edit.target})
            return edit
        if edit.target in self._planned:
            return edit
        number = len(self._states)
        self._planned.add(edit.target)
        self._states.append(_first_state(edit))
        await self._write({"edit": edit.to_json()})
        return self._numbered(edit, number)

    async def complete_plan(self) -> None:
        """Say that all edits are planned, unless some could not be. From then on it takes no other targets.

        Raises:
            InvalidArgumentError: An earlier run has planned a target that this run did not name. Nothing was sent yet.
        """
        if self.is_planned:
            return
        if self._left_to_name:
            raise self._is_of_other_targets(f"an earlier run began it with {self._left_to_name} more")
        if not self._has_gaps:
            await self._write({"planned": len(self)})
            self.is_planned = True

    async def note(self, edit: Edit) -> None:
        """Write down the state of an edit. It is on the disk when this returns.

        Raises:
            JournalError: It cannot be written. Then nothing more can be, and no edit may be sent.
        """
        self._states[edit.number] = _STATES.index(edit.state)
        why = {} if edit.why is None else {"why": edit.why}
        await self._write({"of": edit.number, "state": edit.state.value, **why})

    async def _write(self, entry: Mapping[str, Any]) -> None:
        self._waiting.append(entry)
        await self._in_thread(self._flush)
        if self._failure is not None:
            raise self._failure

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        """Run a function in the thread, to its end even if the caller is cancelled."""
        return await asyncio.shield(cast("Run", self.run)(work, *arguments))

    # --- in the thread

    def open(self) -> None:
        """Open and lock the file, and read what is in it. Make it if it is not there.

        Raises:
            InvalidArgumentError: It is in use, or it is no journal of this plan.
            JournalError: It cannot be used, or it is damaged: then its `errno` is `None`.
        """
        self._check_kind()
        if self._must_exist:
            self.read_header()
        with self._explained():
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._file = os.fdopen(os.open(self.path, flags, 0o600), "r+b", buffering=0)
            if not lock(self._file, self.path):
                raise InvalidArgumentError("journal", "free", self.path, hint="another process works with it")
            self._read()
            self._file.truncate(self._length)  # a line that was cut would spoil the next one
            if not self._length:
                sync_directory(self.path.absolute().parent)
                line, self._checksum = make_line(self._header(), 0)
                write_synced(self._file, line)
                self._length = len(line)
            counts = self.count()
            self.resumed = len(self) - counts[EditState.PLANNED] - counts[EditState.UNCHANGED]
            self._left_to_name = len(self)

    def read_header(self) -> None:
        """Read the first line of a file that has to be a journal."""
        self._check_kind()
        with self._explained():
            try:
                with self.path.open("rb") as file:
                    line = file.readline(_LONGEST_HEADER)
            except FileNotFoundError:
                raise self._is_none("there is no such file") from None
        read = read_line(line, 0)
        self._check_header({} if read is None else read[0])

    def _check_kind(self) -> None:
        """Require a plain file, if there is one: a device such as /dev/full may be read without an end."""
        with self._explained():
            if self.path.exists() and not self.path.is_file():
                hint = "it is a folder" if self.path.is_dir() else "it is a device or a pipe"
                raise InvalidArgumentError("journal", "a file", self.path, hint=hint)

    def close(self) -> None:
        """Unlock the file."""
        if self._file is not None:
            self._file.close()

    def _header(self) -> dict[str, Any]:
        return {"journal": _FORMAT, "version": _VERSION, "plan": self.options, "id": self.id}

    def _read(self) -> None:
        """Read all lines, up to the one in which a process was killed."""
        with self.path.open("rb") as lines:
            for line_number, line in enumerate(lines, 1):
                read = read_line(line, self._checksum)
                if line_number == 1:
                    if read is None and self._is_cut_header(line):
                        return
                    self._check_header({} if read is None else read[0])
                elif read is None:
                    if is_cut(line, self._checksum):
                        return
                    raise JournalError(f"{self.path} is damaged: line {line_number} is not what was written")
                entry, self._checksum = cast("tuple[dict[str, Any], int]", read)
                self._take(entry)
                self._length += len(line)

    def _is_cut_header(self, line: bytes) -> bool:
        """Whether a file has only a part of this journal's header. Any other file is somebody's, and stays as it is."""
        same = json.dumps({**self._header(), "id": ""}, separators=(",", ":")).removesuffix('"}').encode()
        return not self._must_exist and (same.startswith(line) or (line.startswith(same) and is_cut(line, 0)))

    def _check_header(self, header: Mapping[str, Any]) -> None:
        if header.get("journal") != _FORMAT:
            raise self._is_none("it is another file")
        if header.get("version") != _VERSION:
            raise self._is_none("another version of this library wrote it: go on with that version")
        plan, self.id = cast("Mapping[str, Any]", header["plan"]), header["id"]
        if self._must_exist:
            self.options = plan
        for name in {**plan, **self.options}:
            if plan.get(name) != self.options.get(name):
                begun, given = (hide_queries(options.get(name)) for options in (plan, self.options))
                hint = f"its {name} is {begun!r}, and that of this plan is {given!r}"
                if begun == given:  # only what is hidden differs
                    hint = f"its {name} has another query than that of this plan"
                raise InvalidArgumentError("journal", "a new file, or the journal of this plan", self.path, hint=hint)

    def _is_of_other_targets(self, hint: str) -> InvalidArgumentError:
        return InvalidArgumentError("journal", "a new file for other targets", self.path, hint=hint)

    def _is_none(self, hint: str) -> InvalidArgumentError:
        return InvalidArgumentError("journal", "the journal of an edit", self.path, hint=hint)

    def _take(self, entry: Mapping[str, Any]) -> None:
        if "edit" in entry:
            edit = Edit(**entry["edit"])
            self._states.append(_first_state(edit))
            self._places.append(self._length)
            self._planned.add(edit.target)
        elif "state" in entry:
            self._states[entry["of"]] = _STATES.index(EditState(entry["state"]))
        elif "partial" in entry:
            self._partial.add(entry["partial"])
        elif "planned" in entry:
            self.is_planned = True

    def _flush(self) -> None:
        """Write what waits, if an earlier call has not done so. After a failure, half a line may be in the file."""
        lines = list[bytes]()
        while self._waiting and self._failure is None:
            entry = self._waiting.popleft()
            line, self._checksum = make_line(entry, self._checksum)
            if "edit" in entry:
                self._places.append(self._length)
            self._length += len(line)
            lines.append(line)
        try:
            if lines:
                with self._explained():
                    write_synced(cast("IO[bytes]", self._file), b"".join(lines))
        except JournalError as error:  # every caller that waits gets it
            self._failure = error

    def _read_edits(self, numbers: array[int]) -> list[Edit]:
        with self._explained(), self.path.open("rb") as file:
            edits = list[Edit]()
            for number in numbers:
                file.seek(self._places[number])
                edits.append(self._numbered(Edit(**json.loads(file.readline())["edit"]), number))
            return edits

    def _numbered(self, edit: Edit, number: int) -> Edit:
        return attrs.evolve(edit, number=number, state=_STATES[self._states[number]])

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, JournalError):
                raise
            sentence = f"cannot keep the journal {self.path}: {error.strerror}"
            raise JournalError(sentence, errno=error.errno, filename=str(self.path)) from error


def _first_state(edit: Edit) -> int:
    return _STATES.index(EditState.UNCHANGED if edit.old == edit.new else EditState.PLANNED)


@attrs.frozen
class JournalHeader:
    """What the first line of a journal says."""

    path: Path
    """The file."""
    id: str
    """What tells it from all other journals."""
    options: Mapping[str, Any]
    """What its plan does."""

    def check_past(self, group: str, base_url: str) -> None:
        """Require an edit that an undo can undo here.

        Args:
            group: What is edited, such as `webhooks`.
            base_url: The address of the API.

        Raises:
            InvalidArgumentError: The journal is that of another edit, or of another API.
        """
        kind, made_at = str(self.options.get("edit", "")), self.options.get("base_url")
        if not kind.startswith(f"{group}."):
            raise InvalidArgumentError("undo", f"the journal of an edit of {group}", self.path, hint=f"it is of {kind}")
        if made_at != base_url:
            hint = f"its edit was made at {made_at}, and this client uses {base_url}"
            raise InvalidArgumentError("undo", "a journal of the same API", self.path, hint=hint)

    async def sent_edits(self, needs: Needs) -> AsyncGenerator[Edit]:
        """Yield the edits of the journal that may have happened, as new ones, if an undo needs their targets."""
        async with open_journal(self.path, None) as journal:
            async for edit in journal.edits(journal.numbers(SENT_STATES)):
                if needs(edit.target):
                    yield attrs.evolve(edit, state=EditState.PLANNED, why=None, number=-1)


def read_header(path: Path) -> JournalHeader:
    """Read the first line of a journal that is there.

    Raises:
        InvalidArgumentError: The file is no journal.
        JournalError: It cannot be read.
    """
    journal = Journal(path, None)
    journal.read_header()
    return JournalHeader(path, journal.id, journal.options)


@asynccontextmanager
async def open_journal(path: Path, options: Mapping[str, Any] | None) -> AsyncGenerator[Journal]:
    """Open a journal for a block, in a thread of its own.

    Args:
        path: The file. It is made if it is not there.
        options: The options of the plan. The journal must be of the same plan. `None`: it must be there, and may be of
            any plan.

    Raises:
        InvalidArgumentError: The file is in use, or no such journal.
        JournalError: It cannot be used, or it is damaged: then its `errno` is `None`.
    """
    journal = Journal(path, options)
    with closing(journal), file_thread() as run:
        journal.run = run
        await asyncio.shield(run(journal.open))
        yield journal
