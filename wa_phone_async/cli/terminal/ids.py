"""Ids of accounts or of phone numbers from a file or a pipe: one in each line, as people and spreadsheets write them.

A file may have a header, quotes, several columns, and the encodings of spreadsheets, if it is certain which value is
the id. Any other line is an error. A file is checked as a whole before the first request.
"""

from __future__ import annotations

import codecs
import copy
import csv
import io
import os
import re
import stat
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Final

import attrs

from wa_phone_async import InvalidArgumentError
from wa_phone_async.checks import plain_id

from .output import reason
from .stdin import LineReader
from .stopping import Stop

STDIN: Final = Path("-")

_EXPECTED: Final = "a file with an id in each line"
_LONGEST: Final = 1 << 16  # bytes of a line
_HEAD_BYTES: Final = 2  # enough to tell the encoding
_DELIMITERS: Final = ";\t,"  # the first one in a line: a decimal comma may stand beside a semicolon


@attrs.frozen
class IdKind:
    """What the ids of a file are of."""

    option: str
    """The option that names the file."""
    noun: str
    """What has such ids."""
    column: str
    """The best name of their column."""
    ranks: Mapping[str, int]
    """Names of their column, in small letters and without anything between them. A lower rank wins."""
    vague: int
    """The rank of names that may mean another id beside phone numbers."""


ACCOUNTS: Final = IdKind(
    "--wabas",
    "accounts",
    "waba_id",
    {
        **dict.fromkeys(("wabaid", "wabaids", "whatsappbusinessaccountid", "whatsappbusinessaccountids"), 0),
        **dict.fromkeys(("accountid", "accountids", "businessaccountid", "whatsappaccountid"), 1),
        **dict.fromkeys(("id", "ids", "waba", "wabas", "account", "accounts"), 2),
    },
    vague=2,
)
NUMBERS: Final = IdKind(
    "--numbers",
    "phone numbers",
    "phone_number_id",
    {
        **dict.fromkeys(("phonenumberid", "phonenumberids", "whatsappphonenumberid"), 0),
        **dict.fromkeys(("numberid", "numberids", "phoneid", "phoneids"), 1),
        **dict.fromkeys(("id", "ids"), 2),
    },
    vague=3,  # beside phone numbers, `id` is the number's own, as in the files of wa-phone list and export
)


@attrs.define
class IdReader:
    """Finds the id in each line of one file.

    Args:
        name: The file in messages.
        kind: What the ids are of.
    """

    name: str
    kind: IdKind = ACCOUNTS
    _number: int = attrs.field(default=0, init=False)
    _is_header_possible: bool = attrs.field(default=True, init=False)
    _delimiter: str = attrs.field(default="", init=False)  # empty while no line says it for all
    _column: int | None = attrs.field(default=None, init=False)  # that of the ids, if a header says so

    def read(self, line: str) -> str:
        """Return the id in the next line. It is empty for an empty line, a comment and a header.

        Raises:
            InvalidArgumentError: It is not certain which id the line has, or whether it has one.
        """
        self._number += 1
        text = str(plain_id(line))
        if not text or text.startswith("#"):
            return ""
        if separator := re.fullmatch(r"sep=(.)", line.rstrip("\r\n"), re.IGNORECASE):  # a line that Excel writes
            self._delimiter = separator[1]
            return ""
        cells = self._cells(line)
        is_header_possible, self._is_header_possible = self._is_header_possible, False
        if is_header_possible and self._read_header(line, cells):
            return ""
        filled = [cell for cell in cells if cell]
        if self._column is not None:
            cell = cells[self._column] if self._column < len(cells) else ""
            if filled and not cell:
                raise self._error(text, "has no id in the column that the header names")
        elif len(filled) > 1:
            raise self._error(
                text, f"has {len(filled)} values, and no header says which is the id: name it {self.kind.column}"
            )
        else:
            cell = filled[0] if filled else ""
        if cell and not re.fullmatch("[0-9]+", cell):
            raise self._error(cell, _what_is_wrong(cell))
        return cell

    def _cells(self, line: str) -> list[str]:
        delimiter = self._delimiter or next((each for each in _DELIMITERS if each in line), ",")
        try:
            row = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True))
        except csv.Error:
            raise self._error(line.strip(), "has a quote that is not closed in the line") from None
        return [_without_quotes(str(plain_id(cell))) for cell in row]

    def _read_header(self, line: str, cells: list[str]) -> bool:
        """Learn from a header which column has the ids. Returns whether it is one."""
        names = [re.sub(r"[\W_]", "", cell.casefold()) for cell in cells]
        known = self.kind.ranks
        ranks = [known.get(name, len(known)) for name in names]
        best = min(ranks)
        if best == len(known):
            return False
        # Beside phone numbers, `id` may be the number's own id.
        if ranks.count(best) > 1 or (best == self.kind.vague and any("phone" in name for name in names)):
            which = f"which ids are those of {self.kind.noun}"
            problem = f"does not say for certain {which}: name it {self.kind.column}"
            raise self._error(line.strip(), problem)
        self._column = ranks.index(best)
        self._delimiter = self._delimiter or next((each for each in _DELIMITERS if each in line), "")
        return True

    def _error(self, found: str, problem: str) -> InvalidArgumentError:
        hint = f"line {self._number} of {self.name} {problem}"
        return InvalidArgumentError(self.kind.option, _EXPECTED, found, hint=hint)


