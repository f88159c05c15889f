"""Usage headers → `Usage`: how full the budgets of a WABA and of the app are, by Meta's own count.

Facts, from Meta's Graph guide "Rate limiting" and the v23.0 OpenAPI file, read 2026-11-22:

- ``X-App-Usage: {"call_count": 28, "total_time": 25, "total_cputime": 25}``, in percent of the app's hour.
- ``X-Business-Use-Case-Usage: {"<id>": [{"type": …, "call_count": …, "total_cputime": …, "total_time": …,
  "estimated_time_to_regain_access": <minutes>}]}``, up to 32 entries. The specification's own example has two
  entries under one id, so reading only the first loses the one that may be full. Whether the id is that of
  the WABA or of the business is not settled.
- ``reset_time_duration``, where it occurs, and ``Retry-After`` are seconds; neither is documented here.
- The headers are missing until an app has made enough calls, and may be missing on any answer; the guide's
  printed sample is no valid JSON and repeats a key. So nothing here raises.
"""

import json
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

import attrs

_Json = dict[str, Any] | list[Any] | str | float | None


@attrs.frozen
class UsageMetric:
    """How full one budget is, by the server's count.

    Calls and load are kept apart because they answer different questions. Only the count of calls can be
    compared with a log of our own calls, so it alone calibrates a budget; time and processor time say when
    sending has to stop although calls are left. Each is the largest of all entries, never that of one entry:
    of two entries the one that is busier may have the smaller count of calls.
    """

    calls_percent: float | None = None
    """Calls made, in percent of those allowed in an hour; may exceed 100. `None` where it was not said."""

    load_percent: float = 0.0
    """The larger of total time and total processor time, in percent of the hour's; may exceed 100."""

    regain_seconds: float = 0.0
    """Seconds until calls are allowed again, by the server's estimate; 0 when it gave none."""

    @property
    def percent(self) -> float:
        """The fullest of all that was said, in percent."""
        return max(self.calls_percent or 0.0, self.load_percent)


@attrs.frozen
class Usage:
    """What one answer said about the budgets it was charged to."""

    waba: UsageMetric | None = None
    """The budget of the app and this WABA, from ``X-Business-Use-Case-Usage``."""

    app: UsageMetric | None = None
    """The budget of the app as a whole, from ``X-App-Usage``."""

    retry_after_seconds: float | None = None
    """``Retry-After``, in seconds; `None` when absent or unreadable."""


def read_usage(headers: Mapping[str, str], node_id: str) -> Usage | None:
    """Read the usage headers of one answer; never raises, whatever they hold.

    The same texts give the same object again, from a small memo, since this runs on every answer.

    Args:
        headers: The answer's headers. A `dict` is searched whatever the case of its keys; any other mapping
            is taken to ignore case by itself, as aiohttp's does.
        node_id: The id of the WABA. Entries under this id are read if there are any, else all entries.

    Returns:
        What was said, or `None` when nothing readable was.
    """
    if isinstance(headers, dict):
        headers = {str(name).lower(): text for name, text in headers.items()}
    buc, retry_after = headers.get("x-business-use-case-usage"), headers.get("retry-after")
    date = None if retry_after is None else headers.get("date")
    if buc is not None:
        buc, node_id = _impersonal(buc, node_id)
    return _read(buc, headers.get("x-app-usage"), retry_after, date, node_id)


_ANY_ID: Final = "the id that was called"


def _impersonal(text: str, node_id: str) -> tuple[str, str]:
    """The text with a word for the id, and this word.

    The texts of many accounts mostly differ by the id alone, and without it one is read for all of them.
    """
    name = f'"{node_id}"'
    if name not in text:
        return text, _ANY_ID
    key = f"{name}:"
    return (text.replace(key, f'"{_ANY_ID}":'), _ANY_ID) if key in text and node_id.isdecimal() else (text, node_id)


@lru_cache(maxsize=256)
def _read(buc: str | None, app: str | None, retry_after: str | None, date: str | None, node_id: str) -> Usage | None:
    usage = Usage(
        None if buc is None else _fullest(_entries(_parse(buc), node_id)),
        None if app is None else _fullest([_parse(app)]),
        None if retry_after is None else _delay(retry_after, date),
    )
    return None if usage == _NOTHING else usage


_NOTHING = Usage()


def _parse(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError):
        return None


def _fullest_of_same_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict that loses nothing to a repeated key: lists are joined, of two numbers the larger stays."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    members.clear()
    for name, value in pairs:
        members[name] = _fuller(members[name], value) if name in members else value
    return members


_decoder = json.JSONDecoder(object_pairs_hook=_fullest_of_same_name)  # `loads` would make one for each answer


def _fuller(one: _Json, other: _Json) -> _Json:
    if isinstance(one, list) and isinstance(other, list):
        return one + other
    return other if (_number(other) or 0.0) >= (_number(one) or 0.0) else one


def _entries(document: _Json, node_id: str) -> list[Any]:
    """List the entries under the WABA's own id, or else all of them."""
    if not isinstance(document, dict):
        return []
    lists: Iterable[Any] = [document[node_id]] if node_id in document else document.values()
    return [entry for entries in lists for entry in _listed(entries)]


def _listed(entries: _Json) -> list[Any]:
    return entries if isinstance(entries, list) else [entries]


def _fullest(entries: Iterable[Any]) -> UsageMetric | None:
    """Take the largest of each number over all entries, or `None` where no entry says anything."""
    readings = [reading for reading in map(_reading, entries) if reading != _SILENT]
    if not readings:
        return None
    counts = [reading.calls_percent for reading in readings if reading.calls_percent is not None]
    return UsageMetric(
        max(counts, default=None),
        max(reading.load_percent for reading in readings),
        max(reading.regain_seconds for reading in readings),
    )


_SILENT = UsageMetric()


def _reading(entry: _Json) -> UsageMetric:
    if not isinstance(entry, dict):
        return _SILENT
    minutes = _number(entry.get("estimated_time_to_regain_access")) or 0.0
    return UsageMetric(
        _number(entry.get("call_count")),
        max(_number(entry.get("total_time")) or 0.0, _number(entry.get("total_cputime")) or 0.0),
        max(_number(minutes * 60.0) or 0.0, _number(entry.get("reset_time_duration")) or 0.0),
    )


# No percentage is as large, and in seconds it is 30 years: a header that says so is broken, and so says nothing.
_ABSURD: Final = 1e9


def _number(value: Any) -> float | None:
    """Read a number of 0 or more, also out of a text; `None` for all else, and for what is absurdly large."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0.0 <= number < _ABSURD else None


def _delay(text: str, date: str | None) -> float | None:
    """Read ``Retry-After``: seconds, or a date, which is taken relative to the answer's own ``Date``.

    Two dates of one server need no clock of ours, and so cannot be wrong by the difference of two clocks.
    """
    seconds = _number(text)
    if seconds is not None or date is None:
        return seconds
    try:
        delay = parsedate_to_datetime(text) - parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _number(max(0.0, delay.total_seconds()))


def server_wait(usage: Usage | None, *, is_throttled: bool) -> float | None:
    """Seconds that a refusal asks to wait: the longest that its headers say, or `None` where they say nothing.

    The estimates until access comes back count only where the refusal is one of throttling.
    """
    if usage is None:
        return None
    readings = [reading for reading in (usage.waba, usage.app) if reading is not None and is_throttled]
    return max(usage.retry_after_seconds or 0.0, *(reading.regain_seconds for reading in readings), 0.0) or None
