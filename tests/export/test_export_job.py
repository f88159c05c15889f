"""A resumable export: every number is in the file once, however the job was stopped, killed or cancelled."""

import asyncio
import json
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_phone_async import ExportError, InvalidArgumentError, NotFoundError, PhoneNumber, WabaListing
from wa_phone_async.export import Job, Part, Summary, Writer
from wa_phone_async.export.journal import Journal
from wa_phone_async.sandbox import VirtualTimeLoop

GONE = NotFoundError("no such account", http_status=400, code=100)


def listing(waba_id: str, *, error: NotFoundError | None = None) -> WabaListing:
    """An account with so many numbers: its id modulo 3."""
    numbers = () if error else tuple(PhoneNumber(id=f"{waba_id}00{n}") for n in range(int(waba_id) % 3))
    return WabaListing(waba_id=waba_id, phone_numbers=numbers, error=error)


def expected(waba_ids: Iterable[str]) -> list[tuple[str, str]]:
    return sorted((waba_id, number.id) for waba_id in set(waba_ids) for number in listing(waba_id).phone_numbers)


def rows(file: Path) -> list[tuple[str, str]]:
    if file.suffix == ".parquet":
        table = pytest.importorskip("arro3.io").read_parquet(file).read_all()
        columns = [[value.as_py() for value in table.column(name)] for name in ("waba_id", "id")]
        return sorted(zip(*columns, strict=True))
    lines = file.read_text().splitlines()
    if file.suffix == ".csv":
        return sorted((line.split(",")[0], line.split(",")[1]) for line in lines[1:])
    return sorted((row["waba_id"], row["id"]) for row in map(json.loads, lines))


async def remaining(job: Job, waba_ids: Any) -> list[str]:
    return [waba_id async for waba_id in job.remaining(waba_ids)]


async def export(out: Path, waba_ids: Iterable[str], bad: Iterable[str] = (), **settings: Any) -> Summary:
    """Export accounts, two in a part. Go on with what is there."""
    with Job(out, resume=True, **{"part_accounts": 2, **settings}) as job:
        async for waba_id in job.remaining(waba_ids):
            await job.add(listing(waba_id, error=GONE if waba_id in bad else None))
        return await job.finish()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "numbers.jsonl"


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


# --- the whole of it


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
async def test_listings_become_one_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
    out = tmp_path / f"numbers{suffix}"
    ids = [str(number) for number in range(1, 8)]
    assert await export(out, ids) == Summary(accounts=7, phone_numbers=len(expected(ids)))
    assert rows(out) == expected(ids)
    assert names(tmp_path) == {out.name}


async def test_accounts_without_numbers_and_no_accounts_at_all(out: Path) -> None:
    assert await export(out, ["3", "6"]) == Summary(accounts=2)
    assert out.read_text() == ""
    assert await export(out, []) == Summary()
    assert names(out.parent) == {out.name}


async def test_the_format_may_be_said(tmp_path: Path) -> None:
    await export(tmp_path / "numbers.txt", ["1", "2"], format="jsonl")
    assert (tmp_path / "numbers.txt").read_text().count("\n") == 3


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_an_id_is_yielded_once(out: Path, kind: str) -> None:
    async def ids_as_they_come() -> AsyncIterator[str]:
        for waba_id in ids:
            yield waba_id

    ids = ["1", "2", "1", "x", "x", "3"]
    with Job(out) as job:
        given = await remaining(job, ids if kind == "plain" else ids_as_they_come())
        assert given == ["1", "2", "x", "3"]
        await job.add(listing("1"))
        await job.add(listing("2", error=GONE))
        await job.flush()
        assert await remaining(job, ids) == []


async def test_what_is_added_twice_is_there_once(out: Path) -> None:
    with Job(out) as job:
        for _ in range(2):
            for waba_id in ("1", "2", "2"):
                await job.add(listing(waba_id))
            await job.add(listing("4", error=GONE))
            await job.flush()
        assert await job.finish() == Summary(accounts=2, phone_numbers=3, failed=1)
    assert rows(out) == expected(["1", "2"])


@given(st.dictionaries(st.sampled_from(["1", "2", "3"]), st.lists(st.sampled_from(["7", "8", "9"])), min_size=1))
async def test_a_number_that_comes_on_two_pages_of_an_account_is_one_row(
    tmp_path_factory: pytest.TempPathFactory, accounts: dict[str, list[str]]
) -> None:
    out = tmp_path_factory.mktemp("export") / "numbers.jsonl"
    listings = [
        WabaListing(
            waba_id=waba_id,
            phone_numbers=tuple(PhoneNumber(number_id, status=f"ROW_{n}") for n, number_id in enumerate(ids)),
        )
        for waba_id, ids in accounts.items()
    ]
    last = {(each.waba_id, number.id): number.status for each in listings for number in each.phone_numbers}
    with Job(out) as job:
        await job.add(listings[0])
        await job.flush()
    with Job(out, resume=True) as job:
        for each in listings:
            await job.add(each)
        assert await job.finish() == Summary(accounts=len(listings), phone_numbers=len(last))
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(written) == len(last)
    assert {(row["waba_id"], row["id"]): row["status"] for row in written} == last