def _without_quotes(cell: str) -> str:
    """Return a cell without what a spreadsheet writes around a text of digits: `="1"`, `'1'` and `'1`."""
    digits = re.fullmatch(r"""=?"([0-9]+)"|'([0-9]+)'?""", cell)
    return digits[1] or digits[2] if digits else cell


def _what_is_wrong(cell: str) -> str:
    if re.fullmatch(r"[0-9][.,]?[0-9]*e\+?[0-9]+", cell, re.IGNORECASE):
        return "was rounded by a spreadsheet: format the column as text"
    if re.fullmatch(r"[0-9]+[.,][0-9]+", cell):
        return "has a decimal point: format the column as text"
    return "is no id: an id has only digits"


def count_ids(file: Path, kind: IdKind = ACCOUNTS) -> int | None:
    """Check each line of a file, and count its ids. It is `None` for a pipe, since reading would use it up.

    Raises:
        InvalidArgumentError: There is no such file, or a line of it has no certain id. It names the first one.
    """
    if file != STDIN and _is_pipe(file):
        return None  # to open it, somebody must write
    with _open(file, kind) as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            return None
        start = os.lseek(source.fileno(), 0, os.SEEK_CUR)
        try:
            reader = IdReader(_name_of(file), kind)
            return sum(1 for line in _lines_of(source, reader) if reader.read(line))
        finally:
            os.lseek(source.fileno(), start, os.SEEK_SET)  # standard input is shared


async def read_ids(file: Path, stop: Stop, kind: IdKind = ACCOUNTS) -> AsyncGenerator[str]:
    """Read the ids of a file or of standard input, line by line, until you ask it to stop.

    The lines that a pipe has at the start are checked before the first id. A later line that is no id is returned as it
    is, and fails as an account of its own: what was sent before it goes on.

    Args:
        file: The file; `STDIN` is standard input, whose ids come as somebody writes them.
        stop: Ends the reading.
        kind: What the ids are of.

    Raises:
        InvalidArgumentError: There is no such file, its first lines have no certain id, or a line is too long for one.
    """
    with _open(file, kind) as source:
        lines = LineReader(source.fileno(), longest=_LONGEST, transcode=transcoder())
        stop.then(lines.end)
        reader = IdReader(_name_of(file), kind)
        is_checked = False
        while (line := await lines.line()) is not None:
            if not is_checked:
                is_checked, trial = True, copy.copy(reader)
                for each in (line, *lines.arrived()):
                    _check_length(each, reader)
                    trial.read(each.decode())
            _check_length(line, reader)
            text = line.decode()
            try:
                waba_id = reader.read(text)
            except InvalidArgumentError:
                waba_id = text.strip()
            if waba_id:
                yield waba_id


def _is_pipe(file: Path) -> bool:
    """Whether this is a named pipe, or something like it."""
    try:
        mode = file.stat().st_mode
    except OSError:  # opening it will say what is wrong
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _name_of(file: Path) -> str:
    return "standard input" if file == STDIN else str(file)


def _check_length(line: bytes | str, reader: IdReader) -> None:
    if len(line) >= _LONGEST:
        raise InvalidArgumentError(reader.kind.option, _EXPECTED, hint=f"a line of {reader.name} is too long for an id")


def _lines_of(source: IO[bytes], reader: IdReader) -> Iterator[str]:
    """Yield the lines of a regular file, in any encoding and with any line break."""
    head = source.read(_HEAD_BYTES)
    source.seek(-len(head), os.SEEK_CUR)
    text = io.TextIOWrapper(source, _encoding_of(head), errors="replace")
    while line := text.readline(_LONGEST):
        _check_length(line, reader)
        yield line
    text.detach()  # or it would close the file


def _encoding_of(head: bytes) -> str:
    """Tell the encoding of a file by its first bytes. Ids and names of columns are ASCII: UTF-16 has zeros between."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if 0 in head:
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return "utf-8-sig"


def transcoder() -> Callable[[bytes], bytes]:
    """Return a function that makes UTF-8 and plain line breaks of each piece of a file. An empty piece is the end."""
    head = b""
    decoder: io.IncrementalNewlineDecoder | None = None

    def transcode(piece: bytes) -> bytes:
        nonlocal head, decoder
        is_end = not piece
        if decoder is None:
            head = piece = head + piece
            if len(head) < _HEAD_BYTES and not is_end:
                return b""
            decode = codecs.getincrementaldecoder(_encoding_of(head))("replace")
            decoder = io.IncrementalNewlineDecoder(decode, translate=True)
        return decoder.decode(piece, final=is_end).encode()

    return transcode


def _open(file: Path, kind: IdKind) -> AbstractContextManager[IO[bytes]]:
    if file == STDIN:
        if sys.stdin is None:  # closed. Another file may have got its number since.
            raise InvalidArgumentError(kind.option, "a file", hint="standard input is closed")
        return os.fdopen(os.dup(0), "rb")
    try:
        return file.open("rb")
    except OSError as error:
        problem = reason(error)
    raise InvalidArgumentError(kind.option, _EXPECTED, file, hint=problem)
