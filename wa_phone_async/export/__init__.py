"""Phone numbers as files and tables, as they come.

    from wa_phone_async.export import to_arrow, write

    async with client.list_many(waba_ids) as listings:
        summary = await write(listings, "numbers.parquet", errors="failed.jsonl")

    job.py          Job: an export that can be killed and resumed
    journal.py      what is complete of it, on the disk
    ids.py          a set of ids that costs little memory
    writing.py      write and merge: a batch at a time, in a thread beside the event loop
    writer.py       Writer: the same without an event loop, and what both are made of
    formats.py      rows as JSON Lines and CSV, and which format a file has
    rows.py         the columns, a number as a row of them, and a failed account as one
    tables.py       to_arrow
    whole_file.py   a file that appears under its name only when it is whole

Parquet and Arrow tables are the extras `parquet` and `arrow`.
"""

from .formats import FileFormat
from .job import Job
from .rows import COLUMNS, Row, errors_row, row_of
from .tables import ArrowTable, to_arrow
from .writer import Summary, Writer
from .writing import merge, write

__all__ = [
    "COLUMNS",
    "ArrowTable",
    "FileFormat",
    "Job",
    "Row",
    "Summary",
    "Writer",
    "errors_row",
    "merge",
    "row_of",
    "to_arrow",
    "write",
]
