"""Compressed responses are accepted and read. One that is cut, garbled or a bomb is an error that says so."""

import asyncio
import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Unpack

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaving import Play, RawServer, raw, respond

from wa_phone_async import (
    DecodeError,
    OutcomeUnknownError,
    PhoneNumberClient,
    RetryPolicy,
    TransportError,
    WaPhoneError,
)
from wa_phone_async.client import Settings
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, Fault, Sandbox

TOKEN = "an-invented-token"
NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
QUICK = RetryPolicy(first_wait=0.001, max_attempts=3)
PAGE = b'{"data":[{"id":"106540352242922"},{"id":"106540352242923"}]}'
MEBIBYTE = 2**20


def module(*names: str) -> Any:
    """Import the first of these packages that is installed, or skip the test."""
    *first, last = names
    for name in first:
        try:
            return __import__(name, fromlist=["compress"])
        except ImportError:
            continue
    return pytest.importorskip(last)


def raw_deflate(data: bytes) -> bytes:
    """Deflate without the header of zlib, as some servers misread the standard."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def brotli(data: bytes) -> bytes:
    return bytes(module("brotlicffi", "brotli").compress(data))


def zstd(data: bytes) -> bytes:
    return bytes(module("compression.zstd", "backports.zstd").compress(data))


Compress = Callable[[bytes], bytes]
CODECS = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("deflate", zlib.compress, id="deflate"),
    pytest.param("deflate", raw_deflate, id="raw deflate"),
    pytest.param("br", brotli, id="br"),
    pytest.param("zstd", zstd, id="zstd"),
]
codecs = pytest.mark.parametrize(("name", "compress"), CODECS)


def encoded(name: str, body: bytes) -> Play:
    return respond(body, headers=f"Content-Encoding: {name}\r\n")


@asynccontextmanager
async def against(*plays: Play, **options: Unpack[Settings]) -> AsyncIterator[tuple[RawServer, PhoneNumberClient]]:
    async with RawServer(plays) as server:
        options = {"base_url": server.url, "retry": QUICK, "max_body": MEBIBYTE, **options}
        async with PhoneNumberClient(TOKEN, **options) as client:
            yield server, client


# Accepted and read


@codecs
async def test_an_encoding_that_can_be_read_is_accepted_and_read(name: str, compress: Compress) -> None:
    async with against(encoded(name, compress(PAGE))) as (server, client):
        numbers = await client.list_phone_numbers("1234")
    assert [number.id for number in numbers] == ["106540352242922", "106540352242923"]
    assert name in server.requests[0].headers["accept-encoding"].split(", ")


@codecs
async def test_compressed_responses_are_read_in_pieces_too(name: str, compress: Compress) -> None:
    body = compress(PAGE)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\n".encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    plays = [raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"), raw(head + b"\r\n" + body)]
    async with against(*plays) as (_, client):
        for _ in plays:
            assert len(await client.list_phone_numbers("1234")) == 2


@codecs
async def test_a_create_and_an_api_error_are_read_too(name: str, compress: Compress) -> None:
    rejected = respond(
        compress(b'{"error":{"message":"no","code":100}}'),
        status="400 Bad Request",
        headers=f"Content-Encoding: {name}\r\n",
    )
    async with against(encoded(name, compress(b'{"id":"7"}')), rejected) as (_, client):
        assert (await client.create_phone_number("1234", **NUMBER)).id == "7"
        with pytest.raises(WaPhoneError, match="no"):
            await client.create_phone_number("1234", **NUMBER)


async def test_a_borrowed_session_may_accept_fewer_encodings() -> None:
    async with aiohttp.ClientSession(headers={"Accept-Encoding": "identity"}) as session:
        async with Sandbox(compress=True) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            await client.list_phone_numbers(LARGE_WABA, max_items=1)
            borrower = PhoneNumberClient(TOKEN, base_url=sandbox.url, session=session)
            await borrower.list_phone_numbers(LARGE_WABA, max_items=1)
        accepted = [request.headers["Accept-Encoding"] for request in sandbox.requests]
    assert accepted[0].startswith("gzip, deflate")
    assert accepted[1] == "identity"


async def test_a_list_of_a_sandbox_that_compresses() -> None:
    async with Sandbox(compress=True) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        assert len(await client.list_phone_numbers(LARGE_WABA)) == 250
        assert (await client.create_phone_number(EMPTY_WABA, **NUMBER)).id == sandbox.created[0].id


# What is cut or garbled


def cut_cleanly(name: str, body: bytes) -> Play:
    return encoded(name, body[: len(body) // 2])


def cut_short(name: str, body: bytes) -> Play:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Encoding: {name}\r\n\r\n"
    return raw(head.encode() + body[: len(body) // 2])


def cut_at_the_end_of_the_connection(name: str, body: bytes) -> Play:
    return raw(f"HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\n\r\n".encode() + body[: len(body) // 2])


def not_compressed(name: str, _: bytes) -> Play:
    return encoded(name, PAGE)


def followed_by_something(name: str, body: bytes) -> Play:
    return encoded(name, body + b"something")


def in_two_encodings(name: str, body: bytes) -> Play:
    return encoded(f"{name}, {name}", body)


def in_another_encoding(_: str, body: bytes) -> Play:
    return encoded("compress", body)


def nothing(name: str, _: bytes) -> Play:
    return encoded(name, b"")


damages = pytest.mark.parametrize(
    "damage",
    [
        cut_cleanly,
        cut_short,
        cut_at_the_end_of_the_connection,
        not_compressed,
        followed_by_something,
        in_two_encodings,
        in_another_encoding,
        nothing,
    ],
)


@codecs
@damages
async def test_a_read_with_a_damaged_response_is_retried(
    name: str, compress: Compress, damage: Callable[[str, bytes], Play]
) -> None:
    bad = damage(name, compress(PAGE))
    async with against(bad, encoded(name, compress(PAGE)), bad) as (server, client):
        assert len(await client.list_phone_numbers("1234")) == 2
        assert len(server.requests) == 2
        with pytest.raises((TransportError, DecodeError)) as caught:
            await client.list_phone_numbers("1234")
        assert (caught.value.attempts, caught.value.__cause__, caught.value.__context__) == (3, None, None)
        text = str(caught.value)
        assert any(word in text for word in ("cut", "damaged", "not JSON", "empty")), text


@codecs
@damages
async def test_a_create_with_a_damaged_response_is_unknown_and_not_retried(
    name: str, compress: Compress, damage: Callable[[str, bytes], Play]
) -> None:
    async with against(damage(name, compress(PAGE))) as (server, client):
        with pytest.raises(OutcomeUnknownError):
            await client.create_phone_number("1234", **NUMBER)
        assert len(server.requests) == 1


@codecs
@given(data=st.data())
@settings(max_examples=25)
def test_any_bytes_give_a_value_or_an_error_of_ours(name: str, compress: Compress, data: st.DataObject) -> None:
    body = bytearray(compress(PAGE))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(body) - 1), st.integers(0, 255)), max_size=4)):
        body[place] = byte
    sent = bytes(body[: data.draw(st.integers(0, len(body)))]) + data.draw(st.binary(max_size=8))

    async def read() -> None:
        async with against(encoded(name, sent), retry=RetryPolicy(max_attempts=1)) as (_, client):
            with contextlib.suppress(TransportError, DecodeError):
                await client.list_phone_numbers("1234")

    asyncio.run(read())


@pytest.mark.parametrize("clean", [False, True])
async def test_a_sandbox_cuts_what_it_compressed(*, clean: bool) -> None:
    async with Sandbox(compress=True) as sandbox:
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=QUICK) as client:
            sandbox.plan(Fault.cut(clean=clean))
            assert len(await client.list_phone_numbers(LARGE_WABA)) == 250
            sandbox.plan(Fault.cut(clean=clean))
            with pytest.raises(OutcomeUnknownError):
                await client.create_phone_number(EMPTY_WABA, **NUMBER)
        assert len(sandbox.created) == 1


# What becomes too large


@codecs
async def test_a_bomb_is_given_up_when_it_has_become_max_body(name: str, compress: Compress) -> None:
    bomb = encoded(name, compress(b" " * (64 * MEBIBYTE)))
    async with against(bomb) as (server, client):
        tracemalloc.start()
        try:
            with pytest.raises(DecodeError, match=r"larger than max_body \(1048576 bytes\)") as caught:
                await client.list_phone_numbers("1234")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8 * MEBIBYTE
        assert caught.value.attempts == 1  # it would be as large again
        with pytest.raises(OutcomeUnknownError, match="an invalid response"):
            await client.create_phone_number("1234", **NUMBER)
        assert len(server.requests) == 2


@pytest.mark.parametrize(("name", "compress"), [CODECS[0], CODECS[4]])
async def test_many_small_members_do_not_evade_the_limit(name: str, compress: Compress) -> None:
    async with against(encoded(name, compress(b" ") * 5000)) as (_, client):
        with pytest.raises(TransportError, match="damaged") as caught:
            await client.list_phone_numbers("1234")
    assert caught.value.attempts == 3


@codecs
async def test_a_body_of_max_body_is_read_and_one_byte_more_is_not(name: str, compress: Compress) -> None:
    for more in (0, 1):
        body = PAGE + b" " * (MEBIBYTE - len(PAGE) + more)
        async with against(encoded(name, compress(body))) as (_, client):
            if more:
                with pytest.raises(DecodeError, match="larger than max_body"):
                    await client.list_phone_numbers("1234")
            else:
                assert len(await client.list_phone_numbers("1234")) == 2
