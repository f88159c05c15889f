"""Bad responses in bulk: time and memory grow with the size of a response, whatever is in it.

Each bad response is compared with a good page of the same size, in the same process and on the same path. It takes at
most three times the processor time and three times the memory.
"""

import gc
import importlib.util
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from types import FrameType
from typing import Any

import attrs
import pytest
from attack import Attack
from multidict import CIMultiDict, CIMultiDictProxy
from readers import fresh_readers

from wa_phone_async import PhoneNumberClient, RetryPolicy, WaPhoneError
from wa_phone_async.call.transport import HttpResponse, Transport
from wa_phone_async.decoding.converter import FAST_PATH_SWITCH, without_links

pytestmark = pytest.mark.unmeasured

SIZE = 2**19
MOST = 3.0
ATTEMPTS = 4  # of a measurement that fails: another process may have been in the way

GOOD_ROW = '{"id":"300000000000001"}'
WITH_SPEED = pytest.mark.skipif(not importlib.util.find_spec("msgspec"), reason="the extra `speed` is not installed")

Make = Callable[[int], str]
"""Makes a response of about so many bytes."""


# --- responses of a size


def repeated(piece: str, size: int) -> str:
    return ",".join([piece] * (size // (len(piece) + 1)))


def page_of(row: str) -> Make:
    return lambda size: f'{{"data":[{repeated(row, size)}]}}'


def page_then(*last: str) -> Make:
    """Good rows, and then bad ones."""
    return lambda size: f'{{"data":[{repeated(GOOD_ROW, size)},{",".join(last)}]}}'


def around(before: str, piece: str, after: str) -> Make:
    return lambda size: f"{before}{repeated(piece, size)}{after}"


def numbered(before: str, piece: str, after: str) -> Make:
    """Pieces that are all different: `#` in a piece becomes a number."""

    def make(size: int) -> str:
        count = size // (len(piece) + 5)
        return before + ",".join(piece.replace("#", str(number)) for number in range(count)) + after

    return make


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


ROWS = {
    "zeros": "0",
    "integers": "12345",
    "long integers": "9" * 4_000,
    "floats": "1.5",
    "infinite numbers": "1e999",
    "nulls": "null",
    "booleans": "true",
    "empty strings": '""',
    "strings": '"ab"',
    "escapes": '"\\u0041\\n"',
    "empty arrays": "[]",
    "arrays": '["id","1"]',
    "deep arrays": deep(100),
    "arrays of objects": f"[{GOOD_ROW}]",
    "empty objects": "{}",
    "objects without an id": '{"a":1}',
    "an id that is null": '{"id":null}',
    "an id that is empty": '{"id":[]}',
    "an id that is negative": '{"id":-1}',
    "an id that is an object": '{"id":{"id":"1"}}',
    "an id that is deep": f'{{"id":{deep(100)}}}',
    "members of wrong types": '{"id":0.5,"status":[],"username":{},"throughput":7,"is_pin_enabled":"maybe"}',
    "members twice": '{"id":"1","id":[]}',
    "unknown members": '{"a":1,"b":2,"c":[3]}',
}

MANY_NAMES = ",".join(f'"a{number}":1' for number in range(40))

PAGES: dict[str, Make] = {
    **{name: page_of(row) for name, row in ROWS.items()},
    "good rows, then one bad": page_then("0"),
    "good rows, then many bad": page_then(*["{}"] * 1_000),
    "good rows, then many unknown names": page_then(f'{{"id":"1",{MANY_NAMES}}}', "{}"),
    "good rows and bad rows in turns": page_of(f"{GOOD_ROW},0"),
    "names that are all different": numbered('{"data":[', '{"a#":1}', "]}"),
    "one long string": lambda size: f'{{"data":["{"x" * size}"]}}',
    "one long name": lambda size: f'{{"data":[{{"{"x" * size}":1}}]}}',
    "one long id": lambda size: f'{{"data":[{{"id":["{"x" * size}"]}}]}}',
    "one long status": lambda size: f'{{"data":[{{"status":"{"`$.data[0].a" * (size // 12)}"}}]}}',
    "one row with many members": numbered('{"data":[{', '"a#":0', "}]}"),
    "one array of zeros": around('{"data":[[', "0", "]]}"),
    "data of another type": around('{"data":{"a":[', "0", "]}}"),
    "no data": around('{"a":[', GOOD_ROW, "]}"),
    "data twice": around("{", '"data":[]', ',"data":[0]}'),
    "many members": numbered("{", '"a#":0', ',"data":[0]}'),
    "large paging": around('{"data":[],"paging":[', GOOD_ROW, "]}"),
    "a long link": lambda size: f'{{"data":[],"paging":{{"next":"https://x/?{"a=1&" * (size // 4)}"}}}}',
    "a long cursor": lambda size: f'{{"data":[],"paging":{{"cursors":{{"after":"{"x" * size}"}},"next":"x"}}}}',
    "an array": around("[", "[]", "]"),
    "a string": lambda size: f'"{"x" * size}"',
    "not JSON at its end": around('{"data":[', GOOD_ROW, ",}"),
    "not JSON at its beginning": lambda size: "<" * size,
    "brackets only": lambda size: "[" * size,
}

ERRORS: dict[str, Make] = {
    "a long message": lambda size: f'{{"error":{{"code":100,"message":"{"field " * (size // 6)}"}}}}',
    "a message of escapes": lambda size: f'{{"error":{{"code":133016,"message":"{"%2525%5Cn&amp;" * (size // 14)}"}}}}',
    "a message of times": lambda size: f'{{"error":{{"code":133016,"message":"{"1 h 2 m " * (size // 8)}"}}}}',
    "details of zeros": around('{"error":{"code":100,"error_data":[', "0", "]}}"),
    "details of objects": around('{"error":{"code":100,"error_data":{"details":[', '{"a":"b"}', "]}}}"),
    "unknown members of an error": numbered('{"error":{"code":190,', '"a#":"x"', "}}"),
    "members beside an error": around('{"error":{"code":190},"a":[', GOOD_ROW, "]}"),
    "an error that is an array": around('{"error":[', GOOD_ROW, "]}"),
    "an error in HTML": lambda size: "<html>" + "<p>" * (size // 3),
}

OBJECTS: dict[str, Make] = {
    "a number without an id": around('{"a":[', GOOD_ROW, "]}"),
    "a number whose id is an array": around('{"id":[', GOOD_ROW, "]}"),
    "a number with odd members": numbered('{"id":-1,', '"a#":[0]', "}"),
    "an array of numbers": around("[", GOOD_ROW, "]"),
    "a number as a string": lambda size: f'"{"x" * size}"',
}


# --- what they cost


@attrs.frozen
class Cost:
    """What it costs to read one response."""

    seconds: float
    """Processor time, the least of three measurements."""
    memory: int
    """The peak in bytes, without the response itself."""


@attrs.define
class Reader:
    """A client that gets every response at once, as if it were received already."""

    path: str
    body: bytes = b""
    http_status: int = 200
    client: PhoneNumberClient = attrs.field(init=False)

    async def respond(self, *_: object, **__: object) -> HttpResponse:
        return HttpResponse(self.http_status, CIMultiDictProxy(CIMultiDict()), self.body)

    async def read_list(self) -> None:
        await self._read(self.client.list_phone_numbers("1"))

    async def read_object(self) -> None:
        await self._read(self.client.get_phone_number("1"))

    async def _read(self, call: Awaitable[object]) -> None:
        text = ""
        try:
            await call
        except WaPhoneError as error:
            text = str(error)
        assert len(text) < 1_000

    async def cost(self, text: str, http_status: int, read: Callable[[], Awaitable[None]]) -> Cost:
        self.body, self.http_status = text.encode(), http_status
        seconds = list[float]()
        gc.collect()
        for _ in range(3):
            began = time.process_time()
            await read()
            seconds.append(time.process_time() - began)
        tracemalloc.start()
        await read()
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return Cost(min(seconds), memory)


GOOD: dict[str, Cost] = {}
"""What a good page costs, by the path. It is measured again after a measurement that failed."""


async def compare(
    attack: Attack, reader: Reader, text: str, read: Callable[[], Awaitable[None]], http_status: int = 200
) -> None:
    """Compare a response with a good page of the same size."""
    times = parts = 0.0
    for _ in range(ATTEMPTS):
        found = await reader.cost(text, http_status, read)
        if reader.path not in GOOD:
            GOOD[reader.path] = await reader.cost(page_of(GOOD_ROW)(SIZE), 200, reader.read_list)
        good = GOOD[reader.path]
        times, parts = found.seconds / good.seconds, found.memory / good.memory
        if max(times, parts) <= MOST:
            break
        del GOOD[reader.path]
    attack.count("responses")
    attack.measure("times the processor time", times)
    attack.measure("times the memory", parts)
    assert (times <= MOST, parts <= MOST) == (True, True), f"{times:.1f} times the time, {parts:.1f} times the memory"


@pytest.fixture(params=[pytest.param("fast", marks=WITH_SPEED), "core"])
async def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    """Read on one path, which has learned nothing yet."""
    if request.param == "core":
        monkeypatch.setenv(FAST_PATH_SWITCH, "off")
    reader = Reader(request.param)
    monkeypatch.setattr(Transport, "exchange", lambda _, *args, **more: reader.respond(*args, **more))
    with fresh_readers():
        async with PhoneNumberClient("any-token", retry=RetryPolicy(max_attempts=1)) as reader.client:
            yield reader


async def calls_of(read: Callable[[], Awaitable[None]]) -> int:
    """Count the function calls of one reading."""
    calls = 0

    def count(_: FrameType | None, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        await read()
    finally:
        sys.setprofile(None)
    return calls


# --- the laws


async def test_the_good_page_of_the_comparison_is_read(reader: Reader) -> None:
    reader.body = page_of(GOOD_ROW)(SIZE).encode()
    assert len(await reader.client.list_phone_numbers("1")) == SIZE // (len(GOOD_ROW) + 1)


@pytest.mark.parametrize("name", PAGES)
async def test_a_bad_page_costs_at_most_three_times_a_good_one(attack: Attack, reader: Reader, name: str) -> None:
    await compare(attack, reader, PAGES[name](SIZE), reader.read_list)


@pytest.mark.parametrize("http_status", [200, 400, 500])
@pytest.mark.parametrize("name", ERRORS)
async def test_a_large_error_costs_at_most_three_times_a_good_page(
    attack: Attack, reader: Reader, name: str, http_status: int
) -> None:
    await compare(attack, reader, ERRORS[name](SIZE), reader.read_list, http_status)


@pytest.mark.parametrize("name", OBJECTS)
async def test_a_bad_object_costs_at_most_three_times_a_good_page(attack: Attack, reader: Reader, name: str) -> None:
    await compare(attack, reader, OBJECTS[name](SIZE), reader.read_object)


@pytest.mark.parametrize("name", ["zeros", "empty objects", "good rows and bad rows in turns", "data of another type"])
async def test_what_follows_a_hundred_misfits_takes_no_function_calls(reader: Reader, name: str) -> None:
    calls = list[int]()
    for size in (SIZE, 4 * SIZE):
        reader.body = PAGES[name](size).encode()
        await reader.read_list()
        calls.append(await calls_of(reader.read_list))
    assert calls[1] <= 1.1 * calls[0]


@pytest.mark.parametrize("name", ["good rows, then one bad", "an id that is null", "details of objects"])
async def test_function_calls_grow_no_faster_than_the_response(reader: Reader, name: str) -> None:
    calls = list[int]()
    for size in (SIZE // 2, 2 * SIZE):
        reader.body = {**PAGES, **ERRORS}[name](size).encode()
        await reader.read_list()
        calls.append(await calls_of(reader.read_list))
    assert calls[1] <= 4.4 * calls[0]


async def test_each_value_in_nested_lists_is_searched_for_links_once() -> None:
    async def search(levels: int) -> int:
        value: Any = [[0] for _ in range(2_000)] + [{"paging": {"next": "https://x/"}}]
        for _ in range(levels):
            value = {"a": value}

        async def read() -> None:
            without_links(value)

        return await calls_of(read)

    assert await search(300) <= 2 * await search(1)
