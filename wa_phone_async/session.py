"""`GraphSession`: the async session wrapper, and the way of each call from its request to its response.

A call is one request of the caller's, with all its attempts. From the outside in:

    _run            notifies the listeners when the call has ended
    _request        requests again, amended, where an API error says what to change (`call.request.amend`)
    _attempt        makes one attempt and raises its error; the backoff decorator around it retries
    _send           waits for the token and the quota, then sends (`call.transport.Transport.exchange`)
    _judge          turns a response into its value, or into its error (`call.response.read_response`)
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
from .call.proxy import choose_route
from .call.request import Dialect, GraphRequest, amend, final_error
from .call.response import check_success, explain_not_json, read_response
from .call.retry import RetryPolicy, is_certain_rejection, is_retryable, retrying, unknown_outcome
from .call.tokens import TokenProvider, TokenSource, appsecret_proof, token_digest
from .call.transport import HttpResponse, Transport, check_borrowed, out_of_time, read_timeout, read_trace_configs
from .call.writes import Write
from .checks import (
    check_api_version,
    check_at_least_one,
    check_kind,
    check_listener,
    check_page,
    check_params,
    check_path,
    check_read_ahead,
    check_seconds,
    plain_id,
    read_base_url,
    read_node_id,
    read_secret,
)
from .concurrency import release_slot
from .decoding.converter import read_model
from .errors import (
    CLOSED,
    AuthenticationError,
    GraphAPIError,
    InvalidArgumentError,
    RateLimitError,
    WaPhoneError,
)
from .events import CallFinished, RetryPlanned, ThrottleEnded, ThrottleStarted
from .hooks import EventDispatcher, Listener
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


@attrs.define(on_setattr=attrs.setters.NO_OP)  # even running no validator on each assignment takes time
class _Call(Generic[T]):
    """One call on its way: its request, how its response is read, and what happened so far."""

    request: GraphRequest
    read: Callable[[Any, int], T]
    deadline: float | None
    rejections_before: int
    now: Callable[[], float]  # the loop's clock
    started: float
    timeouts: aiohttp.ClientTimeout | None = None
    read_bytes: Callable[[bytes, int], T | None] | None = None
    attempts: int = 0
    token: Secret | None = None
    rejected: Secret | None = None
    rejection: AuthenticationError | None = None
    was_throttled: bool = False
    seconds_waited: float = 0.0
    http_status: int | None = None
    list_id: int | None = None

    def seconds_left(self) -> float | None:
        """Seconds until the deadline on the loop's clock, or `None` without one."""
        return None if self.deadline is None else self.deadline - self.now()


