"""Rows as Apache Parquet, by arro3: the extra `parquet`.

arro3 pulls record batches from an iterator until the file is complete, and rows come when they come: so it runs in a
thread of its own, to which batches are handed one at a time. What goes wrong in its calls back to Python ends arro3 0.9
in a panic, so nothing may: what does is kept for the caller, and the rest of the file goes nowhere.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from wa_phone_async import InvalidArgumentError
from wa_phone_async._optional import requires

with requires("parquet"):
    from arro3.core import RecordBatch, RecordBatchReader
    from arro3.io import read_parquet, write_parquet

    from .arrow import Columns, Rows, batch_of, schema_of

ROW_GROUP_ROWS: Final = 65_536
"""Rows of a row group, which is what is held in memory: compressed, and 1 MiB of each column that is not yet."""
COMPRESSION: Final = "zstd(3)"
_BATCH_ROWS: Final = 8_192
_MAGIC: Final = b"PAR1"  # how a whole file begins and ends


class Parquet:
    """Rows as a Parquet file.

    Args:
        sink: What takes the bytes.
        columns: The columns.
    """

    def __init__(self, sink: Callable[[bytes], object], columns: Columns) -> None:
        self._columns = columns
        self._sink = _Sink(sink)
        self._failure: BaseException | None = None
        self._batches = queue.Queue[RecordBatch | None](maxsize=1)
        self._thread = threading.Thread(target=self._run, name="parquet", daemon=True)
        self._thread.start()

    def write(self, rows: Rows) -> None:
        """Add rows."""
        self._hand_over(batch_of(self._columns, rows))

    def copy(self, part: Path) -> Iterator[None]:
        """Add the rows of another Parquet file."""
        with part.open("rb") as file:
            ends = (file.read(4), file.seek(max(0, part.stat().st_size - 4)) and file.read(4))
        if ends != (_MAGIC, _MAGIC):
            raise InvalidArgumentError("parts", "whole Parquet files", part)
        batches = read_parquet(part, batch_size=_BATCH_ROWS)
        if batches.schema != schema_of(self._columns):
            raise InvalidArgumentError("parts", "files of the same version", part, hint="it has other columns")
        for batch in batches:
            self._hand_over(batch)
            yield

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
        except BaseException as error:  # noqa: BLE001 - a panic is one, and it is the caller's to know
            self._failure = error
        deque(batches, maxlen=0)  # takes what still comes, so that nobody waits for a thread that has ended


class _Sink:
    """As much of a file as arro3 needs, which never fails: see above."""

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink = sink
        self.failure: Exception | None = None

    def write(self, data: bytes) -> int:
        if self.failure is None:
            try:
                self._sink(data)
            except Exception as error:  # noqa: BLE001 - see above
                self.failure = error
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def seek(self, *_: int) -> int:
        """It is looked for, and never called."""
        raise NotImplementedError
