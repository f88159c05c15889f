"""Every fault that the client is tested with, the result of each, and the page of the docs about them.

`GROUPS` is the one table. `test_fault_matrix.py` plays each line of it, and `python tests/support/faults.py` prints it
as docs/fault-matrix.md. Each fault meets one call: a list of one page (GET), or a create (POST). It comes `once`, with
the first request only, or `always`.
"""

import asyncio
import gzip
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs
from misbehaving import Connection, Play, RawServer, hang, hang_up, raw, reset, respond

from wa_phone_async import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    TransportError,
    UnprocessableEntityError,
    WaPhoneError,
)
from wa_phone_async.sandbox.virtual_time import VirtualTimeLoop

POLICY = RetryPolicy(max_attempts=3, first_wait=0.5, max_wait=100)
TIMEOUT = 4.0
MAX_BODY = 2**20

Method = Literal["GET", "POST"]
Often = Literal["once", "always"]


# --- how a call ends


@attrs.frozen
class Ending:
    """How one call ends, and what that costs."""

    error: type[WaPhoneError] | None
    """The class of the error that it raises; `None` if it succeeds."""
    attempts: int = 1
    seconds: tuple[float, float] = (0.0, 0.0)
    """The least and the most that it takes. Between them is the jitter of our own waits."""
    retry_after: float | None = None
    requests: int = attrs.Factory(lambda self: self.attempts, takes_self=True)
    """How many the server sees; default: one for each attempt."""

    def effects(self, method: Method, *, is_done: bool) -> int:
        """How many numbers the call creates. After an unknown outcome it is what the server did with one request."""
        if method == "GET":
            return 0
        return int(self.error is None or (is_done and self.error is OutcomeUnknownError))


@attrs.frozen
class Course:
    """How a call ends if its fault comes once, and if it comes always."""

    once: Ending | None
    """`None` if the fault does not pass."""
    always: Ending


def ends(error: type[WaPhoneError], *, after: float = 0.0, retry_after: float | None = None) -> Course:
    """The call is not retried."""
    ending = Ending(error, 1, (after, after), retry_after)
    return Course(ending, ending)


def retried(error: type[WaPhoneError], *, each: float = 0.0) -> Course:
    """The call is retried after our own waits of 0.5 to 1 s, then 1 to 2 s. A failed attempt takes `each` seconds."""
    return Course(
        Ending(None, 2, (each + 0.5, each + 1.0)),
        Ending(error, 3, (3 * each + 1.5, 3 * each + 3.0)),
    )


def unreached(course: Course) -> Course:
    """The same, but no attempt with the fault reaches the server."""
    once = course.once and attrs.evolve(course.once, requests=course.once.attempts - 1)
    return Course(once, attrs.evolve(course.always, requests=0))


def stated(error: type[WaPhoneError], seconds: float) -> Course:
    """The call is retried after exactly the wait that the server states."""
    return Course(
        Ending(None, 2, (seconds, seconds)),
        Ending(error, 3, (2 * seconds, 2 * seconds), retry_after=seconds),
    )


TWICE = Course(Ending(None, requests=2), Ending(TransportError, 3, (1.5, 3.0), requests=6))
"""aiohttp itself sends a GET again, at once, if the connection breaks before the response."""

SUCCEEDS = Course(Ending(None), Ending(None))

UNKNOWN = ends(OutcomeUnknownError)
"""A write whose response was lost is never sent again."""

COOLDOWN = Course(Ending(None, 2, (60.0, 60.0)), Ending(RateLimitError, 2, (60.0, 60.0), retry_after=120.0))
"""Throttled without a stated wait: a cooldown of one minute, then one of two, which is longer than `max_wait`."""

HALVED = Course(Ending(None, 2), Ending(ServerError, 7))
"""Pages of 100, 50, 25, 12, 6, 3 and 1."""


def never(course: Course) -> Course:
    """The same for a fault that does not pass."""
    return attrs.evolve(course, once=None)


