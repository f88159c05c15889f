"""Parquet, by arro3: the extra `parquet`.

A row group holds 65,536 rows, compressed by zstd. Times are microseconds in UTC, and JSON is text.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from wa_phone_async import InvalidArgumentError
from wa_phone_async._optional import requires

from .homes import Homes
from .lines import Sink
from .rows import Batch, Columns

with requires("parquet"):
    from arro3.core import RecordBatch, RecordBatchReader
    from arro3.io import read_parquet, write_parquet

    from .record_batches import record_batch_of, schema_of, with_column

ROW_GROUP_ROWS: Final = 65_536
"""Rows of a row group. It stays in memory until it is full: compressed, but for 1 MiB of each column."""
COMPRESSION: Final = "zstd(3)"
_BATCH_ROWS: Final = 8_192
_MAGIC: Final = b"PAR1"  # a whole file begins and ends with it


class Parquet:
    """Writes rows as a Parquet file.

    Args:
        sink: Takes the bytes.
        columns: The columns.
    """

    # arro3 0.9.1 has no writer that takes one batch at a time: `write_parquet` pulls batches until there are no more,
    # so it runs in a thread, to which a queue hands each batch.
    # pyarrow's ParquetWriter would need a third of this code, and a wheel that is several times as large.

    def __init__(self, sink: Sink, columns: Columns) -> None:
        self._columns = columns
        self._sink = _Sink(sink)
        self._failure: BaseException | None = None
        self._batches = queue.Queue[RecordBatch | None](maxsize=1)  # bounds memory: a slow disk slows the caller
        self._thread = threading.Thread(target=self._run, name="parquet", daemon=True)
        self._thread.start()

    def write(self, batch: Batch) -> None:
        """Add rows."""
        self._hand_over(record_batch_of(self._columns, batch))

    def note(self, part: Path, homes: Homes) -> Iterator[None]:
        """Note the account of each number in another Parquet file."""
        for batch in self._batches_in(part):
            for waba_id, number_id in _ids_in(batch):
                homes.add(waba_id, number_id)
            yield

    def copy(self, part: Path, homes: Homes | None = None) -> Iterator[None]:
        """Add the rows of another Parquet file."""
        for batch in self._batches_in(part):
            if homes and homes.has_shared:
                others = [homes.others(waba_id, number_id) for waba_id, number_id in _ids_in(batch)]
                self._hand_over(with_column(batch, self._columns, "also_in", others))
            else:
                self._hand_over(batch)
            yield

    def _batches_in(self, part: Path) -> Iterator[RecordBatch]:
        # arro3 panics at a file that was cut, so the two ends are read first.
        with part.open("rb") as file:
            ends = (file.read(4), file.seek(max(0, part.stat().st_size - 4)) and file.read(4))
        if ends != (_MAGIC, _MAGIC):
            raise InvalidArgumentError("parts", "whole Parquet files", part)
        batches = read_parquet(part, batch_size=_BATCH_ROWS)
        if batches.schema != schema_of(self._columns):
            raise InvalidArgumentError(
                "parts", "files of the same columns", part, hint="write all with the same fields and version"
            )
        yield from batches

    def end(self) -> None:
        """Finish the file."""
        self.abandon()
        self._raise_failure()

    def abandon(self) -> None:
        """End the thread."""
        self._batches.put(None)
        self._thread.join()

    def _hand_over(self, batch: RecordBatch) -> None:
        self._raise_failure()
        self._batches.put(batch)

    def _raise_failure(self) -> None:
        if failure := self._sink.failure or self._failure:
            raise failure

    def _run(self) -> None:
        batches = iter(self._batches.get, None)
        try:
            write_parquet(
                RecordBatchReader.from_batches(schema_of(self._columns), batches),
                self._sink,  # type: ignore[arg-type]  # it needs no more of a file than this
                compression=COMPRESSION,
                max_row_group_size=ROW_GROUP_ROWS,
            )
        except BaseException as error:  # noqa: BLE001 - a panic is one, and the caller has to know
            self._failure = error
        # After a failure somebody still has to take the batches: `put` would wait forever for a thread that has ended.
        deque(batches, maxlen=0)


def _ids_in(batch: RecordBatch) -> Iterator[tuple[Any, Any]]:
    """Yield the account and the id of each row."""
    columns: list[Any] = [batch.column(batch.schema.get_field_index(name)) for name in ("waba_id", "id")]
    return zip(*(column.to_pylist() for column in columns), strict=True)


class _Sink:
    """As much of a file as arro3 needs.

    It never fails: an exception in a call from arro3 0.9 to Python ends in a panic. It keeps the exception for the
    caller instead, and drops the rest of the file.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.failure: Exception | None = None

    def write(self, data: bytes) -> int:
        if self.failure is None:
            try:
                self._sink(data)
            except Exception as error:  # noqa: BLE001 - an exception here would be a panic
                self.failure = error
        return len(data)

    def flush(self) -> None:
        """Do nothing: `write` holds nothing back."""

    def seek(self, *_: int) -> int:
        """Fail: arro3 looks for it, and never calls it."""
        raise NotImplementedError
