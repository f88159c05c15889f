"""What happens to calls, as frozen values, for whoever listens: `on_event=` of a client, or `client.subscribe`.

Each names the account or number that it concerns, and none holds a token, a query or a body.
"""

from __future__ import annotations

from typing import Final

import attrs

from .usage import Usage

_UNKNOWN: Final = ("OutcomeUnknownError", "CancelledError")


@attrs.frozen(kw_only=True)
class CallFinished:
    """A call has its answer, or has failed for good. For a list, each page is a call."""

    method: str
    """`GET` or `POST`."""
    path: str
    """What was called, below the API's version and without a query."""
    node_id: str
    """The id at the head of the path: an account, or a number."""
    list_id: int | None = None
    """The list of which it is a page, as its `ListFinished` names it; `None` where nobody is told of lists."""
    error: str | None
    """The name of the error's class, or `None` where it went well."""
    code: int | None = None
    """Meta's code of the error, where the API refused and named one."""
    http_status: int | None
    """The status of the last answer; `None` where there was none."""
    trace_id: str | None
    """The id that Meta's support asks for, where the API refused."""
    attempts: int
    """How many times it was sent."""
    seconds: float
    """How long it took in all."""
    seconds_waited: float
    """How much of that was waiting: for the budgets, and before it was made again."""
    usage: Usage | None
    """What the last answer for this node said about the budgets."""
    waba_id: str | None = None
    """The account whose budget it took; `None` where only the app's counted."""

    @property
    def may_have_written(self) -> bool:
        """Whether it changed something, or may have: an unknown outcome, or a cancelled one, counts as a write."""
        return self.method != "GET" and self.attempts > 0 and self.error in {None, *_UNKNOWN}


@attrs.frozen(kw_only=True)
class RetryPlanned:
    """An attempt has failed, and the call will be made again."""

    method: str
    """`GET` or `POST`."""
    path: str
    """What was called."""
    node_id: str
    """The id at the head of the path."""
    error: str
    """The name of the error's class: why."""
    code: int | None = None
    """Meta's code of the error, where the API refused and named one."""
    attempt: int
    """Which attempt failed, from 1."""
    seconds: float
    """How long it waits first."""


@attrs.frozen(kw_only=True)
class ThrottleStarted:
    """The API has throttled a call, and calls wait."""

    node_id: str
    """The account whose call was refused, or the id that was called where no account's budget counts."""
    code: int | None
    """Why: 4 holds the app, 17 the token, 80007 and 80008 the account."""
    seconds: float
    """How long, as far as is known."""


@attrs.frozen(kw_only=True)
class ThrottleEnded:
    """A call for a node that was held has been answered again."""

    node_id: str
    """The id whose calls go on."""


@attrs.frozen(kw_only=True)
class QuotaWaitStarted:
    """A call has waited for a second for room in its budgets, before the API refuses any, and waits on.

    It is told of the first of the calls that wait so at the same time. Those that wait for the end of their account's
    hold were told of by its `ThrottleStarted`.
    """

    node_id: str
    """The id that is called."""
    seconds: float
    """How long that call waits at most, from now on. Where there will be no room by then, it ends at once."""


@attrs.frozen(kw_only=True)
class QuotaWaitEnded:
    """No call waits for room in its budgets any more."""

    node_id: str
    """The id that is called by the one that waited last."""


@attrs.frozen(kw_only=True)
class ListFinished:
    """A list is over: it has come to its end, a page of it could not be had, or nobody has its paginator any more.

    One that goes on after an error is told of again, when what came after the error is over.
    """

    list_id: int
    """A number that no other list of this process has."""
    path: str
    """What was listed, below the API's version and without a query."""
    node_id: str
    """The id at the head of the path."""
    error: str | None
    """The name of the error's class, where one ended it."""
    complete: bool
    """Whether its last page has come, or all of `max_items`; `False` also where it was left early."""
    pages: int
    """How many pages came."""
    rows: int
    """How many rows they had."""
    seconds: float
    """From the beginning of its first call to the end of its last one."""


Event = CallFinished | RetryPlanned | ThrottleStarted | ThrottleEnded | QuotaWaitStarted | QuotaWaitEnded | ListFinished
"""Anything that a listener is told."""
