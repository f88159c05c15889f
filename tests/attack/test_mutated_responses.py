"""Responses with random damage and secrets in every place: only errors of ours, no secret, no second write."""

import base64
import json
import logging
import pickle
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from attack import Attack
from misbehaving import Connection, RawServer
from secrecy import Call, everything_shown

from wa_phone_async import Event, PhoneNumberClient, RetryPolicy, TokenProvider, WaPhoneError
from wa_phone_async.call.tokens import appsecret_proof
from wa_phone_async.redaction import conceal

pytestmark = pytest.mark.unmeasured

TOKEN, OTHER_TOKEN, SECRET = "EAAcanary+/token==", "EAAother+/canary==", "canary&app?secret"
PROOFS = [str(appsecret_proof(conceal(token), conceal(SECRET))) for token in (TOKEN, OTHER_TOKEN)]
SECRETS = [TOKEN, SECRET, PROOFS[0]]
"""What a response may echo: a server knows only the token of the request."""
FORMS = [
    form
    for secret in (*SECRETS, OTHER_TOKEN, PROOFS[1])
    for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("="))
]
NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}

NEXT = f"https://graph.intern.facebook.com/v23.0/1234/phone_numbers?access_token={quote(TOKEN, safe='')}&after=a"
PAGE = {
    "data": [
        {"id": "7", "verified_name": "Acme", "throughput": {"level": "HIGH"}, "owner": {"paging": {"next": NEXT}}}
    ],
    "paging": {"cursors": {"before": "b", "after": "a"}, "next": NEXT},
}
ERROR = {
    "error": {
        "message": f"Malformed access token {TOKEN} {quote(TOKEN, safe='')} {SECRET} {PROOFS[0]}",
        "type": "OAuthException",
        "code": 100,
        "error_subcode": 33,
        "is_transient": False,
        "error_user_title": TOKEN,
        "error_user_msg": base64.b64encode(TOKEN.encode()).decode(),
        "error_data": {"details": TOKEN, "deeper": [{SECRET: [TOKEN]}]},
        "fbtrace_id": TOKEN,
    }
}
CREATED = {"id": "7"}
BODIES = [ERROR, ERROR, ERROR, PAGE, CREATED, {"error": TOKEN}, [TOKEN], f"<html>{TOKEN}</html>"]
STATUSES = ["200 OK", "400 No", "401 No", "403 No", "404 No", "429 No", "500 Oops", "503 Oops", "302 Found"]
CODES = [None, -1, 0, 1, 2, 4, 10, 17, 100, 102, 190, 200, 613, 80007, 80008, 131000, 133016, 136024, 10**30, TOKEN]
HEADERS = [
    f"Set-Cookie: token={quote(TOKEN)}; Path=/",
    f"Location: {NEXT}",
    f'WWW-Authenticate: OAuth "Facebook Platform" "invalid_token" "{TOKEN}"',
    f"X-{SECRET.replace('&', '').replace('?', '')}: {TOKEN}",
    f'X-App-Usage: {{"call_count":5,"{TOKEN}":1}}',
    'X-Business-Use-Case-Usage: {"1234":[{"type":"whatsapp","call_count":1}]}',
    f"facebook-api-version: {TOKEN}",
    "Content-Type: application/json; charset=UTF-8",
    "Content-Encoding: gzip",
    "Transfer-Encoding: chunked",
    "Connection: close",
]
PIECES = [*(secret.encode() for secret in SECRETS), b"\0", b"\xff\xfe", b"\r\n\r\n", b'"', b"{", b"]", b"NaN", b"1e999"]
PIECES += [b"[" * 2000, b"9" * 5000, b'\\ud800"', b'"error":', b"HTTP/1.1 200 OK\r\n", b'"code":190,', b'"next":']


def invented(draw: Random, good: dict[str, Any]) -> bytes:
    """A response with a random status, random headers, and secrets in them and in its body. Half of them are good."""
    is_good = draw.random() < 0.5
    body = json.loads(json.dumps(good if is_good else draw.choice(BODIES)))
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body["error"] |= {"code": draw.choice(CODES), "is_transient": draw.choice([True, False, None])}
    for _ in range(draw.choice([0, 0, 1, 2])):
        body = swapped(body, draw)
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    headers = [f"Content-Length: {len(content)}", *draw.sample(HEADERS, draw.choice([0, 1, 3]))]
    draw.shuffle(headers)
    return (
        "\r\n".join([f"HTTP/1.1 {STATUSES[0] if is_good else draw.choice(STATUSES)}", *headers, "", ""]).encode()
        + content
    )