async def test_failed_accounts_are_listed_again_and_no_others(out: Path) -> None:
    errors = out.with_name("failed.jsonl")
    summary = await export(out, ["1", "2", "4"], bad=["2"], errors=errors)
    assert summary == Summary(accounts=2, phone_numbers=2, failed=1)
    assert rows(out) == expected(["1", "4"])
    assert [json.loads(line)["waba_id"] for line in errors.read_text().splitlines()] == ["2"]

    with Job(out, errors=errors, resume=True) as job:
        assert job.resumed == Summary(accounts=2, phone_numbers=2)
        assert await remaining(job, ["1", "2", "4"]) == ["2"]
        await job.add(listing("2"))
        await job.finish()
    assert rows(out) == expected(["1", "2", "4"])
    assert errors.read_text() == ""
    assert names(out.parent) == {out.name, errors.name}


async def test_a_finished_export_may_be_begun_again(out: Path) -> None:
    await export(out, ["1", "2"], bad=["2"])
    with Job(out) as job:
        assert await remaining(job, ["1", "2"]) == ["1", "2"]
    await export(out, ["1", "2"])
    assert rows(out) == expected(["1", "2"])


async def test_where_all_have_failed_nothing_is_kept(out: Path) -> None:
    assert await export(out, ["1"], bad=["1"]) == Summary(failed=1)
    assert names(out.parent) == {out.name}


# --- parts


@pytest.mark.parametrize(
    ("bounds", "parts"), [({"part_accounts": 2}, 2), ({"part_numbers": 3}, 2), ({"part_numbers": 100}, 0)]
)
async def test_a_part_is_written_when_much_has_come_together(out: Path, bounds: Any, parts: int) -> None:
    with Job(out, **bounds) as job:
        for waba_id in ("1", "2", "4", "5"):
            await job.add(listing(waba_id))
        assert len(list(out.with_name("numbers.jsonl.parts").glob("0*"))) == parts


def test_a_part_is_written_when_it_is_old(out: Path) -> None:
    async def main() -> list[int]:
        with Job(out, part_seconds=15) as job:
            counts = []
            for seconds in (100, 14, 1, 14, 1):
                await asyncio.sleep(seconds)
                await job.add(listing("1"))
                await job.add(listing(str(seconds)))
                counts.append(job.so_far.accounts)
            return counts

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(main()) == [0, 0, 3, 3, 3]


async def test_a_part_that_another_process_wrote_is_adopted_and_checked(out: Path) -> None:
    with Job(out) as job:
        assert await remaining(job, ["1", "2", "3"]) == ["1", "2", "3"]
        part = job.directory / "12345678901234567890.jsonl"
        with Writer(part) as writer:
            writer.write([listing("1"), listing("2")])
        await job.adopt(Part.of(part, rows=3), ["1", "2"])
        await job.adopt(None, ["3"])
        await job.adopt(None, [])
        assert await remaining(job, ["1", "2", "3"]) == []
        content = part.read_bytes()
        part.write_bytes(content.replace(b"100", b"101"))
        with pytest.raises(ExportError, match=r"^the export is damaged: .* has other bytes than were written; "):
            await job.finish()
        part.write_bytes(content)
        assert await job.finish() == Summary(accounts=3, phone_numbers=3)
    assert rows(out) == expected(["1", "2"])


# --- arguments


@pytest.mark.parametrize(
    ("name", "settings", "error", "said"),
    [
        (
            "numbers.xml",
            {},
            InvalidArgumentError,
            "path must be a file that ends in .jsonl, .csv or .parquet, not 'numbers.xml'",
        ),
        ("numbers.csv", {"errors": "numbers.csv"}, InvalidArgumentError, "errors must be another file than"),
        ("directory.csv", {}, InvalidArgumentError, "path must be a file, not .*: it is a directory"),
        ("nowhere/numbers.csv", {}, ExportError, "No such file or directory"),
        ("numbers.csv", {"errors": "nowhere/failed"}, ExportError, "No such file or directory"),
    ],
)
def test_what_cannot_be_written_is_known_at_once(
    tmp_path: Path, name: str, settings: Any, error: type[Exception], said: str
) -> None:
    (tmp_path / "directory.csv").mkdir()
    if "errors" in settings:
        settings = {"errors": tmp_path / settings["errors"]}
    with pytest.raises(error, match=said):
        Job(tmp_path / name, **settings)
    assert names(tmp_path) == {"directory.csv"}