# --- what the server does


@attrs.frozen
class Scene:
    """The place where a fault is played."""

    connection: Connection
    elsewhere: str
    """The address of another server, which the call must not reach."""


Act: TypeAlias = Callable[[Scene], Awaitable[None]]


def plainly(play: Play) -> Act:
    async def act(scene: Scene) -> None:
        await play(scene.connection)

    return act


def page(status: str) -> Act:
    """The error page of a proxy."""
    return plainly(respond("<html><h1>Sorry</h1></html>", status=status, headers="Content-Type: text/html\r\n"))


def says(
    code: int | None,
    status: int,
    message: str = "A planned error",
    *,
    headers: str = "",
    **facts: str | bool | int,
) -> Act:
    """An API error with these members."""
    error: dict[str, Any] = {"message": message, "type": "OAuthException", "fbtrace_id": "AbC", **facts}
    if code is not None:
        error["code"] = code
    return plainly(respond(json.dumps({"error": error}), status=f"{status} Status", headers=headers))


def gives(body: bytes | str, *, headers: str = "", status: str = "200 OK") -> Act:
    return plainly(respond(body, headers=headers, status=status))


def sends(data: bytes, *, then_close: bool = True) -> Act:
    return plainly(raw(data, then_close=then_close))


def regain(minutes: int) -> str:
    """A usage header with two entries. Only the second one counts."""
    entries = [
        {"type": "whatsapp", "call_count": 3, "total_cputime": 1, "total_time": 1},
        {"type": "whatsapp_business_management", "call_count": 101, "estimated_time_to_regain_access": minutes},
    ]
    return "X-Business-Use-Case-Usage: " + json.dumps({"1234": entries}) + "\r\n"


