"""The sandbox compresses for callers that accept gzip, and cuts the compressed body."""

import gzip
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Response, Sandbox
from wa_phone_async.sandbox.compression import accepts_gzip, compress

NEW = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("br,GZip", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0.001", True),
        ("gzip; q=1.0, *;q=0", True),
        ("br;q=1, *;q=0.1", True),
        ("", False),
        ("identity", False),
        ("br, zstd", False),
        ("gzip;q=0", False),
        ("gzip; Q=0.000", False),
        ("gzip;q=0., *", False),
        ("*;q=0", False),
        (" , ;q=1", False),
    ],
)
def test_accept_encoding_is_read_with_its_weights(accept_encoding: str, *, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) == accepted


def test_the_body_is_compressed_and_the_headers_say_so() -> None:
    compressed = compress(Response(400, b"{}" * 100, {"X-App-Usage": "{}"}), "gzip")
    assert gzip.decompress(compressed.body) == b"{}" * 100
    assert compressed.status == 400
    assert compressed.headers == {"X-App-Usage": "{}", "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


@pytest.mark.parametrize("response", [Response(200, b""), Response(200, b"{}", {"content-encoding": "br"})], ids=str)
def test_an_empty_or_encoded_body_is_left_as_it_is(response: Response) -> None:
    assert compress(response, "gzip") is response


# Over a connection


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer any"}, auto_decompress=False) as opened:
        yield opened


async def get(session: aiohttp.ClientSession, sandbox: Sandbox, encodings: str) -> tuple[str | None, bytes]:
    url = f"{sandbox.url}/v23.0/{LARGE_WABA}/phone_numbers"
    async with session.get(url, headers={"Accept-Encoding": encodings}) as response:
        return response.headers.get("Content-Encoding"), await response.read()


async def test_it_compresses_for_a_caller_that_accepts_gzip(session: aiohttp.ClientSession) -> None:
    async with Sandbox(compress=True) as sandbox:
        encoding, small = await get(session, sandbox, "gzip")
        plain, large = await get(session, sandbox, "identity")
    assert (encoding, plain) == ("gzip", None)
    assert gzip.decompress(small) == large
    assert len(small) * 4 < len(large)


async def test_it_does_not_compress_by_default(session: aiohttp.ClientSession) -> None:
    async with Sandbox() as sandbox:
        encoding, body = await get(session, sandbox, "gzip")
    assert encoding is None
    assert len(json.loads(body)["data"]) == 25


async def test_creates_and_errors_are_compressed_too(session: aiohttp.ClientSession) -> None:
    async with Sandbox(compress=True) as sandbox:
        sandbox.plan(Fault.error(100))
        for status in (400, 200):
            async with session.post(f"{sandbox.url}/v23.0/{EMPTY_WABA}/phone_numbers", json=NEW) as response:
                assert (response.status, response.headers["Content-Encoding"]) == (status, "gzip")
                json.loads(gzip.decompress(await response.read()))


@pytest.mark.parametrize("clean", [False, True])
async def test_a_fault_cuts_the_compressed_body(session: aiohttp.ClientSession, *, clean: bool) -> None:
    async with Sandbox(compress=True) as sandbox:
        sandbox.plan(Fault.cut(20, clean=clean))
        url = f"{sandbox.url}/v23.0/{SMALL_WABA}/phone_numbers"
        async with session.get(url, headers={"Accept-Encoding": "gzip"}) as response:
            assert (int(response.headers["Content-Length"]) == 20) == clean
            assert (await response.content.readany())[:2] == b"\x1f\x8b"
