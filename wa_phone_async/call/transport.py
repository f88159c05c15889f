"""The transport: send one request over aiohttp, and read its response whole.

aiohttp's errors hold the headers of the request, and so the access token. They stop in this file: `Transport.exchange`
*returns* a response or an error of ours. It raises nothing inside an `except`, for then Python would chain our error
to aiohttp's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import re
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Final
from urllib.parse import quote

import aiohttp
import attrs
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from aiohttp.payload import BytesPayload
from aiohttp.tracing import Trace
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from wa_phone_async._version import __version__
from wa_phone_async.checks import check_seconds
from wa_phone_async.concurrency import MAX_OF_A_CLIENT, current_slot
from wa_phone_async.errors import (
    CLOSED,
    DecodeError,
    FailedAt,
    InvalidArgumentError,
    RequestTimeoutError,
    TransportError,
    WaPhoneError,
)
from wa_phone_async.redaction import Secret, SecretBytes

from .encodings import readable_encodings
from .proxy import Route
from .request import GraphRequest
from .tokens import appsecret_proof

_USER_AGENT: Final = re.sub(r"^(\d+\.\d+\.\d+).*", r"wa_phone_async/\1", __version__)  # no suffix of a pre-release

_MAX_HEADER: Final = 64 * 1024
"""Bytes of a response header, with its name. `X-Business-Use-Case-Usage` can have 32 objects with several types each
(Meta's Graph guide "Rate limiting", read 2026-11-22): 24 KiB with seven in each. aiohttp accepts 8,190 bytes."""

_DEFAULT_ENCODINGS: Final = aiohttp.ClientRequest.DEFAULT_HEADERS[aiohttp.hdrs.ACCEPT_ENCODING]
_READABLE_ENCODINGS: Final = readable_encodings(_DEFAULT_ENCODINGS)
# No header where aiohttp's default is right: a borrowed session may accept fewer encodings.
_ENCODINGS: Final = {} if _READABLE_ENCODINGS == _DEFAULT_ENCODINGS else {"Accept-Encoding": _READABLE_ENCODINGS}

_FORGOTTEN: Final = "a client was not closed: use 'async with', or await its aclose() when done"

_NOT_CONNECTED: Final = (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError)

_log = logging.getLogger("wa_phone_async")


@attrs.define(on_setattr=attrs.setters.NO_OP)  # made for each page; frozen takes three times as long
class HttpResponse:
    """A response, read whole."""

    http_status: int
    headers: CIMultiDictProxy[str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


@attrs.define(on_setattr=attrs.setters.NO_OP)
class Sending:
    """How far one attempt came."""

    has_begun: bool = False
    """Whether aiohttp began to write the request. Until then, the API can have counted and done nothing."""


class _Body(BytesPayload):
    """The body of a write. It notes when aiohttp begins to write it, with the headers before it.

    aiohttp sends a DELETE again by itself if the connection breaks before the response. The second time, this body
    raises, and nothing is sent.
    """

    sending: Sending
    is_sent_again: bool = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002 - aiohttp's signature; the length is that of the value
        if self.sending.has_begun:
            self.is_sent_again = True
            raise RuntimeError("a write is sent once")
        self.sending.has_begun = True
        await writer.write(self._value)  # whole, since a slice of it would be made of bytes that show


# The read that the running task sends.
_read: ContextVar[Sending | None] = ContextVar("wa_phone_async_read", default=None)


class _Connector(aiohttp.TCPConnector):
    """Notes when a read has its connection, since it has no body that could. aiohttp writes it in the same step."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp calls it
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if (sending := _read.get()) is not None:
            sending.has_begun = True
        return connection


@attrs.frozen
class Endpoint:
    """Where requests go, and what proves that they come from the app."""

    base_url: str
    """The address of the API, without a slash at its end."""
    api_version: str
    """The version of the API, the head of every path."""
    app_secret: Secret | None = None
    """The app's secret; `None` sends no proof."""
    host: str = attrs.field(init=False)
    """The host of the API, with its port if it has one."""
    host_name: str = attrs.field(init=False)
    """The host of the API alone."""
    _root: str = attrs.field(init=False)
    _address: Callable[..., URL] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        root = URL(self.base_url, encoded=True)
        object.__setattr__(self, "host", root.raw_authority)
        object.__setattr__(self, "host_name", root.raw_host)
        object.__setattr__(self, "_root", f"{root.raw_path.rstrip('/')}/{self.api_version}/")
        # Building a URL from its parts takes a third of the time of parsing its text.
        address = functools.partial(URL.build, scheme=root.scheme, authority=root.raw_authority, encoded=True)
        object.__setattr__(self, "_address", address)

    def url(self, request: GraphRequest, token: Secret) -> URL:
        """The whole address of a request. Its query may hold the proof or the token, so no frame of ours keeps it."""
        query = request.query_string() if request.params else ""
        if request.inspects_token:
            query = Secret(f"input_token={quote(token, safe='')}")
        if self.app_secret is not None and token:
            proof = Secret(f"appsecret_proof={appsecret_proof(token, self.app_secret)}")
            query = Secret(f"{query}&{proof}" if query else proof)
        return self._address(path=f"{self._root}{request.path}", query_string=query)

    def describe(self, request: GraphRequest) -> str:
        """The method and the path of a request, without the query."""
        return f"{request.method} {self._root}{request.path}"

    def secrets(self, request: GraphRequest, tokens: Iterable[Secret]) -> tuple[Secret, ...]:
        """What no text of an error may show, even if the response echoes it."""
        secret = self.app_secret
        own = () if secret is None else (secret, *(appsecret_proof(token, secret) for token in tokens))
        return (*tokens, *own, *request.secrets)


class TransportOpener:
    """Opens the transport of the running event loop, on first use.

    Args:
        endpoint: Where requests go.
        borrowed: The aiohttp session to send with; `None` opens some.
        trace_configs: The trace configs of the sessions that are opened.
        timeout: The time-outs of one attempt.
        max_body: The bytes that a response may have after decompression.
        route: The proxy of every request, if there is one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        borrowed: aiohttp.ClientSession | None,
        trace_configs: Sequence[aiohttp.TraceConfig],
        timeout: aiohttp.ClientTimeout,
        max_body: int,
        route: Route,
    ) -> None:
        self.endpoint = endpoint
        self.borrowed = borrowed
        self.trace_configs = trace_configs
        self.timeout = timeout
        self.max_body = max_body
        self.route = route
        self.is_closed: bool = False
        """Whether calls are an error now."""
        # No `LoopLocal`: the client belongs to one loop at a time, and calls of another running loop are an error.
        self._transport: Transport | None = None

    async def open(self) -> Transport:
        """Return the transport of the running event loop.

        Raises:
            RuntimeError: It is closed, or belongs to another event loop that still runs.
        """
        if self.is_closed:
            raise RuntimeError(CLOSED)
        transport = self._transport
        if transport is not None and transport.loop is asyncio.get_running_loop():
            return transport
        if transport is not None:
            if self.borrowed is not None:
                raise RuntimeError("the borrowed aiohttp session belongs to another event loop: give each loop its own")
            if transport.loop.is_running():
                raise RuntimeError("this client is in use by another running event loop: give each loop its own client")
        opened = self._transport = Transport(self)
        if transport is not None:
            await transport.close()
        return opened

    async def aclose(self) -> None:
        """Close what was opened. Calls raise a `RuntimeError` until `is_closed` is `False` again."""
        self.is_closed = True
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()


class Transport:
    """The aiohttp sessions of one event loop, and its limit of requests in flight.

    Writes have a session of their own, and use each connection once. A write over a kept-alive connection that the
    server has just closed would have an unknown outcome.

    The limit is on requests, not on connections: a request waits for its slot before its time-out starts.
    """

    def __init__(self, settings: TransportOpener) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(MAX_OF_A_CLIENT)
        self._settings = settings
        self._borrowed = settings.borrowed
        self._own: dict[bool, aiohttp.ClientSession] = {}
        # Made once for each token, and forgotten with this object.
        self._headers = functools.lru_cache(functools.partial(_headers, more=settings.route.request_headers))
        self._is_closed = False
        weakref.finalize(self, _close_forgotten, self.loop, self._own).atexit = False

    def _http(self, *, for_write: bool) -> aiohttp.ClientSession:
        """The aiohttp session for reads or for writes, opened on first use."""
        if self._is_closed:  # it was closed while the call waited for its token or its slot
            raise RuntimeError(CLOSED)
        if self._borrowed is not None:
            if self._borrowed.closed:
                raise RuntimeError("Session is closed: lend the client an aiohttp session that is open")
            return self._borrowed
        if for_write not in self._own:
            self._own[for_write] = aiohttp.ClientSession(
                connector=_Connector(limit=0, force_close=for_write),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=list(self._settings.trace_configs),
            )
        return self._own[for_write]

    async def close(self) -> None:
        """Close the sessions that were opened here, and open no more."""
        self._is_closed = True
        own = list(self._own.values())
        self._own.clear()
        with contextlib.suppress(RuntimeError):  # if their loop has stopped, nothing can close them
            await _close(own)

    async def exchange(
        self,
        request: GraphRequest,
        token: Secret,
        *,
        deadline: float | None,
        timeouts: aiohttp.ClientTimeout | None = None,
        veto: Callable[[], WaPhoneError | None],
        sending: Sending,
    ) -> HttpResponse | WaPhoneError:
        """Wait for a free slot, send a request once, and read its response whole.

        Args:
            request: The request.
            token: The access token; empty to send none.
            deadline: When the whole call ends, in seconds on the loop's clock; `None` for never.
            timeouts: The time-outs of this attempt; `None` takes those of the session.
            veto: Called when the slot is free. If it returns an error, nothing is sent, and that error is the result.
            sending: Notes how far the attempt came, however it ends.

        Returns:
            The response, or the error that came instead.
        """
        slot, timeouts = current_slot.get() or self._slots, timeouts or self._settings.timeout
        if deadline is None:
            await slot.acquire()
        else:
            try:
                async with asyncio.timeout_at(deadline):
                    await slot.acquire()
            except TimeoutError:
                return out_of_time()
        try:
            if (vetoed := veto()) is not None:
                return vetoed
            if deadline is not None:
                timeouts = _before(deadline, timeouts)
            return await self._exchange(request, token, timeouts, sending)
        finally:
            slot.release()

    async def _exchange(
        self, request: GraphRequest, token: Secret, timeouts: aiohttp.ClientTimeout, sending: Sending
    ) -> HttpResponse | WaPhoneError:
        """Send a request, and turn each error of aiohttp into one of ours."""
        write, is_borrowed = request.write, self._settings.borrowed is not None
        body = None
        if write is not None:
            body = _Body(SecretBytes(json.dumps(write.body).encode()))
            body.sending = sending
        http = self._http(for_write=write is not None)
        _read.set(sending if write is None else None)
        # In a borrowed session, nothing says when a read is written.
        sending.has_begun = write is None and is_borrowed
        try:
            return await self._fetch(http, request, token, body, timeouts)
        except TimeoutError:
            failure: TransportError = RequestTimeoutError(f"no response to {request} in time{_seconds(timeouts)}")
        except aiohttp.InvalidURL as error:  # the proxy's: the URL of the request is valid
            return _unusable(http, self._settings.endpoint.host_name, error)
        except (aiohttp.ClientError, OSError) as error:
            was_cut = body is not None and body.is_sent_again
            failure = _without_response(request, aiohttp.ServerDisconnectedError() if was_cut else error)
            failure.failed_at = _stage(error)
            if is_borrowed and isinstance(error, _NOT_CONNECTED):
                sending.has_begun = False
            failure.is_permanent = _is_permanent(error)
        except Exception as error:  # noqa: BLE001 - aiohttp lets through what netrc, idna and the session's hooks raise
            if is_borrowed and not (body is not None and sending.has_begun):
                return _unusable(http, self._settings.endpoint.host_name, error)
            failure = _without_response(request, error)
        except BaseException as error:  # noqa: BLE001 - it goes on: it is a cancellation, in most cases
            if body is not None and sending.has_begun:
                _log.warning("%s was cancelled after it was sent: it may have happened", request)
            # The frames of `_fetch` and of aiohttp hold the URL with the proof, and the response as it came. So do the
            # frames of an error that aiohttp was handling.
            error.__context__ = None
            raise error.with_traceback(None) from None
        failure.sent = sending.has_begun
        return failure

    async def _fetch(
        self,
        http: aiohttp.ClientSession,
        request: GraphRequest,
        token: Secret,
        body: _Body | None,
        timeouts: aiohttp.ClientTimeout,
    ) -> HttpResponse | DecodeError:
        """Send a request once, and read its response whole. No error may leave `_exchange` with the frame of this."""
        settings = self._settings
        response = await http.request(
            request.method,
            settings.endpoint.url(request, token),
            data=body,
            headers=self._headers(token, has_body=body is not None),
            timeout=timeouts,
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=True,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            proxy=settings.route.proxy,
            proxy_headers=settings.route.connect_headers,
        )
        content, chunks, size = response.content, list[bytes](), 0
        try:
            while not content.at_eof():
                chunk = await content.readany()
                size += len(chunk)
                if size > settings.max_body:
                    text = f"the response is larger than max_body ({settings.max_body} bytes)"
                    return DecodeError(text, http_status=response.status)
                chunks.append(chunk)
        finally:
            response.release()
        return HttpResponse(response.status, response.headers, b"".join(chunks))


async def _close(sessions: Iterable[aiohttp.ClientSession]) -> None:
    async with contextlib.AsyncExitStack() as closing:  # a cancellation in one leaves no other open
        for http in sessions:
            closing.push_async_callback(http.close)


def _close_forgotten(loop: asyncio.AbstractEventLoop, own: dict[bool, aiohttp.ClientSession]) -> None:
    """Close the sessions of a client that was garbage-collected unclosed, as when a notebook's cell runs again.

    The garbage collector may call this in any thread. If the loop has stopped, nothing can close them, and aiohttp
    logs that.
    """
    if own and loop.is_running():
        asyncio.run_coroutine_threadsafe(_close(own.values()), loop)
        warnings.warn(_FORGOTTEN, ResourceWarning, stacklevel=2)


def _headers(token: Secret, *, has_body: bool, more: Mapping[str, str]) -> CIMultiDict[str]:
    """All headers that matter: they replace the defaults of a borrowed session."""
    headers = {
        **({"Authorization": Secret(f"Bearer {token}")} if token else {}),
        "User-Agent": _USER_AGENT,
        "Accept": "application/json",
        **_ENCODINGS,
        **more,
    }
    return CIMultiDict({**headers, "Content-Type": "application/json"} if has_body else headers)


def _unusable(http: aiohttp.ClientSession, host: str, error: Exception) -> InvalidArgumentError:
    """The error of a borrowed session that cannot send. Its text has no URL of a proxy, which may hold a password."""
    if http.trust_env:
        advice = (
            "With trust_env=True it reads netrc and the proxy variables: "
            f"remove the netrc entry of {host}, and check HTTPS_PROXY"
        )
    else:
        advice = "Check its proxy, middlewares and trace_configs"
    hint = f"aiohttp raised {type(error).__name__}. {advice}"
    return InvalidArgumentError("session", f"able to send to {host}", hint=hint)


def _without_response(request: GraphRequest, error: Exception) -> TransportError:
    reason = _describe(error)
    failure = TransportError(f"no response to {request}: {reason}")
    failure.reason = reason
    return failure


def _describe(error: Exception) -> str:
    """What happened, in our own words: the text of an aiohttp error can hold the URL with its query."""
    match error:
        case aiohttp.ClientConnectorError():
            return _describe_connection(error)
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection"
        case aiohttp.ClientHttpProxyError():
            why = _OF_PROXY.get(error.status, "check the address of the proxy")
            return f"the proxy rejected the connection (HTTP {error.status}): {why}"
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return _describe_response(error)
        case OSError(errno=int(number)):
            return os.strerror(number)
        case _:
            return type(error).__name__


def _describe_connection(error: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, and so nothing was sent."""
    where = f"{error.host}:{error.port}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or type(error.certificate_error).__name__
        return f"the certificate of {where} is not trusted ({why})"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        where = f"the proxy {where}"
    return f"cannot connect to {where} ({error.strerror or type(error.os_error).__name__})"


def _stage(error: Exception) -> FailedAt:
    """Where an attempt failed."""
    match error:
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return "proxy"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError():
            return "tls"
        case aiohttp.ClientConnectorError():
            return "connection"
        case _:
            return "response"


_OF_PROXY: Final = {
    403: "it does not allow this host",
    407: "it wants a user name and a password, in its address",
    502: "it cannot reach this host",
    503: "it cannot reach this host now",
    504: "this host did not respond to it in time",
}


def _describe_response(error: aiohttp.ClientError) -> str:
    """What is wrong with a response. aiohttp says it in its text alone, which can hold parts of the response."""
    text = str(error)
    if limit := re.search(r"Got more than (\d+) bytes", text):
        return f"the response has a header longer than {limit[1]} bytes"
    if encoding := re.search(r"(?:content-encoding: (?:\w+ \()?|message=')(gzip|deflate|br|zstd)\b", text):
        return f"the response is encoded as {encoding[1]}, and is damaged, or the library that decodes it is missing"
    if "Too many headers" in text:
        return "the response has too many headers"
    is_cut = isinstance(error, aiohttp.ClientPayloadError)
    return "the response was cut off" if is_cut else "the response is not valid HTTP"


def _is_permanent(error: Exception) -> bool:
    """Whether another attempt fails in the same way."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return 300 <= error.status < 500 and error.status not in {408, 429}
    return isinstance(error, aiohttp.ClientConnectorCertificateError)


def _seconds(timeout: aiohttp.ClientTimeout) -> str:
    return f" ({timeout.total:.3g} s)" if timeout.total else ""


def read_timeout(timeout: float | aiohttp.ClientTimeout) -> aiohttp.ClientTimeout:
    """The time-outs of one attempt. A number is the seconds of the whole attempt."""
    if isinstance(timeout, aiohttp.ClientTimeout):
        return timeout
    check_seconds("timeout", timeout)
    return aiohttp.ClientTimeout(total=timeout)


def read_trace_configs(trace_configs: Iterable[aiohttp.TraceConfig]) -> tuple[aiohttp.TraceConfig, ...]:
    """The trace configs as a tuple, checked: each session that is opened needs them."""
    if isinstance(trace_configs, Iterable):
        configs = tuple(trace_configs)
        if all(isinstance(config, aiohttp.TraceConfig) for config in configs):
            return configs
    raise InvalidArgumentError("trace_configs", "a sequence of aiohttp.TraceConfig", trace_configs)


def _before(deadline: float | None, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientTimeout:
    """The time-outs of an attempt, cut at the deadline of the whole call."""
    if deadline is None:
        return timeout
    left = deadline - asyncio.get_running_loop().time()
    if timeout.total and timeout.total <= left:
        return timeout
    return attrs.evolve(timeout, total=max(left, 0.001))  # aiohttp takes 0 for no time-out at all


def out_of_time() -> RequestTimeoutError:
    """The error of a call that used up its `total_timeout` before its request could be sent."""
    return RequestTimeoutError("total_timeout ran out before the call could be sent", sent=False)


def check_borrowed(
    session: object, trace_configs: Sequence[aiohttp.TraceConfig], *, proxy: Secret | None, trust_env: object
) -> None:
    """Check that a borrowed session is aiohttp's, and that nothing in it would replace the token.

    It keeps its own settings: those of the sessions that are opened here must be left out.
    """
    if session is None:
        return
    if not isinstance(session, aiohttp.ClientSession):
        raise InvalidArgumentError("session", "an aiohttp.ClientSession", type(session))
    if session.auth is not None:
        raise InvalidArgumentError("session", "one without auth=", hint="that would replace the access token")
    for name, is_given in (
        ("trace_configs", bool(trace_configs)),
        ("proxy", proxy is not None),
        ("trust_env", trust_env is True),
    ):
        if is_given:
            what = "them" if name == "trace_configs" else "it"
            raise InvalidArgumentError(name, "left out where session is given", hint=f"give {what} to the session")
