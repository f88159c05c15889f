"""Usage headers → `Usage`: how full the quotas of a WABA and of the app are, by Meta's own count.

Facts, from Meta's Graph guide "Rate limiting" and the v23.0 OpenAPI file, read 2026-11-22:

- `X-App-Usage: {"call_count": 28, "total_time": 25, "total_cputime": 25}`, in percent of the app's quota for an hour.
- `X-Business-Use-Case-Usage: {"<id>": [{"type": …, "call_count": …, "total_cputime": …, "total_time": …,
  "estimated_time_to_regain_access": <minutes>}]}`, with up to 32 entries. The specification's own example has two
  entries under one id, and the second may be the full one. It is open whether the id is that of the WABA or of the
  business.
- `type` is `whatsapp` or `whatsapp_business_management` in the specification's example. The guide lists other products,
  such as `ads_management`, `pages`, `instagram` and `messenger`. Their quotas are not ours, so they are passed over.
- `reset_time_duration`, where it occurs, and `Retry-After` are in seconds. Meta documents neither for this API.
- A longer wait than a day is taken for a day, since each quota is for an hour: see `LONGEST_WAIT_SECONDS`.
- The headers are missing until an app has made enough calls, and may be missing in any response. The guide's printed
  sample is no valid JSON and repeats a key. So nothing here raises.
"""

import json
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

import attrs

LONGEST_WAIT_SECONDS: Final = 86_400.0
"""The longest wait that a header can ask for: a broken one must not stop calls for years. After a day, one probes."""

_Json = dict[str, Any] | list[Any] | str | float | None


@attrs.frozen
class UsageMetric:
    """How full one quota is, by Meta's count.

    Calls and load are separate. Only the calls can be compared with a log of your own calls. The load says when
    sending has to stop although calls are left. Each number is the largest of all entries in the header, and not that
    of one entry: the busier of two entries may have the smaller count of calls.
    """

    calls_percent: float | None = None
    """The calls of the last hour, in percent of the quota; may exceed 100. `None` if the header has no count."""

    load_percent: float = 0.0
    """The larger of total time and total processor time, in percent of those for an hour; may exceed 100."""

    regain_seconds: float = 0.0
    """Seconds until calls are allowed again, as Meta estimates it; 0 without an estimate, and 86,400 at most."""

    @property
    def percent(self) -> float:
        """The larger of calls and load, in percent."""
        return max(self.calls_percent or 0.0, self.load_percent)


@attrs.frozen
class Usage:
    """What one response says of the quotas that its call was charged to."""

    waba: UsageMetric | None = None
    """The quota of this WABA, from `X-Business-Use-Case-Usage`; `None` if the header is missing or invalid."""

    app: UsageMetric | None = None
    """The quota of the app as a whole, from `X-App-Usage`; `None` if the header is missing or invalid."""

    retry_after_seconds: float | None = None
    """`Retry-After`, in seconds from 0 to 86,400; `None` if the header is missing or invalid."""


def read_usage(headers: Mapping[str, str], node_id: str) -> Usage | None:
    """Read the usage headers of one response. Never raises.

    Args:
        headers: The headers of the response. In a `dict` the names may have any case. Any other mapping must ignore
            case by itself, as aiohttp's does.
        node_id: The id of the WABA. If there are entries under this id, only those are read, else all. An entry whose
            `type` names another product than WhatsApp is never read.

    Returns:
        The usage, or `None` if no header has any. The same headers return the same object.
    """
    if isinstance(headers, dict):
        headers = {str(name).lower(): text for name, text in headers.items()}
    buc, retry_after = headers.get("x-business-use-case-usage"), headers.get("retry-after")
    date = None if retry_after is None else headers.get("date")
    if buc is not None:
        # The headers of many accounts mostly differ by the id alone. With a word in its place, one is read for all.
        name = f'"{node_id}"'
        if name not in buc:
            node_id = _ANY_ID
        elif f"{name}:" in buc and node_id.isdecimal():
            buc, node_id = buc.replace(f"{name}:", f'"{_ANY_ID}":'), _ANY_ID
    return _read(buc, headers.get("x-app-usage"), retry_after, date, node_id)


_ANY_ID: Final = "the id that was called"


