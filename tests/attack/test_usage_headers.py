"""Usage headers with absurd numbers: nothing but our own errors, and no header stops calls for more than a day."""

import asyncio
import json
from random import Random

import pytest
from attack import Attack
from misbehaving import Play, RawServer, respond

from wa_phone_async import PhoneNumberClient, RetryPolicy
from wa_phone_async.sandbox import VirtualTimeLoop

pytestmark = pytest.mark.unmeasured

DAY_SECONDS = 86_400.0
NUMBERS = ["0", "1", "-1", "99", "100", "101", "1000", "16000000", "900000000", "999999999", "1e9", "1e308", "1e999"]
NUMBERS += ["NaN", "Infinity", "-Infinity", "-0", "0.0001", "9" * 400, "true", "null", "[]", "{}", '"7"', '" 7 "']
NUMBERS += ['"1e5"', '"0x10"', '"\\uff11\\uff12"', '"soon"', "1_000", "01", '"1_000"', "86400", "86401", "1440", "1441"]
NAMES = ["call_count", "total_time", "total_cputime", "estimated_time_to_regain_access", "reset_time_duration"]
DATES = ["Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "tomorrow"]
DATES += ["Sun, 02 Jan 2000 00:00:01 GMT", "Sat, 01 Jan 2000 00:00:00 +9999", "Sat, 01 Jan 2000 00:00:00", ""]
PAGE = '{"data":[{"id":"7"}]}'


def entry(draw: Random) -> str:
    """An entry with large and odd numbers. Names may come twice."""
    kind = draw.choice(["whatsapp", "whatsapp", "whatsapp_business_management", "ads_management", ""])
    members = [f'"{draw.choice(NAMES)}":{draw.choice(NUMBERS)}' for _ in range(draw.choice([1, 2, 3, 6]))]
    return "{" + ",".join([f'"type":{json.dumps(kind)}', *members]) + "}"


def by_account(draw: Random) -> str:
    ids = draw.choice([["1234"], ["1234", "5678"], ["1234", "1234"], ["business"], [str(n) for n in range(32)]])
    entries = [f'"{id_}":[{",".join(entry(draw) for _ in range(draw.choice([0, 1, 1, 3])))}]' for id_ in ids]
    return "{" + ",".join(entries) + "}"


def headers(draw: Random) -> str:
    found = [
        f"X-Business-Use-Case-Usage: {by_account(draw)}",
        f"X-App-Usage: {entry(draw)}",
        f"Retry-After: {draw.choice([*NUMBERS, *DATES])}",
        f"Date: {draw.choice(DATES)}",
    ]
    lines = draw.sample(found, draw.randrange(1, 5))
    if draw.random() < 0.1:
        lines[0] = lines[0][: draw.randrange(len(lines[0].partition(": ")[0]) + 2, len(lines[0]) + 1)]
    return "".join(f"{line}\r\n" for line in lines)


def response(draw: Random) -> Play:
    """A page, or an error that throttles the account, the app or the token."""
    code = draw.choice([None, None, 80008, 80007, 4, 17, 613, 2])
    if code is None:
        return respond(PAGE, headers=headers(draw), then_close=True)
    error = json.dumps({"error": {"message": "no", "code": code}})
    return respond(error, status=draw.choice(["400 No", "429 No", "503 No"]), headers=headers(draw), then_close=True)


def test_no_header_stops_calls_for_more_than_a_day(attack: Attack) -> None:
    async def seconds_until_a_page(draw: Random) -> float:
        plays = [response(draw), respond(PAGE, then_close=True)]
        patient = RetryPolicy(max_attempts=3, max_wait=1e10)
        async with (
            RawServer(plays) as server,
            PhoneNumberClient("any", base_url=server.url, retry=patient) as client,
        ):
            async with asyncio.timeout(3 * DAY_SECONDS):
                for _ in range(2):
                    assert len(await client.list_phone_numbers("1234")) == 1
            return asyncio.get_running_loop().time()

    for draw in attack.rounds(short=150, seconds=20):
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            seconds = runner.run(seconds_until_a_page(draw))
        attack.count("responses")
        attack.measure("hours of waiting", seconds / 3600)
        assert seconds <= DAY_SECONDS + 60
