"""The events of calls, as frozen values, and who listens to them.

`on_event=` of a client, or `client.subscribe`, gives the events to a listener. Each event names the account or number
that it concerns. None holds a token, a query or a body.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from .usage import Usage

_log: Final = logging.getLogger("wa_phone_async")
_WHOLE_SECONDS: Final = 10.0
_UNKNOWN: Final = ("OutcomeUnknownError", "CancelledError")


@attrs.frozen(kw_only=True)
class CallFinished:
    """A call has ended, with a response or with an error. Each page of a list is a call."""

    method: str
    """`GET`, `POST` or `DELETE`."""
    path: str
    """The path below the API's version, without the query."""
    node_id: str
    """The id at the head of the path: an account, or a number."""
    list_id: int | None = None
    """The list of the page, as in its `ListFinished`; `None` if no listener subscribed with `lists=True`."""
    error: str | None
    """The name of the error's class; `None` after a success."""
    code: int | None = None
    """Meta's code of the error; `None` if the error has none."""
    http_status: int | None
    """The HTTP status of the last response; `None` if there was none."""
    trace_id: str | None
    """The id of an API error that Meta's support needs; `None` if there is none."""
    attempts: int
    """Number of attempts: how often the request was sent."""
    seconds: float
    """Seconds from the start of the call to its end."""
    seconds_waited: float
    """Seconds of that in which the call waited for the quota and before retries."""
    usage: Usage | None
    """The usage of the quotas in the last response for this account; `None` if there is none."""
    waba_id: str | None = None
    """The account whose quota the call used; `None` if only the app's counted."""

    @property
    def may_have_written(self) -> bool:
        """Whether the call changed something or may have: it was sent, and succeeded, was lost or was cancelled."""
        return self.method != "GET" and self.attempts > 0 and self.error in {None, *_UNKNOWN}


@attrs.frozen(kw_only=True)
class RetryPlanned:
    """An attempt has failed, and a retry follows."""

    method: str
    """`GET`, `POST` or `DELETE`."""
    path: str
    """The path below the API's version, without the query."""
    node_id: str
    """The id at the head of the path."""
    error: str
    """The name of the error's class."""
    code: int | None = None
    """Meta's code of the error; `None` if the error has none."""
    attempt: int
    """The number of the failed attempt, from 1."""
    seconds: float
    """Seconds until the retry."""
    reason: str | None = None
    """Why there was no response, such as `cannot connect to graph.facebook.com:443 (Name or service not known)`. `None`
    after a response, and if the time was up."""


@attrs.frozen(kw_only=True)
class ThrottleStarted:
    """The API has throttled a call, and the cooldown has started: calls wait."""

    node_id: str
    """The account of the throttled call. If no account's quota counts, the id at the head of the path."""
    code: int | None
    """Meta's error code: 4 throttles the app, 17 the token, 80007 and 80008 the account."""
    seconds: float
    """Expected seconds of the cooldown."""


@attrs.frozen(kw_only=True)
class ThrottleEnded:
    """The API has accepted a call again after a cooldown."""

    node_id: str
    """The id of the `ThrottleStarted`."""


@attrs.frozen(kw_only=True)
class QuotaWaitStarted:
    """A call has waited for its quota for one second, and waits on. The API has not throttled it.

    Only the first call that waits has this event, until no call waits any more. Calls that wait for the end of a
    cooldown have a `ThrottleStarted` instead.
    """

    node_id: str
    """The id at the head of the path of the call."""
    seconds: float
    """Maximum seconds that it waits from now on. If the quota will not be free by then, the call fails at once."""


@attrs.frozen(kw_only=True)
class QuotaWaitEnded:
    """No call waits for the quota any more."""

    node_id: str
    """The id at the head of the path of the last call that waited."""


@attrs.frozen(kw_only=True)
class ListFinished:
    """A list has ended: after its last page, with an error, or when its paginator was garbage-collected.

    If you go on with a list after an error, its next end is another event.
    """

    list_id: int
    """A number that is unique in this process."""
    path: str
    """The path below the API's version, without the query."""
    node_id: str
    """The id at the head of the path."""
    error: str | None
    """The name of the error's class; `None` if no error ended the list."""
    complete: bool
    """Whether its last page came, or all of `max_items`. `False` after an error, and if you stopped early."""
    pages: int
    """Number of pages."""
    rows: int
    """Number of rows on these pages."""
    seconds: float
    """Seconds from the start of its first call to the end of its last one."""


@attrs.frozen(kw_only=True)
class NameStageChanged:
    """`wait_for_display_name` has seen its name at another stage. The first poll is such an event, too."""

    node_id: str
    """The number."""
    waba_id: str | None = None
    """The account of the number; `None` if you did not pass it."""
    name: str
    """The display name."""
    stage: str
    """The `NameStage`."""
    sentence: str
    """What the stage means, for people."""


