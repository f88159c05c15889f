"""A connection that breaks after any byte of a response: a read is retried, and a write is never sent twice."""

import json
from typing import Any, Literal, get_args

import pytest
from attack import Attack
from clients import against
from misbehaving import Connection
from passing_time import settle
from unthrottled import Unthrottled

from wa_phone_async import CreatedPhoneNumber, OutcomeUnknownError, PhoneNumber

pytestmark = pytest.mark.unmeasured

NUMBER: dict[str, Any] = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
PAGE = json.dumps({"data": [{"id": "7", "verified_name": "Acme"}], "paging": {"cursors": {"after": "a"}}}).encode()
CREATED = b'{"id":"7"}'

Framing = Literal["length", "chunked", "until the end"]


def response(body: bytes, framing: Framing) -> bytes:
    """A response whose end is known by its length, by its last chunk, or by the end of the connection."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    match framing:
        case "length":
            return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        case "chunked":
            chunks = (body[: len(body) // 2], body[len(body) // 2 :], b"")
            return (
                head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks)
            )
        case _:  # HTTP cannot tell whether this one is whole, but JSON can
            return head + b"\r\n" + body


class Cutter:
    """A server's play: it sends the response up to an offset, and breaks the connection. The retry gets all of it.

    It keeps that connection open if it can. So the next read is cut on a connection that was used before.
    """

    def __init__(self, framing: Framing, body: bytes, *, reset: bool) -> None:
        self.whole, self.reset = response(body, framing), reset
        self.keeps_alive = framing != "until the end"
        self.offset, self.requests = 0, 0

    def cut_at(self, offset: int) -> None:
        self.offset, self.requests = offset, 0

    async def __call__(self, connection: Connection) -> None:
        self.requests += 1
        if self.requests > 1:
            await connection.send(self.whole)
            if not self.keeps_alive:
                connection.hang_up()
            return
        await connection.send(self.whole[: self.offset])
        await settle()  # a reset discards what the client has not read by then
        connection.hang_up(reset=self.reset)


framings = pytest.mark.parametrize("framing", get_args(Framing))
ends = pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])


@ends
@framings
async def test_a_read_that_is_cut_after_any_byte_gets_its_page_by_a_retry(
    attack: Attack, framing: Framing, *, reset: bool
) -> None:
    cutter = Cutter(framing, PAGE, reset=reset)
    async with against(cutter, throttle=Unthrottled()) as (_, client):
        for offset in attack.points(range(len(cutter.whole) + 1), short=40):
            cutter.cut_at(offset)
            numbers = await client.list_phone_numbers("1234")
            assert numbers == [PhoneNumber("7", verified_name="Acme")]
            assert cutter.requests == (1 if offset == len(cutter.whole) else 2)
            attack.count("offsets")


@ends
@framings
async def test_a_write_that_is_cut_after_any_byte_is_sent_once_and_is_unknown_unless_its_response_is_whole(
    attack: Attack, framing: Framing, *, reset: bool
) -> None:
    cutter = Cutter(framing, CREATED, reset=reset)
    async with against(cutter, throttle=Unthrottled()) as (_, client):
        for offset in attack.points(range(len(cutter.whole) + 1), short=40):
            cutter.cut_at(offset)
            if offset == len(cutter.whole):
                assert await client.create_phone_number("1234", **NUMBER) == CreatedPhoneNumber("7")
            else:
                with pytest.raises(OutcomeUnknownError):
                    await client.create_phone_number("1234", **NUMBER)
            assert cutter.requests == 1
            attack.count("offsets")
