"""The ledger of registrations: its rule beside a plain model, and its file."""

import asyncio
import pickle
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import Model, play, steps

from wa_phone_async import FileRegistrationLedger, InvalidArgumentError, LedgerError, RegistrationLedger, Reservation
from wa_phone_async.ratelimit import registration_file
from wa_phone_async.ratelimit.registrations import (
    MAX_REGISTRATIONS,
    REGISTRATION_WINDOW,
    DamagedError,
    Entries,
    add,
    add_block,
    decode,
    encode,
    kept,
    seconds_to_wait,
    usage_of,
)

HOUR = 3600.0
T = 1_800_000_000.0
NUMBER, OTHER = "1234", "5678"

# The rule


def made(*times: float, entries: Entries = ()) -> Entries:
    """The entries after a request at each of these times, all of which must be possible."""
    for place, now in enumerate(times):
        entries, wait = add(entries, now, f"{place}")
        assert wait == 0.0
    return entries


@given(st.lists(st.floats(0, 20 * HOUR), max_size=60))
def test_no_window_has_more_than_ten_and_the_wait_is_exact(pauses: list[float]) -> None:
    now, entries, granted = T, made(), list[float]()
    for pause in pauses:
        now += pause
        entries, wait = add(entries, now, str(now))
        if wait:
            assert seconds_to_wait(entries, now + wait * 0.999) > 0
            now += wait
            entries, wait = add(entries, now, str(now))
        assert wait == 0.0
        granted.append(now)
        assert sum(at > now - REGISTRATION_WINDOW for at in granted) <= MAX_REGISTRATIONS
        assert len(entries) <= 2 * MAX_REGISTRATIONS + 1


@given(st.lists(st.floats(0, 10 * REGISTRATION_WINDOW), min_size=1, max_size=60))
def test_whatever_the_clock_does_no_wait_is_longer_than_72_hours(times: list[float]) -> None:
    entries = made()
    for place, now in enumerate(times):
        entries, wait = add(entries, T + now, str(place))
        assert 0 <= wait <= REGISTRATION_WINDOW
        assert len(entries) <= len(times)


@given(st.lists(st.floats(0, 9 * HOUR), min_size=1, max_size=30), st.floats(0, 100 * REGISTRATION_WINDOW))
def test_a_clock_that_is_set_back_frees_nothing_then_or_when_it_is_right_again(pauses: list[float], by: float) -> None:
    now, entries = T, made()
    for place, pause in enumerate(pauses):
        now += pause
        entries, _ = add(entries, now, str(place))
    used = usage_of(NUMBER, entries, now).used
    assert usage_of(NUMBER, entries, now - by).used >= used
    entries, wait = add(entries, now - by, "while it is set back")
    right = usage_of(NUMBER, entries, now)
    assert right.used == min(used + (wait == 0), MAX_REGISTRATIONS)
    assert usage_of(NUMBER, add(entries, now, "again")[0], now + REGISTRATION_WINDOW).used <= 1


def test_a_clock_that_was_a_year_ahead_blocks_for_72_hours_only() -> None:
    entries = made(*[T + 365 * 24 * HOUR] * MAX_REGISTRATIONS)
    entries, wait = add(entries, T, "next")
    assert wait == REGISTRATION_WINDOW
    _, wait = add(entries, T + REGISTRATION_WINDOW, "next")
    assert wait == 0.0


def test_a_clock_that_runs_ahead_makes_the_ledger_forget_nothing() -> None:
    entries = made(*[T] * MAX_REGISTRATIONS)
    entries, wait = add(entries, T + 80 * HOUR, "while it is wrong")
    assert wait == 0.0
    _, wait = add(entries, T + HOUR, "when it is right again")
    assert wait >= 71 * HOUR


def test_a_machine_that_starts_in_1970_frees_nothing_once_its_clock_is_right() -> None:
    entries = made(*[T] * (MAX_REGISTRATIONS - 1))
    entries = made(60.0, entries=entries)
    assert add(entries, 120.0, "next")[1] == REGISTRATION_WINDOW - 60
    assert add(entries, T + 60, "next")[1] == REGISTRATION_WINDOW - 60


def test_a_block_uses_all_and_ends() -> None:
    entries, _ = add_block(made(T), T + HOUR, "block", 5 * HOUR)
    assert usage_of(NUMBER, entries, T + HOUR).used == MAX_REGISTRATIONS
    assert seconds_to_wait(entries, T + 2 * HOUR) == 4 * HOUR
    assert usage_of(NUMBER, entries, T + 6 * HOUR).used == 1
    assert kept(entries, T + 300 * HOUR) == ()


