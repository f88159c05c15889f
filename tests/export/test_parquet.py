"""Parquet: row groups are bounded, and a thread that has ended blocks nothing."""

import threading
from pathlib import Path
from typing import Any

import pytest
from exports import ACME, listings

from wa_phone_async import InvalidArgumentError
from wa_phone_async.export import COLUMNS, merge, write
from wa_phone_async.export.rows import Batch, batches

pytest.importorskip("arro3.io")

from wa_phone_async.export import parquet

(ONE,) = batches([ACME])
ROWS: Batch = {name: (*values,) * 100 for name, values in ONE.items()}


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "parquet"]


async def test_row_groups_are_bounded_and_full_after_a_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 2_000)
    parts = [tmp_path / f"part-{number}.parquet" for number in range(3)]
    for part in parts:
        await write(listings(31, each=100), part)
    await merge(parts, tmp_path / "numbers.parquet")
    sizes = {}
    for file in tmp_path.iterdir():
        found = reader.read_metadata(file)
        sizes[file.name] = [found.row_group(number).num_rows for number in range(found.num_row_groups)]
        assert found.row_group(0).column(0).compression == "ZSTD"
    assert sizes == {
        "numbers.parquet": [2_000, 2_000, 2_000, 2_000, 1_300],
        **{part.name: [2_000, 1_100] for part in parts},
    }


def test_what_fails_in_the_sink_is_raised_and_not_a_panic(capfd: pytest.CaptureFixture[str]) -> None:
    written: list[bytes] = []

    def sink(data: bytes) -> None:
        written.append(data)
        raise OSError("the disk is gone")

    encoder = parquet.Parquet(sink, COLUMNS)
    encoder.write({name: (*values,) * 100 for name, values in ROWS.items()})  # more than arro3 writes at once
    with pytest.raises(OSError, match="the disk is gone"):
        encoder.end()
    encoder.abandon()
    assert len(written) == 1
    assert threads() == []
    assert capfd.readouterr().err == ""


def test_what_fails_in_arro3_is_raised_and_blocks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(parquet, "write_parquet", broken)
    encoder = parquet.Parquet(bytes, COLUMNS)
    with pytest.raises(RuntimeError, match="broken"):
        list(map(encoder.write, [ROWS] * 3))  # the second is taken only after the failure
    with pytest.raises(RuntimeError, match="broken"):
        encoder.end()
    encoder.abandon()
    assert threads() == []


def test_an_abandoned_file_ends_its_thread() -> None:
    encoder = parquet.Parquet(bytes, COLUMNS)
    encoder.write(ROWS)
    assert threads() == ["parquet"]
    encoder.abandon()
    assert threads() == []


def test_rows_that_do_not_fit_are_not_added() -> None:
    encoder = parquet.Parquet(bytes, COLUMNS)
    with pytest.raises(ValueError, match="surrogates"):
        encoder.write({**ONE, "verified_name": ("\ud800",)})
    encoder.end()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR", b"waba_id,id\r\n", b"PAR1 and no more"])
async def test_what_is_no_parquet_file_is_not_merged(tmp_path: Path, content: bytes) -> None:
    part = tmp_path / "part.parquet"
    part.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"^parts must be whole Parquet files, not .*part\.parquet$"):
        await merge([part], tmp_path / "numbers.parquet")


async def test_a_part_with_other_columns_is_not_merged(tmp_path: Path) -> None:
    part = tmp_path / "part.parquet"
    with part.open("wb") as file:
        encoder = parquet.Parquet(file.write, {"waba_id": str})
        encoder.write({"waba_id": ["1"]})
        encoder.end()
    with pytest.raises(
        InvalidArgumentError, match=r"^parts must be files of the same columns, not .*: write all with the same fields"
    ):
        await merge([part], tmp_path / "numbers.parquet")


def test_a_file_for_arro3_is_only_written_to() -> None:
    with pytest.raises(NotImplementedError):
        parquet._Sink(bytes).seek(0)
