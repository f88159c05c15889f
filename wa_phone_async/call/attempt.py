"""`CallRunner`: one call, from its request to its value.

A call is one request of the caller's, with all its attempts. An attempt is `_attempt`, from the top to the bottom:

    token → admit → reserve → send → judge

Only an attempt to register or deregister a number is reserved, and only with a ledger.
`run` makes the first attempt by itself, since most calls need no other. Only after an error it goes the long way,
`_persist`: the backoff decorator retries the attempt, and `call.request.amend` changes the request where the API says
how.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

import aiohttp
import attrs

from wa_phone_async.concurrency import release_slot
from wa_phone_async.errors import (
    AuthenticationError,
    GraphAPIError,
    InvalidArgumentError,
    RateLimitError,
    TransportError,
    WaPhoneError,
)
from wa_phone_async.events import CallFinished, EventDispatcher, RetryPlanned, ThrottleEnded, ThrottleStarted
from wa_phone_async.ratelimit.limiter import Lease, RateLimiter, Report
from wa_phone_async.ratelimit.long_waits import LongWaits
from wa_phone_async.ratelimit.registrations import RegistrationLedger, Reservation
from wa_phone_async.ratelimit.wait_events import QuotaWaitNotifier
from wa_phone_async.redaction import Secret, redact
from wa_phone_async.usage import read_usage

from .error_codes import throttled_scope
from .hints import hint_of
from .registrations import RegistrationGuard
from .request import Dialect, GraphRequest, amend, final_error
from .response import Reader, explain_not_json, read_response
from .retry import RetryPolicy, is_certain_rejection, is_retryable, may_help_to_divide, retrying, unknown_outcome
from .tokens import TokenSource, token_digest
from .transport import HttpResponse, Sending, TransportOpener, out_of_time

T = TypeVar("T")

_VERSION: Final = re.compile(r"v[0-9]{1,3}\.[0-9]{1,2}")

_log = logging.getLogger("wa_phone_async")


@attrs.define(eq=False, on_setattr=attrs.setters.NO_OP)  # even running no validator on each assignment takes time
class Call(Generic[T]):
    """One call on its way: its request, how its response is read, and what happened so far."""

    request: GraphRequest
    reader: Reader[T]
    started: float
    """When it began, on the loop's clock."""
    deadline: float | None
    """When it ends at the latest, on the loop's clock; `None` for never."""
    rejections_before: int
    """How many tokens the API had rejected when the call began. Later ones may concern it."""
    timeouts: aiohttp.ClientTimeout | None = None
    list_id: int | None = None
    attempts: int = 0
    token: Secret | None = None
    tokens: tuple[Secret, ...] = ()
    """The tokens of all attempts, the present one last: a late response may echo an earlier one."""
    rejected: Secret | None = None
    rejection: AuthenticationError | None = None
    failure: WaPhoneError | None = None
    was_throttled: bool = False
    seconds_waited: float = 0.0
    http_status: int | None = None

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, or `None` without one."""
        return None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()


@attrs.define(eq=False, on_setattr=attrs.setters.NO_OP)
class CallOutcome(Generic[T]):
    """What an attempt came to: its value or its error, and what the rate limiter learns of it."""

    report: Report
    value: T | None = None
    error: WaPhoneError | None = None


_ACCEPTED: Final = Report("accepted")
_LOST: Final = Report("lost")
_UNSENT: Final = Report("unsent")


class CallRunner:
    """Makes the calls of one session: each gets its token, its quota waits, its retries and its events.

    Args:
        tokens: Gives the token of each attempt.
        transports: Opens the transport of the running loop.
        throttle: Keeps calls within the quotas.
        policy: When calls are retried.
        events: Gets the events of the calls.
        registrations: Counts the attempts to register or deregister a number; `None` counts none.
    """

    def __init__(
        self,
        tokens: TokenSource,
        transports: TransportOpener,
        throttle: RateLimiter,
        policy: RetryPolicy,
        events: EventDispatcher,
        *,
        registrations: RegistrationLedger | None = None,
    ) -> None:
        self._tokens = tokens
        self._transports = transports
        self._throttle = throttle
        self._try_admit: Callable[[str | None, str], Lease | None] = getattr(throttle, "try_admit", _never_at_once)
        # A limiter logs its own long waits. It lends what it logs with, so a wait before a retry is not told again.
        self._long_waits: LongWaits = getattr(throttle, "_long_waits", None) or LongWaits()
        self._policy = policy
        self._guard = None if registrations is None else RegistrationGuard(registrations)
        self._events = events
        self._attempts = retrying(policy, self._notify_retry)(self._next_attempt)
        self._throttled_ids: set[str] = set()
        self._quota_waits = QuotaWaitNotifier(events.dispatch, self._throttled_ids.__contains__)
        self._waiting: set[tuple[Secret, asyncio.Timeout]] = set()
        self._has_warned_of_version = False
        self.dialect: Dialect = Dialect()
        """What the calls have learned about the server. New requests begin with it."""

    def new_call(
        self,
        request: GraphRequest,
        reader: Reader[T],
        total_timeout: float | None,
        *,
        timeouts: aiohttp.ClientTimeout | None = None,
        list_id: int | None = None,
    ) -> Call[T]:
        """Make a call that starts now.

        Args:
            request: The request.
            reader: Reads its response.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.
            timeouts: The time-outs of one attempt; `None` takes those of the session.
            list_id: The list that the call is a page of, for its event.
        """
        limit = self._policy.total_timeout if total_timeout is None else total_timeout
        started = asyncio.get_running_loop().time()
        deadline = None if limit is None else started + limit
        return Call(request, reader, started, deadline, self._tokens.rejections_so_far, timeouts, list_id)

    async def run(self, call: Call[T]) -> T:
        """Make a call, and notify the listeners when it has ended.

        Raises:
            WaPhoneError: It ended in an error that neither a retry nor another form of the request avoids.
        """
        value: Any = None
        try:
            try:
                value = await self._attempt(call)
            except WaPhoneError as error:
                call.failure = error
            if call.failure is not None:  # out of the `except`, or each later error would have the first one as context
                value = await self._persist(call)
        except BaseException as error:
            if self._has_listeners():
                self._notify_end(call, error)
            raise
        if self._has_listeners():
            self._notify_end(call, None)
        return cast("T", value)

    async def _persist(self, call: Call[T]) -> T:
        """Go on after a failed first attempt, until there is a value, or an error that no other request avoids."""
        while True:
            try:
                value = await self._attempts(call)
            except GraphAPIError as error:
                if isinstance(error, AuthenticationError):
                    self._reject_token(call, error)
                amended = amend(call.request, error)
                if amended is None:
                    final = final_error(call.request, error)
                    if final is not error:
                        raise final from None
                    raise
                call.request = amended
            else:
                if call.request.amended:
                    # Only a success proves that the change was right: later requests begin with it.
                    self.dialect = self.dialect.learn(call.request)
                return value

    async def _next_attempt(self, call: Call[T]) -> T:
        """The attempt that the backoff decorator retries. It begins with the error of the one that `run` made."""
        if call.failure is not None:
            failure, call.failure = call.failure, None
            raise failure
        return await self._attempt(call)

    async def _attempt(self, call: Call[T]) -> T:
        """Make one attempt: token → admit → reserve → send → judge. Its error has what decides about a retry."""
        transport = await self._transports.open()
        lease = await self._admit(call)
        outcome: CallOutcome[T] | None = None
        guard, reservation = self._guard, None
        sending = Sending()
        token = cast("Secret", call.token)  # `_admit` has set it
        try:
            if guard is not None and call.request.is_registration:
                reservation = await self._reserve(call, guard)
            call.attempts += 1
            if token not in call.tokens:
                call.tokens = (*call.tokens, token)
            response = await transport.exchange(
                call.request,
                token,
                deadline=call.deadline,
                timeouts=call.timeouts,
                veto=partial(self._rejection, call),
                sending=sending,
            )
            outcome = self._judge(call, response)
        finally:
            if outcome is None:  # the call was cancelled, perhaps while it waited for a slot or a connection
                outcome = CallOutcome(_LOST if sending.has_begun else _UNSENT)
            cooldown = self._throttle.report(lease, outcome.report)
            if self._throttled_ids or outcome.report.result == "throttled":
                self._notify_throttling(lease.waba_id or call.request.node_id, outcome, cooldown)
            if guard is not None and reservation is not None:
                was_sent = outcome.report.result != "unsent"
                await guard.settle(reservation, was_sent=was_sent, error=outcome.error)
        error = outcome.error
        if error is None:
            return outcome.value  # type: ignore[return-value]  # it is a T: there is no error
        if outcome.report.result == "throttled":
            error.retry_after = max(cooldown, error.retry_after or 0.0)
        raise self._failure(call, error)

    async def _reserve(self, call: Call[Any], guard: RegistrationGuard) -> Reservation:
        """Let the ledger count an attempt before it is sent. Whatever fails here, nothing was sent."""
        try:
            return await guard.reserve(call.request)
        except WaPhoneError as error:
            self._failure(call, error)  # sets its facts
            raise

    def _failure(self, call: Call[Any], error: WaPhoneError) -> WaPhoneError:
        """The error of an attempt, with the facts by which the backoff decorator decides about a retry."""
        call.was_throttled = isinstance(error, RateLimitError) and error.sent
        request = call.request
        if request.write is not None and (reason := unknown_outcome(error)):
            error = request.write.outcome_unknown(reason, waba_id=request.quota_id)
        error.attempts = call.attempts
        error.retryable = is_retryable(error, is_write=request.is_write, is_counted=request.is_counted) and not (
            request.is_divisible and may_help_to_divide(error)
        )
        error.seconds_left = call.seconds_left()
        return error

    # --- token, and admit

    async def _admit(self, call: Call[Any]) -> Lease:
        """Wait for the token and the quota, until the call's deadline."""
        # A call whose own token was rejected, or that was throttled, goes the long way.
        is_usual = call.rejection is None and not call.was_throttled
        request, token = call.request, self._tokens.only_token
        if call.deadline is not None and call.deadline <= asyncio.get_running_loop().time():
            raise self._failure(call, out_of_time())
        if token is not None and is_usual and self._tokens.rejections_so_far == call.rejections_before:
            call.token = token
            lease = self._try_admit(request.quota_id, token_digest(token))
            if lease is not None:  # as mostly. Nothing was awaited, so no time-out was needed
                return lease
        # `_reject_token` reschedules this time-out to now when another call finds out that the token is rejected.
        waiting = asyncio.timeout_at(call.deadline)
        try:
            async with waiting:
                call.token = await self._tokens.token(request.token_id, call.rejected)
                if rejection := self._rejection(call):
                    raise self._failure(call, rejection)
                return await self._wait_for_quota(call, call.token, waiting)
        except TimeoutError:
            if not waiting.expired():
                raise  # the token provider's own
        rejection = self._rejection(call) if call.token != call.rejected else None
        raise self._failure(call, rejection or out_of_time())

    async def _wait_for_quota(self, call: Call[Any], token: Secret, waiting: asyncio.Timeout) -> Lease:
        """Wait for the quota. If that would take longer than the call may wait, raise the error at once."""
        loop, waba_id, left = asyncio.get_running_loop(), call.request.quota_id, call.seconds_left()
        max_wait = self._policy.max_wait if left is None else min(self._policy.max_wait, left)
        started = loop.time()
        self._waiting.add((token, waiting))
        wait = self._quota_waits.begin(call.request.node_id, max_wait) if self._has_listeners() else None
        try:
            lease = await self._throttle.admit(
                waba_id, token_digest(token), max_wait=max_wait, is_probe=call.was_throttled
            )
        finally:
            self._waiting.discard((token, waiting))
            if wait is not None:
                self._quota_waits.end(wait)
            call.seconds_waited += loop.time() - started
        if isinstance(lease, Lease):
            return lease
        owner = "the app" if waba_id is None else f"WABA {waba_id} or the app"
        limit = f"max_wait={max_wait:g} s" if left != max_wait else f"the {max_wait:.1f} s left of total_timeout"
        text = f"Rate limit: {owner} has used its hourly quota. {call.request} was not sent: the wait exceeds {limit}"
        error = RateLimitError(text, http_status=None, retry_after=lease)
        error.sent = False
        error.usage = self._throttle.last_usage(waba_id)
        raise self._failure(call, error)

    def _reject_token(self, call: Call[Any], error: AuthenticationError) -> None:
        """Note that the API rejected a call's token, and end the waits of other calls that have the same token."""
        is_noted = self._rejection(call) is not None
        call.rejected, call.rejection = call.token, error
        error.is_shared = self._tokens.is_shared(call.token, call.request.token_id)
        # Trouble of Meta's may look like a rejected token: that is no reason to stop calls that have the same one.
        if call.token is None or is_noted or not is_certain_rejection(error):
            return
        self._tokens.reject(call.token, error, call.request.token_id)
        for token, waiting in self._waiting:
            if token == call.token and not waiting.expired():
                waiting.reschedule(asyncio.get_running_loop().time())

    def _rejection(self, call: Call[Any]) -> AuthenticationError | None:
        """The error of a call's token, if the API rejected it since the call started."""
        if self._tokens.rejections_so_far == call.rejections_before and call.rejection is None:
            return None
        if call.rejection is not None and call.token == call.rejected:
            return call.rejection  # the provider has no other token
        return None if call.token is None else self._tokens.rejection(call.token, after=call.rejections_before)

    # --- send, and judge

    def _judge(self, call: Call[T], response: HttpResponse | WaPhoneError) -> CallOutcome[T]:
        """Turn a response into its value or its error, and into the report to the rate limiter."""
        if isinstance(response, WaPhoneError):
            # The veto's error is an API error of another call, or aiohttp rejected its settings: nothing was sent.
            was_sent = not isinstance(response, GraphAPIError | InvalidArgumentError) and getattr(
                response, "sent", True
            )
            return CallOutcome(_LOST if was_sent else _UNSENT, error=response)
        request, http_status = call.request, response.http_status
        call.http_status = http_status
        served = response.headers.get("facebook-api-version", "")
        if served != self._transports.endpoint.api_version and not self._has_warned_of_version:
            self._warn_of_version(served)
        usage = read_usage(response.headers, request.quota_id or request.node_id)
        report = _ACCEPTED if usage is None else Report("accepted", usage)
        try:
            if call.reader.read_bytes is not None and 200 <= http_status < 300:
                value = call.reader.read_bytes(response.body, http_status)
                if value is not None:
                    return CallOutcome(report, value)
            payload = read_response(
                response.body, http_status=http_status, usage=usage, secrets=partial(self.secrets, call)
            )
            return CallOutcome(report, call.reader.read(payload, http_status))
        except WaPhoneError as caught:
            # Its frames hold the response as it came, and the response may echo the token.
            error = caught.with_traceback(None)
        endpoint = self._transports.endpoint
        explain_not_json(
            error,
            response.body,
            http_status=http_status,
            headers=response.headers,
            request=endpoint.describe(request),
            host=endpoint.host,
            secrets=self.secrets(call),
        )
        if isinstance(error, GraphAPIError) and (hint := hint_of(error, request)):
            error.hint = redact(hint, self.secrets(call))
        is_write, is_counted = request.is_write, request.is_counted
        if isinstance(error, RateLimitError) and is_retryable(error, is_write=is_write, is_counted=is_counted):
            report = Report("throttled", usage, throttled_scope(error))
        # A block for hours or days concerns this number or this content alone: no other call waits for it.
        return CallOutcome(report, error=error)

    def secrets(self, call: Call[Any]) -> tuple[Secret, ...]:
        """What no text may show, even if the response echoes it."""
        return (*self._transports.endpoint.secrets(call.request, call.tokens), *self._transports.route.secrets)

    def _warn_of_version(self, served: str) -> None:
        """Warn once that the server uses another version than the requested one."""
        if _VERSION.fullmatch(served):  # any other text may echo the token, so it is not logged
            self._has_warned_of_version = True
            requested = self._transports.endpoint.api_version
            _log.warning(
                "requested Graph API %s, and the server used %s: check whether %s is still supported",
                requested,
                served,
                requested,
            )

    # --- events

    def _has_listeners(self) -> bool:
        """Whether anybody gets events: a listener, or the log. If not, none need be made."""
        return bool(self._events.listeners) or _log.isEnabledFor(logging.INFO)

    def _notify_end(self, call: Call[Any], error: BaseException | None) -> None:
        request = call.request
        self._events.dispatch(
            CallFinished(
                method=request.method,
                path=request.path,
                node_id=request.node_id,
                list_id=call.list_id,
                error=None if error is None else type(error).__name__,
                code=getattr(error, "code", None),
                http_status=call.http_status,
                trace_id=getattr(error, "fbtrace_id", None),
                attempts=call.attempts,
                seconds=asyncio.get_running_loop().time() - call.started,
                seconds_waited=call.seconds_waited,
                usage=self._throttle.last_usage(request.quota_id),
                waba_id=request.quota_id,
            )
        )

    def _notify_retry(self, call: Call[Any], *, error: WaPhoneError, seconds: float) -> None:
        call.seconds_waited += seconds
        release_slot()
        if call.was_throttled and isinstance(error, RateLimitError):
            scope, token = throttled_scope(error), token_digest(cast("Secret", call.token))
            self._long_waits.tell(seconds, scope, call.request.quota_id, token, is_throttled=True)
        if self._has_listeners():
            self._events.dispatch(
                RetryPlanned(
                    method=call.request.method,
                    path=call.request.path,
                    node_id=call.request.node_id,
                    error=type(error).__name__,
                    code=getattr(error, "code", None),
                    attempt=call.attempts,
                    seconds=seconds,
                    reason=error.reason if isinstance(error, TransportError) else None,
                )
            )

    def _notify_throttling(self, node_id: str, outcome: CallOutcome[Any], seconds: float) -> None:
        """Notify that calls for an id wait: from the first throttled one until the API accepts one again."""
        result = outcome.report.result
        if result == "throttled" and node_id not in self._throttled_ids:
            self._throttled_ids.add(node_id)
            if self._has_listeners():
                code = getattr(outcome.error, "code", None)
                self._events.dispatch(ThrottleStarted(node_id=node_id, code=code, seconds=seconds))
        elif result == "accepted" and node_id in self._throttled_ids:
            self._throttled_ids.discard(node_id)
            if self._has_listeners():
                self._events.dispatch(ThrottleEnded(node_id=node_id))


def _never_at_once(waba_id: str | None, token: str) -> None:
    """Stand for the `try_admit` of a limiter that has none: then each call awaits `admit`."""