async def test_other_options_are_rejected(out: Path) -> None:
    with Job(out, options={"fields": ("id",)}) as job:
        await job.add(listing("1"))
        await job.flush()
    with pytest.raises(
        InvalidArgumentError, match=r"^fields must be \['id'\], as when the export began, not \['status'\]: "
    ):
        Job(out, options={"fields": ("status",)}, resume=True)
    with pytest.raises(InvalidArgumentError, match=r"^format must be 'jsonl', as when the export began, not 'csv': "):
        Job(out, options={"fields": ("id",)}, format="csv", resume=True)
    with pytest.raises(InvalidArgumentError, match=r"^resume must be True: an unfinished export is in "):
        Job(out, options={"fields": ("id",)})
    with Job(out, options={"fields": ("id",)}, resume=True) as job:
        assert job.resumed.accounts == 1


async def test_other_fields_are_other_columns_and_are_rejected(out: Path) -> None:
    with Job(out, fields=iter(["id", "status"]), part_accounts=1) as job:
        await job.add(listing("1"))
    columns = ["waba_id", "id", "also_in", "status", "extra"]
    with pytest.raises(InvalidArgumentError, match=f"^columns must be {re.escape(str(columns))}, as"):
        Job(out, resume=True)
    with Job(out, fields="id,status", resume=True, part_accounts=1) as job:
        await job.add(listing("2"))
        await job.finish()
    assert [list(json.loads(line)) for line in out.read_text().splitlines()] == [columns] * 3
    assert rows(out) == expected(["1", "2"])


async def test_two_at_once_are_rejected(out: Path) -> None:
    link = out.with_name("link.jsonl")
    link.symlink_to(out)
    with Job(out), pytest.raises(InvalidArgumentError, match=r"^path must be free: another export writes to "):
        Job(link)


async def test_a_job_that_has_ended_takes_nothing_more(out: Path) -> None:
    with Job(out) as job:
        await job.finish()
        with pytest.raises(
            InvalidArgumentError, match=r"^the job must be open: it has ended, and nothing can be added$"
        ):
            await job.add(listing("1"))
    with Job(out) as job:
        pass
    with pytest.raises(InvalidArgumentError, match=r"^the job must be open: it has ended, and nothing can be added$"):
        await job.add(listing("1"))


# --- stopping


async def test_one_that_was_paused_goes_on_later(out: Path) -> None:
    errors = out.with_name("failed.jsonl")
    with Job(out, errors=errors) as job:
        await job.add(listing("1"))
        await job.add(listing("2", error=GONE))
        await job.pause()
    assert not out.exists()
    assert errors.read_text().count("\n") == 1
    assert await export(out, ["1", "2"], errors=errors) == Summary(accounts=2, phone_numbers=3)
    assert rows(out) == expected(["1", "2"])


async def test_a_file_that_was_there_stays_until_the_new_one_is_whole(out: Path) -> None:
    out.write_text("yesterday's")
    with Job(out) as job:
        await job.add(listing("1"))
        await job.flush()
    assert out.read_text() == "yesterday's"