def redirects(status: str) -> Act:
    async def act(scene: Scene) -> None:
        location = f"Location: {scene.elsewhere}/v23.0/1234/phone_numbers\r\n"
        await scene.connection.send(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n{location}\r\n".encode())

    return act


def pours(head: bytes, piece: bytes) -> Act:
    """Data without an end."""

    async def act(scene: Scene) -> None:
        await scene.connection.send(head)
        while True:
            await scene.connection.send(piece)

    return act


def sends_and_stalls(data: bytes) -> Act:
    async def act(scene: Scene) -> None:
        await scene.connection.send(data)
        await hang(scene.connection)

    return act


async def drips(scene: Scene) -> None:
    """One byte a second: never silent for long, and never complete in time."""
    await scene.connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n")
    for byte in b'{"data":[]}':
        await scene.connection.send(bytes([byte]))
        await asyncio.sleep(1)


async def breaks_in_the_body(scene: Scene) -> None:
    await scene.connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":')
    await asyncio.sleep(0.25)  # the reset would discard what the client has not read by then
    await reset(scene.connection)


def the_clock() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop


async def falls_asleep(scene: Scene) -> None:
    """The machine sleeps for three hours during the call."""
    the_clock().jump(10_800)
    await hang(scene.connection)


async def responds_after_a_long_second(scene: Scene) -> None:
    """The clock jumps by a second and a half as the response comes."""
    the_clock().jump(1.5)
    await respond('{"data":[],"id":"7"}')(scene.connection)


async def throttles_and_sleeps(scene: Scene) -> None:
    """The server states a wait of seven seconds, and after three of them the machine sleeps for two hours."""
    the_clock().call_later(3, the_clock().jump, 7_200)
    await says(80008, 400, headers=AFTER_7)(scene)


# --- the way to the server

Way: TypeAlias = Callable[[], AbstractAsyncContextManager[Callable[[], Awaitable[int]]]]
"""Makes a lookup of the server's name. It fails, or returns the port of a server with a fault."""


def leads_to(place: Callable[[], AbstractAsyncContextManager[int]]) -> Way:
    @asynccontextmanager
    async def way() -> AsyncIterator[Callable[[], Awaitable[int]]]:
        async with place() as port:

            async def look_up() -> int:
                return port

            yield look_up

    return way


@asynccontextmanager
async def nowhere() -> AsyncIterator[Callable[[], Awaitable[int]]]:
    async def look_up() -> int:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    yield look_up


@asynccontextmanager
async def silence() -> AsyncIterator[Callable[[], Awaitable[int]]]:
    async def look_up() -> int:
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")

    yield look_up


@asynccontextmanager
async def closed_port() -> AsyncIterator[int]:
    with closing(socket.socket()) as nobody:  # bound, so that nobody else gets the port, and not listening
        nobody.bind(("127.0.0.1", 0))
        yield nobody.getsockname()[1]


@asynccontextmanager
async def full_port() -> AsyncIterator[int]:
    """A server that accepts no connection, since its queue is full."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as busy:
        waiting = [socket.socket() for _ in range(2)]
        for client in waiting:
            client.settimeout(0)
            client.connect_ex(busy.getsockname())
        yield busy.getsockname()[1]
        for client in waiting:
            client.close()


@asynccontextmanager
async def mute_port() -> AsyncIterator[int]:
    """A server that accepts connections and sends nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        yield mute.getsockname()[1]


@asynccontextmanager
async def plain_port() -> AsyncIterator[int]:
    """A server of another protocol, which speaks first."""

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 this is no TLS\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def port_without_certificate() -> AsyncIterator[int]:
    """A TLS server where every handshake fails."""

    def ignore(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        raise AssertionError("the handshake failed")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with await asyncio.start_server(ignore, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


CERTIFICATE = Path(__file__).with_name("certificate.pem")


@asynccontextmanager
async def port_with_a_bad_certificate() -> AsyncIterator[int]:
    """A TLS server with a certificate that nobody trusts."""

    def ignore(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        raise AssertionError("the handshake failed")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    async with await asyncio.start_server(ignore, "127.0.0.1", 0, ssl=context) as server:
        others = asyncio.all_tasks()
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*(asyncio.all_tasks() - others), return_exceptions=True)  # the handshakes that failed


def proxy_that_says(status: str) -> Callable[[], AbstractAsyncContextManager[int]]:
    """A proxy that rejects each CONNECT."""

    @asynccontextmanager
    async def port() -> AsyncIterator[int]:
        async with RawServer([respond("<html>", status=status, headers="Content-Type: text/html\r\n")]) as proxy:
            yield int(proxy.url.rpartition(":")[2])

    return port


# --- the table


@attrs.frozen
class Fault:
    """One line of the table."""

    name: str
    act: Act | None
    """What the server does with the request; `None` if no request comes."""
    get: Course
    post: Course
    way: Way | None = None
    """What is wrong on the way to the server; `None` if the server itself has the fault."""
    scheme: Literal["http", "https"] = "http"
    has_proxy: bool = False
    """Whether the way leads through a proxy, which has the fault."""
    renews: bool = False
    """Whether the token comes from a provider, which has another one."""

    def course(self, method: Method) -> Course:
        return self.get if method == "GET" else self.post


@attrs.frozen
class Group:
    """Faults of one kind, with their heading."""

    name: str
    faults: tuple[Fault, ...]


def on_the_way(name: str, way: Way, course: Course, *, scheme: Literal["http", "https"] = "http") -> Fault:
    """A fault on the way to the server. Nothing was sent, so a create is retried like any other call."""
    return Fault(name, None, unreached(course), unreached(course), way, scheme)


def proxied(status: str, course: Course) -> Fault:
    """A proxy that rejects the connection."""
    fault = on_the_way(f"a proxy rejects CONNECT: HTTP {status[:3]}", leads_to(proxy_that_says(status)), course)
    return attrs.evolve(fault, scheme="https", has_proxy=True)


def same(name: str, act: Act, course: Course) -> Fault:
    """A fault with the same result for both methods: it says that nothing happened, or it does no harm."""
    return Fault(name, act, course, course)


def unclear(name: str, act: Act, get: Course, *, after: float = 0.0) -> Fault:
    """A fault after which a create may have happened."""
    return Fault(name, act, get, ends(OutcomeUnknownError, after=after))


NEW_ADDRESS = "301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"
OK = '{"data":[],"id":"7"}'
# On a stack of 8 MB, CPython 3.14 and 3.15 follow some 65,000 levels.
DEEP = "[" * 200_000
CODING, TYPE = "Content-Encoding", "Content-Type"
GZIP = f"{CODING}: gzip\r\n"
BOMB = gzip.compress(b" " * 2**24)
OLD_DATE = "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nRetry-After: Sat, 01 Jan 2000 00:00:07 GMT\r\n"
AFTER_7 = "Retry-After: 7\r\n"
STATED_7, STATED_60 = stated(RateLimitError, 7), stated(RateLimitError, 60)
TOO_LONG = ends(RateLimitError, retry_after=120)
TIMED_OUT = retried(RequestTimeoutError, each=TIMEOUT)
RETRIED = retried(TransportError)
RENEWED = Course(Ending(None, 2), Ending(AuthenticationError, 2))
JUMPED = Ending(None, 1, (1.5, 1.5))
SLEPT = Course(Ending(None, 2, (7_203, 7_203)), Ending(RateLimitError, 3, (14_406, 14_406), 7))
LESS = "Please reduce the amount of data you're asking for, then retry your request"
LINE = b"HTTP/1.1 200 OK\r\n"
HEAD = LINE + b"Content-Length: 100\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = LINE + b"Content-Length: 20\r\n\r\n" + OK.encode()
TERABYTE = LINE + b"Content-Length: 1099511627776\r\n\r\n"
BLANKS = b" " * 2**16
ZIPPED = gzip.compress(OK.encode())
ADS_ARE_USED = 'X-Business-Use-Case-Usage: {"1234":[{"type":"ads_management","call_count":100}]}\r\n'
BROKEN_USAGE = "X-App-Usage: {\r\nX-Business-Use-Case-Usage: [[\r\n"

THROTTLED = Group(
    "The API throttles",
    (
        same("80008 as HTTP 400", says(80008, 400), COOLDOWN),
        same("80008 as HTTP 400, `Retry-After: 7`", says(80008, 400, headers=AFTER_7), STATED_7),
        same("80007 as HTTP 429", says(80007, 429), COOLDOWN),
        same("80007 as HTTP 429, `Retry-After: 7`", says(80007, 429, headers=AFTER_7), STATED_7),
        same("80008, usage headers say 1 minute", says(80008, 400, headers=regain(1)), STATED_60),
        same("80008, usage headers say 2 minutes", says(80008, 400, headers=regain(2)), TOO_LONG),
        same("80008, `Retry-After: 120`", says(80008, 400, headers="Retry-After: 120\r\n"), TOO_LONG),
        same("80008, `Retry-After` a date, by a clock years off", says(80008, 400, headers=OLD_DATE), STATED_7),
        same("80008, `Retry-After: soon`", says(80008, 400, headers="Retry-After: soon\r\n"), COOLDOWN),
        same("80008, `Retry-After: -7`", says(80008, 400, headers="Retry-After: -7\r\n"), COOLDOWN),
        same("80008, `Retry-After: 1e999`", says(80008, 400, headers="Retry-After: 1e999\r\n"), COOLDOWN),
        same("80008 as HTTP 500", says(80008, 500), COOLDOWN),
        same("80008 in an HTTP 200", says(80008, 200), COOLDOWN),
        same("4, the app's limit, as HTTP 400, transient", says(4, 400, is_transient=True), COOLDOWN),
        same("17, the token's limit, as HTTP 400", says(17, 400), COOLDOWN),
        same("613 as HTTP 422", says(613, 422), COOLDOWN),
        same("HTTP 429 with a proxy's page", page("429 Too Many Requests"), COOLDOWN),
        same("131048, a block for spam", says(131048, 400), ends(RateLimitError)),
        same("133016, a block for 72 hours", says(133016, 400), ends(RateLimitError, retry_after=259_200)),
    ),
)

REJECTED = Group(
    "The API rejects the request",
    (
        same("190 as HTTP 401", says(190, 401), ends(AuthenticationError)),
        same("190 as HTTP 400", says(190, 400), ends(AuthenticationError)),
        same("2500 as HTTP 400", says(2500, 400), ends(AuthenticationError)),
        Fault("190, and the provider has a new token", says(190, 401), RENEWED, RENEWED, renews=True),
        same("3 as HTTP 500", says(3, 500), ends(PermissionDeniedError)),
        same("10 as HTTP 403", says(10, 403), ends(PermissionDeniedError)),
        same("200 as HTTP 403", says(200, 403), ends(PermissionDeniedError)),
        same("368, a block by policy", says(368, 403), ends(PermissionDeniedError)),
        same("HTTP 403 without a body", gives("", status="403 Forbidden"), ends(PermissionDeniedError)),
        same("HTTP 401 with a proxy's page", page("401 Unauthorized"), ends(AuthenticationError)),
        same("HTTP 403 with a proxy's page", page("403 Forbidden"), ends(PermissionDeniedError)),
        same("HTTP 404 with a proxy's page", page("404 Not Found"), ends(NotFoundError)),
        same("HTTP 407 with a proxy's page", page("407 Proxy Authentication Required"), ends(BadRequestError)),
        same("100 as HTTP 400", says(100, 400), ends(BadRequestError)),
        same("100 in an HTTP 200", says(100, 200), ends(BadRequestError)),
        same("100/33 as HTTP 400", says(100, 400, error_subcode=33), ends(NotFoundError)),
        same("803 as HTTP 404", says(803, 404), ends(NotFoundError)),
        same("100 as HTTP 409: the number exists already", says(100, 409), ends(ConflictError)),
        same("2388012 as HTTP 400: the number exists already", says(2388012, 400), ends(ConflictError)),
        same("100 as HTTP 422", says(100, 422), ends(UnprocessableEntityError)),
        same("100/2388001: the name is not ready", says(100, 400, error_subcode=2388001), ends(BadRequestError)),
        same("131059: the cursor is invalid", says(131059, 400), ends(BadRequestError)),
        same("136024 as HTTP 400", says(136024, 400), ends(BadRequestError)),
        same("136024/2388091 as HTTP 400", says(136024, 400, error_subcode=2388091), ends(BadRequestError)),
        same("an unknown code as HTTP 400", says(987654, 400), ends(BadRequestError)),
        same("an error without a code, HTTP 400", says(None, 400), ends(BadRequestError)),
        same("HTTP 418 without a body", gives("", status="418 I'm a teapot"), ends(BadRequestError)),
        same("1 as HTTP 400", says(1, 400), ends(ServerError)),
        same("131045 as HTTP 500", says(131045, 500), ends(ServerError)),
        same("133000 as HTTP 500", says(133000, 500), ends(ServerError)),
    ),
)

FAILED = Group(
    "The API fails",
    (
        unclear("1 as HTTP 500", says(1, 500), retried(ServerError)),
        unclear("-1 as HTTP 500", says(-1, 500), retried(ServerError)),
        unclear("1 as HTTP 500: reduce the amount of data", says(1, 500, LESS), HALVED),
        unclear("2 as HTTP 503, transient", says(2, 503, is_transient=True), retried(ServerError)),
        unclear("2 in an HTTP 200", says(2, 200), retried(ServerError)),
        unclear("131000 as HTTP 500", says(131000, 500), retried(ServerError)),
        unclear("131016 as HTTP 500", says(131016, 500), retried(ServerError)),
        unclear("131057 as HTTP 500", says(131057, 500), retried(ServerError)),
        unclear("133004 as HTTP 503", says(133004, 503), retried(ServerError)),
        Fault("2494100 as HTTP 400", says(2494100, 400), retried(ServerError), ends(ServerError)),
        unclear("2494100 as HTTP 503", says(2494100, 503), retried(ServerError)),
        unclear("100 as HTTP 400, transient", says(100, 400, is_transient=True), retried(BadRequestError)),
        *(
            unclear(
                f"{code} as HTTP 503, transient",
                says(code, 503, is_transient=True),
                retried(AuthenticationError),
            )
            for code in (0, 102, 190)
        ),
        unclear("an unknown code as HTTP 500", says(987654, 500), ends(ServerError)),
        unclear("an error without a code, HTTP 500", says(None, 500), retried(ServerError)),
        unclear(
            "an error without a code, HTTP 500, not transient", says(None, 500, is_transient=False), ends(ServerError)
        ),
        unclear("an error without a code, HTTP 200", says(None, 200), ends(BadRequestError)),
        unclear("an error that is a text, HTTP 200", gives('{"error":"no"}'), ends(BadRequestError)),
        unclear("HTTP 500 without a body", gives("", status="500 Internal Server Error"), retried(ServerError)),
        unclear("HTTP 502 with a proxy's page", page("502 Bad Gateway"), retried(ServerError)),
        unclear("HTTP 503 with a proxy's page", page("503 Service Unavailable"), retried(ServerError)),
        Fault(
            "HTTP 503, `Retry-After: 7`", gives("", status="503 No", headers=AFTER_7), stated(ServerError, 7), UNKNOWN
        ),
        unclear("HTTP 504 with a proxy's page", page("504 Gateway Timeout"), retried(ServerError)),
    ),
)

REDIRECTED = Group(
    "The API redirects to another host, which gets no request",
    (
        *(unclear(f"HTTP {status}", redirects(status), ends(DecodeError)) for status in NEW_ADDRESS),
        unclear("HTTP 304", gives("", status="304 Not Modified"), ends(DecodeError)),
    ),
)

INVALID = Group(
    "The response is invalid",
    (
        unclear("an empty body", gives(""), retried(DecodeError)),
        unclear("HTTP 204", gives("", status="204 No Content"), retried(DecodeError)),
        unclear("a body shorter than its length", sends(HEAD + b'\r\n{"data":[]}'), RETRIED),
        unclear("a chunked body without its end", sends(CHUNKED + b"5\r\n{}"), RETRIED),
        unclear("JSON cut in the middle, with a length to match", gives('{"data":[{"id":'), retried(DecodeError)),
        unclear("a page of HTML as HTTP 200", page("200 OK"), ends(DecodeError)),
        unclear("JSON that is not UTF-8", gives(b'{"data":["\xff"],"id":"\xff"}'), retried(DecodeError)),
        unclear("NaN", gives('{"data":[NaN],"id":NaN}'), retried(DecodeError)),
        unclear("JSON 200,000 deep", gives(DEEP + "]" * 200_000), ends(DecodeError)),
        unclear("JSON 200,000 deep, and cut", gives(DEEP), ends(DecodeError)),
        unclear("JSON of another type", gives('["data"]'), ends(DecodeError)),
        unclear("JSON that is null", gives("null"), ends(DecodeError)),
        unclear("a number or a page without an id", gives('{"data":[{}]}'), ends(DecodeError)),
        unclear("a page of 100,000 zeros", gives(f'{{"data":[{"0," * 99_999}0]}}'), ends(DecodeError)),
        unclear("a body without an end", pours(LINE + b"\r\n", BLANKS), ends(DecodeError)),
        unclear("a body with a length of one terabyte", pours(TERABYTE, BLANKS), ends(DecodeError)),
        unclear("a gzip bomb: 16 KiB become 16 MiB", gives(BOMB, headers=GZIP), ends(DecodeError)),
        unclear("an error page that is a gzip bomb", gives(BOMB, headers=GZIP, status="500 Error"), ends(DecodeError)),
        unclear("plain JSON that is called gzip", gives(OK, headers=GZIP), RETRIED),
        unclear("gzip that is damaged", gives(ZIPPED[:-12] + bytes(12), headers=GZIP), RETRIED),
        unclear("gzip that is cut", gives(ZIPPED[:-12], headers=GZIP), retried(DecodeError)),
        same("plain JSON with an unknown encoding", gives(OK, headers=f"{CODING}: klingon\r\n"), SUCCEEDS),
        same("JSON as `text/javascript`", gives(OK, headers=f"{TYPE}: text/javascript; charset=UTF-8\r\n"), SUCCEEDS),
        same("JSON as `image/png`", gives(OK, headers=f"{TYPE}: image/png\r\n"), SUCCEEDS),
        same("JSON in an unknown charset", gives(OK, headers=f"{TYPE}: text/json; charset=klingon\r\n"), SUCCEEDS),
        same("JSON behind a byte order mark", gives(b"\xef\xbb\xbf" + OK.encode()), SUCCEEDS),
        same("JSON with another product's usage of 100 %", gives(OK, headers=ADS_ARE_USED), SUCCEEDS),
        same("JSON with broken usage headers", gives(OK, headers=BROKEN_USAGE), SUCCEEDS),
    ),
)

NO_HTTP = Group(
    "The response is not valid HTTP",
    (
        unclear("9,000 headers", gives(OK, headers="X: a\r\n" * 9000), RETRIED),
        unclear("a header of 100,000 bytes", gives(OK, headers=f"X: {'a' * 100_000}\r\n"), RETRIED),
        unclear("a stream of headers without an end", pours(LINE, b"X: a\r\n" * 1000), RETRIED),
        unclear("garbage", sends(b"\0garbage\r\n\r\n"), RETRIED),
        unclear("another protocol", sends(b"HTTP/2 200\r\n\r\n"), RETRIED),
        unclear("a length that is not a number", sends(LINE + b"Content-Length: ten\r\n\r\n{}"), RETRIED),
        unclear("two lengths", sends(LINE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "), RETRIED),
        unclear("a chunk without a size", sends(CHUNKED + b"xy\r\n"), RETRIED),
        same("early hints before the response", sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD), SUCCEEDS),
        same("a second response to one request", sends(GOOD + GOOD, then_close=False), SUCCEEDS),
    ),
)

BROKEN = Group(
    "The connection breaks after the request",
    (
        unclear("closed normally", plainly(hang_up), TWICE),
        unclear("reset", plainly(reset), TWICE),
        unclear("closed within the headers", sends(HEAD), TWICE),
        unclear("reset within the body", breaks_in_the_body, retried(TransportError, each=0.25), after=0.25),
    ),
)

STALLED = Group(
    f"The server stalls, and each attempt may take {TIMEOUT:g} s",
    (
        unclear("silent after the request", plainly(hang), TIMED_OUT, after=TIMEOUT),
        unclear("silent within the headers", sends_and_stalls(HEAD), TIMED_OUT, after=TIMEOUT),
        unclear("silent after the headers", sends_and_stalls(HEAD + b"\r\n"), TIMED_OUT, after=TIMEOUT),
        unclear("silent within the body", sends_and_stalls(HEAD + b'\r\n{"id":"7"'), TIMED_OUT, after=TIMEOUT),
        unclear("one byte a second", drips, TIMED_OUT, after=TIMEOUT),
    ),
)

NOT_REACHED = Group(
    "The server is not reached, so nothing is sent",
    (
        on_the_way("there is no such name (DNS)", nowhere, RETRIED),
        on_the_way("the name server is silent", silence, TIMED_OUT),
        on_the_way("the connection is refused", leads_to(closed_port), RETRIED),
        on_the_way("the connection is never accepted", leads_to(full_port), TIMED_OUT),
        on_the_way("the server does not speak TLS", leads_to(plain_port), never(RETRIED), scheme="https"),
        on_the_way("the TLS handshake fails", leads_to(port_without_certificate), never(RETRIED), scheme="https"),
        on_the_way(
            "the certificate is not trusted",
            leads_to(port_with_a_bad_certificate),
            ends(TransportError),
            scheme="https",
        ),
        proxied("403 Forbidden", ends(TransportError)),
        proxied("407 Proxy Authentication Required", ends(TransportError)),
        proxied("502 Bad Gateway", never(RETRIED)),
        on_the_way("the TLS handshake stalls", leads_to(mute_port), never(TIMED_OUT), scheme="https"),
    ),
)

CLOCKS = Group(
    "The clock jumps",
    (
        unclear(
            "by 3 hours, while the server is silent",
            falls_asleep,
            retried(RequestTimeoutError, each=10_800),
            after=10_800,
        ),
        same("by less than the timeout, as the response comes", responds_after_a_long_second, Course(JUMPED, JUMPED)),
        same("by 2 hours, 3 s into a wait of 7 s", throttles_and_sleeps, SLEPT),
    ),
)

GROUPS = (THROTTLED, REJECTED, FAILED, REDIRECTED, INVALID, NO_HTTP, BROKEN, STALLED, NOT_REACHED, CLOCKS)

FAULTS = [fault for group in GROUPS for fault in group.faults]


# --- the page


def write_page() -> str:
    """Write the page of the docs from the table."""
    return "".join(line + "\n" for line in _page())


def _page() -> Iterator[str]:
    yield from INTRODUCTION.format(faults=len(FAULTS), policy=POLICY, timeout=TIMEOUT, max_body=MAX_BODY).split("\n")
    for group in GROUPS:
        yield ""
        yield f"## {group.name}"
        yield ""
        yield "| Fault | GET, once | GET, always | POST, once | POST, always |"
        yield "|---|---|---|---|---|"
        for fault in group.faults:
            courses = fault.get, fault.post
            cells = [_cell(ending) for course in courses for ending in (course.once, course.always)]
            yield f"| {' | '.join([fault.name, *cells])} |"


def _cell(ending: Ending | None) -> str:
    if ending is None:
        return "does not pass"
    said = "succeeds" if ending.error is None else f"`{ending.error.__name__}`"
    facts = [
        f"{ending.attempts} attempts" if ending.attempts > 1 else "",
        _requests(ending.requests) if ending.requests != ending.attempts else "",
        _seconds(*ending.seconds),
        "" if ending.retry_after is None else f"`retry_after` {ending.retry_after:,g}",
    ]
    return ", ".join([said, *filter(None, facts)])


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{number or 'no'} requests"


def _seconds(least: float, most: float) -> str:
    if not most:
        return ""
    return f"{least:,g} s" if least == most else f"{least:,g} to {most:,g} s"


INTRODUCTION = """\
# The fault matrix

How does a call end if something goes wrong? Each row is one fault; there are {faults}. Each fault meets two calls: a
list of one page (GET), and a create (POST). In the columns "once", only the first request has the fault. In the columns
"always", each request has it. `tests/test_fault_matrix.py` plays every cell. `python tests/support/faults.py` prints
this page.

The client has `RetryPolicy(max_attempts={policy.max_attempts}, first_wait={policy.first_wait:g}, \
max_wait={policy.max_wait:g})`, `timeout={timeout:g}` and `max_body={max_body:_}`. The clock is a virtual one.

- A cell without numbers means one attempt, one request, and no time at all.
- "Does not pass" means that this fault never comes only once.
- The server sees one request for each attempt, unless the cell has another number. aiohttp itself sends a GET again if
  the connection breaks before the response begins.
- A single number of seconds is exact. A range is for the client's own waits: a random part makes them longer.
- **Nothing happens twice.** A create that succeeds makes one number. A create that the API rejects, or that is not
  sent, makes none. `OutcomeUnknownError` is played twice: the server made the number, or it did not. It sees one
  request in both cases."""


if __name__ == "__main__":
    sys.stdout.write(write_page())
