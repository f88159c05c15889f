"""`GraphSession`: the async session wrapper, and the one way from a question to its answer.

A call is one question of the caller's; an attempt is one time that it is put. From outside in:

    _call           asks, and asks differently where a refusal says how (`request.amend`)
    _attempt        one attempt and its verdict; the backoff decorator stands around it
    _try            the token, room in the budgets, and the request on the wire (`wire.Wire.exchange`)
    _judge          the value of the answer, or the error that it is (`response.read_response`)
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import EllipsisType
from typing import Any, Final, Generic, NoReturn, Self, TypeVar, overload

import aiohttp
import attrs
from yarl import URL

from .call.error_codes import throttled_scope
from .call.request import Dialect, Request, amend
from .call.response import check_success, not_json_error, read_response
from .call.retry import RetryPolicy, is_retryable, retrying, unknown_outcome
from .call.tokens import TokenProvider, TokenSource, appsecret_proof, token_digest
from .call.transport import Answer, Wire, check_borrowed, out_of_time, read_timeout, read_trace_configs
from .call.writes import Write
from .checks import (
    check_api_version,
    check_at_least_one,
    check_kind,
    check_listener,
    check_node_id,
    check_page,
    check_params,
    check_path,
    check_read_ahead,
    check_seconds,
    check_secret,
    read_base_url,
)
from .concurrency import release_slot
from .decoding.converter import read_model
from .errors import (
    CLOSED,
    AuthenticationError,
    DecodeError,
    GraphAPIError,
    RateLimitError,
    WaPhoneError,
)
from .events import CallFinished, RetryPlanned, ThrottleEnded, ThrottleStarted
from .hooks import Announcer, Listener
from .pagination.list_events import ListObserver
from .pagination.page import Follow, PageCursor, RawPage, read_page, read_page_bytes
from .pagination.paginator import AsyncPaginator
from .query import optional_fields
from .ratelimit.limiter import Lease, RateLimiter, Report
from .ratelimit.throttle import Throttle
from .ratelimit.wait_events import QuotaWaitNotifier
from .redaction import Secret, conceal
from .usage import Usage, read_usage

T = TypeVar("T")

DEFAULT_BASE_URL: Final = "https://graph.facebook.com"
DEFAULT_API_VERSION: Final = "v23.0"

_VERSION: Final = re.compile(r"v[0-9]{1,3}\.[0-9]{1,2}")

_LOST: Final = Report("lost")

_log = logging.getLogger("wa_phone_async")


@attrs.define(on_setattr=attrs.setters.NO_OP)  # nothing is checked, and that takes time too
class _Call(Generic[T]):
    """One question on its way: what is asked, how its answer is read, and what happened so far."""

    request: Request
    read: Callable[[Any, int], T]
    deadline: float | None
    rejections_before: int
    now: Callable[[], float]  # the loop's clock
    began: float
    limits: aiohttp.ClientTimeout | None = None
    read_bytes: Callable[[bytes, int], T | None] | None = None
    attempts: int = 0
    token: Secret | None = None
    rejected: Secret | None = None
    was_throttled: bool = False
    seconds_waited: float = 0.0
    http_status: int | None = None
    list_id: int | None = None

    def seconds_left(self) -> float | None:
        """Seconds until the deadline on the loop's clock, or `None` without one."""
        return None if self.deadline is None else self.deadline - self.now()


