"""Phone numbers as files and tables, written as they come.

    from wa_phone_async.export import export

    summary = await export(client, "numbers.parquet", waba_ids, resume=True)

What you call:

    one_call.py        export: many accounts to a file, in one call
    writer.py          write and Writer: listings to a file
    parts.py           merge: one file of several
    job.py             Job: an export that you can kill and resume
    arrow.py           to_arrow: an Arrow table (extra `arrow`)
    frames.py          data frames of polars and pandas, for `Rows`
    dask.py            export: many machines list (extra `dask`)

What a row is, and where it is written:

    rows.py            the columns, a number as a row, a failed account as a row
    plain_json.py      plain values as JSON
    json_lines.py      JSON Lines
    csv_lines.py       CSV
    parquet.py         Parquet (extra `parquet`)
    record_batches.py  Arrow record batches, of which tables and Parquet are made
    formats.py         which of these formats a file has

    lines.py           how files of lines are joined
    homes.py           the accounts that a number is in

What makes it safe, with the locks, the thread and the lines of `wa_phone_async.files`:

    row_file.py        a file of rows in any format
    whole_file.py      a file that appears under its name only when it is whole
    paths.py           paths as callers give them
    journal.py         which accounts of a job are complete, on the disk
    part.py            a part of a job, with its checksum
    chunks.py          accounts in chunks, for the tasks of a cluster
"""

from .arrow import ArrowTable, to_arrow
from .formats import FileFormat
from .job import Job
from .one_call import export
from .part import Part
from .parts import merge
from .rows import COLUMNS, Row, errors_row, row_of
from .writer import Summary, Writer, write

__all__ = [
    "COLUMNS",
    "ArrowTable",
    "FileFormat",
    "Job",
    "Part",
    "Row",
    "Summary",
    "Writer",
    "errors_row",
    "export",
    "merge",
    "row_of",
    "to_arrow",
    "write",
]