def test_what_is_stored_is_read_again() -> None:
    entries, _ = add_block(made(T, T + 1.25), T, "block", 5.0)
    assert decode(encode(entries)) == entries
    assert decode(None) == ()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '"text"', "{}x", '[{"id":"a"}]']
    + [
        f'[{{"id":"a","at":{at},"seen":1,"seconds":{seconds},"uses":{uses}}}]'
        for at, seconds, uses in (("NaN", 1, 1), (1, "Infinity", 1), (1, 1, 0), ('"x"', 1, 1))
    ],
)
def test_what_is_damaged_is_no_entry(text: str) -> None:
    with pytest.raises(DamagedError):
        decode(text)


# The file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "registrations.db"


@pytest.fixture
def ledger(path: Path) -> FileRegistrationLedger:
    return FileRegistrationLedger(path)


@given(steps=steps)
async def test_two_clients_of_a_file_do_as_the_model_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "registrations.db"
    with pytest.MonkeyPatch.context() as patch:
        model = Model(T)
        patch.setattr(time, "time", lambda: model.now)
        patch.setattr(registration_file, "_SYNCHRONOUS", "OFF")  # no power cut here, and it takes all of the time
        await play(steps, [FileRegistrationLedger(path), FileRegistrationLedger(path)], model)


async def test_ten_of_many_tasks_get_a_reservation(path: Path) -> None:
    ledgers = [FileRegistrationLedger(path) for _ in range(2)]
    assert all(isinstance(ledger, RegistrationLedger) for ledger in ledgers)
    reserved = await asyncio.gather(*[ledgers[place % 2].reserve(NUMBER) for place in range(30)])
    assert sum(isinstance(each, Reservation) for each in reserved) == MAX_REGISTRATIONS
    assert {round(each / HOUR) for each in reserved if isinstance(each, float)} == {72}


async def test_only_its_owner_can_read_it(path: Path, ledger: FileRegistrationLedger) -> None:
    await ledger.reserve(NUMBER)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


async def test_to_read_makes_no_file(path: Path, ledger: FileRegistrationLedger) -> None:
    assert (await ledger.usage(NUMBER)).used == 0
    assert await known(ledger) == []
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch()  # as left by a process that was killed just then
    assert (await ledger.usage(NUMBER)).used == 0
    assert await known(ledger) == []
    await ledger.reserve(NUMBER)
    assert (await ledger.usage(int(NUMBER))).used == 1


async def test_forgetting_a_number_lets_it_begin_again(ledger: FileRegistrationLedger) -> None:
    for _ in range(MAX_REGISTRATIONS):
        await ledger.reserve(NUMBER)
    await ledger.reserve(OTHER)
    assert await known(ledger) == [NUMBER, OTHER]
    await ledger.forget(NUMBER)
    assert await known(ledger) == [OTHER]
    assert isinstance(await ledger.reserve(NUMBER), Reservation)


async def known(ledger: FileRegistrationLedger) -> list[str]:
    return [usage.phone_number_id for usage in await ledger.usages()]


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, whose block commits and closes it."""
    with closing(sqlite3.connect(path)) as database, database:
        yield database


def stored(path: Path) -> int:
    with opened(path) as database:
        return int(database.execute("SELECT count(*) FROM numbers").fetchone()[0])


async def test_old_numbers_are_forgotten(
    path: Path, ledger: FileRegistrationLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = T
    monkeypatch.setattr(time, "time", lambda: now)
    for place in range(30):
        await ledger.reserve(f"9{place}")
    now += 2 * REGISTRATION_WINDOW + 1
    assert await known(ledger) == []
    await ledger.reserve(NUMBER)
    assert stored(path) == 11  # some at a time
    await ledger.reserve(NUMBER)
    assert stored(path) == 1


async def test_another_process_that_reads_sees_what_was_reserved(path: Path, ledger: FileRegistrationLedger) -> None:
    """And a process that is killed between its reservation and its request has used it."""
    code = f"""
        import asyncio, os, signal
        from wa_phone_async import FileRegistrationLedger
        asyncio.run(FileRegistrationLedger({str(path)!r}).reserve({NUMBER!r}))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(code))
    assert await process.wait() == -signal.SIGKILL
    assert (await ledger.usage(NUMBER)).used == 1


def locked(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    return database


async def test_a_cancelled_reservation_leaves_nothing(path: Path) -> None:
    ledger = FileRegistrationLedger(path)
    await ledger.reserve(NUMBER)
    blocker = locked(path)
    task = asyncio.create_task(ledger.reserve(NUMBER))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(0)
    blocker.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ledger.usage(NUMBER)).used == 1


