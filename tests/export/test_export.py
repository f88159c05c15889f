"""Exports: whole files in three formats, written as listings come. A failure leaves nothing."""

import asyncio
import errno
import inspect
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from exports import ACME, ANY_LISTINGS, BARE, FORMATS, LISTINGS, listings, read, rows_of
from hypothesis import given

from wa_phone_async import (
    ALL_FIELDS,
    DecodeError,
    ExportError,
    Extra,
    InvalidArgumentError,
    PhoneNumber,
    PhoneNumberClient,
    WabaListing,
    export,
    from_dict,
)
from wa_phone_async.export import COLUMNS, FileFormat, Summary, Writer, merge, row_of, rows, write
from wa_phone_async.export.rows import columns_of
from wa_phone_async.export.whole_file import WholeFile
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Sandbox

pytestmark = pytest.mark.heavy  # processes and disks, for many seconds

OLD = "the last whole file"


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where to export to, in each format."""
    if request.param == "parquet":
        pytest.importorskip("arro3.io")
    return tmp_path / f"numbers.{request.param}"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


def written(items: Iterable[WabaListing]) -> list[rows.Row]:
    return [rows.writable(row) for row in rows_of(*items)]


async def arriving(items: list[WabaListing]) -> AsyncIterator[WabaListing]:
    for item in items:
        await asyncio.sleep(0)
        yield item


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


# What is written


async def test_listings_are_written_as_they_come(path: Path) -> None:
    summary = await write(arriving(LISTINGS), path)
    assert summary == Summary(accounts=2, phone_numbers=2, failed=1)
    assert read(path) == written(LISTINGS)
    assert names(path.parent) == {path.name}


async def test_a_plain_iterable_will_do_and_so_will_phone_numbers(path: Path) -> None:
    items: list[WabaListing | PhoneNumber] = [ACME, LISTINGS[0]]
    summary = await write(iter(items), path)
    assert summary == Summary(accounts=1, phone_numbers=3)
    assert read(path) == [row_of(None, ACME), *written([LISTINGS[0]])]


async def test_nothing_to_write_is_a_whole_file_without_rows(path: Path) -> None:
    assert await write([], path) == Summary()
    assert read(path) == []


async def test_more_than_a_batch_is_written_in_order(path: Path) -> None:
    many = listings(accounts=30, each=101)
    assert await write(arriving(many), str(path)) == Summary(accounts=30, phone_numbers=3030)
    assert read(path) == written(many)


async def test_what_the_api_sends_is_written_whole(path: Path, graph_sandbox: Sandbox) -> None:
    async with PhoneNumberClient("any-token", base_url=graph_sandbox.url) as client:
        found = [
            WabaListing(waba_id=waba, phone_numbers=tuple(await client.list_phone_numbers(waba, fields=ALL_FIELDS)))
            for waba in (EMPTY_WABA, SMALL_WABA, LARGE_WABA)
        ]
    assert await write(found, path) == Summary(accounts=3, phone_numbers=253)
    assert read(path) == written(found)


@pytest.mark.parametrize("form", FORMATS)
@given(items=ANY_LISTINGS)
def test_every_row_is_read_back_as_it_was(scratch: Path, form: str, items: list[WabaListing]) -> None:
    if form == "parquet":
        pytest.importorskip("arro3.io")
    file = scratch / f"any.{form}"
    with Writer(file) as writer:
        writer.write(items)
    assert read(file) == written(items)


async def test_json_lines_have_every_column_and_json_as_json(tmp_path: Path) -> None:
    await write(LISTINGS, tmp_path / "numbers.jsonl")
    first, second = map(json.loads, (tmp_path / "numbers.jsonl").read_text(encoding="utf-8").splitlines())
    assert list(first) == list(second) == list(COLUMNS)
    assert first["webhook_configuration"] == {"application": "https://acme.example/hook?key=of-acme"}
    assert first["extra"] == {"owner": {"id": "200300400500600"}}
    assert first["last_onboarded_time"] == "2026-03-01T10:00:00+00:00"
    assert second["extra"] is None


async def test_the_columns_are_those_of_the_fields(path: Path) -> None:
    fields = "verified_name,webhook_configuration,owner"
    await write(LISTINGS, path, fields=fields)
    assert read(path, columns_of(fields)) == [
        {
            "waba_id": "100200300400003",
            "id": ACME.id,
            "also_in": None,
            "verified_name": ACME.verified_name,
            "webhook_configuration": {"application": "https://acme.example/hook?key=of-acme"},
            "owner": {"id": "200300400500600"},
            "extra": None,
        },
        {
            "waba_id": "100200300400003",
            "id": BARE.id,
            "also_in": None,
            "verified_name": None,
            "webhook_configuration": None,
            "owner": None,
            "extra": None,
        },
    ]


async def test_json_lines_are_safe_to_show_and_the_same_json(tmp_path: Path) -> None:
    family = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN} Café"
    number = PhoneNumber("1", verified_name=f"{family}\x7f\u2028\u202e\U000e0001")
    await write([number], tmp_path / "numbers.jsonl", fields="verified_name")
    text = (tmp_path / "numbers.jsonl").read_bytes().decode()
    assert f'"{family}\\u007f\\u2028\\u202e\\udb40\\udc01"' in text
    assert json.loads(text)["verified_name"] == number.verified_name


async def test_csv_tells_nothing_from_an_empty_text(tmp_path: Path) -> None:
    number = PhoneNumber(
        "1", display_phone_number="+1 631-555-0100", verified_name="=1+1", username="", is_pin_enabled=True
    )
    await write([number], tmp_path / "numbers.csv")
    header, line, end = (tmp_path / "numbers.csv").read_bytes().decode().split("\r\n")
    assert header == ",".join(COLUMNS)
    assert end == ""
    cells = dict(zip(COLUMNS, line.split(","), strict=True))
    assert {name: cell for name, cell in cells.items() if cell} == {
        "id": "1",
        "display_phone_number": "+1 631-555-0100",
        "verified_name": "=1+1",
        "username": '""',
        "is_pin_enabled": "true",
    }


async def test_errors_go_to_a_file_of_their_own(path: Path) -> None:
    errors = path.parent / "failed"
    await write(LISTINGS, path, errors=errors)
    assert [json.loads(line) for line in errors.read_text(encoding="utf-8").splitlines()] == [
        {
            "waba_id": "100200300400009",
            "error": "NotFoundError",
            "message": "Unsupported get request",
            "code": 100,
            "error_subcode": None,
            "http_status": 400,
            "fbtrace_id": None,
            "retry_after": None,
        }
    ]
    assert names(path.parent) == {path.name, "failed"}


async def test_a_file_of_errors_is_there_when_nothing_failed(path: Path) -> None:
    errors = path.parent / "failed.jsonl"
    errors.write_text("yesterday's\n", encoding="utf-8")
    await write(LISTINGS[:2], path, errors=errors)
    assert errors.read_bytes() == b""


async def test_a_format_can_be_given_where_the_suffix_says_none(tmp_path: Path) -> None:
    await write(LISTINGS, tmp_path / "numbers", format="csv")
    (tmp_path / "numbers").rename(tmp_path / "numbers.csv")
    assert read(tmp_path / "numbers.csv") == written(LISTINGS)


async def test_suffixes_may_be_in_capitals(tmp_path: Path) -> None:
    await write(LISTINGS, tmp_path / "NUMBERS.CSV")
    assert (tmp_path / "NUMBERS.CSV").read_bytes().startswith(b"waba_id,id,")


# What is rejected, before any listing is read


class Untouched:
    """Listings that must not be read."""

    def __aiter__(self) -> AsyncIterator[WabaListing]:
        raise AssertionError("a listing was read")


@pytest.mark.parametrize(
    ("name", "form", "problem"),
    [
        ("numbers.xlsx", None, "path must be a file that ends in .jsonl, .csv or .parquet, not 'numbers.xlsx'"),
        ("numbers", None, "path must be a file that ends in .jsonl, .csv or .parquet, not 'numbers'"),
        ("numbers.csv", "xml", "format must be 'jsonl', 'csv' or 'parquet', not 'xml'"),
        (".", "csv", r"^path must be a file, not .*: it is a directory$"),
    ],
)
async def test_what_cannot_be_written_is_rejected_at_once(tmp_path: Path, name: str, form: Any, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        await write(Untouched(), tmp_path / name, format=form)
    assert names(tmp_path) == set()


async def test_a_directory_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No such file or directory; no file was left") as caught:
        await write(Untouched(), tmp_path / "shops" / "numbers.csv")
    assert caught.value.filename == str(tmp_path / "shops" / "numbers.csv")


async def test_where_the_header_cannot_be_written_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ExportError("the disk is full")

    monkeypatch.setattr(WholeFile, "write", fail)
    with pytest.raises(ExportError, match="the disk is full"):
        await write(Untouched(), tmp_path / "numbers.csv")
    assert names(tmp_path) == set()


async def test_errors_and_numbers_are_two_files(tmp_path: Path) -> None:
    file = tmp_path / "numbers.jsonl"
    with pytest.raises(InvalidArgumentError, match=r"^errors must be a file, not .*: it is a directory$"):
        await write(Untouched(), file, errors=tmp_path)
    with pytest.raises(InvalidArgumentError, match="errors must be another file than"):
        await write(Untouched(), file, errors=str(file))


async def test_where_one_file_cannot_be_made_none_is_left(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^path must be a file that ends in .*, not 'numbers.xlsx'$"):
        await write(Untouched(), tmp_path / "numbers.xlsx", errors=tmp_path / "failed.jsonl")
    assert names(tmp_path) == set()


async def test_what_is_no_iterable_is_rejected(tmp_path: Path) -> None:
    anything: Any = LISTINGS[0]
    with pytest.raises(InvalidArgumentError, match="listings must be iterable, not WabaListing"):
        await write(anything, tmp_path / "numbers.csv")


@pytest.mark.parametrize("package", ["arro3.core", "arro3.io"])
async def test_without_the_extra_parquet_is_rejected_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for module in ("record_batches", "parquet"):
        monkeypatch.delitem(sys.modules, f"wa_phone_async.export.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InvalidArgumentError) as caught:
        await write(Untouched(), tmp_path / "numbers.parquet")
    assert str(caught.value).endswith('python -m pip install "wa_phone_async[parquet]"')
    assert names(tmp_path) == set()


async def test_another_missing_module_is_no_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wa_phone_async.export.parquet", None)
    with pytest.raises(ModuleNotFoundError, match=r"export\.parquet"):
        await write(Untouched(), tmp_path / "numbers.parquet")


# What is left when something goes wrong


async def failing(items: list[Any], error: BaseException) -> AsyncIterator[Any]:
    for item in items:
        yield item
    raise error


@pytest.mark.parametrize("had_file", [True, False])
async def test_a_failure_leaves_what_was_there(path: Path, *, had_file: bool) -> None:
    if had_file:
        path.write_text(OLD, encoding="utf-8")
    with pytest.raises(RuntimeError, match="lost"):
        await write(failing(listings(300), RuntimeError("lost")), path, errors=path.parent / "failed.jsonl")
    assert names(path.parent) == ({path.name} if had_file else set())
    assert not had_file or path.read_text(encoding="utf-8") == OLD


async def test_something_else_among_the_listings_leaves_what_was_there(path: Path) -> None:
    path.write_text(OLD, encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match="not str"):
        await write(["106540352242922"], path)  # type: ignore[list-item]  # ids are what people pass by mistake
    assert path.read_text(encoding="utf-8") == OLD
    assert names(path.parent) == {path.name}


async def test_a_cancelled_export_leaves_what_was_there(path: Path) -> None:
    path.write_text(OLD, encoding="utf-8")
    came = asyncio.Event()

    async def endless() -> AsyncIterator[WabaListing]:
        for listing in listings(300):
            yield listing
        came.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(write(endless(), path))
    await came.wait()
    assert len(names(path.parent)) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(path.parent) == {path.name}
    assert path.read_text(encoding="utf-8") == OLD


class Slow(tuple[PhoneNumber, ...]):
    """Numbers that the thread of an export gets only when the test lets it."""

    __slots__ = ()

    started = threading.Event()
    may_go_on = threading.Event()

    def __iter__(self) -> Iterator[PhoneNumber]:
        self.started.set()
        assert self.may_go_on.wait(30)
        return super().__iter__()


async def test_the_event_loop_is_free_and_a_cancelled_export_waits_for_its_batch(path: Path) -> None:
    Slow.started.clear()
    Slow.may_go_on.clear()
    task = asyncio.create_task(write([WabaListing(waba_id="1", phone_numbers=Slow([ACME]))], path))
    while not Slow.started.is_set():
        await asyncio.sleep(0)
    task.cancel()
    Slow.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(path.parent) == set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("export", "parquet"))]


# Without an event loop


def test_a_writer_writes_without_an_event_loop(path: Path) -> None:
    with Writer(path, errors=path.parent / "failed.jsonl") as writer:
        for listing in LISTINGS:
            writer.write([listing])
        assert not path.exists()
        assert writer.close() == Summary(accounts=2, phone_numbers=2, failed=1)
        assert path.exists()
    assert read(path) == written(LISTINGS)


def test_a_writer_that_is_left_by_an_error_leaves_nothing(path: Path) -> None:
    def interrupted() -> None:
        with Writer(path) as writer:
            writer.write(LISTINGS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(path.parent) == set()


def test_a_writer_that_was_abandoned_or_closed_takes_no_more(path: Path) -> None:
    for end in (Writer.abandon, Writer.close):
        with Writer(path) as writer:
            writer.write(LISTINGS)
            end(writer)
            with pytest.raises(
                InvalidArgumentError, match=r"^the file must be open: it was closed, and nothing can be added$"
            ):
                writer.write(LISTINGS)
    assert names(path.parent) == {path.name}


# Merging


async def parts_of(path: Path, *parts: list[WabaListing]) -> list[Path]:
    files = [path.with_name(f"part-{number}{path.suffix}") for number in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        await write(part, file)
    return files


async def test_parts_are_merged_in_their_order(path: Path) -> None:
    many = listings(accounts=5, each=301)
    parts = await parts_of(path, many[:3], [], LISTINGS, many[3:])
    await merge(map(str, parts), path)
    assert read(path) == written([*many[:3], *LISTINGS, *many[3:]])
    assert names(path.parent) == {path.name, *(part.name for part in parts)}


async def test_nothing_to_merge_is_a_whole_file_without_rows(path: Path) -> None:
    await merge([], path)
    assert read(path) == []


async def test_a_file_can_be_merged_into_itself(path: Path) -> None:
    await write(LISTINGS, path)
    (part,) = await parts_of(path, listings(2))
    await merge([path, part], path)
    assert read(path) == written([*LISTINGS, *listings(2)])


async def test_any_texts_survive_a_merge(path: Path) -> None:
    odd = [
        WabaListing(
            waba_id="1", phone_numbers=(attrs.evolve(BARE, verified_name='"\r\n",', extra=Extra({"\n": "\0"})),)
        )
    ]
    parts = await parts_of(path, odd, LISTINGS)
    await merge(parts, path)
    assert read(path) == written([*odd, *LISTINGS])


async def test_a_missing_part_is_said_before_anything_is_written(path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^parts must be files that exist, not .*part-9"):
        await merge([path.with_name(f"part-9{path.suffix}")], path)
    assert names(path.parent) == set()


async def test_a_part_that_cannot_be_read_is_one_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (part,) = await parts_of(path, listings(3))
    real = Path.open

    def forbid(file: Path, *arguments: Any, **more: Any) -> Any:
        if file == part:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(file, *arguments, **more)

    monkeypatch.setattr(Path, "open", forbid)
    with pytest.raises(ExportError, match=r"^cannot read .*part-0\..*: Permission denied$") as caught:
        await merge([part], path)
    assert (caught.value.errno, caught.value.filename) == (errno.EACCES, str(part))
    assert names(path.parent) == {part.name}


async def test_parts_have_one_format(tmp_path: Path) -> None:
    (part,) = await parts_of(tmp_path / "numbers.csv", LISTINGS)
    with pytest.raises(
        InvalidArgumentError, match=r"^parts must be files of the same format as .*, not .*part-0\.csv$"
    ):
        await merge([part], tmp_path / "numbers.jsonl")


async def test_a_format_can_be_given_for_all_parts(tmp_path: Path) -> None:
    await write(LISTINGS, tmp_path / "part-0", format="csv")
    await merge([tmp_path / "part-0"], tmp_path / "all", format="csv")
    assert (tmp_path / "all").read_bytes() == (tmp_path / "part-0").read_bytes()


async def test_a_torn_part_is_rejected(path: Path) -> None:
    (part,) = await parts_of(path, listings(3))
    part.write_bytes(part.read_bytes()[:-20])
    path.write_text(OLD, encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match=r"^parts must be whole (Parquet )?files, not .*part-0"):
        await merge([part], path)
    assert path.read_text(encoding="utf-8") == OLD
    assert names(path.parent) == {path.name, part.name}


async def test_a_part_with_other_columns_is_rejected(tmp_path: Path) -> None:
    part = tmp_path / "part.csv"
    part.write_bytes(b"waba_id,id\r\n1,2\r\n")
    with pytest.raises(
        InvalidArgumentError, match=r"^parts must be files of the same columns, not .*: write all with the same fields"
    ):
        await merge([part], tmp_path / "numbers.csv")


async def test_parts_of_other_fields_are_merged_with_the_same_fields(path: Path) -> None:
    part = path.with_name(f"part{path.suffix}")
    await write(LISTINGS, part, fields=["id", "status"])
    await merge([part, part], path, fields="id,status")
    assert read(path, columns_of("id,status")) == 2 * read(part, columns_of("id,status"))
    if path.suffix != ".jsonl":  # which names its columns in each line
        with pytest.raises(InvalidArgumentError, match="of the same columns"):
            await merge([part], path)


async def test_a_cancelled_merge_leaves_what_was_there(path: Path) -> None:
    parts = await parts_of(path, listings(50), listings(50))
    task = asyncio.create_task(merge(parts, path))
    while len(names(path.parent)) < 3:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(path.parent) == {part.name for part in parts}


async def test_a_part_of_many_pieces_is_merged_whole(tmp_path: Path) -> None:
    line = b'{"waba_id": "100200300400003"}\n'
    part = tmp_path / "part.jsonl"
    part.write_bytes(line * 100_000)
    await merge([part, part], tmp_path / "numbers.jsonl")
    assert (tmp_path / "numbers.jsonl").read_bytes() == line * 200_000


def test_every_public_name_is_described() -> None:
    assert sorted(export.__all__) == sorted(set(export.__all__))
    for name in export.__all__:
        value = getattr(export, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert (value.__doc__ or "").partition("\n")[0].endswith((".", "`."))


async def test_whatever_can_be_decoded_can_be_written_however_deep_it_is(path: Path) -> None:
    deepest: Any = None
    for depth in range(10, 1_000, 10):
        text = '{"id": "1", "nested": ' + '{"a": [' * depth + "]}" * depth + "}"
        try:
            deepest = from_dict(PhoneNumber, json.loads(text))
        except (DecodeError, RecursionError):
            break
    assert deepest
    await write([deepest], path)
    assert path.stat().st_size


def test_the_formats_are_the_documented_ones() -> None:
    assert FileFormat.__args__ == FORMATS  # type: ignore[attr-defined]  # a Literal has it at run time
