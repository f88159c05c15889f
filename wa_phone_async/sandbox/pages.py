"""One page of a list: which rows are on it, and the cursors and links beside them.

Meta's Graph guide to paging, read 2026-11-22.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlencode

import attrs

from .data import Row
from .messages import dumps, invalid, is_object
from .modes import Sort
from .query import Condition, Field, ListQuery

LINK_HOST = "https://graph.intern.facebook.com"
"""Where `next` and `previous` point: not here. A sample of Meta's own guide has this internal host."""

_OTHER_NAMES = {"host_platform": "platform_type"}  # two names of one thing
_NOT_IN_LINKS = frozenset({"after", "before", "appsecret_proof"})


class Rows(Protocol):
    """Rows in one order, of which pages are cut."""

    def __len__(self) -> int: ...

    def cut(self, start: int, end: int) -> Sequence[Row]:
        """Give the rows from one place up to another."""
        ...

    def place(self, row_id: str) -> int:
        """Give the place of a row, `KeyError` if it is not here."""
        ...


@attrs.frozen
class Ordered:
    """The rows of an account in one order, and where each id stands in it."""

    rows: tuple[Row, ...]
    places: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.rows)

    def cut(self, start: int, end: int) -> Sequence[Row]:
        """Give the rows from one place up to another."""
        return self.rows[start:end]

    def place(self, row_id: str) -> int:
        """Give the place of a row, `KeyError` if it is not here."""
        return self.places[row_id]


@attrs.frozen
class Page:
    """One page, encoded, and what lies beside it."""

    data: bytes
    """The rows as a JSON array."""

    is_empty: bool

    cursors: Mapping[str, str]
    """`before` and `after`: the ends of the page before any filter."""

    has_next: bool
    has_previous: bool
    is_backward: bool
    limit: int


def order_rows(rows: Iterable[Row], sort: Sort) -> Ordered:
    """Sort rows. Those without the value come last when the newest come first, and ids break ties."""
    ordered = sorted(rows, key=lambda row: (row.get(sort.field) or "", str(row["id"])), reverse=sort.is_descending)
    return Ordered(tuple(ordered), {row["id"]: place for place, row in enumerate(ordered)})


def make_page(rows: Rows, query: ListQuery) -> Page:
    """Cut a page, then filter it: so a filtered page is short, or empty, with more behind it."""
    start, end = _ends(rows, query)
    cut = rows.cut(start, end)
    shown = [project(row, query.fields) for row in cut if _matches(row, query.conditions)]
    return Page(
        data=dumps(shown),
        is_empty=not shown,
        cursors={"before": _cursor(cut[0]), "after": _cursor(cut[-1])} if cut else {},
        has_next=bool(cut) and end < len(rows),
        has_previous=bool(cut) and start > 0,
        is_backward=query.before is not None,
        limit=query.limit,
    )


def write_page(page: Page, link: str, query: Mapping[str, str], *, with_links: bool) -> bytes:
    """Write the body of an answer.

    An empty page has no `paging` unless more follows where the walk goes.
    """
    follows = page.has_previous if page.is_backward else page.has_next
    if page.is_empty and not follows:
        return b'{"data":' + page.data + b"}"
    paging: dict[str, Any] = {"cursors": page.cursors}
    if with_links and page.has_previous:
        paging["previous"] = _link(link, query, page, "before")
    if with_links and page.has_next:
        paging["next"] = _link(link, query, page, "after")
    return b'{"data":' + page.data + b',"paging":' + dumps(paging) + b"}"


def _link(link: str, query: Mapping[str, str], page: Page, cursor: str) -> str:
    """Write a link as Graph does: the token in it, the proof of the app secret lost."""
    kept = {name: value for name, value in query.items() if name not in _NOT_IN_LINKS}
    return f"{link}?{urlencode({**kept, 'pretty': 0, 'limit': page.limit, cursor: page.cursors[cursor]})}"


def _ends(rows: Rows, query: ListQuery) -> tuple[int, int]:
    if query.before is not None:
        end = _place(rows, query.before)
        return max(0, end - query.limit), end
    start = 0 if query.after is None else _place(rows, query.after) + 1
    return start, min(start + query.limit, len(rows))


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(f"AQH:{row['id']}".encode()).decode()


def _place(rows: Rows, cursor: str) -> int:
    """Find the row of a cursor. A cursor dies with its row, as Meta warns."""
    try:
        row_id = base64.urlsafe_b64decode(cursor).decode().removeprefix("AQH:")
        return rows.place(row_id)
    except (ValueError, KeyError):
        raise invalid("Invalid cursor: the item that it names does not exist") from None


def _matches(row: Row, conditions: Sequence[Condition]) -> bool:
    return all(row.get(condition.field) == condition.value for condition in conditions)


def project(row: Row, fields: Sequence[Field]) -> Row:
    """Keep the members asked for; what a number lacks stays absent."""
    shown: Row = {}
    for field in fields:
        name = _OTHER_NAMES.get(field.name, field.name)
        if name in row:
            shown[field.name] = _inner(row[name], field.inner)
    return shown


def _inner(value: Any, fields: Sequence[Field] | None) -> Any:
    return project(value, fields) if fields and is_object(value) else value