async def test_a_cancelled_reservation_of_a_ledger_that_fails_is_cancelled(path: Path) -> None:
    ledger = FileRegistrationLedger(path, timeout=0.2)
    await ledger.reserve(NUMBER)
    blocker = locked(path)
    task = asyncio.create_task(ledger.reserve(NUMBER))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    blocker.close()


# A file that fails


async def failure(path: Path) -> LedgerError:
    ledger = FileRegistrationLedger(path, timeout=0.05)
    with pytest.raises(LedgerError) as caught:
        await ledger.reserve(NUMBER)
    assert (caught.value.ledger, caught.value.retryable) == (str(path), False)
    return caught.value


def write_text(path: Path) -> None:
    path.write_text("not a database, but a text of some length\n" * 100)


def write_other(path: Path) -> None:
    with opened(path) as database:
        database.execute("CREATE TABLE of_another_program (id)")


def write_damaged(path: Path) -> None:
    asyncio.run(FileRegistrationLedger(path).reserve(NUMBER))
    with opened(path) as database:
        database.execute("UPDATE numbers SET entries = '[1]'")


@pytest.mark.parametrize("write", [write_text, write_other, write_damaged])
def test_a_damaged_file_or_one_of_another_program_is_left_alone(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "registrations.db"
    write(path)
    before = path.read_bytes()
    error = asyncio.run(failure(path))
    assert str(error) == (
        f"the ledger of registrations ({path}) failed: it is damaged, or is no ledger. Nothing was sent. Move it away. "
        "A new one begins at 0, so wait 72 hours if you do not know what was registered."
    )
    assert path.read_bytes() == before


async def test_a_file_that_is_locked_for_too_long(path: Path, ledger: FileRegistrationLedger) -> None:
    await ledger.reserve(NUMBER)
    blocker = locked(path)
    error = await failure(path)
    assert error.reason == "another program has locked it for 0.05 s"
    assert str(error).endswith("Try again. If that does not help, find the program that has it open.")
    blocker.close()
    assert (await ledger.usage(NUMBER)).used == 1


async def test_a_thread_that_has_the_file_for_too_long(path: Path, ledger: FileRegistrationLedger) -> None:
    with registration_file._turn:
        assert (await failure(path)).reason == "another program has locked it for 0.05 s"
    await ledger.reserve(NUMBER)


async def test_a_place_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, reason in (
        (tmp_path / "file" / "registrations.db", "File exists"),
        (tmp_path, "unable to open database file"),
    ):
        error = await failure(path)
        assert error.reason == reason
        assert str(error).endswith("Check that you may write to the file and its folder, and that the disk has room.")


async def test_a_python_without_sqlite(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    assert (await failure(path)).reason == "this Python has no SQLite"


def test_a_disk_that_is_full(path: Path) -> None:
    code = f"""
        import asyncio, resource
        from wa_phone_async import FileRegistrationLedger, LedgerError
        ledger = FileRegistrationLedger({str(path)!r})
        asyncio.run(ledger.reserve("1"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        try:
            asyncio.run(ledger.reserve("1"))
        except LedgerError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"the ledger .* failed: .* the disk has room\.\n", done.stdout)
    assert asyncio.run(FileRegistrationLedger(path).usage("1")).used == 1


@pytest.mark.parametrize("path", ["", "a\0b", 5, None, "~no-such-user/a.db"])
def test_a_path_is_checked(path: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="path must be the path of a file"):
        FileRegistrationLedger(path)


async def test_ids_are_checked(ledger: FileRegistrationLedger) -> None:
    for call in (ledger.reserve, ledger.usage, ledger.forget):
        with pytest.raises(InvalidArgumentError, match="phone_number_id must be the id"):
            await call("x")


def test_it_can_be_shown_and_pickled() -> None:
    ledger = FileRegistrationLedger("~/a.db")
    assert repr(pickle.loads(pickle.dumps(ledger))) == f"FileRegistrationLedger({str(Path('~/a.db').expanduser())!r})"


def test_one_number_among_many_takes_no_longer(path: Path, ledger: FileRegistrationLedger) -> None:
    """The plan of each statement is a search of an index: that tells more than a time does."""
    asyncio.run(ledger.reserve(NUMBER))
    with opened(path) as database:
        for statement, values in (
            (registration_file._READ, ("1",)),
            (registration_file._STORE, ("1", "", 0)),
            (registration_file._FORGET, (time.time(),)),
        ):
            plan = " ".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values))
            assert "SCAN" not in plan.replace("SCAN CONSTANT ROW", "")
