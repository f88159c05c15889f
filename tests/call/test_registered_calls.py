"""The ledger and the calls: what is reserved before a call, and which outcomes give it back."""

import asyncio
import logging
import re
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import QUICK, TOKEN, against, serving
from misbehaving import RawServer, hang, hang_up, respond, time_out

from wa_phone_async import (
    AuthenticationError,
    FileRegistrationLedger,
    InvalidArgumentError,
    LedgerError,
    OutcomeUnknownError,
    PhoneNumberClient,
    RateLimitError,
    Reservation,
    RetryPolicy,
    ServerError,
    Throttle,
    TransportError,
    WaPhoneError,
    Write,
)
from wa_phone_async.sandbox import SEEDED_PIN, Sandbox

ID = "300000001000000"
OK = respond('{"success": true}')

Call = Callable[[PhoneNumberClient], Awaitable[object]]


@pytest.fixture
def ledger(tmp_path: Path) -> FileRegistrationLedger:
    return FileRegistrationLedger(tmp_path / "registrations.db")


async def register(client: PhoneNumberClient) -> object:
    return await client.register(ID, pin=SEEDED_PIN)


def says(code: int, status: str = "400 Bad Request") -> Any:
    return respond(f'{{"error": {{"message": "No", "code": {code}}}}}', status=status)


CALLS: dict[str, Call] = {
    "register": register,
    "deregister": lambda client: client.deregister(ID),
    "post": lambda client: client.session.post(Write(path=f"{ID}/register", body={}), dict),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_each_registration_uses_one_of_ten(ledger: FileRegistrationLedger, call: Call) -> None:
    async with against(OK, registrations=ledger) as (server, client):
        for _ in range(10):
            await call(client)
        with pytest.raises(RateLimitError) as caught:
            await call(client)
        assert len(server.requests) == 10
    error = caught.value
    assert (error.sent, error.attempts, error.retryable, error.http_status) == (False, 0, False, None)
    assert 259_100 < (error.retry_after or 0) <= 259_200
    text = rf"Rate limit: number {ID} has used its 10 registrations and deregistrations of 72 hours, as the ledger "
    text += rf"counts them\. POST {ID}/\w+ was not sent\. The next one is possible at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d "
    assert re.match(text, str(error))
    assert (await ledger.usage(ID)).used == 10


async def test_other_writes_and_other_numbers_use_none(ledger: FileRegistrationLedger) -> None:
    async with against(OK, registrations=ledger) as (_, client):
        await client.request_code(ID)
        await client.verify_code(ID, "123830")
        await client.set_two_step_verification_pin(ID, SEEDED_PIN)
        await client.deregister("7")
    assert [usage.phone_number_id for usage in await ledger.usages()] == ["7"]


OUTCOMES = {
    "accepted": ([OK], None, 1),
    "lost": ([hang_up], OutcomeUnknownError, 1),
    "late": ([time_out], OutcomeUnknownError, 1),
    "invalid": ([respond("{")], OutcomeUnknownError, 1),
    "failed": ([says(1, "500 Error")], OutcomeUnknownError, 1),
    "failed before": ([says(131045, "500 Error")], ServerError, 1),
    "wrong PIN": ([says(133005)], WaPhoneError, 1),
    "no permission": ([says(200, "403 Forbidden")], WaPhoneError, 1),
    "a bare 429": ([respond("{}", status="429 Too Many Requests")], WaPhoneError, 1),
    "rejected token": ([says(190, "401 Unauthorized")], AuthenticationError, 0),
    "rejected token in a failure": ([says(190, "500 Error")], OutcomeUnknownError, 1),
    "a quota": ([says(80008)], RateLimitError, 0),
    "a block": ([says(133016)], RateLimitError, 10),
}


@pytest.mark.parametrize(("plays", "error", "used"), OUTCOMES.values(), ids=OUTCOMES)
async def test_what_an_outcome_uses(
    ledger: FileRegistrationLedger, plays: Any, error: type[Exception] | None, used: int
) -> None:
    once = RetryPolicy(max_attempts=1)
    async with against(*plays, registrations=ledger, retry=once) as (_, client):
        if error is None:
            await register(client)
        else:
            with pytest.raises(error):
                await register(client)
    assert (await ledger.usage(ID)).used == used


async def test_a_retry_is_reserved_too(ledger: FileRegistrationLedger) -> None:
    """Each attempt has a reservation of its own, and one that Meta did not count is given back."""
    at_once = "Retry-After: 0\r\n"
    throttled = respond('{"error": {"message": "No", "code": 4}}', status="400 Bad Request", headers=at_once)
    reserved = list[Reservation]()

    class Recorder:
        async def reserve(self, phone_number_id: str) -> Reservation | float:
            reservation = await ledger.reserve(phone_number_id)
            assert isinstance(reservation, Reservation)
            reserved.append(reservation)
            return reservation

        release, block = ledger.release, ledger.block

    async with against(throttled, throttled, OK, registrations=Recorder()) as (server, client):
        await register(client)
        assert len(server.requests) == len(set(reserved)) == 3
    assert (await ledger.usage(ID)).used == 1


async def test_without_a_connection_it_uses_none(ledger: FileRegistrationLedger) -> None:
    async with RawServer([]) as server:
        url = server.url
    async with PhoneNumberClient(TOKEN, base_url=url, registrations=ledger, retry=QUICK) as client:
        with pytest.raises(TransportError):
            await register(client)
    assert (await ledger.usage(ID)).used == 0


async def test_cancelled_before_it_was_sent_it_uses_none_and_afterwards_one(ledger: FileRegistrationLedger) -> None:
    async with against(hang, registrations=ledger) as (server, client):
        task = asyncio.ensure_future(register(client))
        await server.received.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ledger.usage(ID)).used == 1
        url = server.url.replace("http:", "https:")  # no TLS comes about, so nothing is sent
        async with PhoneNumberClient(TOKEN, base_url=url, registrations=ledger) as waiting:
            task = asyncio.ensure_future(register(waiting))
            while (await ledger.usage(ID)).used < 2:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert (await ledger.usage(ID)).used == 1


