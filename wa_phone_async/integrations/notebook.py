"""Values as tables in notebooks. The values themselves contain no HTML: this module gives them `_repr_html_`.

The tables have no colours of their own, so they fit a light and a dark page.

What comes from the API is text and never markup. It is escaped, it is not typeset as mathematics, and a text from right
to left does not turn its neighbours around. Nothing is cut, and only a long text is broken between its words. So people
can copy ids and numbers. A wide table scrolls.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import islice
from typing import Any, Final, cast

import attrs

from wa_phone_async.errors import WaPhoneError
from wa_phone_async.models import BusinessAccount, Page, PhoneNumber
from wa_phone_async.pagination.rows import Rows
from wa_phone_async.redaction import hide_queries
from wa_phone_async.usage import Usage
from wa_phone_async.workflows.listing import WabaListing

MOST_ROWS: Final = 100
"""How many rows a table shows. Its caption says if there are more."""

_MOST_TEXTS: Final = 10
"""How many rows the text of a list has. A terminal shows it, and a notebook keeps it beside the table."""

_NEXT: Final = ",\n "

_LONG_TEXT: Final = 80
"""Characters. A text of this length is a sentence, and is broken between words. Ids, numbers and names are not."""

_CELL: Final = "text-align:left;white-space:nowrap"
_SENTENCE: Final = "text-align:left;white-space:normal;min-width:30em"


def rows_as_html(caption: str, rows: Sequence[object]) -> str:
    """Return a table with a line for each value, and a column for each member that any of the values has.

    A listing is a line: it shows how many numbers it has, and not the numbers.
    """
    members = [_summary_of(row) if isinstance(row, WabaListing) else members_of(row) for row in islice(rows, MOST_ROWS)]
    columns = dict.fromkeys(name for row in members for name, value in row.items() if _is_shown(value))
    more = len(rows) - len(members)
    return _table(
        f"{caption}, the first {len(members)} of them" if more else caption,
        list(columns),
        ([row.get(name) for name in columns] for row in members),
    )


def rows_as_text(rows: Sequence[object]) -> str:
    """Return what a terminal shows of rows: the first ones, as `repr` has them, and how many more there are."""
    shown = [
        f"WabaListing({', '.join(f'{name}={value!r}' for name, value in _summary_of(row).items())})"
        if isinstance(row, WabaListing)
        else repr(row)
        for row in islice(rows, _MOST_TEXTS)
    ]
    if len(rows) > len(shown):
        shown.append(f"… and {len(rows) - len(shown):,} more")
    return f"[{_NEXT.join(shown)}]"


def members_as_html(caption: str, value: object) -> str:
    """Return a table with a line for each member that a value has."""
    return _table(caption, (), ([name, item] for name, item in members_of(value).items() if _is_shown(item)))


def members_of(value: object) -> Mapping[str, object]:
    """Return the members of a value by name: the items of a mapping, or the fields of a model."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value)
    kind: Any = type(value)
    if attrs.has(kind):
        return {field.name: getattr(value, field.name) for field in attrs.fields(kind)}
    return {"value": value}


def _summary_of(listing: WabaListing) -> Mapping[str, object]:
    error = None if listing.error is None else f"{type(listing.error).__name__}: {listing.error}"
    return {**members_of(listing), "phone_numbers": len(listing.phone_numbers), "error": error}


def _is_shown(value: object) -> bool:
    return value is not None and value != {}


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = f"<thead><tr>{''.join(_cell('th', name) for name in columns)}</tr></thead>" if columns else ""
    body = "".join(f"<tr>{''.join(_cell('td', value) for value in row)}</tr>" for row in rows)
    return (
        '<div class="tex2jax_ignore mathjax_ignore" style="overflow-x:auto"><table>'
        f'<caption style="{_CELL}">{escape(caption)}</caption>{head}<tbody>{body}</tbody></table></div>'
    )


def _cell(tag: str, value: object) -> str:
    text = _text(value)
    style = _CELL if len(text) < _LONG_TEXT else _SENTENCE
    return f'<{tag} style="{style}"><bdi>{escape(text)}</bdi></{tag}>'


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, str | int | float):
        return str(hide_queries(value))
    members = {name: item for name, item in members_of(value).items() if _is_shown(item)}
    return ", ".join(
        f"{_text(name)}: {_text(item)}" if name != "value" else repr(hide_queries(cast("Any", item)))
        for name, item in members.items()
    )


def _number_as_html(number: PhoneNumber) -> str:
    return members_as_html("Phone number", number)


def _account_as_html(account: BusinessAccount) -> str:
    return members_as_html("WhatsApp Business Account", account)


def _page_as_html(page: Page[Any]) -> str:
    return rows_as_html(_caption_of(page), page.data)


def _caption_of(page: Page[Any]) -> str:
    return f"Page of {len(page)}{', and there is more' if page.has_next else ''}"


def _rows_as_html(rows: Rows[Any]) -> str:
    return rows_as_html(f"{_NAMES.get(rows.model, 'Rows')}: {len(rows):,}", rows)


def _listing_as_html(listing: WabaListing) -> str:
    what = "not listed" if listing.error else f"phone numbers: {len(listing.phone_numbers)}"
    caption = f"WABA {listing.waba_id}: {what}; calls: {listing.calls}; {listing.elapsed_seconds:.1f} s"
    if listing.error is not None:
        return members_as_html(caption, {"error": repr(listing.error)})
    return rows_as_html(caption, listing.phone_numbers)


def _usage_as_html(usage: Usage) -> str:
    metrics = {"waba": usage.waba, "app": usage.app}
    rows = [{"quota": name, **members_of(metric)} for name, metric in metrics.items() if metric is not None]
    wait = "" if usage.retry_after_seconds is None else f"; retry after {usage.retry_after_seconds:g} s"
    return rows_as_html(f"Usage of the quotas{wait}", rows)


def _error_as_html(error: WaPhoneError) -> str:
    facts = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    return members_as_html(type(error).__name__, {"message": str(error), **facts})


_NAMES: Final[Mapping[type[Any], str]] = {
    PhoneNumber: "Phone numbers",
    BusinessAccount: "WhatsApp Business Accounts",
    WabaListing: "WABAs",
}
_TABLES: Final[Mapping[type[Any], Callable[[Any], str]]] = {
    PhoneNumber: _number_as_html,
    BusinessAccount: _account_as_html,
    Page: _page_as_html,
    Rows: _rows_as_html,
    WabaListing: _listing_as_html,
    Usage: _usage_as_html,
    WaPhoneError: _error_as_html,
}


def _write_rows(rows: Rows[Any], printer: Any, is_cycle: bool) -> None:  # noqa: FBT001 - IPython calls it
    del is_cycle
    printer.text(rows_as_text(rows))


def _write_page(page: Page[Any], printer: Any, is_cycle: bool) -> None:  # noqa: FBT001 - IPython calls it
    del is_cycle
    printer.text(f"{_caption_of(page)}: {rows_as_text(page.data)}")


def show_tables() -> None:
    """Give each class its `_repr_html_`. IPython, marimo and other notebooks call it. At a terminal, lists are short.

    A health report has its own page: see `report.html`.
    """
    for kind, as_html in _TABLES.items():
        kind._repr_html_ = as_html
    rows, page = cast("Any", Rows), cast("Any", Page)
    rows._repr_pretty_, page._repr_pretty_ = _write_rows, _write_page