async def test_what_is_written_when_it_is_cancelled_is_complete(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end, add = asyncio.Event(), threading.Event(), Journal.add
    loop = asyncio.get_running_loop()

    def slow_add(*arguments: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert may_end.wait(30)
        add(*arguments)

    monkeypatch.setattr(Journal, "add", slow_add)
    with Job(out, part_accounts=1) as job:
        first, second = (asyncio.create_task(job.add(listing(waba_id))) for waba_id in ("1", "2"))
        await begun.wait()
        first.cancel()
        second.cancel()  # it still waits for the thread
        await asyncio.wait([first, second])
        may_end.set()
        await job.add(listing("4"))
        assert await job.finish() == Summary(accounts=3, phone_numbers=4)
    assert rows(out) == expected(["1", "2", "4"])


async def test_after_a_failure_nothing_more_is_written_until_it_is_resumed(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Job(out, part_accounts=2) as job:
        await job.add(listing("1"))
        await job.add(listing("2"))
        with monkeypatch.context() as full_disk:
            full_disk.setattr(os, "fsync", no_space)
            await job.add(listing("4"))
            with pytest.raises(ExportError, match=r"cannot write .*000002\.jsonl: the disk is full"):
                await job.add(listing("5"))
        for more in (job.flush, job.pause, job.finish):
            with pytest.raises(ExportError, match="the disk is full"):
                await more()
    assert not out.exists()
    assert await export(out, ["1", "2", "4", "5"]) == Summary(accounts=4, phone_numbers=6)
    assert rows(out) == expected(["1", "2", "4", "5"])


async def test_a_merge_without_space_can_be_tried_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Job(out) as job:
        await job.add(listing("1"))
        await job.flush()
        with monkeypatch.context() as full_disk:
            full_disk.setattr(os, "fsync", no_space)
            with pytest.raises(ExportError, match="the disk is full; no file was left"):
                await job.finish()
        assert await job.finish() == Summary(accounts=1, phone_numbers=1)
    assert rows(out) == expected(["1"])


def no_space(_: int) -> None:
    raise OSError(28, os.strerror(28))


# --- killed


class Snapshots:
    """Copies of a directory, before and after each system call that changes what a crash leaves."""

    def __init__(self, directory: Path, copies: Path) -> None:
        self._directory = directory
        self._copies = copies
        self._is_copying = False
        self.taken: list[Path] = []

    def take(self) -> None:
        if not self._is_copying:
            self._is_copying = True
            self.taken.append(self._copies / str(len(self.taken)))
            shutil.copytree(self._directory, self.taken[-1])
            self._is_copying = False

    @contextmanager
    def around(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patched:
            for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
                patched.setattr(os, name, self._watched(getattr(os, name)))
            yield

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **more: Any) -> Any:
            self.take()
            result = call(*arguments, **more)
            self.take()
            return result

        return watched


def journalled(directory: Path) -> set[str]:
    file = directory / "numbers.jsonl.parts" / "journal.jsonl"
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return {waba_id for entry in entries for waba_id in entry.get("accounts", ())}


@pytest.mark.parametrize("bad", [[], ["5"]])
async def test_killed_between_any_two_system_calls_it_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: list[str]
) -> None:
    ids = ["1", "2", "3", "4", "5"]
    where, copies = tmp_path / "where", tmp_path / "copies"
    where.mkdir()
    copies.mkdir()
    snapshots = Snapshots(where, copies)
    with snapshots.around(monkeypatch):
        await export(where / "numbers.jsonl", ids, bad, errors=where / "failed.jsonl")
    assert len(snapshots.taken) > 30

    for directory in snapshots.taken:
        complete, listed = journalled(directory), list[str]()
        out = directory / "numbers.jsonl"
        with Job(out, errors=directory / "failed.jsonl", resume=True, part_accounts=2) as job:
            async for waba_id in job.remaining(ids):
                listed.append(waba_id)
                await job.add(listing(waba_id, error=GONE if waba_id in bad else None))
            await job.finish()
        assert not complete & set(listed)
        assert complete | set(listed) == set(ids)
        assert rows(out) == expected(set(ids) - set(bad))
        assert (directory / "failed.jsonl").read_text().count("\n") == len(bad)
        assert names(directory) == {"numbers.jsonl", "failed.jsonl"} | {f"{out.name}.parts" for _ in bad}


STEPS = st.lists(st.one_of(st.integers(1, 30).map(str), st.sampled_from(["flush", "crash", "torn", "pause"])))


@settings(max_examples=60)
@given(STEPS, st.integers(1, 4), st.sets(st.integers(1, 30).map(str)))
async def test_after_any_course_of_events_each_account_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], size: int, bad: set[str]
) -> None:
    out = tmp_path_factory.mktemp("export") / "numbers.csv"
    given = [step for step in steps if step.isdigit()]
    job = Job(out, part_accounts=size)
    for step in steps:
        match step:
            case "flush":
                await job.flush()
            case "pause":
                await job.pause()
            case "crash" | "torn":
                complete = job.so_far
                job.close()
                if step == "torn":
                    tear(out)
                job = Job(out, part_accounts=size, resume=True)
                assert job.resumed == Summary(accounts=complete.accounts, phone_numbers=complete.phone_numbers)
            case waba_id:
                await job.add(listing(waba_id, error=GONE if waba_id in bad else None))
    job.close()
    await export(out, given)
    assert rows(out) == expected(given)


def tear(out: Path) -> None:
    """Leave what a crash leaves while a part is written."""
    directory = out.with_name("numbers.csv.parts")
    with suppress(FileNotFoundError):  # nothing was complete
        parts = len(list(directory.glob("0*")))
        (directory / f"{parts + 1:06}.csv").write_text("not journalled")
        with (directory / "journal.jsonl").open("a") as file:
            file.write('{"part":"000001.csv","phone_nu')


async def test_what_killed_processes_left_is_removed_if_it_can_be(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = out.with_name("failed.jsonl")
    for name in (out.name, errors.name):
        out.with_name(f".{name}.partial-0123abcd").touch()
    left = out.with_name(f".{out.name}.parts.partial-0123abcd")
    left.mkdir()
    (left / "000001.jsonl").touch()
    (others := out.with_name(".other.jsonl.partial-0123abcd")).touch()
    Job(out, errors=errors).close()
    assert names(out.parent) == {others.name}

    def forbid(*_: Any, **__: Any) -> None:
        raise PermissionError

    out.with_name(f".{out.name}.partial-0123abcd").touch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", forbid)
        job = Job(out)
    job.close()
