"""Damage to the files of an export: it resumes exactly, or says in one sentence what is damaged and what to do.

A last line of the journal that was cut is what a kill leaves, so the export resumes without a word. All else is an
error, and no file is changed.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wa_phone_async import ExportError, NotFoundError, PhoneNumber, WabaListing
from wa_phone_async.export import Job, Summary

IDS = [str(number) for number in range(1, 8)]
NAMES = ["numbers.jsonl", "numbers.csv", "numbers.parquet"]


def listing(waba_id: str) -> WabaListing:
    """An account. Those whose id is a multiple of 3 have no numbers."""
    count = int(waba_id) % 3
    return WabaListing(waba_id=waba_id, phone_numbers=tuple(PhoneNumber(f"{waba_id}00{n}") for n in range(count)))


EXPECTED = sorted((waba_id, number.id) for waba_id in IDS for number in listing(waba_id).phone_numbers)


async def begin(out: Path) -> Path:
    """An export of four parts that was killed before its end, in its directory. Its last accounts are to be listed."""
    with Job(out, part_accounts=1, options={"accounts": "in a file"}) as job:
        for waba_id in IDS[:-2]:
            await job.add(listing(waba_id))
    return job.directory


async def go_on(out: Path) -> tuple[Summary, set[str]]:
    """Resume the export to its end. Returns its summary, and the accounts that were listed again."""
    with Job(out, part_accounts=1, options={"accounts": "in a file"}, resume=True) as job:
        listed = {waba_id async for waba_id in job.remaining(IDS)}
        for waba_id in sorted(listed):
            await job.add(listing(waba_id))
        return await job.finish(), listed


def rows(out: Path) -> list[tuple[str, str]]:
    if out.suffix == ".parquet":
        table = pytest.importorskip("arro3.io").read_parquet(out).read_all()
        columns = [[value.as_py() for value in table.column(name)] for name in ("waba_id", "id")]
        return sorted(zip(*columns, strict=True))
    lines = out.read_text().splitlines()
    if out.suffix == ".csv":
        return sorted((line.split(",")[0], line.split(",")[1]) for line in lines[1:])
    return sorted((row["waba_id"], row["id"]) for row in map(json.loads, lines))


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def put(directory: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)


async def assert_exact(out: Path) -> set[str]:
    summary, listed = await go_on(out)
    assert summary == Summary(accounts=len(IDS), phone_numbers=len(EXPECTED))
    assert rows(out) == EXPECTED
    assert [file.name for file in out.parent.iterdir()] == [out.name]
    return listed


async def assert_damaged(out: Path, file: str, what: str = "") -> None:
    """Resuming is one clear error. It changes nothing, and it is the same error the next time."""
    directory = out.with_name(f"{out.name}.parts")
    before = contents(directory)
    for _ in range(2):
        with pytest.raises(ExportError) as caught:
            await go_on(out)
        said = str(caught.value)
        assert said.startswith(f"the export is damaged: {directory / file} {what}")
        assert said.endswith(f"; restore it from a copy, or remove {directory} to begin again")
        assert (caught.value.errno, caught.value.filename) == (None, str(directory / file))
        assert not out.exists()
    # A part may be read only as it is merged. By then the other accounts are in the journal too.
    assert before.items() <= contents(directory).items() or what.startswith("has other bytes")


@pytest.fixture(autouse=True)
def no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk: these tests damage files, and no power fails."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "numbers.jsonl"


async def test_an_export_without_damage_is_exact(out: Path) -> None:
    await begin(out)
    assert await assert_exact(out) == set(IDS[-2:])


# --- the journal


@pytest.mark.unmeasured
async def test_a_journal_that_was_cut_at_any_byte_resumes_exactly(out: Path) -> None:
    directory = await begin(out)
    whole = contents(directory)
    journal = whole["journal.jsonl"]
    for end in range(len(journal) + 1):
        tail = b"\0" * (end % 3 * 50)  # as some file systems leave it after a power failure
        put(directory, {**whole, "journal.jsonl": journal[:end] + tail})
        kept = max(0, journal[:end].count(b"\n") - 1)
        assert await assert_exact(out) == set(IDS[kept:])


@pytest.mark.unmeasured
async def test_a_journal_with_any_other_byte_is_damaged(out: Path) -> None:
    directory = await begin(out)
    whole = contents(directory)
    journal = whole["journal.jsonl"]
    for position, byte in enumerate(journal):
        for other in {0, 10, byte ^ 1 << position % 8, byte ^ 32} - {byte}:
            (directory / "journal.jsonl").write_bytes(replaced(journal, position, other))
            with pytest.raises(ExportError, match=r"^the export is damaged: .*/journal\.jsonl has another line "):
                await go_on(out)
    assert contents(directory).keys() == whole.keys()


async def test_a_journal_with_some_other_bit_is_damaged(out: Path) -> None:
    """The quick form of the test of all bytes."""
    directory = await begin(out)
    whole = contents(directory)
    journal = whole["journal.jsonl"]
    for position in sorted({*range(0, len(journal), 23), len(journal) - 2, len(journal) - 1}):
        put(directory, {**whole, "journal.jsonl": replaced(journal, position, journal[position] ^ 1)})
        await assert_damaged(out, "journal.jsonl", "has another line ")


def replaced(content: bytes, position: int, byte: int) -> bytes:
    return content[:position] + bytes([byte]) + content[position + 1 :]


def changed_lines(lines: list[bytes]) -> Iterator[list[bytes]]:
    """The lines with one of them removed, doubled, moved, or followed by something else. All but the last ones."""
    for number, line in enumerate(lines):
        if number < len(lines) - 1:
            yield lines[:number] + lines[number + 1 :]
        for other in range(len(lines)):
            yield [*lines[:other], line, *lines[other:]]
            if other != number:
                rest = lines[:number] + lines[number + 1 :]
                yield [*rest[:other], line, *rest[other:]]
        for junk in (b"\n", b"{}\n", b"7\n", b"[" * 100_000 + b"\n", b"\xff\n", b'{"accounts":["9"]}\n', b"\0\n"):
            yield [*lines[: number + 1], junk, *lines[number + 1 :]]


async def test_a_line_that_is_removed_doubled_moved_or_added_is_damage(out: Path) -> None:
    directory = await begin(out)
    whole = contents(directory)
    lines = whole["journal.jsonl"].splitlines(keepends=True)
    for changed in changed_lines(lines):
        put(directory, {**whole, "journal.jsonl": b"".join(changed)})
        await assert_damaged(out, "journal.jsonl", "has another line ")


@pytest.mark.parametrize("tail", [b"garbage", b"\xff", b'{"part', b"\0\0", b" "])
async def test_only_the_beginning_of_a_line_may_follow_the_last_one(out: Path, tail: bytes) -> None:
    directory = await begin(out)
    with (directory / "journal.jsonl").open("ab") as journal:
        journal.write(tail)
    if tail in {b'{"part', b"\0\0"}:
        assert await assert_exact(out) == set(IDS[-2:])
    else:
        await assert_damaged(out, "journal.jsonl", "has another line 7 than was written")


async def test_a_journal_that_is_missing_is_damage_where_there_are_parts(out: Path) -> None:
    directory = await begin(out)
    (directory / "journal.jsonl").unlink()
    await assert_damaged(out, "journal.jsonl", "is missing")
    assert "journal.jsonl" not in contents(directory)


async def test_the_journal_of_another_export_is_damage(out: Path, tmp_path: Path) -> None:
    directory = await begin(out)
    other = tmp_path / "other" / out.name
    other.parent.mkdir()
    with Job(other, part_accounts=1, options={"accounts": "in a file"}) as job:
        for waba_id in ("11", "12", "13", "14"):
            await job.add(listing(waba_id))
    (directory / "journal.jsonl").write_bytes((job.directory / "journal.jsonl").read_bytes())
    shutil.rmtree(other.parent)
    await assert_damaged(out, "000001.jsonl", "has ")


# --- the parts


def without_a_row(part: bytes) -> bytes:
    return b"".join(part.splitlines(keepends=True)[:-1])


DAMAGES: dict[str, Callable[[bytes, bytes], bytes | None]] = {
    "empty": lambda _, __: b"",
    "missing": lambda _, __: None,
    "one row short": lambda part, _: without_a_row(part),
    "one row more": lambda part, _: part + part.splitlines(keepends=True)[-1],
    "in the place of another": lambda _, other: other,
    "one byte short": lambda part, _: part[:-1],
    "one byte more": lambda part, _: part + b"\n",
    "zeros": lambda part, _: bytes(len(part)),
    "half of it zeros": lambda part, _: part[: len(part) // 2] + bytes(len(part) - len(part) // 2),
    "its bytes in another order": lambda part, _: part[::-1],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_part_that_is_not_what_was_written_is_damage(tmp_path: Path, name: str, damage: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
    out = tmp_path / name
    directory = await begin(out)
    whole = contents(directory)
    parts = sorted(file for file in whole if file != "journal.jsonl")
    for part in parts:
        other = whole[parts[parts.index(part) - 1]]
        content = DAMAGES[damage](whole[part], other)
        put(directory, {file: whole[file] for file in whole if file != part or content is not None})
        if content is not None:
            (directory / part).write_bytes(content)
        size = None if content is None else len(content)
        what = "is missing" if size is None else "has other bytes" if size == len(whole[part]) else f"has {size} bytes"
        await assert_damaged(out, part, what)


@pytest.mark.parametrize("name", NAMES)
async def test_a_part_with_any_flipped_bit_is_damage(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
    out = tmp_path / name
    with Job(out, fields="id") as job:
        await job.add(listing("1"))
        await job.flush()
        [part] = (file for file in job.directory.iterdir() if file.name != "journal.jsonl")
        content = part.read_bytes()
        for position, byte in enumerate(content):
            part.write_bytes(replaced(content, position, byte ^ 1 << position % 8))
            with pytest.raises(ExportError, match=r"^the export is damaged: .* has other bytes than were written; "):
                await job.finish()
            assert not out.exists()
        part.write_bytes(content)  # restored from a copy
        assert await job.finish() == Summary(accounts=1, phone_numbers=1)
    assert rows(out) == [("1", "1000")]


async def test_rows_of_failed_accounts_are_checked_too(out: Path) -> None:
    errors = out.with_name("failed.jsonl")
    gone = NotFoundError("no such account", http_status=400, code=100)
    with Job(out, errors=errors) as job:
        await job.add(WabaListing(waba_id="1", error=gone))
        await job.flush()
        part = job.directory / "failed-000001.jsonl"
        content = part.read_bytes()
        for damage in (b"", content.replace(b"400", b"401")):
            part.write_bytes(damage)
            with pytest.raises(ExportError, match=r"^the export is damaged: .*/failed-000001\.jsonl has "):
                await job.finish()
            assert not errors.exists()
        part.write_bytes(content)
        assert await job.finish() == Summary(failed=1)
    assert errors.read_bytes() == content


# --- both, at random


@pytest.mark.unmeasured
@pytest.mark.parametrize("seed", range(200))
async def test_after_any_damage_it_is_exact_or_says_so(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    out = tmp_path / chance.choice(NAMES[:2])
    directory = await begin(out)
    for _ in range(chance.randint(1, 3)):
        file = chance.choice(sorted(directory.iterdir()))
        content = bytearray(file.read_bytes())
        position = chance.randrange(len(content) + 1)
        match chance.choice(["cut", "flip", "insert", "remove", "swap", "empty"]):
            case "cut":
                del content[position:]
            case "flip" if content:
                content[position - 1] ^= 1 << chance.randrange(8)
            case "insert":
                content[position:position] = chance.randbytes(chance.randint(1, 8))
            case "remove":
                del content[position : position + chance.randint(1, 8)]
            case "swap":
                other = chance.choice(sorted(directory.iterdir()))
                content = bytearray(other.read_bytes())
            case _:
                content.clear()
        file.write_bytes(content)
    said = None
    try:
        await assert_exact(out)
    except ExportError as error:
        said = error
    assert said is None or (str(said).startswith("the export is damaged: ") and said.errno is None)
    assert said is None or not out.exists()
