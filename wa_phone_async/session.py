"""`GraphSession`: the async session wrapper: settings, lifecycle, and get, post and paginate.

`call.attempt.CallRunner` makes each call. `pagination.paginator.AsyncPaginator` makes the calls of a list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar, Unpack

import aiohttp
from yarl import URL

from .call.attempt import CallRunner
from .call.proxy import choose_route
from .call.request import GraphRequest
from .call.response import model_reader, write_reader
from .call.retry import RetryPolicy
from .call.tokens import TokenProvider, TokenSource
from .call.transport import Endpoint, TransportOpener, check_borrowed, read_timeout, read_trace_configs
from .call.writes import Write
from .checks import (
    check_api_version,
    check_at_least_one,
    check_kind,
    check_listener,
    check_params,
    check_path,
    check_seconds,
    conceal_params,
    plain_id,
    read_base_url,
    read_node_id,
    read_secret,
)
from .events import Event, EventDispatcher, Listener
from .pagination.list_events import ListObserver
from .pagination.page import PageCursor, page_reader
from .pagination.paginator import AsyncPaginator, PageFetcher
from .query import ListQuery, PageOptions, optional_fields
from .ratelimit.limiter import RateLimiter
from .ratelimit.registrations import RegistrationLedger
from .ratelimit.throttle import Throttle
from .redaction import conceal
from .usage import Usage

if TYPE_CHECKING:
    from .diagnosis.report import Diagnosis, TokenInfo  # a diagnosis imports the rest when it is made

T = TypeVar("T")

DIAGNOSIS_SECONDS: Final = 15.0
"""The longest time of a diagnosis. Default of its `total_timeout=`."""
DEFAULT_BASE_URL: Final = "https://graph.facebook.com"
DEFAULT_API_VERSION: Final = "v23.0"
_A_LEDGER: Final = "an instance of RegistrationLedger, such as FileRegistrationLedger('registrations.db')"


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
        registrations: The ledger that counts the registrations of each number, such as a `FileRegistrationLedger`.
            Nothing is sent that would be more than Meta's ten in 72 hours. `None` counts none.
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
        registrations: RegistrationLedger | None = None,
        on_event: Listener | None = None,
    ) -> None:
        access_token = access_token if callable(access_token) else conceal(access_token)
        app_secret = None if app_secret is None else conceal(app_secret)
        proxy = None if proxy is None else conceal(proxy)  # it may hold a password
        tokens = TokenSource(access_token)
        if app_secret is not None:
            app_secret = read_secret("app_secret", app_secret)
        check_api_version(api_version)
        self.api_version = api_version
        self.base_url = read_base_url(base_url)
        timeouts, configs = read_timeout(timeout), read_trace_configs(trace_configs)
        check_borrowed(session, configs, proxy=proxy, trust_env=trust_env)
        route = choose_route(proxy, trust_env=trust_env, root=URL(self.base_url, encoded=True))
        check_at_least_one("max_body", max_body)
        if throttle is not None:
            check_kind("throttle", throttle, RateLimiter, "an instance of RateLimiter, such as Throttle()")
        self._throttle: RateLimiter = Throttle() if throttle is None else throttle
        if retry is not None:
            check_kind("retry", retry, RetryPolicy, "an instance of RetryPolicy, such as RetryPolicy(max_attempts=3)")
        if registrations is not None:
            check_kind("registrations", registrations, RegistrationLedger, _A_LEDGER)
        self._retry = RetryPolicy() if retry is None else retry
        self._events = EventDispatcher()
        if on_event is not None:
            check_listener("on_event", on_event)
            self._events.subscribe(on_event)
        endpoint = Endpoint(self.base_url, self.api_version, app_secret)
        self._transports = TransportOpener(
            endpoint, borrowed=session, trace_configs=configs, timeout=timeouts, max_body=max_body, route=route
        )
        self.calls: CallRunner = CallRunner(
            tokens, self._transports, self._throttle, self._retry, self._events, registrations=registrations
        )
        """Makes the calls. It is for the modules of this package, and not in the manual.

        :meta private:
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, api_version={self.api_version!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds a token and cannot be pickled: send a function that makes a client where it is needed"
        )

    async def __aenter__(self) -> Self:
        self._transports.is_closed = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was opened here. Calls raise a `RuntimeError` until you enter the session again."""
        await self._transports.aclose()
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

    async def diagnose(
        self, *, waba_id: str | int | None = None, total_timeout: float = DIAGNOSIS_SECONDS
    ) -> Diagnosis:
        """Find out what is wrong with the set-up: see `PhoneNumberClient.diagnose`."""
        from .diagnosis.doctor import Doctor

        check_seconds("total_timeout", total_timeout)
        waba_id = None if waba_id is None else read_node_id("waba_id", waba_id)
        return await Doctor(self._transports, self.calls, self._throttle).diagnose(waba_id, total_timeout)

    async def inspect_token(self, *, waba_id: str | int | None = None, total_timeout: float | None = None) -> TokenInfo:
        """Let Meta describe the access token: its permissions, its expiry, and the accounts that it names.

        `GET /debug_token`, Meta's reference, read 2026-11-28. Its URL has the token as `input_token`. No error, event
        or log line shows it.

        Args:
            waba_id: The account whose token is meant, if your token provider has several. `None`: the provider gets
                `"debug_token"` as the id.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            AuthenticationError: The token is invalid.
            BadRequestError: Meta does not let this token inspect itself.
            WaPhoneError: Meta rejected the request, or no valid response came.
        """
        from .diagnosis.doctor import inspect_token

        if total_timeout is not None:
            check_seconds("total_timeout", total_timeout)
        waba_id = None if waba_id is None else read_node_id("waba_id", waba_id)
        return await inspect_token(self.calls, waba_id, total_timeout)

    async def get(
        self,
        path: str,
        model: type[T],
        params: Mapping[str, str] | None = None,
        *,
        waba_id: str | int | EllipsisType | None = ...,
        total_timeout: float | None = None,
    ) -> T:
        """Read any node or edge: `await session.get("1234", dict, {"fields": "id,name"})`.

        Args:
            path: The path below the API's version, relative and without a query.
            model: The class of the result: `dict`, or an attrs class.
            params: The query parameters; `None` sends none.
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
        params = own_params = conceal_params(params or {})
        check_path(path)
        check_params(own_params)
        if total_timeout is not None:
            check_seconds("total_timeout", total_timeout)
        request = GraphRequest(
            path=path,
            params=own_params,
            dialect=self.calls.dialect,
            waba_id=_read_waba_id(waba_id),
            optional_fields=optional_fields(path, own_params.get("fields")),
        )
        return await self.calls.run(self.calls.new_call(request, model_reader(model), total_timeout))

    def paginate(
        self,
        path: str,
        model: type[T],
        params: Mapping[str, str] | None = None,
        *,
        waba_id: str | int | EllipsisType | None = ...,
        **options: Unpack[PageOptions],
    ) -> AsyncPaginator[T]:
        """List any edge, page by page: `session.paginate(f"{waba_id}/message_templates", dict, limit=100)`.

        Args:
            path: The path below the API's version, relative and without a query.
            model: The class of a row: `dict`, or an attrs class.
            params: The query parameters without `limit`, `after` and `before`; `None` sends none.
            waba_id: The account whose token and quota each page uses; see `get`.
            **options: `limit`, `after`, `before`, `max_items`, `follow`, `read_ahead` and `total_timeout`, as
                `ListQuery` explains them.

        Returns:
            The rows. Iterate over them, or await them all as a list. The first request is sent then.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
        """
        params = own_params = conceal_params(params or {})
        check_path(path)
        check_params(own_params)
        return self.start_list(path, model, ListQuery(params=own_params, **options), waba_id=_read_waba_id(waba_id))

    def start_list(
        self, path: str, model: type[T], query: ListQuery, *, waba_id: str | EllipsisType | None = ...
    ) -> AsyncPaginator[T]:
        """List an edge as a `ListQuery` says. One query serves any number of lists.

        Args:
            path: The path below the API's version, as it is sent. It is not checked.
            model: The class of a row: `dict`, or an attrs class.
            query: What the list is asked for.
            waba_id: The account whose token and quota each page uses; see `get`.

        Returns:
            The rows. The first request is sent when you iterate or await.
        """
        reader, cursor = page_reader(model), PageCursor[T](query)
        if not self._events.list_listeners:
            fetch = PageFetcher(self.calls, path, query, reader, cursor, waba_id=waba_id)
            return AsyncPaginator(fetch, cursor, read_ahead=query.read_ahead, model=model)
        observer = ListObserver(self._events, path, cursor)
        fetch = PageFetcher(self.calls, path, query, reader, cursor, waba_id=waba_id, list_id=observer.list_id)
        paginator = AsyncPaginator(observer.count(fetch), cursor, read_ahead=query.read_ahead, model=model)
        observer.end_with(paginator)
        return paginator

    def shortest_timeout(self, total_timeout: float | None) -> float:
        """Return the seconds that one attempt may take; infinite without a limit.

        Args:
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.
        """
        whole = self._retry.total_timeout if total_timeout is None else total_timeout
        return min(self._transports.timeout.total or math.inf, whole or math.inf)

    def dispatch(self, event: Event) -> None:
        """Give an event to the listeners, as the calls of this session do."""
        self._events.dispatch(event)

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
        if total_timeout is not None:
            check_seconds("total_timeout", total_timeout)
        request = GraphRequest(path=write.path, write=write, dialect=self.calls.dialect, waba_id=_read_waba_id(waba_id))
        timeouts = None if write.timeout is None else read_timeout(write.timeout)
        if total_timeout is None and self._retry.total_timeout and timeouts and timeouts.total:
            total_timeout = max(timeouts.total, self._retry.total_timeout)
        return await self.calls.run(self.calls.new_call(request, write_reader(model), total_timeout, timeouts=timeouts))


def _read_waba_id(waba_id: str | int | EllipsisType | None) -> str | EllipsisType | None:
    return waba_id if waba_id is None or waba_id is ... else read_node_id("waba_id", waba_id)
