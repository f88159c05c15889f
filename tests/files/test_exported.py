"""What an export writes can be read back: the same numbers, in every format."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import attrs
import pytest
from exports import ACME, ANY_LISTINGS, BARE, FORMATS, LISTINGS, listings
from hypothesis import HealthCheck, given, settings

from wa_phone_async import InvalidArgumentError, PhoneNumber, WabaListing, from_dict, to_dict
from wa_phone_async.export import Writer
from wa_phone_async.export.row_file import RowFile
from wa_phone_async.export.rows import columns_of
from wa_phone_async.files.exported import read_accounts, read_columns, read_numbers, read_rows


def written(items: list[WabaListing], path: Path) -> Path:
    with Writer(path) as writer:
        writer.write(items)
    return path


def flat(items: list[WabaListing]) -> Iterator[tuple[str, PhoneNumber]]:
    return ((item.waba_id, number) for item in items for number in item.phone_numbers)


@pytest.mark.parametrize("form", FORMATS)
def test_a_number_that_was_exported_is_the_same_number(form: str, tmp_path: Path) -> None:
    plain = from_dict(PhoneNumber, to_dict(ACME))  # with enums, as it is listed
    accounts = [*LISTINGS, *listings(3, 2)]
    path = written(accounts, tmp_path / f"numbers.{form}")
    found = list(read_accounts(path))
    assert [waba_id for waba_id, _ in found] == [item.waba_id for item in accounts if item.phone_numbers]
    assert found[0] == ("100200300400003", [plain, BARE])
    assert [number.id for _, numbers in found for number in numbers] == [number.id for _, number in flat(accounts)]


@pytest.mark.parametrize("form", FORMATS)
def test_reading_may_stop_early(form: str, tmp_path: Path) -> None:
    rows = read_numbers(written(listings(2), tmp_path / f"numbers.{form}"))
    next(rows)
    rows.close()


@given(ANY_LISTINGS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_number_can_be_read_back(tmp_path: Path, items: list[WabaListing]) -> None:
    for form in ("jsonl", "csv"):
        path = written(items, tmp_path / f"numbers.{form}")
        has_ids = all(number.id for _, number in flat(items))  # no API sends an empty one
        with (
            nullcontext() if has_ids or form == "jsonl" else pytest.raises(InvalidArgumentError, match="field missing")
        ):
            assert len(list(read_numbers(path))) == len(list(flat(items)))


@pytest.mark.parametrize("form", FORMATS)
def test_a_number_without_an_account_has_none(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"numbers.{form}"
    with Writer(path) as writer:
        writer.write([attrs.evolve(BARE, status="CONNECTED")])
    assert [waba_id for waba_id, _ in read_numbers(path)] == [None]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", b"", "its name ends in neither .jsonl, .csv nor .parquet"),
        ("a.jsonl", b'{"id": "1"}\n{', "line 2: it is not what an export writes"),
        ("a.jsonl", b'{"id": "1"}\n' * 9_999 + b'{"id": "\xff"}\n', "line 10000: it is not what an export writes"),
        ("a.jsonl", b"[]\n", "line 1: it is not what an export writes"),
        ("a.jsonl", b'{"id": "1"}\n{"status": "BANNED"}\n', r"line 2: required field missing @ \$.id"),
        ("a.jsonl", b'{"id": "1", "extra": 5}\n', "line 1: extra is no object"),
        ("a.jsonl", b'{"id": "1", "also_in": "2"}\n', "line 1: also_in is no list of ids"),
        ("a.jsonl", b"\xff\n", "line 1: it is not what an export writes"),
        ("a.csv", b"", "line 1: it names no column id"),
        ("a.csv", b"name,age\r\nAcme,5\r\n", "line 1: it names no column id"),
        ("a.csv", b"id,status\r\n1\r\n", "line 2: it is not what an export writes"),
        ("a.csv", b'id,status\r\n1,"\n\n"\r\n2,"', "line 5: it is not what an export writes"),
        ("a.csv", b'id,extra\r\n1,"{}"\r\n2,{\r\n', "line 3: it is not what an export writes"),
        ("a.csv", b"id,status\r\n1,A\r\n2,\xff\r\n", "line 3: it is not what an export writes"),
        ("a.parquet", b"PAR1", "'a.parquet': it is no whole Parquet file"),
        ("a.parquet", b"PAR1" + bytes(9) + b"PAR1", "'a.parquet': it is not what an export writes"),
    ],
)
def test_a_file_that_is_no_export_is_an_error(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=rf"source must be a file that an export has written.*{why}"):
        list(read_numbers(tmp_path / name))


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_is_not_there_is_an_error(form: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="No such file"):
        list(read_numbers(tmp_path / f"none.{form}"))


def test_an_empty_file_has_no_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert list(read_numbers(tmp_path / "a.jsonl")) == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_row_has_all_its_accounts_and_a_file_its_columns(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"numbers.{form}"
    columns = columns_of("id,status")
    with RowFile(path, columns=columns) as file:
        homes: dict[str, list[Any]] = {"waba_id": ["1", None], "also_in": [["2"], ["3"]]}
        file.write([{**homes, "id": ["7", "8"], "status": ["A", None], "extra": [None, {"a": 1}]}])
        file.close()
    first, second = read_rows(path)
    assert (first.homes, first.has_account, first.members) == (("1", "2"), True, {"id": "7", "status": "A"})
    assert (second.homes, second.has_account, second.members) == (("3",), False, {"id": "8", "a": 1})
    assert read_columns(path) == tuple(columns)
    assert [waba_id for waba_id, _ in read_numbers(path)] == ["1", None]