def swapped(value: Any, draw: Random) -> Any:
    """The same JSON with another value in one place, or with one more member."""
    if isinstance(value, dict | list) and value and draw.random() < 0.8:
        key = draw.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value[key] = swapped(value[key], draw)
        return value
    if isinstance(value, dict) and draw.random() < 0.3:
        return {**value, draw.choice(SECRETS): draw.choice(SECRETS)}
    return draw.choice([None, True, 0, -1, 1.5, 10**400, "", TOKEN, NEXT, [TOKEN], {TOKEN: SECRET}, [], {}])


def damaged(data: bytes, draw: Random) -> bytes:
    """The same bytes with a few of them changed, lost, repeated or added."""
    for _ in range(draw.choice([0, 1, 1, 2, 5])):
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + draw.choice([0, 1, 1, 8, 60]))
        match draw.randrange(4):
            case 0:
                middle = bytes(byte ^ (1 << draw.randrange(8)) for byte in data[start:end])
            case 1:
                middle = b""
            case 2:
                middle = data[start:end] * draw.choice([2, 3])
            case _:
                middle = draw.choice(PIECES)
        data = data[:start] + middle + data[end:]
    return data


class Log(logging.Handler):
    """All records of all loggers, at every level."""

    def __init__(self) -> None:
        super().__init__(1)
        self.texts = list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{self.format(record)} {vars(record)!r}")


@pytest.fixture
def log() -> Iterator[Log]:
    root, collector = logging.getLogger(), Log()
    level = root.level
    root.addHandler(collector)
    root.setLevel(1)
    yield collector
    root.removeHandler(collector)
    root.setLevel(level)


async def read(client: PhoneNumberClient) -> object:
    return await client.list_phone_numbers("1234").first_page()


async def write(client: PhoneNumberClient) -> object:
    return await client.create_phone_number("1234", **NUMBER)


async def error_of(call: Call, client: PhoneNumberClient) -> Exception | None:
    """The error of a call. No local variable of this frame, which is in its traceback, has the response."""
    try:
        await call(client)
    except Exception as error:  # noqa: BLE001 - the test says which ones are right
        return error
    return None


def has_shown(texts: list[str]) -> str | None:
    """The surroundings of the first secret that is in a text."""
    for text in texts:
        for form in FORMS:
            if form in text:
                return text[max(0, text.index(form) - 300) : text.index(form) + 50]
    return None


def may_write_again(data: bytes) -> bool:
    """Whether a response proves that a write did not happen. Then it may be sent once more with another token.

    Read by other rules than the client's: an HTTP 4xx or an API error, and neither says that Meta itself had trouble.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        error = None
    status = head[9:12]
    is_trouble = status[:1] == b"5" or (isinstance(error, dict) and bool(error.get("is_transient")))
    return not is_trouble and (status[:1] == b"4" or isinstance(error, dict))


@pytest.mark.parametrize("is_write", [False, True], ids=["read", "write"])
async def test_a_mutated_response_gives_a_value_or_an_error_of_ours_that_shows_no_secret(
    attack: Attack, log: Log, *, is_write: bool
) -> None:
    sent, events = list[bytes](), list[Event]()
    now = b""

    async def play(connection: Connection) -> None:
        sent.append(now)
        await connection.send(now)
        connection.hang_up()

    def provide(_: str, rejected: str | None) -> str:
        return TOKEN if rejected is None else OTHER_TOKEN

    # A stated wait is longer than `max_wait`, so a throttled call ends at once.
    settings: dict[str, Any] = {"retry": RetryPolicy(max_attempts=3, first_wait=1e-4, max_wait=0.01), "timeout": 5}
    async with RawServer([play]) as server:
        for draw in attack.rounds(short=150, seconds=35):
            now = damaged(invented(draw, CREATED if is_write else PAGE), draw)
            sent.clear()
            token: str | TokenProvider = TOKEN if draw.random() < 0.5 else provide
            async with PhoneNumberClient(
                token, base_url=server.url, app_secret=SECRET, max_body=10**6, on_event=events.append, **settings
            ) as client:
                texts = [repr(client), repr(client.session)]
                error = await error_of(write if is_write else read, client)
                attack.count("values" if error is None else "errors")
                if error is not None:
                    assert isinstance(error, WaPhoneError)
                    texts += [*everything_shown(error), pickle.dumps(error).decode("latin-1")]
                    assert error.__context__ is None
                texts += [*map(repr, events), *log.texts, repr(client.last_usage("1234"))]
            shown = has_shown(texts)
            assert shown is None, f"a secret is shown: {shown!r} after {now!r}"
            if is_write:
                assert len(sent) == 1 or (len(sent) == 2 and may_write_again(sent[0])), (len(sent), now)
            events.clear()
            log.texts.clear()