async def test_a_block_of_meta_is_learned(ledger: FileRegistrationLedger) -> None:
    async with (
        serving(registrations=ledger) as (sandbox, client),
        PhoneNumberClient("o", base_url=sandbox.url) as other,
    ):
        for _ in range(10):
            await register(other)
        with pytest.raises(RateLimitError) as rejected:
            await register(client)
        assert (rejected.value.sent, rejected.value.code) == (True, 133016)
        sent = len(sandbox.requests)
        with pytest.raises(RateLimitError) as caught:
            await client.deregister(ID)
        assert (caught.value.sent, len(sandbox.requests)) == (False, sent)
        assert 259_100 < (caught.value.retry_after or 0) <= 259_200


async def test_a_block_lasts_as_long_as_its_text_says(ledger: FileRegistrationLedger) -> None:
    text = '{"error": {"message": "Try again in 2 hours.", "code": 133016}}'
    async with against(respond(text, status="400 Bad Request"), registrations=ledger) as (_, client):
        with pytest.raises(RateLimitError):
            await register(client)
    assert (await ledger.usage(ID)).wait == pytest.approx(7200, abs=60)


class Failing:
    """A ledger of a user, which fails at one of its methods."""

    def __init__(self, method: str, error: Exception) -> None:
        self.method, self.error = method, error

    async def reserve(self, phone_number_id: str) -> Reservation | float:
        return self._do("reserve", Reservation(phone_number_id, "1"))

    async def release(self, reservation: Reservation) -> None:
        self._do("release", reservation)

    async def block(self, phone_number_id: str, seconds: float) -> None:
        self._do("block", Reservation(phone_number_id, str(seconds)))

    def _do(self, method: str, reservation: Reservation) -> Reservation:
        if method == self.method:
            raise self.error
        return reservation


@pytest.mark.parametrize("error", [LedgerError("mine", "it is away", "Wait."), RuntimeError("a mistake")])
async def test_nothing_is_sent_if_the_ledger_fails(error: Exception) -> None:
    async with against(OK, registrations=Failing("reserve", error)) as (server, client):
        with pytest.raises(type(error)) as caught:
            await register(client)
        assert server.requests == []
        assert caught.value is error


@pytest.mark.parametrize(("method", "code"), [("release", 190), ("block", 133016)])
async def test_a_ledger_that_fails_afterwards_is_only_logged(
    method: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with against(says(code), registrations=Failing(method, OSError("full"))) as (_, client):
        with pytest.raises(WaPhoneError) as caught, caplog.at_level(logging.WARNING, "wa_phone_async"):
            await register(client)
    assert caught.value.code == code  # type: ignore[attr-defined]  # it is an API error
    assert caplog.messages == [f"{ID} was not noted in the ledger of registrations: full"]


@pytest.mark.parametrize("value", ["redis://", FileRegistrationLedger, Throttle()])
def test_the_setting_is_checked(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"registrations must be an instance of RegistrationLedger, such as"):
        PhoneNumberClient(TOKEN, registrations=value)


def test_the_environment_takes_it_too(ledger: FileRegistrationLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WA_ACCESS_TOKEN", TOKEN)
    assert PhoneNumberClient.from_env(registrations=ledger)


PROCESS = """
    import asyncio, sys
    from wa_phone_async import FileRegistrationLedger, PhoneNumberClient, RateLimitError

    async def main(url, path, number_id, pin):
        async with PhoneNumberClient("t", base_url=url, registrations=FileRegistrationLedger(path)) as client:
            print("ready", flush=True)
            sys.stdin.readline()
            for _ in range(8):
                try:
                    await client.register(number_id, pin=pin)
                    print("registered")
                except RateLimitError as error:
                    print("not sent", error.sent, round(error.retry_after / 3600))

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def processes(graph_sandbox: Sandbox, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    arguments = [graph_sandbox.url, str(tmp_path / "registrations.db"), ID, SEEDED_PIN]
    command = [sys.executable, "-c", textwrap.dedent(PROCESS), *arguments]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


async def test_two_processes_that_register_the_same_number_share_the_ten(
    graph_sandbox: Sandbox, processes: list[subprocess.Popen[str]]
) -> None:
    for process in processes:
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"  # type: ignore[union-attr]  # a pipe
    outputs = await asyncio.gather(*[asyncio.to_thread(each.communicate, "\n", timeout=30) for each in processes])
    lines = [line for output, _ in outputs for line in output.splitlines()]
    assert sorted(set(lines)) == ["not sent False 72", "registered"]
    assert (len(lines), lines.count("registered"), len(graph_sandbox.requests)) == (16, 10, 10)