@lru_cache(maxsize=256)
def _read(buc: str | None, app: str | None, retry_after: str | None, date: str | None, node_id: str) -> Usage | None:
    usage = Usage(
        None if buc is None else _fullest(_entries(_parse(buc), node_id)),
        None if app is None else _fullest([_parse(app)]),
        None if retry_after is None else _delay(retry_after, date),
    )
    return None if usage == _EMPTY else usage


_EMPTY = Usage()


def _parse(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError):
        return None


def _fullest_of_same_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict that loses nothing to a repeated key. Lists are joined, and the larger of two numbers stays."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    members.clear()
    for name, value in pairs:
        members[name] = _fuller(members[name], value) if name in members else value
    return members


_decoder = json.JSONDecoder(object_pairs_hook=_fullest_of_same_name)  # `json.loads` would make one for each response


def _fuller(one: _Json, other: _Json) -> _Json:
    if isinstance(one, list) and isinstance(other, list):
        return one + other
    return other if (_number(other) or 0.0) >= (_number(one) or 0.0) else one


def _entries(document: _Json, node_id: str) -> list[Any]:
    """The entries under the WABA's own id; all of them if there are none. Those of other products are left out."""
    if not isinstance(document, dict):
        return []
    entries = {id_: [entry for entry in _listed(listed) if _is_ours(entry)] for id_, listed in document.items()}
    return entries[node_id] if node_id in entries else [entry for listed in entries.values() for entry in listed]


def _listed(entries: _Json) -> list[Any]:
    return entries if isinstance(entries, list) else [entries]


def _is_ours(entry: _Json) -> bool:
    """Whether an entry is for WhatsApp. One without a type may be, so it counts."""
    kind = entry.get("type") if isinstance(entry, dict) else None
    return not isinstance(kind, str) or not kind or "whatsapp" in kind.lower()


def _fullest(entries: Iterable[Any]) -> UsageMetric | None:
    """Take the largest of each number over all entries; `None` if no entry has any."""
    metrics = [metric for metric in map(_read_entry, entries) if metric != _EMPTY_METRIC]
    if not metrics:
        return None
    counts = [metric.calls_percent for metric in metrics if metric.calls_percent is not None]
    return UsageMetric(
        max(counts, default=None),
        max(metric.load_percent for metric in metrics),
        max(metric.regain_seconds for metric in metrics),
    )


_EMPTY_METRIC = UsageMetric()


def _read_entry(entry: _Json) -> UsageMetric:
    if not isinstance(entry, dict):
        return _EMPTY_METRIC
    minutes = _number(entry.get("estimated_time_to_regain_access")) or 0.0
    return UsageMetric(
        _number(entry.get("call_count")),
        max(_number(entry.get("total_time")) or 0.0, _number(entry.get("total_cputime")) or 0.0),
        max(_seconds(minutes * 60.0) or 0.0, _seconds(entry.get("reset_time_duration")) or 0.0),
    )


# No percentage is as large, and as seconds it is 30 years. A header with such a number is broken.
_ABSURD: Final = 1e9


def _number(value: Any) -> float | None:
    """Read a number from 0 up, also from a string; `None` for all else, and for an absurdly large one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0.0 <= number < _ABSURD else None


def _seconds(value: Any) -> float | None:
    """Read a wait, as `_number` reads a number. A longer wait than a day becomes a day."""
    number = _number(value)
    return None if number is None else min(number, LONGEST_WAIT_SECONDS)


def _delay(text: str, date: str | None) -> float | None:
    """Read `Retry-After`: seconds, or a date. Of a date, `Date` of the same response is subtracted.

    Both dates are of the server's clock. Our own clock may differ from it.
    """
    seconds = _seconds(text)
    if seconds is not None or date is None:
        return seconds
    try:
        delay = parsedate_to_datetime(text) - parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _seconds(max(0.0, delay.total_seconds()))


def server_wait(usage: Usage | None, *, is_throttled: bool) -> float | None:
    """How long the server says to wait after an API error.

    Args:
        usage: What the response says of the quotas.
        is_throttled: Whether the error is a rate limit. Only then do the estimates of the usage headers count.

    Returns:
        The longest wait in the headers, in seconds above 0; `None` if they name none.
    """
    if usage is None:
        return None
    metrics = [metric for metric in (usage.waba, usage.app) if metric is not None and is_throttled]
    return max(usage.retry_after_seconds or 0.0, *(metric.regain_seconds for metric in metrics), 0.0) or None