@attrs.frozen(kw_only=True)
class FleetPageFinished:
    """`list_fleet` has got some accounts. Each count is that of the whole run so far."""

    path: str
    """The path of the list of accounts, below the API's version."""
    node_id: str
    """The business."""
    accounts: int
    """Accounts that came."""
    complete: int
    """Accounts whose numbers came whole in a call for many accounts."""
    calls: int
    """Requests for many accounts. Those for single accounts are not among them."""
    calls_saved: int
    """Requests that `list_many` would have sent for the complete accounts and for the ids, less `calls`."""


Event = (
    CallFinished
    | RetryPlanned
    | ThrottleStarted
    | ThrottleEnded
    | QuotaWaitStarted
    | QuotaWaitEnded
    | ListFinished
    | FleetPageFinished
    | NameStageChanged
)
"""Any event that a listener gets."""

Listener = Callable[[Event], Awaitable[None] | None]
"""A function that gets each `Event`; plain or async. An error that it raises is logged, and never reaches a call."""


def _sentence(event: Event) -> str:
    """Say in the log what has happened."""
    match event:
        case CallFinished():
            facts = _facts(event.code, event.http_status, event.trace_id)
            end = "succeeded" if event.error is None else f"failed with {event.error}{facts}"
            attempts = "1 attempt" if event.attempts == 1 else f"{event.attempts:,} attempts"
            text = f"{event.method} {event.path} {end} after {_shown(event.seconds)} and {attempts}."
        case RetryPlanned():
            why = _facts(event.code) if event.reason is None else f": {event.reason}"
            text = f"{event.method} {event.path} failed with {event.error}{why}."
            text += f" Attempt {event.attempt + 1:,} follows in {_shown(event.seconds)}."
        case ThrottleStarted():
            text = f"Meta throttles calls on {event.node_id}{_facts(event.code)}. They wait {_shown(event.seconds)}."
        case ThrottleEnded():
            text = f"Meta accepts calls on {event.node_id} again."
        case QuotaWaitStarted():
            text = f"A call on {event.node_id} waits for its quota, for {_shown(event.seconds)} at most."
        case QuotaWaitEnded():
            text = f"No call waits for its quota any more. The last one was on {event.node_id}."
        case NameStageChanged():
            text = f"{event.node_id}: {event.sentence}"
        case FleetPageFinished():
            size = f"accounts: {event.accounts:,}, complete: {event.complete:,}"
            text = f"The list {event.path} has come as far as this, {size}, calls saved: {event.calls_saved:,}."
        case _:
            end = "is complete" if event.complete else "was left early"
            if event.error is not None:
                end = f"failed with {event.error}"
            size = f"pages: {event.pages:,}, rows: {event.rows:,}"
            text = f"The list {event.path} {end} after {_shown(event.seconds)}, {size}."
    return text


def _facts(code: int | None, http_status: int | None = None, trace_id: str | None = None) -> str:
    """What is known of an error, in brackets."""
    facts = {"HTTP": http_status, "code": code, "trace": trace_id}
    shown = ", ".join(f"{name} {fact}" for name, fact in facts.items() if fact is not None)
    return f" ({shown})" if shown else ""


def _shown(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= _WHOLE_SECONDS else f"{seconds:.2g} s"


class EventDispatcher:
    """Gives each event to all listeners, in order.

    Plain listeners run at once. Async listeners run as tasks of their own, and no call waits for them.
    """

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        """Those that get the events of calls."""
        self.list_listeners: list[Listener] = []
        """Those that get `ListFinished`, too."""
        self._tasks: set[asyncio.Task[None]] = set()

    def subscribe(self, listener: Listener, *, lists: bool = False) -> Callable[[], None]:
        """Add a listener, with `lists` for `ListFinished` too. Returns a function that unsubscribes it."""
        audiences = [self.listeners, self.list_listeners] if lists else [self.listeners]
        for audience in audiences:
            audience.append(listener)

        def unsubscribe() -> None:
            while audiences:  # empty at a second call, which then does nothing
                audiences.pop().remove(listener)

        return unsubscribe

    def dispatch(self, event: Event) -> None:
        """Log an event, and give it to its listeners. Plain listeners are done when this returns."""
        level = logging.DEBUG if isinstance(event, CallFinished | ListFinished | FleetPageFinished) else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(level, "%s", _sentence(event))
        # A copy, since a listener may unsubscribe itself.
        for listener in tuple(self.list_listeners if isinstance(event, ListFinished) else self.listeners):
            try:
                pending = listener(event)
            except Exception:  # noqa: BLE001 - a listener may raise anything, and no call may fail for it
                _log.exception("an event listener failed")
            else:
                if inspect.isawaitable(pending):
                    task = asyncio.ensure_future(_await(pending))
                    self._tasks.add(task)  # asyncio itself keeps no reference to a task
                    task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Wait for the async listeners of this event loop. One of them may call this: it does not wait for itself."""
        loop, closing = asyncio.get_running_loop(), asyncio.current_task()
        while tasks := {task for task in self._tasks if task.get_loop() is loop and task is not closing}:
            await asyncio.wait(tasks)


async def _await(pending: Awaitable[None]) -> None:
    try:
        await pending
    except Exception:  # noqa: BLE001 - as for a plain listener
        _log.exception("an event listener failed")
