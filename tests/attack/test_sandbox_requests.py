"""Malformed requests to the sandbox, by a raw socket: it never responds with 5xx, and no log shows a token.

Each request holds a canary where a careless server would show it. The logs are read at their lowest level, with every
traceback.
"""

import json
import logging
import random
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from wa_phone_async.sandbox import BUSINESS_ID, SMALL_WABA, Sandbox

CANARY = "EAAcanary0of0an0invented0token"
PATH = f"/v23.0/{SMALL_WABA}/phone_numbers"
NUMBER = "106540352000000"


def get(target: str = PATH, *headers: str, version: str = "HTTP/1.1", method: str = "GET") -> bytes:
    """A request with the canary in its header and its URL."""
    mark = "&" if "?" in target else "?"
    start = f"{method} {target}{mark}access_token={CANARY} {version}"
    lines = [start, "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, f"Authorization: Bearer {CANARY}", "", ""]).encode("utf-8", "surrogateescape")


def post(body: str | bytes, target: str = PATH, kind: str = "application/json", *headers: str) -> bytes:
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    more = [f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers]
    return get(target, *more, method="POST") + content


def members(**changes: Any) -> str:
    return json.dumps({"cc": "1", "phone_number": "6315550199", "verified_name": "Invented Shop", **changes})


VALUES: dict[str, Any] = {
    "null": None,
    "a list": [[]],
    "an object": {"a": {}},
    "half of a pair": "\ud800",
    "NUL": "\0",
    "other digits": "٣" * 9,
    "a text of a megabyte": "9" * 900_000,
    "a float": 1e300,
    "true": True,
}
LONG = "9" * 5_000
DEEP = "a{" * 1_400 + "id" + "}" * 1_400

LINES = {
    "a URL that is too long": get(f"{PATH}?after={'x' * 9_000}"),
    "a URL of a megabyte": get(f"{PATH}?after={'x' * 1_000_000}"),
    "NUL in the URL": get(f"{PATH}?after=\0"),
    "NUL in the path": get("/v23.0/\0"),
    "bytes in the URL": get(f"{PATH}?after=\udcff\udcfe"),
    "letters in the URL": get(f"{PATH}?after=é😀"),
    "a blank in the URL": get(f"{PATH}?after=a b"),
    "a fragment": get(f"{PATH}#?a=b"),
    "half an escape": get(f"{PATH}%?a=%"),
    "no escape": get(f"{PATH}%zz?%zz=%zz"),
    "NUL as an escape": get("/v23.0/%00/%00?after=%00&fields=%00&sort=%00"),
    "line breaks as escapes": get("/v23.0/%0d%0aSet-Cookie:%20a=b?fields=%0d%0a&sort=%0d%0a"),
    "bytes as escapes": get("/v23.0/%ff/%ed%a0%80?after=%ff%ed%a0%80&fields=%ff&limit=%ff&sort=%ed%a0%80"),
    "controls as escapes": get("/v23.0/%01%1b%7f%80/%c2%85?sort=%01%1b%7f&fields=%1b"),
    "no path": get(""),
    "two slashes": get("//evil.example//phone_numbers"),
    "dots": get("/v23.0/../../etc/passwd"),
    "an asterisk": get("*", method="OPTIONS"),
    "another host": get(f"http://evil.example{PATH}"),
    "another host and port": get(f"http://evil.example:99999{PATH}"),
    "a host that is none": get(f"http://[::1{PATH}"),
    "a port that is none": get(f"http://localhost:x{PATH}"),
    "a user": get(f"http://{CANARY}:x@localhost{PATH}"),
    "CONNECT": f"CONNECT localhost:80 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CANARY}\r\n\r\n".encode(),
    "an unknown method": get(method="BREW"),
    "a method in lower case": get(method="get"),
    "the token as a method": get(method=CANARY),
    "a method with other characters": get(method=f"GET{CANARY}é(){{}}"),
    "HTTP/1.0": get(version="HTTP/1.0"),
    "HTTP/2.0": get(version="HTTP/2.0"),
    "HTTP/9.9": get(version="HTTP/9.9"),
    "the token as a version": get(version=CANARY),
    "no version": f"GET {PATH}?access_token={CANARY}\r\n\r\n".encode(),
    "no request": f"{CANARY}\r\n\r\n".encode(),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + CANARY.encode() + bytes(200),
    "HTTP/2 in clear": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + CANARY.encode(),
    "empty lines before it": b"\r\n\r\n\r\n" + get(),
    "line feeds only": get().replace(b"\r\n", b"\n"),
    "carriage returns only": get().replace(b"\r\n", b"\r"),
    "only zeros": bytes(5_000) + CANARY.encode(),
    "two requests, the second malformed": get() + get(f"{PATH}?after=\0"),
    "half a request": get()[:-30],
}

HEADERS = {
    "NUL in the token": get(PATH, f"Authorization: Bearer {CANARY}\0"),
    "a line break in the token": get(PATH, f"Authorization: Bearer {CANARY}\r more"),
    "bytes in the token": get(PATH).replace(b"Bearer ", b"Bearer \xff\xfe\xed\xa0\x80"),
    "letters in the token": get(PATH).replace(b"Bearer ", "Bearer é😀".encode()),
    "a token that is too long": get(PATH, f"Authorization: Bearer {CANARY}{'x' * 9_000}"),
    "two tokens": get(PATH, "Authorization: Basic eDp5"),
    "no colon": get(PATH, f"X-Token {CANARY}"),
    "no name": get(PATH, f": {CANARY}"),
    "a blank in a name": get(PATH, f"X Token: {CANARY}"),
    "a name that holds the token": get(PATH, f"{CANARY}\0: x"),
    "a folded header": get(PATH, f"X-Token: a\r\n {CANARY}"),
    "a header that is too long": get(PATH, f"X-Token: {CANARY}{'x' * 100_000}"),
    "10,000 headers": get(PATH, *(f"X-{number}: {CANARY}" for number in range(10_000))),
    "two lengths": get(PATH, "Content-Length: 3", "Content-Length: 4"),
    "a negative length": get(PATH, "Content-Length: -1"),
    "a length that is no number": get(PATH, f"Content-Length: {CANARY}"),
    "a length of 5,000 digits": get(PATH, f"Content-Length: {LONG}"),
    "a length in other digits": get(PATH, "Content-Length: ٣"),
    "chunks and a length": get(PATH, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "an unknown transfer encoding": get(PATH, f"Transfer-Encoding: {CANARY}"),
    "two transfer encodings": get(PATH, "Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    "an expectation": get(PATH, f"Expect: {CANARY}"),
    "100-continue": get(PATH, "Expect: 100-continue"),
    "a web socket": get(PATH, "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {CANARY}"),
    "HTTP/2": get(PATH, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", f"HTTP2-Settings: {CANARY}"),
    "an odd connection": get(PATH, f"Connection: {CANARY}, close, keep-alive"),
    "odd encodings": get(PATH, "Accept-Encoding: gzip;q=x;;,=,;q=0;q=1,é"),
    "odd cookies": get(PATH, f'Cookie: ="{CANARY}; $Version=\\'),
    "two hosts": get(PATH, "Host: evil.example"),
    "a host that is no host": get(PATH).replace(b"localhost", b"[::1:x@" + CANARY.encode()),
    "an odd range": get(PATH, "Range: bytes=-9-", "If-Modified-Since: never", "If-None-Match: *,"),
}

QUERIES = {
    "a version of 5,000 digits": get(f"/v{LONG}.0/{SMALL_WABA}"),
    "a minor version of 5,000 digits": get(f"/v23.{LONG}/{SMALL_WABA}"),
    "a version in other digits": get(f"/v%D9%A2%D9%A3.0/{SMALL_WABA}"),
    "a version of powers": get(f"/v%C2%B2.0/{SMALL_WABA}"),
    "a node of 5,000 digits": get(f"/v23.0/{LONG}"),
    "a number of 5,000 digits": get(f"/v23.0/{LONG}/register"),
    "an account of 5,000 digits": get(f"/v23.0/{LONG}/phone_numbers"),
    "an account of 19 digits": get(f"/v23.0/{'9' * 19}/phone_numbers"),
    "an account of zeros": get(f"/v23.0/{'0' * 30}/phone_numbers"),
    "an account in other digits": get("/v23.0/%D9%A3/phone_numbers"),
    "a limit of 5,000 digits": get(f"{PATH}?limit={LONG}"),
    "a limit of zeros": get(f"{PATH}?limit={'0' * 5_000}7"),
    "a limit in other digits": get(f"{PATH}?limit=%D9%A3"),
    "a limit of powers": get(f"{PATH}?limit=%C2%B2"),
    "a negative limit": get(f"{PATH}?limit=-1"),
    "a limit with an underline": get(f"{PATH}?limit=1_0"),
    "fields 1,400 deep": get(f"{PATH}?fields={DEEP}"),
    "fields 3,000 deep and open": get(f"{PATH}?fields={'a{' * 3_000}"),
    "the fields of a number 1,400 deep": get(f"/v23.0/{NUMBER}?fields={DEEP}"),
    "the fields of a business 1,400 deep": get(f"/v23.0/{BUSINESS_ID}?fields={DEEP}"),
    "known fields 1,000 deep": get(f"{PATH}?fields={'throughput{' * 700}level{'}' * 700}"),
    "4,000 fields": get(f"{PATH}?fields={'id,' * 2_000}id"),
    "odd fields": get(f"{PATH}?fields=" + "{}},,{,id{},.limit(3)"),
    "no fields": get(f"{PATH}?fields="),
    "a field with a format": get(f"{PATH}?fields=" + "{0.__class__}"),
    "a sort with a format": get(f"{PATH}?sort=" + "{sort}{0}{"),
    "a node with a format": get("/v23.0/{node}{0}{"),
    "a sort with a list": get(f"{PATH}?sort=%5B%22%0a%22%5D"),
    "a filter 3,000 deep": get(f"{PATH}?filtering={'[' * 3_000}"),
    "a filter 900 deep": get(
        f"{PATH}?filtering=" + '[{"field":' + "[" * 900 + "]" * 900 + ',"operator":1,"value":1}]'.replace('"', "%22")
    ),
    "an operator 900 deep": get(
        f"{PATH}?filtering="
        + '[{"field":"account_mode","operator":'.replace('"', "%22")
        + "[" * 900
        + "]" * 900
        + ',"value":1}]'.replace('"', "%22")
    ),
    "a filter with a number of 5,000 digits": get(f"{PATH}?filtering=[{LONG}]"),
    "a filter of other types": get(f"{PATH}?filtering=" + "[null,1,%22a%22,[],{}]"),
    "a filter with half of a pair": get(f"{PATH}?filtering=[%22%5Cud800%22]"),
    "a value that is no number": get(
        f"{PATH}?filtering=" + '[{"field":"account_mode","operator":"EQUAL","value":NaN}]'.replace('"', "%22")
    ),
    "a cursor that is none": get(f"{PATH}?after=%25"),
    "a cursor of other letters": get(f"{PATH}?after=%C3%A9"),
    "a cursor of other bytes": get(f"{PATH}?after=__8="),
    "a cursor with half of a pair": get(f"{PATH}?before=%ED%A0%80"),
    "a cursor of 8,000 characters": get(f"{PATH}?after={'A' * 8_000}"),
    "a cursor of an account of 5,000 digits": get(
        f"/v23.0/{BUSINESS_ID}/owned_whatsapp_business_accounts?after=QVFIOj{'k5OT' * 1_500}"
    ),
    "5,000 parameters": get(f"{PATH}?{'a&' * 3_000}a"),
    "half of a pair in the links": get(f"{PATH}?limit=1&x=%ED%A0%80%FF"),
    "a proof of other letters": get(f"{PATH}?appsecret_proof=%C3%A9%ED%A0%80"),
}

BODIES = {
    **{
        f"{name} that is {kind}": post(json.dumps({**json.loads(members()), name: value}))
        for name in ("cc", "phone_number", "verified_name", "migrate_phone_number", "preverified_id")
        for kind, value in VALUES.items()
    },
    **{
        f"a {edge} with {name} that is {kind}": post(
            json.dumps({"pin": "123456", "messaging_product": "whatsapp", "code": "123456", name: value}),
            f"/v23.0/{NUMBER}/{edge}",
        )
        for edge in ("register", "request_code", "verify_code", "deregister")
        for name in ("pin", "code", "code_method", "language", "messaging_product", "data_localization_region")
        for kind, value in VALUES.items()
        if kind in {"a list", "half of a pair", "other digits"}
    },
    "no JSON": post(CANARY),
    "a list": post("[]"),
    "a number of 5,000 digits": post(f'{{"phone_number":{LONG}}}'),
    "100,000 deep": post("[" * 100_000),
    "900 deep": post('{"phone_number":' + "[" * 900 + "]" * 900 + "}"),
    "970 deep": post('{"phone_number":' + "[" * 970 + "]" * 970 + "}"),
    "objects 900 deep": post('{"a":' * 900 + "1" + "}" * 900),
    "other bytes": post(b'{"cc":"\xff\xfe"}'),
    "UTF-16": post(members().encode("utf-16")),
    "infinite": post('{"phone_number":Infinity,"cc":NaN,"verified_name":-Infinity}'),
    "a form of other bytes": post(b"cc=%ff&phone_number=\xff&%zz=%&&&=", PATH, "application/x-www-form-urlencoded"),
    "a form of 5,000 members": post(b"a=b&" * 5_000, PATH, "application/x-www-form-urlencoded"),
    "an odd type": post(members(), PATH, f"json; charset={CANARY}; =;"),
    "files": post(b"--x\r\n\r\n" + CANARY.encode(), PATH, "multipart/form-data"),
    "two megabytes": post("9" * 2_000_000),
    "no gzip": post(CANARY, PATH, "application/json", "Content-Encoding: gzip"),
    "no deflate": post(CANARY, PATH, "application/json", "Content-Encoding: deflate"),
    "no br": post(CANARY, PATH, "application/json", "Content-Encoding: br"),
    "no zstd": post(CANARY, PATH, "application/json", "Content-Encoding: zstd"),
    "an unknown encoding": post(CANARY, PATH, "application/json", f"Content-Encoding: {CANARY}"),
    "chunks that are none": get(PATH, "Transfer-Encoding: chunked", method="POST") + CANARY.encode() + b"\r\n",
    "a chunk of 5,000 digits": get(PATH, "Transfer-Encoding: chunked", method="POST") + LONG.encode() + b"\r\n",
    "a negative chunk": get(PATH, "Transfer-Encoding: chunked", method="POST") + b"-1\r\nx\r\n",
    "a chunk that goes on": get(PATH, "Transfer-Encoding: chunked", method="POST") + b"3\r\nabcdef\r\n0\r\n\r\n",
    "an odd trailer": get(PATH, "Transfer-Encoding: chunked", method="POST") + b"0\r\n" + CANARY.encode() + b"\r\n\r\n",
    "half a body": post(members())[:-20],
    "half a body of a length of 5,000 digits": get(PATH, f"Content-Length: {LONG}", method="POST") + b"{",
    "an unknown edge": post(members(), f"/v23.0/{NUMBER}/%00%0a"),
}

CASES = {**LINES, **HEADERS, **QUERIES, **BODIES}


class _Formatter(logging.Handler):
    """Keeps each record as a log file would show it."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.lines = list[str]()
        self.setFormatter(logging.Formatter("%(name)s %(message)s %(pathname)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Iterator[list[str]]:
    """All that is logged at any level, with tracebacks."""
    root, handler = logging.getLogger(), _Formatter()
    before = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        yield handler.lines
    finally:
        root.setLevel(before)
        root.removeHandler(handler)


@pytest.fixture(scope="module", params=["live", "reference", "with proofs"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox of each kind. The last one requires a proof, which no request here has, so it rejects them all."""
    settings: dict[str, Any] = {"mode": request.param}
    if request.param == "with proofs":
        settings = {"app_secret": "an-invented-secret"}
    with Sandbox(quota=None, **settings) as sandbox:
        yield sandbox


def send(sandbox: Sandbox, request: bytes, *, patience: float = 0.3) -> list[bytes]:
    """The statuses of the responses. After `patience` in seconds, the end of the request is the end of the stream."""
    host, _, port = sandbox.url.removeprefix("http://").partition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=patience) as connection, suppress(ConnectionError):
        try:
            connection.sendall(request)
            while piece := connection.recv(65_536):
                received += piece
        except TimeoutError:  # it waits for the rest
            connection.settimeout(20)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                received += piece
    return re.findall(rb"(?:^|\n)HTTP/1\.[01] ([0-9]+)", received)


def check(sandbox: Sandbox, request: bytes, log: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert not [status for status in send(sandbox, request) if status[:1] == b"5"]
    shown = "\n".join(log) + "".join(capfd.readouterr())
    assert CANARY not in shown
    assert "Traceback" not in shown
    assert "the sandbox cannot serve a request" not in shown  # what it says about a fault of its own
    [status] = send(sandbox, get(f"/v23.0/{SMALL_WABA}?fields=id"), patience=20)
    assert status in {b"200", b"400"}


@pytest.mark.parametrize("case", CASES)
def test_a_malformed_request_is_no_failure_of_the_sandbox(
    sandbox: Sandbox, log: list[str], capfd: pytest.CaptureFixture[str], case: str
) -> None:
    check(sandbox, CASES[case], log, capfd)


@pytest.mark.unmeasured
@pytest.mark.parametrize("seed", range(20))
def test_a_request_with_random_changes_is_no_failure_of_the_sandbox(
    sandbox: Sandbox, log: list[str], capfd: pytest.CaptureFixture[str], seed: int
) -> None:
    chance = random.Random(seed)
    cases = [request for request in CASES.values() if len(request) < 20_000]
    for _ in range(50):
        request = bytearray(chance.choice(cases))
        for _ in range(chance.randint(1, 4)):
            position = chance.randrange(len(request))
            match chance.choice(["flip", "insert", "remove", "copy"]):
                case "flip":
                    request[position] ^= 1 << chance.randrange(8)
                case "insert":
                    request[position:position] = chance.choice([b"\0", b"\r\n", b"%", b"\xff", b"{", b"/", b" "])
                case "remove":
                    del request[position : position + 3]
                case _:
                    request[position:position] = request[position : position + 40] * chance.randint(1, 9)
        # A flipped bit would hide the canary from us too, and a token in half is none.
        check(sandbox, bytes(request), log, capfd)
