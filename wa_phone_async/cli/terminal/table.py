"""Phone numbers as a table that fits its terminal.

Ids and numbers are never cut. Names are folded, and the last columns are left out, until the table fits.

Each page is written as it comes. The first one decides about the columns, and later ones make them wider. When they no
longer fit, the table decides again and writes a new header.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

import attrs
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wa_phone_async.models import BusinessAccount, PhoneNumber
from wa_phone_async.redaction import printable

from .formats import cells
from .output import spell_out_unknown, takes_escapes, terminal_width, write

TITLES: Final[Mapping[str, str]] = {
    "waba_id": "WABA",
    "id": "ID",
    "display_phone_number": "NUMBER",
    "verified_name": "NAME",
    "name": "NAME",
    "status": "STATUS",
    "quality_rating": "QUALITY",
    "name_status": "REVIEW",
    "code_verification_status": "VERIFICATION",
    "host_platform": "PLATFORM",
    "throughput": "THROUGHPUT",
    "whatsapp_business_manager_messaging_limit": "LIMIT",
    "messaging_limit_tier": "TIER",
    "account_mode": "MODE",
    "is_official_business_account": "OFFICIAL",
    "last_onboarded_time": "ONBOARDED",
    "username_status": "STATUS",
}
"""The titles of columns. Any other column has its field's name."""

_WHOLE: Final = frozenset({"waba_id", "id", "display_phone_number"})
_KEPT: Final = {*_WHOLE, "verified_name"}
_LEAST_WIDTH: Final = 8
_GAP: Final = 2

STYLES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("CONNECTED", "LINKED", "GREEN", "VERIFIED", "APPROVED"), "green"),
    **dict.fromkeys(
        ("PENDING", "FLAGGED", "RATE_LIMITED", "YELLOW", "PENDING_REVIEW", "NAME_PENDING_REVIEW"), "yellow"
    ),
    **dict.fromkeys(("BANNED", "RESTRICTED", "DISCONNECTED", "RED", "DECLINED", "NAME_NOT_APPROVED"), "red"),
}
"""The colours of values."""


@attrs.define
class Column:
    """A column. Its width grows with its values."""

    name: str
    is_whole: bool
    """Whether its values must not be folded."""
    width: int = 0

    @property
    def title(self) -> str:
        """The words above it."""
        return TITLES.get(self.name, self.name.upper().replace("_", " "))

    @property
    def least(self) -> int:
        """The columns of the terminal that it needs at least."""
        return self.width if self.is_whole else min(self.width, _LEAST_WIDTH)


def fit(columns: Sequence[Column], total: int | None) -> list[int] | None:
    """Fit columns into a total width, by making the widest narrower first.

    Args:
        columns: The columns.
        total: The width of the terminal; `None` has room for all.

    Returns:
        Their widths; `None` if they do not fit.
    """
    widths = [column.width for column in columns]
    if total is None:
        return widths
    surplus = sum(widths) + _GAP * (len(columns) - 1) - total
    while surplus > 0:
        spare, index = max((widths[i] * (widths[i] > column.least), i) for i, column in enumerate(columns))
        if not spare:
            return None
        widths[index] -= 1
        surplus -= 1
    return widths


class PlainTable:
    """A table without lines. Each number is a row; on a narrow terminal, each field is.

    Args:
        fields: The fields to show.
        with_waba_id: Whether each row begins with its account.
        may_drop: Whether the last columns may be left out to make the table fit.
    """

    def __init__(self, fields: Sequence[str], *, with_waba_id: bool, may_drop: bool) -> None:
        names = ("waba_id", *fields) if with_waba_id else tuple(fields)
        # Columns that may be left out are never folded: a folded status is harder to read than a missing one.
        self._columns = [
            Column(name, is_whole=name in _WHOLE or (may_drop and name != "verified_name"))
            for name in dict.fromkeys(names)
        ]
        self._may_drop = may_drop
        self._total = terminal_width(sys.stdout)
        self._is_begun = False
        self._needs_header = False
        self._as_records = False
        self.left_out: Sequence[str] = ()
        is_coloured = takes_escapes(sys.stdout)
        self._console = Console(file=sys.stdout, force_terminal=is_coloured, highlight=False, markup=False, emoji=False)
        spell_out_unknown()

    def page(self, waba_id: str, numbers: Sequence[PhoneNumber | BusinessAccount]) -> None:
        """Write one page of an account."""
        names = [column.name for column in self._columns]
        rows = [[printable(text) for text in cells(number, names)] for number in numbers]
        if not rows:
            return
        if names[0] == "waba_id":
            rows = [[waba_id, *row[1:]] for row in rows]
        for index, column in enumerate(self._columns):
            column.width = max(column.width, *(cell_len(row[index]) for row in rows))
        if not self._is_begun or (not self._as_records and fit(self._columns, self._total) is None):
            self._arrange()
        if self._as_records:
            for row in rows:
                self._write_record(row)
        else:
            self._write_rows(rows)
        self._is_begun = True

    def end(self) -> None:
        """Do nothing: a table has no end."""

    def _arrange(self) -> None:
        """Decide which columns are shown, and whether rows or records are written. A header comes next."""
        self._needs_header = True
        for column in self._columns:
            words = [column.title] if self._total is None else column.title.split()
            column.width = max(column.width, *map(cell_len, words))
        shown = list(self._columns)
        while fit(shown, self._total) is None and self._may_drop and shown[-1].name not in _KEPT:
            shown.pop()
        self._as_records = fit(shown, self._total) is None
        if not self._as_records:
            self.left_out = [*(column.title for column in self._columns[len(shown) :]), *self.left_out]
            self._columns = shown

    def _write_rows(self, rows: Sequence[Sequence[str]]) -> None:
        widths = fit(self._columns, self._total) or []
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=self._needs_header)
        self._needs_header = False
        for column, width in zip(self._columns, widths, strict=True):
            table.add_column(column.title, width=width, overflow="fold", header_style="bold", vertical="top")
        for row in rows:
            table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row[: len(widths)]))
        self._write(table, sum(widths) + _GAP * len(widths))

    def _write_record(self, row: Sequence[str]) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False)
        labels = max(cell_len(column.title) for column in self._columns)
        values = max(cell_len(text) for text in row)
        whole = [cell_len(text) for column, text in zip(self._columns, row, strict=True) if column.name in _WHOLE]
        room = (self._total or values) - labels - _GAP
        table.add_column(width=labels, style="bold")
        table.add_column(width=max(min(values, room), _LEAST_WIDTH, *whole), overflow="fold")
        for column, text in zip(self._columns, row, strict=True):
            table.add_row(column.title, Text(text, style=STYLES.get(text, "")))
        if self._is_begun:
            write("\n")
        self._is_begun = True
        self._write(table, labels + values + 2 * _GAP)

    def _write(self, table: Table, width: int) -> None:
        self._console.width = width
        with self._console.capture() as capture:
            self._console.print(table)
        write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
