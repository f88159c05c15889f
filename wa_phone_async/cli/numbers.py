"""Phone numbers by their ids: which ones a command means, and one call for each of them."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from cyclopts import Parameter

from wa_phone_async.checks import read_node_id
from wa_phone_async.concurrency import DEFAULT_CONCURRENCY, stream_in_order
from wa_phone_async.errors import (
    GraphAPIError,
    InvalidArgumentError,
    MissingTokenError,
    OutcomeUnknownError,
    WaPhoneError,
    concerns_all,
)
from wa_phone_async.models import PhoneNumber

from .connection import Connection
from .errors import sentence
from .terminal.ids import NUMBERS, count_ids, read_ids
from .terminal.output import complain, counted, tell
from .terminal.stopping import Stop
from .terminal.writers import Format, writer_of

T = TypeVar("T")

NumberIds: TypeAlias = Annotated[str, Parameter(name="PHONE_NUMBER_ID")]
"""The ids on the command line."""
NumbersFile: TypeAlias = Annotated[Path | None, Parameter(name="--numbers", metavar="FILE", allow_leading_hyphen=True)]
"""The file with ids."""

_ROWS_OF_TABLE: Final = 50

_OF_ONE: Final = (GraphAPIError, MissingTokenError, OutcomeUnknownError)
"""Errors that concern one number. After any other one, the next number would have it too."""


class NumberLoop:
    """Makes one call for each of some numbers, and says which ones failed.

    Args:
        ids: The ids on the command line.
        file: The file with ids, or `-` for standard input.
        connection: Says whether there is a sandbox, whose small account is then the default.

    Raises:
        InvalidArgumentError: There is no id, there are two sources of them, or one is invalid.
    """

    def __init__(self, ids: Sequence[str], file: Path | None, connection: Connection) -> None:
        self.done: int = 0
        """Numbers whose call succeeded."""
        self.failed: int = 0
        """Numbers whose call failed."""
        if ids and file is not None:
            raise InvalidArgumentError("--numbers", "left out where PHONE_NUMBER_ID is given")
        if not ids and file is None:
            if not connection.sandbox:
                raise InvalidArgumentError("PHONE_NUMBER_ID or --numbers FILE", "given, or --sandbox to try it")
            ids = sandbox_ids()
        self._ids = [read_node_id("phone_number_id", text) for text in ids]
        self._file = file
        if file is not None:
            count_ids(file, NUMBERS)  # to check every line before anything is sent

    async def each(
        self, call: Callable[[str], Coroutine[Any, Any, T]], *, at_once: int = DEFAULT_CONCURRENCY
    ) -> AsyncGenerator[tuple[str, T]]:
        """Call a function for each number, and yield the results in the order of the ids.

        Args:
            call: The function.
            at_once: How many calls may be in flight at once.

        Raises:
            WaPhoneError: The only number failed, or each further one would fail in the same way.
        """

        async def attempt(number: str) -> tuple[str, T | WaPhoneError]:
            try:
                return number, await call(read_node_id("phone_number_id", number))
            except (*_OF_ONE, InvalidArgumentError) as error:  # a pipe may end in a line that is no id
                if len(self._ids) == 1 or concerns_all(error):
                    raise
                return number, error

        async with aclosing(stream_in_order(attempt, self._numbers(), at_once)) as results:
            async for number, result in results:
                if isinstance(result, WaPhoneError):
                    self.failed += 1
                    complain(f"{number}: {sentence(result)}")
                else:
                    self.done += 1
                    yield number, result

    async def _numbers(self) -> AsyncGenerator[str]:
        for number in self._ids:
            yield number
        if self._file is not None:
            async with aclosing(read_ids(self._file, Stop(), NUMBERS)) as ids:
                async for number in ids:
                    yield number


class NumberRows:
    """Writes a row for each number as it comes. A table gets some rows at once: its columns fit them.

    Args:
        form: The format.
        columns: The columns, also in `extra`.
        of_table: The columns of a table, if they are others.
    """

    def __init__(self, form: Format, columns: Sequence[str], of_table: Sequence[str] = ()) -> None:
        self._form = form
        self._writer = writer_of(form, of_table if form == "table" and of_table else columns)
        self._waiting = list[PhoneNumber]()

    def add(self, *rows: PhoneNumber) -> None:
        """Write rows, or keep them for a moment."""
        self._waiting.extend(rows)
        if self._form != "table" or len(self._waiting) >= _ROWS_OF_TABLE:
            self._flush()

    def end(self, loop: NumberLoop, calls: int) -> None:
        """Write what ends the rows of a loop, and say what was read."""
        self._flush()
        if not loop.failed:
            self._writer.end()
        if self._form == "table" or sys.stderr.isatty():
            tell(f"{counted(loop.done, 'number')}, {counted(calls, 'call')}")

    def _flush(self) -> None:
        self._writer.page("", self._waiting)
        self._waiting = []


def sandbox_ids() -> list[str]:
    """The ids of the numbers of the sandbox's small account. The first one is registered."""
    from wa_phone_async.sandbox.data import SEEDED, SMALL_WABA, number_id  # noqa: PLC0415 - a part of a web server

    ordinal = list(SEEDED).index(SMALL_WABA)
    return [number_id(ordinal, index) for index in range(SEEDED[SMALL_WABA])]
