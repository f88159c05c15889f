"""One page of a list: its rows, its cursors and its links.

From Meta's Graph guide to paging, read 2026-11-22.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import attrs

from .data import Row
from .messages import is_object, rejected
from .modes import SortOrder
from .query import Condition, Field, ListParams

LINK_HOST = "https://graph.intern.facebook.com"
"""The host in `next` and `previous`: not this server, but the internal host that a sample of Meta's guide has.

A client that follows the link instead of the cursor fails.
"""

_OTHER_NAMES = {"host_platform": "platform_type"}  # one value with two names
_NOT_IN_LINKS = frozenset({"after", "before", "appsecret_proof"})


class Rows(Protocol):
    """Rows in one order, from which pages are sliced."""

    def __len__(self) -> int: ...

    def slice(self, start: int, end: int) -> Sequence[Row]:
        """Return the rows from position `start` up to `end`, without `end`."""
        ...

    def position(self, row_id: str) -> int:
        """Return the position of a row.

        Raises:
            KeyError: The row is not here.
        """
        ...


@attrs.frozen
class OrderedRows:
    """The rows of an account in one order."""

    rows: tuple[Row, ...]
    positions: Mapping[str, int]
    """The position of each row, by its id."""

    def __len__(self) -> int:
        return len(self.rows)

    def slice(self, start: int, end: int) -> Sequence[Row]:
        """Return the rows from position `start` up to `end`, without `end`."""
        return self.rows[start:end]

    def position(self, row_id: str) -> int:
        """Return the position of a row.

        Raises:
            KeyError: The row is not here.
        """
        return self.positions[row_id]


@attrs.frozen
class ListPage:
    """One page: its rows, and what `paging` is made from."""

    rows: Sequence[Row]

    cursors: Mapping[str, str]
    """`before` and `after`: the first and last row of the page before any filter."""

    has_next: bool
    has_previous: bool
    is_backward: bool
    limit: int


def order_rows(rows: Iterable[Row], sort: SortOrder) -> OrderedRows:
    """Sort rows by a field, and equal ones by id. A row without the value is the lowest."""
    ordered = sorted(rows, key=lambda row: (row.get(sort.field) or "", str(row["id"])), reverse=sort.is_descending)
    return OrderedRows(tuple(ordered), {row["id"]: position for position, row in enumerate(ordered)})


def make_page(rows: Rows, params: ListParams) -> ListPage:
    """Slice a page out of the rows and filter it."""
    start, end = _ends(rows, params)
    sliced = rows.slice(start, end)
    # Graph filters after it has cut the page. So a filtered page is short or empty, with more pages behind it.
    return ListPage(
        rows=[project(row, params.fields) for row in sliced if _matches(row, params.conditions)],
        cursors={"before": _cursor(sliced[0]), "after": _cursor(sliced[-1])} if sliced else {},
        has_next=bool(sliced) and end < len(rows),
        has_previous=bool(sliced) and start > 0,
        is_backward=params.before is not None,
        limit=params.limit,
    )


def list_members(page: ListPage, link: str, query: Mapping[str, str], *, with_links: bool) -> Row:
    """Return `data` and `paging` of a page: the body of a response, or a list nested in a row.

    Args:
        page: The page.
        link: The URL of the list, without parameters.
        query: Its parameters, with the token.
        with_links: Whether `paging` has `next` and `previous`.
    """
    # An empty page has `paging` only if another page follows in the direction of the request.
    follows = page.has_previous if page.is_backward else page.has_next
    if not page.rows and not follows:
        return {"data": page.rows}
    paging: dict[str, Any] = {"cursors": page.cursors}
    if with_links and page.has_previous:
        paging["previous"] = _link(link, query, page, "before")
    if with_links and page.has_next:
        paging["next"] = _link(link, query, page, "after")
    return {"data": page.rows, "paging": paging}


def _link(link: str, query: Mapping[str, str], page: ListPage, cursor: str) -> str:
    """Write a link as Graph does: with the token, and without the proof of the app secret."""
    kept = {name: value for name, value in query.items() if name not in _NOT_IN_LINKS}
    return f"{link}?{urlencode({**kept, 'pretty': 0, 'limit': page.limit, cursor: page.cursors[cursor]})}"


def _ends(rows: Rows, params: ListParams) -> tuple[int, int]:
    if params.before is not None:
        end = _position(rows, params.before)
        return max(0, end - params.limit), end
    start = 0 if params.after is None else _position(rows, params.after) + 1
    return start, min(start + params.limit, len(rows))


_TO_STANDARD_BASE64: Final = str.maketrans("-_", "+/")


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(f"AQH:{row['id']}".encode()).decode()


def _position(rows: Rows, cursor: str) -> int:
    """Return the position of a cursor's row. A cursor is invalid once its row is removed, as Meta warns."""
    try:
        # urlsafe_b64decode does the same, but warns from Python 3.15 on where a cursor has "+" or "/".
        row_id = base64.b64decode(cursor.translate(_TO_STANDARD_BASE64)).decode().removeprefix("AQH:")
        return rows.position(row_id)
    except (ValueError, KeyError):
        raise rejected("Invalid cursor: the item that it names does not exist") from None


def _matches(row: Row, conditions: Sequence[Condition]) -> bool:
    return all(row.get(condition.field) == condition.value for condition in conditions)


def project(row: Row, fields: Sequence[Field]) -> Row:
    """Keep the requested members of a row. A member that the row lacks stays absent."""
    shown: Row = {}
    for field in fields:
        name = _OTHER_NAMES.get(field.name, field.name)
        if name in row:
            shown[field.name] = _inner(row[name], field.inner)
    return shown


def _inner(value: Any, fields: Sequence[Field] | None) -> Any:
    return project(value, fields) if fields and is_object(value) else value
