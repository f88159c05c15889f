"""Compressed responses that are bombs, cut, damaged or nested: bounded in memory, and never read as something else."""

import gzip
import itertools
import json
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from attack import Attack
from misbehaving import Connection, RawServer

from wa_phone_async import OutcomeUnknownError, PhoneNumberClient, RetryPolicy, WaPhoneError

pytestmark = pytest.mark.unmeasured

brotli = pytest.importorskip("brotli", reason="Brotli is not installed")
zstd = pytest.importorskip(
    "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", reason="zstd is not installed"
)

MEBIBYTE = 2**20
MAX_BODY = MEBIBYTE
NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
PAGE = json.dumps({"data": [{"id": str(106540352242922 + n), "verified_name": f"Shop {n}"} for n in range(9)]}).encode()
IDS = [row["id"] for row in json.loads(PAGE)["data"]]
CREATED = b'{"id":"7"}'


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


Compress = Callable[[bytes], bytes]
CODECS: dict[str, Compress] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
codecs = pytest.mark.parametrize("codec", CODECS)


def name_of(codec: str) -> str:
    """The codec's name in `Content-Encoding`."""
    return codec.removeprefix("raw ")


class Target:
    """A client, and a server that sends it what an attack has chosen."""

    def __init__(self, client: PhoneNumberClient) -> None:
        self.client = client
        self.response = b""
        self.requests = 0

    async def play(self, connection: Connection) -> None:
        self.requests += 1
        await connection.send(self.response)
        connection.hang_up()

    def load(self, encoding: str, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.response, self.requests = head.encode() + body, 0

    async def read(self) -> list[str] | WaPhoneError:
        try:
            return [number.id for number in await self.client.list_phone_numbers("1234")]
        except WaPhoneError as error:
            return error

    async def write(self) -> str | WaPhoneError:
        try:
            return (await self.client.create_phone_number("1234", **NUMBER)).id
        except WaPhoneError as error:
            return error


Play = Callable[[Target], Any]


async def against(play: Play) -> None:
    """Play against a client that reads responses of a mebibyte, and makes one attempt."""
    found = list[Target]()

    async def serve(connection: Connection) -> None:
        await found[0].play(connection)

    retry = RetryPolicy(max_attempts=1)
    async with (
        RawServer([serve]) as server,
        PhoneNumberClient("any", base_url=server.url, retry=retry, max_body=MAX_BODY) as client,
    ):
        found.append(Target(client))
        await play(found[0])


def bomb(draw: Random, codec: str) -> tuple[str, bytes, int]:
    """The encoding of a bomb, its bytes, and how many they become."""
    compress, size = CODECS[codec], draw.choice([2, 16, 64]) * MEBIBYTE
    filling = draw.choice([b" ", b"[", b'{"data":[', b"0,", bytes(range(256))])
    body = compress((filling * (size // len(filling) + 1))[:size])
    match draw.randrange(4):
        case 0:  # a bomb within a bomb
            return f"{name_of(codec)}, {name_of(codec)}", compress(body), size
        case 1:  # several members
            return name_of(codec), body * 3, 3 * size
        case 2:  # a good page before it
            return name_of(codec), compress(PAGE + b" " * size), size
        case _:
            return name_of(codec), body, size


@codecs
async def test_a_bomb_takes_little_memory_and_is_an_error(attack: Attack, codec: str) -> None:
    async def play(target: Target) -> None:
        await target.read()  # what is loaded at first use is no part of the memory
        for draw in attack.rounds(short=3, seconds=5):
            encoding, body, size = bomb(draw, codec)
            target.load(encoding, body)
            tracemalloc.start()
            try:
                results = [await target.read(), await target.write()]
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert isinstance(results[0], WaPhoneError)
            assert isinstance(results[1], OutcomeUnknownError)
            assert target.requests == 2
            attack.count("bombs")
            attack.measure("MiB decompressed", size / MEBIBYTE)
            attack.measure("times max_body in memory", peak / MAX_BODY)
            assert peak < 8 * MAX_BODY + 3 * len(body)

    await against(play)


@codecs
async def test_a_compressed_response_that_is_cut_is_never_half_a_page(attack: Attack, codec: str) -> None:
    whole, created = CODECS[codec](PAGE), CODECS[codec](CREATED)

    async def play(target: Target) -> None:
        for kept in attack.points(range(len(whole) + 1), short=30):
            target.load(name_of(codec), whole[:kept])
            numbers = await target.read()
            assert numbers == IDS or (isinstance(numbers, WaPhoneError) and kept < len(whole))
            attack.count("cuts")
        for kept in attack.points(range(len(created) + 1), short=10):
            target.load(name_of(codec), created[:kept])
            result = await target.write()
            assert result == "7" or isinstance(result, OutcomeUnknownError)
            assert target.requests == 1
            attack.count("cuts")

    await against(play)


@codecs
async def test_a_damaged_or_renamed_encoding_gives_the_page_or_an_error_of_ours(attack: Attack, codec: str) -> None:
    names = [*map(name_of, CODECS), "identity", "compress", "x-gzip", "GZIP", "zip", "", "gzip;q=0", "*", "\xff"]
    encodings = [*names, *(f"{one}, {other}" for one, other in itertools.product(names[:5], names[:7]))]

    async def play(target: Target) -> None:
        for draw in attack.rounds(short=40, seconds=5):
            again = draw.choice([bytes, bytes, bytes, *CODECS.values()])
            body = bytearray(again(CODECS[codec](PAGE)))
            for _ in range(draw.choice([0, 1, 1, 4])):
                body[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
            encoding = name_of(codec) if draw.random() < 0.6 else draw.choice(encodings)
            target.load(encoding, bytes(body) + draw.randbytes(draw.choice([0, 0, 9])))
            numbers = await target.read()
            attack.count("responses")
            attack.count("of them read", isinstance(numbers, list))
            if codec in {"gzip", "deflate"}:  # these have a checksum
                assert isinstance(numbers, WaPhoneError) or numbers == IDS
            assert isinstance(await target.write(), OutcomeUnknownError)
            assert target.requests == 2

    await against(play)