class GraphSession:
    """An async session for the Graph API: it gives every call its token, its retries and its quota waits.

    It opens on first use. A `PhoneNumberClient` makes one, as `client.session`. You can also make one yourself and lend
    it to several clients. It reads and writes any edge of the Graph API under the same rules.

    Args:
        access_token: The token, or a function that returns it for each attempt: `provider(node_id, rejected)`, plain
            or async. `node_id` is the id at the head of the path, or the account that the call names. `rejected` is
            the token that the API has just rejected in this call, or `None`.
        api_version: The version of the Graph API; default: `v23.0`.
        base_url: The address of the API without the version; default: `https://graph.facebook.com`. With `http://` the
            token travels unencrypted: that is for tests, and not allowed for facebook.com.
        app_secret: The app's secret. With it, every request carries `appsecret_proof`; `None` sends none.
        retry: When calls are retried, and how long they wait; default: `RetryPolicy()`.
        timeout: Seconds of one attempt, or an `aiohttp.ClientTimeout`; default: 30 s. On a borrowed aiohttp session,
            the wait for one of its connections counts too.
        session: An `aiohttp.ClientSession` to borrow. It stays open when this one closes.
        proxy: The URL of the proxy for every request, with its user and password if it wants them:
            `http://user:password@proxy.example:3128`. `None`: no proxy, but for `trust_env`.
        trust_env: Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name the proxy. They are read when the session is
            made. No address of this machine goes through such a proxy, and netrc is never read.
        trace_configs: The `aiohttp.TraceConfig`s of the sessions that are opened here.
        max_body: The bytes that a response may have after decompression; default: 64 MiB.
        throttle: What keeps calls within the quotas of the app and its accounts; default: a `Throttle` of its own.
            Clients of one app should share one.
        on_event: A function that gets each event of `wa_phone_async.events`; plain or async.

    Raises:
        InvalidArgumentError: A setting is invalid. The text says which one, and what is allowed.
    """

    api_version: str = DEFAULT_API_VERSION
    """The version of the Graph API in every path."""
    base_url: str = DEFAULT_BASE_URL
    """The address of the API, without a slash at its end."""

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
        proxy: str | None = None,
        trust_env: bool = False,
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
        max_body: int = 64 * 2**20,
        throttle: RateLimiter | None = None,
        on_event: Listener | None = None,
    ) -> None:
        access_token = access_token if callable(access_token) else conceal(access_token)
        app_secret = None if app_secret is None else conceal(app_secret)
        proxy = None if proxy is None else conceal(proxy)  # it may hold a password
        self._tokens = TokenSource(access_token)
        if app_secret is not None:
            app_secret = read_secret("app_secret", app_secret)
        self._app_secret = app_secret
        check_api_version(api_version)
        self.api_version = api_version
        self.base_url = read_base_url(base_url)
        root = URL(self.base_url, encoded=True)
        # Building a URL from its parts takes a third of the time of parsing its text.
        self._address = partial(URL.build, scheme=root.scheme, authority=root.raw_authority, encoded=True)
        self._root = root.raw_path.rstrip("/")
        self._host = root.raw_authority
        self._timeout = read_timeout(timeout)
        self._trace_configs = read_trace_configs(trace_configs)
        check_borrowed(session, self._trace_configs, proxy=proxy, trust_env=trust_env)
        self._route = choose_route(proxy, trust_env=trust_env, root=root)
        self._borrowed = session
        check_at_least_one("max_body", max_body)
        self._max_body = max_body
        if throttle is not None:
            check_kind("throttle", throttle, RateLimiter, "an instance of RateLimiter, such as Throttle()")
        self._throttle: RateLimiter = Throttle() if throttle is None else throttle
        if retry is not None:
            check_kind("retry", retry, RetryPolicy, "an instance of RetryPolicy, such as RetryPolicy(max_attempts=3)")
        self._retry = RetryPolicy() if retry is None else retry
        self._attempt_with_retries = retrying(self._retry, self._notify_retry)(self._attempt)
        self._events = EventDispatcher()
        if on_event is not None:
            check_listener("on_event", on_event)
            self._events.subscribe(on_event)
        self._throttled_ids: set[str] = set()
        self._quota_waits = QuotaWaitNotifier(self._events.dispatch, self._throttled_ids.__contains__)
        self._waiting: set[tuple[Secret, asyncio.Timeout]] = set()
        self._dialect = Dialect()
        self._transport: Transport | None = None
        self._is_closed = False
        self._has_warned_of_version = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, api_version={self.api_version!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds a token and cannot be pickled: send a function that makes a client where it is needed"
        )

    async def __aenter__(self) -> Self:
        self._is_closed = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was opened here. Calls raise a `RuntimeError` until you enter the session again."""
        self._is_closed = True
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()
        await self._events.aclose()

    def subscribe(self, listener: Listener, *, lists: bool = False) -> Callable[[], None]:
        """Subscribe a listener to the events of calls. Returns a function that unsubscribes it.

        Args:
            listener: A function that gets each event of `wa_phone_async.events`; plain or async.
            lists: Whether it also gets a `ListFinished` when a list ends. The event of each page then has a `list_id`.

        Raises:
            InvalidArgumentError: The listener is not callable.
        """
        check_listener("listener", listener)
        return self._events.subscribe(listener, lists=lists)

    def last_usage(self, waba_id: str | int | None) -> Usage | None:
        """The usage of an account's quota and the app's, in percent, from the last response; `None` if none had any.

        Args:
            waba_id: The account. `None`: the calls that belong to no account, such as those on a business.
        """
        return self._throttle.last_usage(None if waba_id is None else str(plain_id(waba_id)))

    @overload
    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        waba_id: str | int | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> dict[str, Any]: ...
    @overload
    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None,
        model: type[T],
        *,
        waba_id: str | int | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> T: ...
    @overload
    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        model: type[T],
        waba_id: str | int | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> T: ...
    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        model: type[Any] = dict,
        *,
        waba_id: str | int | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> Any:
        """Read any node or edge: `await session.get("1234", {"fields": "id,name"})`.

        Args:
            path: The path below the API's version, relative and without a query.
            params: The query parameters; `None` sends none.
            model: The class of the result: `dict`, or an attrs class.
            waba_id: The account whose token and quota the call uses; default: the id at the head of the path. `None`:
                no account, as for a path of a business. Then the token is that of the id at the head of the path, and
                only the app's quota counts.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Returns:
            The JSON of the response, without the links of the lists in it, or an instance of `model`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaPhoneError: The API rejected the request, or no valid response came.
        """
        check_path(path)
        account = _read_waba_id(waba_id)

        def read(payload: Any, http_status: int) -> Any:
            return read_model(payload, model, http_status=http_status)

        own_params = dict(params or {})
        check_params(own_params)
        request = GraphRequest(
            path=path,
            params=own_params,
            dialect=self._dialect,
            waba_id=account,
            optional_fields=optional_fields(path, own_params.get("fields")),
        )
        return await self._run(self._new_call(request, read, total_timeout))

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
        waba_id: str | int | EllipsisType | None = ...,
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
        waba_id: str | int | EllipsisType | None = ...,
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
        waba_id: str | int | EllipsisType | None = ...,
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
        waba_id: str | int | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> AsyncPaginator[Any]:
        """List any edge, page by page: `session.paginate(f"{waba_id}/message_templates")`.

        Args:
            path: The path below the API's version, relative and without a query.
            params: The query parameters without `limit`, `after` and `before`; `None` sends none.
            model: The class of a row: `dict`, or an attrs class.
            limit: Rows of a page, 1 to 100; `None` leaves it to the API.
            after: The cursor to begin after; `None` begins at the first page.
            before: The cursor to go back from; `None` goes forward.
            max_items: Rows in all; `None` for all.
            follow: When the list goes on: `"next"` while there is a `next` link, `"after"` while pages have rows and a
                cursor.
            read_ahead: Pages to request before you need them, 0 to 100. With any, use the list in `async with`.
                Stopping early may waste up to `read_ahead` requests.
            waba_id: The account whose token and quota each page uses; see `get`.
            total_timeout: Seconds for all attempts and waits of each page; `None` takes that of the retry policy.

        Returns:
            The rows. Iterate over them, or await them all as a list. The first request is sent then.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
        """
        check_path(path)
        account = _read_waba_id(waba_id)
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
        observer = ListObserver(self._events, path, cursor) if self._events.has_list_listeners else None

        def read(payload: Any, http_status: int) -> RawPage[T]:
            return read_page(payload, model, http_status=http_status)

        def read_bytes(body: bytes, http_status: int) -> RawPage[T] | None:
            return read_page_bytes(body, model, http_status=http_status)

        async def fetch(page_params: dict[str, str]) -> RawPage[T]:
            request = GraphRequest(
                path=path,
                params={**own_params, **page_params},
                dialect=self._dialect,
                waba_id=account,
                optional_fields=optional_fields(path, own_params.get("fields")),
            )
            call = self._new_call(request, read, total_timeout)
            call.read_bytes = read_bytes
            call.list_id = None if observer is None else observer.list_id
            try:
                return await self._run(call)
            finally:  # the next pages begin with the limit that the API accepts, even if this page failed
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
        waba_id: str | int | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> T:
        """Write to any node or edge: `await session.post(Write(path="1234/edge", body={"name": "x"}), dict)`.

        A write is retried only if it has provably not happened.

        Args:
            write: What to send, and what the error says after a lost response.
            model: The class of the result: `dict`, or an attrs class.
            waba_id: The account whose token and quota the call uses; see `get`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy, but not less than
                the write's own `timeout`.

        Returns:
            The JSON of the response, or an instance of `model`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            OutcomeUnknownError: The response was lost: the write may have happened.
            WaPhoneError: The API rejected the write, or it could not be sent.
        """
        check_kind("write", write, Write, "an instance of Write, such as Write(path='1234/edge', body={})")
        check_path(write.path)
        account = _read_waba_id(waba_id)

        def read(payload: Any, http_status: int) -> T:
            check_success(payload, http_status=http_status)
            return read_model(payload, model, http_status=http_status)

        request = GraphRequest(path=write.path, write=write, dialect=self._dialect, waba_id=account)
        timeouts = None if write.timeout is None else read_timeout(write.timeout)
        if total_timeout is None and self._retry.total_timeout and timeouts and timeouts.total:
            total_timeout = max(timeouts.total, self._retry.total_timeout)
        call = self._new_call(request, read, total_timeout)
        call.timeouts = timeouts
        return await self._run(call)

    def _new_call(
        self,
        request: GraphRequest,
        read: Callable[[Any, int], T],
        total_timeout: float | None,
    ) -> _Call[T]:
        """A call that starts now."""
        _check_total_timeout(total_timeout)
        limit = self._retry.total_timeout if total_timeout is None else total_timeout
        now = asyncio.get_running_loop().time
        started = now()
        deadline = None if limit is None else started + limit
        return _Call(request, read, deadline, self._tokens.rejections_so_far, now, started)

    async def _run(self, call: _Call[T]) -> T:
        """Make a call, and notify the listeners when it has ended."""
        try:
            value = await self._request(call)
        except BaseException as error:
            self._notify_end(call, error)
            raise
        self._notify_end(call, None)
        return value

    async def _request(self, call: _Call[T]) -> T:
        """Request until there is a response, or an error that no amended request avoids."""
        while True:
            try:
                value: T = await self._attempt_with_retries(call)
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
                    self._dialect = self._dialect.learn(call.request)
                return value

    def _reject_token(self, call: _Call[Any], error: AuthenticationError) -> None:
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

    def _rejection(self, call: _Call[Any]) -> AuthenticationError | None:
        """The error of a call's token, if the API rejected it since the call started."""
        if call.rejection is not None and call.token == call.rejected:
            return call.rejection  # the provider has no other token
        return None if call.token is None else self._tokens.rejection(call.token, after=call.rejections_before)

    def _notify_end(self, call: _Call[Any], error: BaseException | None) -> None:
        if self._events.has_listeners:
            self._events.dispatch(
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
                    seconds=call.now() - call.started,
                    seconds_waited=call.seconds_waited,
                    usage=self._throttle.last_usage(call.request.quota_id),
                    waba_id=call.request.quota_id,
                )
            )

    def _notify_retry(self, call: _Call[Any], *, error: WaPhoneError, seconds: float) -> None:
        call.seconds_waited += seconds
        release_slot()
        if self._events.has_listeners:
            self._events.dispatch(
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

    def _notify_throttling(self, node_id: str, report: Report, seconds: float, code: int | None) -> None:
        """Notify that calls for an id wait: from the first throttled one until the API accepts one again."""
        if report.result == "throttled" and node_id not in self._throttled_ids:
            self._throttled_ids.add(node_id)
            if self._events.has_listeners:
                self._events.dispatch(ThrottleStarted(node_id=node_id, code=code, seconds=seconds))
        elif report.result == "accepted" and node_id in self._throttled_ids:
            self._throttled_ids.discard(node_id)
            if self._events.has_listeners:
                self._events.dispatch(ThrottleEnded(node_id=node_id))

    async def _attempt(self, call: _Call[T]) -> T:
        """Make one attempt. Raise its error with the facts by which the backoff decorator decides about a retry."""
        transport = await self._open()
        result = await self._send(transport, call)
        if not isinstance(result, WaPhoneError):
            return result
        call.was_throttled = isinstance(result, RateLimitError) and result.sent
        request, error = call.request, result
        if request.write is not None and (reason := unknown_outcome(result)):
            error = request.write.outcome_unknown(reason, waba_id=request.quota_id)
        error.attempts = call.attempts
        error.retryable = is_retryable(error, is_write=request.is_write, is_counted=request.is_counted)
        error.seconds_left = call.seconds_left()
        raise error

    async def _send(self, transport: Transport, call: _Call[T]) -> T | WaPhoneError:
        """Wait for the token and the quota, send the request once, and report its result to the throttle."""
        if (left := call.seconds_left()) is not None and left <= 0:
            return out_of_time()
        # `_reject_token` reschedules this time-out to now when another call finds out that the token is rejected.
        waiting = asyncio.timeout_at(call.deadline)
        try:
            async with waiting:
                call.token = await self._tokens.token(call.request.token_id, call.rejected)
                if rejection := self._rejection(call):
                    return rejection
                lease = await self._admit(call, call.token, waiting)
        except TimeoutError:
            if not waiting.expired():
                raise  # the token provider's own
            return (self._rejection(call) if call.token != call.rejected else None) or out_of_time()
        if isinstance(lease, RateLimitError):
            return lease
        call.attempts += 1
        report, code = _LOST, None  # stay so if the call is cancelled
        try:
            response = await transport.exchange(
                call.request,
                self._url(call.request, call.token),
                call.token,
                deadline=call.deadline,
                timeouts=call.timeouts,
                veto=lambda: self._rejection(call),
            )
            judged = self._judge(response, call, call.token)
            result, report = judged
            code = getattr(result, "code", None)
        finally:
            cooldown = self._throttle.report(lease, report)
            self._notify_throttling(lease.waba_id or call.request.node_id, report, cooldown, code)
        if report.result == "throttled" and isinstance(result, RateLimitError):
            result.retry_after = max(cooldown, result.retry_after or 0.0)
        return result

    async def _admit(self, call: _Call[T], token: Secret, waiting: asyncio.Timeout) -> Lease | RateLimitError:
        """Wait for the quota. If that would take longer than the call may wait, return the error at once."""
        waba_id, left, started = call.request.quota_id, call.seconds_left(), call.now()
        max_wait = self._retry.max_wait if left is None else min(self._retry.max_wait, left)
        self._waiting.add((token, waiting))
        wait = self._quota_waits.begin(call.request.node_id, max_wait) if self._events.has_listeners else None
        try:
            lease = await self._throttle.admit(
                waba_id, token_digest(token), max_wait=max_wait, is_probe=call.was_throttled
            )
        finally:
            self._waiting.discard((token, waiting))
            if wait is not None:
                self._quota_waits.end(wait)
            call.seconds_waited += call.now() - started
        if isinstance(lease, Lease):
            return lease
        owner = "the app" if waba_id is None else f"WABA {waba_id} or the app"
        limit = f"max_wait={max_wait:g} s" if left != max_wait else f"the {max_wait:.1f} s left of total_timeout"
        text = f"Rate limit: {owner} has used its hourly quota. {call.request} was not sent: the wait exceeds {limit}"
        error = RateLimitError(text, http_status=None, retry_after=lease)
        error.sent = False
        error.usage = self._throttle.last_usage(waba_id)
        return error

    def _judge(
        self, response: HttpResponse | WaPhoneError, call: _Call[T], token: Secret
    ) -> tuple[T | WaPhoneError, Report]:
        """Turn a response into its value or its error, and into the report to the throttle."""
        if isinstance(response, WaPhoneError):
            # The veto's error is an API error of another call, or aiohttp rejected its settings: nothing was sent.
            was_sent = not isinstance(response, GraphAPIError | InvalidArgumentError) and getattr(
                response, "sent", True
            )
            return response, Report("lost" if was_sent else "unsent")
        call.http_status = response.http_status
        self._check_version(response)
        usage = read_usage(response.headers, call.request.quota_id or call.request.node_id)
        try:
            if call.read_bytes is not None and 200 <= response.http_status < 300:
                value = call.read_bytes(response.body, response.http_status)
                if value is not None:
                    return value, Report("accepted", usage)
            secrets = self._secrets(call, token)
            payload = read_response(response.body, http_status=response.http_status, usage=usage, secrets=secrets)
            return call.read(payload, response.http_status), Report("accepted", usage)
        except WaPhoneError as error:
            # Its frames hold the response as it came, and the response may echo the token.
            result = error.with_traceback(None)
        explain_not_json(
            result,
            response.body,
            http_status=response.http_status,
            headers=response.headers,
            request=f"{call.request.method} {self._path(call.request)}",
            host=self._host,
            secrets=self._secrets(call, token),
        )
        is_write, is_counted = call.request.is_write, call.request.is_counted
        if isinstance(result, RateLimitError) and is_retryable(result, is_write=is_write, is_counted=is_counted):
            return result, Report("throttled", usage, throttled_scope(result))
        # A block for hours or days concerns this number or this content alone: no other call waits for it.
        return result, Report("accepted", usage)

    def _url(self, request: GraphRequest, token: Secret) -> URL:
        query = request.query_string()
        if proof := self._proof(token):
            query = f"{query}&appsecret_proof={proof}" if query else f"appsecret_proof={proof}"
        return self._address(path=self._path(request), query_string=query)

    def _path(self, request: GraphRequest) -> str:
        return f"{self._root}/{self.api_version}/{request.path}"

    def _secrets(self, call: _Call[Any], token: Secret) -> tuple[Secret, ...]:
        """What no text of an error may show, even if the response echoes it."""
        own = (token, self._app_secret, self._proof(token))
        return tuple(filter(None, (*own, *call.request.secrets, *self._route.secrets)))

    def _proof(self, token: Secret) -> Secret | None:
        return None if self._app_secret is None else appsecret_proof(token, self._app_secret)

    def _check_version(self, response: HttpResponse) -> None:
        """Warn once if the server uses another version than the requested one."""
        served = response.headers.get("facebook-api-version", "")
        if served == self.api_version or self._has_warned_of_version:
            return
        if _VERSION.fullmatch(served):  # any other text may echo the token, so it is not logged
            self._has_warned_of_version = True
            _log.warning(
                "requested Graph API %s, and the server used %s: check whether %s is still supported",
                self.api_version,
                served,
                self.api_version,
            )

    async def _open(self) -> Transport:
        """The transport of the running event loop. Open it if there is none."""
        if self._is_closed:
            raise RuntimeError(CLOSED)
        ended = None
        if self._transport is not None and self._transport.loop is not asyncio.get_running_loop():
            if self._borrowed is not None:
                raise RuntimeError("the borrowed aiohttp session belongs to another event loop: give each loop its own")
            if self._transport.loop.is_running():
                raise RuntimeError("this client is in use by another running event loop: give each loop its own client")
            ended, self._transport = self._transport, None
        if self._transport is None:
            self._transport = Transport(self._borrowed, self._trace_configs, self._timeout, self._max_body, self._route)
        if ended is not None:
            await ended.close()
        return self._transport


def _read_waba_id(waba_id: str | int | EllipsisType | None) -> str | EllipsisType | None:
    return waba_id if waba_id is None or waba_id is ... else read_node_id("waba_id", waba_id)


def _check_total_timeout(total_timeout: float | None) -> None:
    if total_timeout is not None:
        check_seconds("total_timeout", total_timeout)
