"""`FileRegistrationLedger`: the ledger of one machine, in one SQLite file that its processes share.

Why SQLite, and not a file for each number: it locks between processes on every system, Windows too. After `kill -9` or
a power cut, a transaction has happened or has not. One number among a million costs the same as one among ten. And a
million small files would take 4 GB, and somebody would have to remove them.

SQLite's locks are only as good as those of the file system, and those of network file systems often fail (SQLite's
"How To Corrupt An SQLite Database File", read 2026-11-28). Several machines share a `RedisRegistrationLedger` instead.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from wa_phone_async.checks import check_seconds
from wa_phone_async.errors import InvalidArgumentError, LedgerError

from .registrations import Change, DamagedError, Entries, StoredLedger, decode, encode, forget_at

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

_APPLICATION: Final = 0x57415245  # "WARE", which marks the file as ours
_SCHEMA: Final = (
    "CREATE TABLE numbers (phone_number_id TEXT PRIMARY KEY, entries TEXT NOT NULL, forget_at REAL NOT NULL)",
    "CREATE INDEX by_forget_at ON numbers (forget_at)",
    f"PRAGMA application_id = {_APPLICATION}",
)
_SYNCHRONOUS: Final = "EXTRA"
"""With it, what is committed survives a power cut. The default survives the end of a process only, in some builds."""
_READ: Final = "SELECT entries FROM numbers WHERE phone_number_id = ?"
_STORE: Final = (
    "INSERT INTO numbers VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET entries = excluded.entries, forget_at = excluded.forget_at"
)
# Few at a time: after a night with a million registrations, no later one has to wait for all of them to be forgotten.
_FORGET: Final = (
    "DELETE FROM numbers WHERE phone_number_id IN"
    " (SELECT phone_number_id FROM numbers WHERE forget_at <= ? ORDER BY forget_at LIMIT 20)"
)

_MOVE_AWAY: Final = "Move it away. A new one begins at 0, so wait 72 hours if you do not know what was registered."
_ADVICE: Final = {
    "BUSY": "Try again. If that does not help, find the program that has it open.",
    "FULL": "Make room on the disk.",
    "CORRUPT": _MOVE_AWAY,
    "NOTADB": _MOVE_AWAY,
    "other": "Check that you may write to the file and its folder, and that the disk has room.",
}

# The threads of this process take turns. Only processes wait for each other in SQLite: it has no queue, so a wait there
# may be long. And to close a file gives up all locks of the process on it. So no other thread may use a new file before
# `_create` has closed it.
_turn: Final = threading.Lock()


class FileRegistrationLedger(StoredLedger):
    """A ledger of registrations in a file. All processes of one machine that name the same file share it.

    Each reservation is on the disk (fsync) before its request is sent. The file has only Meta's ids and times: no PIN,
    and no token. It forgets a number 6 days after its last registration. Use it in any event loop; there is nothing to
    close.

    Args:
        path: The file. It is made when it is needed, readable by you alone (mode 0600), and so is its folder (0700).
            `~` is your home. It must be on a disk of this machine: the locks of network file systems often fail.
        timeout: The longest wait for another process, in seconds above 0.

    Raises:
        InvalidArgumentError: An argument is invalid.
    """

    path: Path
    """The file, as an absolute path."""

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 5.0) -> None:
        expected = "the path of a file, such as '~/.local/state/registrations.db'"
        if not isinstance(path, str | os.PathLike) or not str(path) or "\0" in str(path):
            raise InvalidArgumentError("path", expected, path)
        check_seconds("timeout", timeout)
        try:
            # Absolute: a program that changes its working directory must not begin another ledger.
            self.path = Path(path).expanduser().absolute()
        except RuntimeError as error:
            raise InvalidArgumentError("path", expected, path, hint="there is no such home directory") from error
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(vars(self).get('path', ''))!r})"

    async def _read_all(self) -> tuple[Mapping[str, Entries], float]:
        return await _in_thread(self._read_all_now)

    async def _read(self, phone_number_id: str) -> tuple[Entries, float]:
        return await _in_thread(self._read_now, phone_number_id)

    async def _change(self, phone_number_id: str, change: Change[T]) -> T:
        return await _in_thread(self._change_now, phone_number_id, change)

    # What runs in the thread

    def _read_all_now(self) -> tuple[Mapping[str, Entries], float]:
        with self._reading() as database:
            rows = database.execute("SELECT phone_number_id, entries FROM numbers") if database else ()
            return {row[0]: decode(row[1]) for row in rows}, time.time()

    def _read_now(self, phone_number_id: str) -> tuple[Entries, float]:
        with self._reading() as database:
            return _entries(database, phone_number_id) if database else (), time.time()

    def _change_now(self, phone_number_id: str, change: Change[T]) -> T:
        with self._open(creates=True) as database:
            database.execute("BEGIN IMMEDIATE")
            _check(database, writes=True)
            # All processes of a machine have this clock. It is read under the lock, after those that came before.
            now = time.time()
            stored = _entries(database, phone_number_id)
            entries, result = change(stored, now)
            if entries != stored:
                database.execute(_STORE, (phone_number_id, encode(entries), forget_at(entries)))
            database.execute(_FORGET, (now,))
            database.execute("COMMIT")
        return result

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection | None]:
        """Open the file, or yield `None` if there is none: to read makes no file."""
        with self._open() as database:
            yield database if database and _check(database) else None

    @contextmanager
    def _open(self, *, creates: bool = False) -> Generator[Any]:
        """Open the file. Yields `None` if there is none. Whatever fails is a `LedgerError`."""
        try:
            import sqlite3  # noqa: PLC0415 - few programs register, and it makes the import of all others slower
        except ImportError as error:
            raise LedgerError(str(self.path), "this Python has no SQLite", "Install one that has it.") from error
        if not _turn.acquire(timeout=self._timeout):
            raise self._error("BUSY")
        try:
            if creates:
                self._create()
            elif not self.path.exists():
                yield None
                return
            with closing(sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None)) as database:
                database.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
                yield database
        except DamagedError as error:
            raise self._error("CORRUPT") from error
        except OSError as error:
            raise self._error("", error.strerror or str(error)) from error
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")  # such as SQLITE_BUSY_RECOVERY
            raise self._error(name.removeprefix("SQLITE_").partition("_")[0], str(error)) from error
        finally:
            _turn.release()

    def _error(self, kind: str, reason: str = "") -> LedgerError:
        """The error for what SQLite calls `kind`. The reason is that of the system."""
        if kind == "BUSY":
            reason = f"another program has locked it for {self._timeout:g} s"
        elif kind in {"CORRUPT", "NOTADB"}:
            reason = f"it {DamagedError()}"
        return LedgerError(str(self.path), reason, _ADVICE.get(kind, _ADVICE["other"]))

    def _create(self) -> None:
        """Make the file and its folder, for nobody else to read. SQLite would let others read them."""
        if self.path.exists():
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process was faster
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


async def _in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run work on the file in a thread. A cancellation waits for it: afterwards the file is at rest."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        running.exception()  # the cancellation hides it, and asyncio logs errors that nobody has seen
        raise


def _check(database: sqlite3.Connection, *, writes: bool = False) -> bool:
    """Whether the file is a ledger, and not a new, empty file. `writes` makes an empty one a ledger.

    Raises:
        DamagedError: It is a file of another program.
    """
    if database.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION:
        return True
    if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise DamagedError
    for statement in _SCHEMA if writes else ():
        database.execute(statement)
    return False


def _entries(database: sqlite3.Connection, phone_number_id: str) -> Entries:
    row = database.execute(_READ, (phone_number_id,)).fetchone()
    return decode(row[0] if row else None)