class GraphSession:
    """An async session for the Graph API: the token, the retries and the limits of every call.

    It opens on first use. Made by `PhoneNumberClient`, it is there as `client.session`; made by hand, it can be lent to
    several clients, and reads any other edge of the Graph API under the same rules.

    Args:
        access_token: The token, or a callable that gives it; see `TokenProvider`.
        api_version: The version of the Graph API, such as `v23.0`.
        base_url: Where the API lives, without the version. With `http://`, which is for tests and refused for
            facebook.com, the token goes in clear.
        app_secret: The app's secret: with it every call carries `appsecret_proof`.
        retry: How patiently a call is made again.
        timeout: Seconds of one attempt, or an `aiohttp.ClientTimeout`. On a borrowed aiohttp session the wait for one
            of its connections counts as well.
        session: An aiohttp session to borrow. It stays open, and its connections are reused for writes too.
        trace_configs: Passed on to aiohttp for the sessions that are opened here.
        max_body: Bytes that an answer may have after decompression.
        throttle: The app's budgets. Clients of one app may share one; without it, a client has its own.
        on_event: Told what happens to calls, as values of `wa_phone_async.events`; plain or async.

    Raises:
        InvalidArgumentError: A setting is wrong; the text says which, and what would be right.
    """

    api_version: str = DEFAULT_API_VERSION
    """The version of the Graph API that is asked for."""
    base_url: str = DEFAULT_BASE_URL
    """Where the API lives, without a slash at its end."""

    def __init__(
        self,
        access_token: str | TokenProvider,
        *,
        api_version: str = DEFAULT_API_VERSION,
        base_url: str = DEFAULT_BASE_URL,
        app_secret: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | aiohttp.ClientTimeout = 30.0,
        session: aiohttp.ClientSession | None = None,
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
        max_body: int = 64 * 2**20,
        throttle: RateLimiter | None = None,
        on_event: Listener | None = None,
    ) -> None:
        access_token = access_token if callable(access_token) else conceal(access_token)
        app_secret = None if app_secret is None else conceal(app_secret)
        self._tokens = TokenSource(access_token)
        if app_secret is not None:
            check_secret("app_secret", app_secret)
        self._app_secret = app_secret
        check_api_version(api_version)
        self.api_version = api_version
        self.base_url = read_base_url(base_url)
        root = URL(self.base_url, encoded=True)
        # Of its parts, an address is made in a third of the time that reading its text takes.
        self._address = partial(URL.build, scheme=root.scheme, authority=root.raw_authority, encoded=True)
        self._root = root.raw_path.rstrip("/")
        self._host = root.raw_authority
        self._timeout = read_timeout(timeout)
        self._trace_configs = read_trace_configs(trace_configs)
        check_borrowed(session, self._trace_configs)
        self._borrowed = session
        check_at_least_one("max_body", max_body)
        self._max_body = max_body
        if throttle is not None:
            check_kind("throttle", throttle, RateLimiter, "an instance of RateLimiter, such as Throttle()")
        self._throttle: RateLimiter = Throttle() if throttle is None else throttle
        if retry is not None:
            check_kind("retry", retry, RetryPolicy, "an instance of RetryPolicy, such as RetryPolicy(max_attempts=3)")
        self._retry = RetryPolicy() if retry is None else retry
        self._persistent_attempt = retrying(self._retry, self._tell_retry)(self._attempt)
        self._events = Announcer()
        if on_event is not None:
            check_listener("on_event", on_event)
            self._events.subscribe(on_event)
        self._held: set[str] = set()
        self._quota_waits = QuotaWaitNotifier(self._events.tell, self._held.__contains__)
        self._waiting: set[tuple[Secret, asyncio.Timeout]] = set()
        self._dialect = Dialect()
        self._wire: Wire | None = None
        self._is_closed = False
        self._has_warned_of_version = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, api_version={self.api_version!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client has a token and is not pickled: send a function that makes one where it is needed")

    async def __aenter__(self) -> Self:
        self._is_closed = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was opened here, and refuse calls until it is entered again."""
        self._is_closed = True
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()
        await self._events.aclose()

    def subscribe(self, listener: Listener, *, lists: bool = False) -> Callable[[], None]:
        """Add a listener to what happens to calls; gives what removes it.

        Args:
            listener: Plain or async.
            lists: Whether it is told of the end of each list too, as `ListFinished`; pages then name their list.

        Raises:
            InvalidArgumentError: It is not callable.
        """
        check_listener("listener", listener)
        return self._events.subscribe(listener, lists=lists)

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """What the last answer for an account said about its budget and the app's, or `None`.

        Args:
            waba_id: The account; `None` for the calls that belong to none, such as those on a business.
        """
        return self._throttle.last_usage(waba_id)

    @overload
    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> dict[str, Any]: ...
    @overload
    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None,
        model: type[T],
        *,
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> T: ...
    @overload
    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        model: type[T],
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> T: ...
    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        model: type[Any] = dict,
        *,
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> Any:
        """Read any node or edge once: `await session.get("1234", {"fields": "id,name"})`.

        Args:
            path: Below the API's version, relative and without a query.
            params: Query parameters.
            model: What the answer is read as: `dict`, or an attrs class.
            waba_id: The account whose token and budget the call takes. Unless told, it is the id at the head of the
                path; `None` where that is no account, such as a business: then only the app's budget counts.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's.

        Returns:
            The JSON of the answer, without the links of lists in it, or the value of it.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            WaPhoneError: It was refused, or could not be had.
        """
        check_path(path)
        _check_budget(waba_id)

        def read(payload: Any, http_status: int) -> Any:
            return read_model(payload, model, http_status=http_status)

        own_params = dict(params or {})
        check_params(own_params)
        request = Request(
            path=path,
            params=own_params,
            dialect=self._dialect,
            waba_id=waba_id,
            optional_fields=optional_fields(own_params.get("fields")),
        )
        return await self._call(self._question(request, read, total_timeout))

    @overload
    def paginate(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        limit: int | None = None,
        after: str | None = None,
        before: str | None = None,
        max_items: int | None = None,
        follow: Follow = "next",
        read_ahead: int = 0,
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> AsyncPaginator[dict[str, Any]]: ...
    @overload
    def paginate(
        self,
        path: str,
        params: Mapping[str, str] | None,
        model: type[T],
        *,
        limit: int | None = None,
        after: str | None = None,
        before: str | None = None,
        max_items: int | None = None,
        follow: Follow = "next",
        read_ahead: int = 0,
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> AsyncPaginator[T]: ...
    @overload
    def paginate(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        model: type[T],
        limit: int | None = None,
        after: str | None = None,
        before: str | None = None,
        max_items: int | None = None,
        follow: Follow = "next",
        read_ahead: int = 0,
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> AsyncPaginator[T]: ...
    def paginate(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        model: type[T] = dict,  # type: ignore[assignment]  # mypy has no defaults for type variables before Python 3.13
        *,
        limit: int | None = None,
        after: str | None = None,
        before: str | None = None,
        max_items: int | None = None,
        follow: Follow = "next",
        read_ahead: int = 0,
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> AsyncPaginator[Any]:
        """Walk any edge that is a list: `session.paginate(f"{waba_id}/message_templates")`.

        Args:
            path: Below the API's version, relative and without a query.
            params: Query parameters without `limit`, `after` and `before`.
            model: What a row is read as: `dict`, or an attrs class.
            limit: Rows in a page, 1 to 100; `None` leaves it to the API.
            after: The cursor to begin after.
            before: The cursor to go back from.
            max_items: Rows wanted in all; `None` for all.
            follow: `"next"` goes on while there is a `next` link, `"after"` while pages have rows and a cursor.
            read_ahead: Pages to ask for before they are wanted, 0 to 100; with any, use the list in `async with`.
            waba_id: The account whose token and budget each page takes; see `get`.
            total_timeout: Seconds for all attempts and waits of each page; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
        """
        check_path(path)
        _check_budget(waba_id)
        check_page(limit=limit, after=after, before=before, max_items=max_items)
        check_read_ahead(read_ahead)
        _check_total_timeout(total_timeout)
        own_params = dict(params or {})
        check_params(own_params)
        cursor: PageCursor[T] = PageCursor(
            limit=limit,
            after=after,
            before=before,
            max_items=max_items,
            follow=follow,
            is_filtered="filtering" in own_params,
        )
        observer = ListObserver(self._events, path, cursor) if self._events.hears_lists else None

        def read(payload: Any, http_status: int) -> RawPage[T]:
            return read_page(payload, model, http_status=http_status)

        def read_bytes(body: bytes, http_status: int) -> RawPage[T] | None:
            return read_page_bytes(body, model, http_status=http_status)

        async def fetch(page_params: dict[str, str]) -> RawPage[T]:
            request = Request(
                path=path,
                params={**own_params, **page_params},
                dialect=self._dialect,
                waba_id=waba_id,
                optional_fields=optional_fields(own_params.get("fields")),
            )
            call = self._question(request, read, total_timeout)
            call.read_bytes = read_bytes
            call.list_id = None if observer is None else observer.list_id
            try:
                return await self._call(call)
            finally:  # a page size that was rejected is not used again in this list, nor after another error
                if call.request.has_reduced_limit:
                    cursor.limit = int(call.request.params["limit"])

        paginator = AsyncPaginator(fetch if observer is None else observer.count(fetch), cursor, read_ahead=read_ahead)
        if observer is not None:
            observer.end_with(paginator)
        return paginator

    async def post(
        self,
        write: Write,
        model: type[T],
        *,
        waba_id: str | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> T:
        """Write to any node or edge: `await session.post(Write(path="1234/edge", body={"name": "x"}), dict)`.

        A retry follows only if the write provably did not happen.

        Args:
            write: What to send, and what the error says if the response is lost.
            model: What the response is read as: `dict`, or an attrs class.
            waba_id: The account whose token and quota the call takes; see `get`.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's, but not less than the
                write's `timeout`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            OutcomeUnknownError: The response was lost: the write may have happened.
            WaPhoneError: The API rejected the write, or it could not be sent.
        """
        check_kind("write", write, Write, "an instance of Write, such as Write(path='1234/edge', body={})")
        check_path(write.path)
        _check_budget(waba_id)

        def read(payload: Any, http_status: int) -> T:
            check_success(payload, http_status=http_status)
            return read_model(payload, model, http_status=http_status)

        request = Request(path=write.path, write=write, dialect=self._dialect, waba_id=waba_id)
        limits = None if write.timeout is None else read_timeout(write.timeout)
        if total_timeout is None and self._retry.total_timeout and limits and limits.total:
            total_timeout = max(limits.total, self._retry.total_timeout)
        call = self._question(request, read, total_timeout)
        call.limits = limits
        return await self._call(call)

    def _question(
        self,
        request: Request,
        read: Callable[[Any, int], T],
        total_timeout: float | None,
    ) -> _Call[T]:
        """A call that begins now."""
        _check_total_timeout(total_timeout)
        limit = self._retry.total_timeout if total_timeout is None else total_timeout
        now = asyncio.get_running_loop().time
        began = now()
        deadline = None if limit is None else began + limit
        return _Call(request, read, deadline, self._tokens.rejections_so_far, now, began)

    async def _call(self, call: _Call[T]) -> T:
        """Ask until there is an answer or an error, and tell how it ended."""
        try:
            value = await self._ask(call)
        except BaseException as error:
            self._tell_end(call, error)
            raise
        self._tell_end(call, None)
        return value

    async def _ask(self, call: _Call[T]) -> T:
        """Ask until there is an answer, or a refusal that asking differently does not remedy."""
        while True:
            try:
                value: T = await self._persistent_attempt(call)
            except GraphAPIError as error:
                if isinstance(error, AuthenticationError):
                    self._reject(call, error)
                amended = amend(call.request, error)
                if amended is None:
                    raise
                call.request = amended
            else:
                if call.request.amended:
                    self._dialect = self._dialect.learn(call.request)
                return value

    def _reject(self, call: _Call[Any], error: AuthenticationError) -> None:
        """A rejected token is of no use to the calls that wait with it either: they end their waiting now."""
        call.rejected = call.token
        error.is_shared = self._tokens.is_shared(call.token, call.request.token_id)
        if call.token is None or self._rejection(call) is not None:  # which is where this one came from
            return
        self._tokens.reject(call.token, error, call.request.token_id)
        for token, waiting in self._waiting:
            if token == call.token and not waiting.expired():
                waiting.reschedule(asyncio.get_running_loop().time())

    def _rejection(self, call: _Call[Any]) -> AuthenticationError | None:
        """Why a call's token is of no use any more, if it was rejected since the call began."""
        return None if call.token is None else self._tokens.rejection(call.token, after=call.rejections_before)

    def _tell_end(self, call: _Call[Any], error: BaseException | None) -> None:
        if self._events.is_heard:
            self._events.tell(
                CallFinished(
                    method=call.request.method,
                    path=call.request.path,
                    node_id=call.request.node_id,
                    list_id=call.list_id,
                    error=None if error is None else type(error).__name__,
                    code=getattr(error, "code", None),
                    http_status=call.http_status,
                    trace_id=getattr(error, "fbtrace_id", None),
                    attempts=call.attempts,
                    seconds=call.now() - call.began,
                    seconds_waited=call.seconds_waited,
                    usage=self._throttle.last_usage(call.request.budget_id),
                    waba_id=call.request.budget_id,
                )
            )

    def _tell_retry(self, call: _Call[Any], *, error: WaPhoneError, seconds: float) -> None:
        call.seconds_waited += seconds
        release_slot()
        if self._events.is_heard:
            self._events.tell(
                RetryPlanned(
                    method=call.request.method,
                    path=call.request.path,
                    node_id=call.request.node_id,
                    error=type(error).__name__,
                    code=getattr(error, "code", None),
                    attempt=call.attempts,
                    seconds=seconds,
                )
            )

    def _tell_hold(self, node_id: str, report: Report, seconds: float, code: int | None) -> None:
        """A hold begins with a refusal, and has ended when a call for the same id is answered again."""
        if report.result == "throttled" and node_id not in self._held:
            self._held.add(node_id)
            if self._events.is_heard:
                self._events.tell(ThrottleStarted(node_id=node_id, code=code, seconds=seconds))
        elif report.result == "accepted" and node_id in self._held:
            self._held.discard(node_id)
            if self._events.is_heard:
                self._events.tell(ThrottleEnded(node_id=node_id))

    async def _attempt(self, call: _Call[T]) -> T:
        """Send the request once, and give its value or raise what went wrong with all that is known of it."""
        wire = await self._open()
        result = await self._try(wire, call)
        if not isinstance(result, WaPhoneError):
            return result
        call.was_throttled = isinstance(result, RateLimitError) and result.sent
        request, error = call.request, result
        if request.write is not None and (reason := unknown_outcome(result)):
            error = request.write.outcome_unknown(reason, waba_id=request.budget_id)
        error.attempts = call.attempts
        error.retryable = is_retryable(error, is_write=request.is_write, is_counted=request.is_counted)
        error.seconds_left = call.seconds_left()
        raise error

    async def _try(self, wire: Wire, call: _Call[T]) -> T | WaPhoneError:
        """Wait for what an attempt needs, a token and room in the budgets, and make it."""
        if (left := call.seconds_left()) is not None and left <= 0:
            return out_of_time()
        waiting = asyncio.timeout_at(call.deadline)
        try:
            async with waiting:
                call.token = await self._tokens.token(call.request.token_id, call.rejected)
                if rejection := self._rejection(call):
                    return rejection
                lease = await self._admit(call, call.token, waiting)
        except TimeoutError:
            if not waiting.expired():
                raise  # the provider's own
            return (self._rejection(call) if call.token != call.rejected else None) or out_of_time()
        if isinstance(lease, RateLimitError):
            return lease
        call.attempts += 1
        report, code = _LOST, None  # where it is cancelled
        try:
            url = self._url(call.request, call.token)
            answer = await wire.exchange(
                call.request,
                url,
                call.token,
                deadline=call.deadline,
                limits=call.limits,
                veto=lambda: self._rejection(call),
            )
            verdict = self._judge(answer, call, call.token)
            result, report = verdict
            code = getattr(result, "code", None)
        finally:
            hold = self._throttle.report(lease, report)
            self._tell_hold(lease.waba_id or call.request.node_id, report, hold, code)
        if report.result == "throttled" and isinstance(result, RateLimitError):
            result.retry_after = max(hold, result.retry_after or 0.0)
        return result

    async def _admit(self, call: _Call[T], token: Secret, waiting: asyncio.Timeout) -> Lease | RateLimitError:
        """Wait until the budgets have room for the call, or say at once that this would take too long."""
        waba_id, left, began = call.request.budget_id, call.seconds_left(), call.now()
        max_wait = self._retry.max_wait if left is None else min(self._retry.max_wait, left)
        self._waiting.add((token, waiting))
        wait = self._quota_waits.begin(call.request.node_id, max_wait) if self._events.is_heard else None
        try:
            lease = await self._throttle.admit(
                waba_id, token_digest(token), max_wait=max_wait, is_probe=call.was_throttled
            )
        finally:
            self._waiting.discard((token, waiting))
            if wait is not None:
                self._quota_waits.end(wait)
            call.seconds_waited += call.now() - began
        if isinstance(lease, Lease):
            return lease
        budget = f"the budget of {waba_id or 'the app'}"
        text = f"{call.request} was not sent: {budget} has no room in the {max_wait:,.1f} s that it may wait"
        error = RateLimitError(text, http_status=None, retry_after=lease)
        error.sent = False
        error.usage = self._throttle.last_usage(waba_id)
        return error

    def _judge(self, answer: Answer | WaPhoneError, call: _Call[T], token: Secret) -> tuple[T | WaPhoneError, Report]:
        """The value of an answer, or the error that it is, and what the budgets should know of it."""
        if isinstance(answer, WaPhoneError):
            is_vetoed = isinstance(answer, GraphAPIError)
            was_sent = not is_vetoed and getattr(answer, "sent", True)
            return answer, Report("lost" if was_sent else "unsent")
        call.http_status = answer.http_status
        self._check_version(answer)
        usage = read_usage(answer.headers, call.request.budget_id or call.request.node_id)
        try:
            if call.read_bytes is not None and 200 <= answer.http_status < 300:
                value = call.read_bytes(answer.body, answer.http_status)
                if value is not None:
                    return value, Report("accepted", usage)
            secrets = self._secrets(call, token)
            payload = read_response(answer.body, http_status=answer.http_status, usage=usage, secrets=secrets)
            return call.read(payload, answer.http_status), Report("accepted", usage)
        except WaPhoneError as error:
            result = error.with_traceback(None)  # its frames hold the answer as it came, with any token in it
        if isinstance(result, DecodeError) and result.garbled:
            result = not_json_error(
                answer.body,
                http_status=answer.http_status,
                content_type=answer.headers.get("Content-Type", ""),
                request=f"{call.request.method} {self._path(call.request)}",
                host=self._host,
                secrets=self._secrets(call, token),
            )
        is_write, is_counted = call.request.is_write, call.request.is_counted
        if isinstance(result, RateLimitError) and is_retryable(result, is_write=is_write, is_counted=is_counted):
            return result, Report("throttled", usage, throttled_scope(result))  # a block for hours holds nobody else
        return result, Report("accepted", usage)

    def _url(self, request: Request, token: Secret) -> URL:
        query = request.query_string()
        if proof := self._proof(token):
            query = f"{query}&appsecret_proof={proof}" if query else f"appsecret_proof={proof}"
        return self._address(path=self._path(request), query_string=query)

    def _path(self, request: Request) -> str:
        return f"{self._root}/{self.api_version}/{request.path}"

    def _secrets(self, call: _Call[Any], token: Secret) -> tuple[Secret, ...]:
        """What must stand in no text of an error, should the answer echo it."""
        return tuple(filter(None, (token, self._app_secret, self._proof(token), *call.request.secrets)))

    def _proof(self, token: Secret) -> Secret | None:
        return None if self._app_secret is None else appsecret_proof(token, self._app_secret)

    def _check_version(self, answer: Answer) -> None:
        served = answer.headers.get("facebook-api-version", "")
        if served == self.api_version or self._has_warned_of_version:
            return
        if _VERSION.fullmatch(served):  # no other text of the server's is logged: it may echo the token
            self._has_warned_of_version = True
            _log.warning("asked for Graph API %s and was served %s: is it still supported?", self.api_version, served)

    async def _open(self) -> Wire:
        """What belongs to the running loop, opened if need be."""
        if self._is_closed:
            raise RuntimeError(CLOSED)
        ended = None
        if self._wire is not None and self._wire.loop is not asyncio.get_running_loop():
            if self._borrowed is not None:
                raise RuntimeError("the borrowed aiohttp session belongs to another event loop: give each loop its own")
            if self._wire.loop.is_running():
                raise RuntimeError("this client is in use by another running event loop: give each loop its own client")
            ended, self._wire = self._wire, None
        if self._wire is None:
            self._wire = Wire(self._borrowed, self._trace_configs, self._timeout, self._max_body)
        if ended is not None:
            await ended.close()
        return self._wire


def _check_budget(waba_id: object) -> None:
    if waba_id is not None and waba_id is not ...:
        check_node_id("waba_id", waba_id)


def _check_total_timeout(total_timeout: float | None) -> None:
    if total_timeout is not None:
        check_seconds("total_timeout", total_timeout)
