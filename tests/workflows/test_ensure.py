"""An account has a number exactly once: it is found, created or recovered, even if responses are lost."""

import asyncio
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Unpack

import attrs
import clients
import pytest
from clients import TOKEN
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import RawServer, hang

from wa_phone_async import (
    ALL_FIELDS,
    AmbiguousNumberError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    CreatedPhoneNumber,
    EnsuredPhoneNumber,
    GraphSession,
    InvalidArgumentError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    TransportError,
    Write,
    from_dict,
    to_dict,
)
from wa_phone_async.client import Settings
from wa_phone_async.errors import WaPhoneError
from wa_phone_async.phone_digits import GivenNumber, read_phone_number
from wa_phone_async.sandbox import EMPTY_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.faults import NO_FAULT
from wa_phone_async.workflows.ensure import EnsurePlan, Ensurer

DIGITS = "16315551000"
NUMBER: dict[str, Any] = {"phone_number": DIGITS, "verified_name": "Acme", "cc": "1"}
QUICK = RetryPolicy(first_wait=0.001, max_attempts=3)
LOST = Fault.drop_after()
NOT_DONE = Fault.drop_before()
EXISTS = Fault.error(100, "This phone number is already registered", status=409)


@asynccontextmanager
async def serving(**settings: Unpack[Settings]) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    """A sandbox and a client of it. At the end, no work is left."""
    settings = {"retry": QUICK, **settings}
    async with clients.serving(**settings) as (sandbox, client):
        yield sandbox, client
        await client.aclose()
        assert shared_tasks() == []
        assert client._ensurer._works.get() == {}


def shared_tasks() -> list[asyncio.Task[Any]]:
    """The running tasks that ensure a number."""
    return [task for task in asyncio.all_tasks() if "_SharedEnsure" in repr(task.get_coro())]


def plan(sandbox: Sandbox, *, get: Iterable[Fault] = (), post: Iterable[Fault] = ()) -> None:
    """Plan the faults of the next lists and of the next creates."""
    for method, faults in (("GET", get), ("POST", post)):
        for fault in faults:
            sandbox.plan(fault, method=method)


def methods(sandbox: Sandbox) -> str:
    """The requests in order: `G` for a list and `P` for a create."""
    return "".join(request.method[0] for request in sandbox.requests)


def at(sandbox: Sandbox) -> list[float]:
    return [round(request.at, 1) for request in sandbox.requests]


async def until(condition: Callable[[], object]) -> None:
    """Let time pass until the condition is true."""
    while not condition():
        await asyncio.sleep(0.001)


Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture
def run(virtual_time: asyncio.Runner) -> Run:
    """A function that runs a test in virtual time: its waits take no real time."""

    async def awaited(main: Callable[[], Awaitable[None]]) -> None:
        await main()

    return lambda main: virtual_time.run(awaited(main))


# Found and created


async def test_a_missing_number_is_created_and_returned_as_it_is_listed() -> None:
    async with serving() as (sandbox, client):
        ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
        [listed] = await client.list_phone_numbers(EMPTY_WABA)
        assert ensured == EnsuredPhoneNumber(phone_number=listed, outcome="created")
        assert ensured.phone_number.display_phone_number == DIGITS
        assert ensured.phone_number.code_verification_status == "NOT_VERIFIED"
        assert [effect.id for effect in sandbox.created] == [listed.id]
        assert methods(sandbox) == "GPGG"
    assert from_dict(EnsuredPhoneNumber, to_dict(ensured)) == ensured


@pytest.mark.parametrize(
    "displayed", ["+1 631-555-1000", "16315551000", "+1 (631) 555.1000", "\u202a+1 631\u2011555\u20111000\u202c"]
)
@pytest.mark.parametrize("number", [{"phone_number": DIGITS}, {"phone_number": "6315551000", "cc": "1"}, NUMBER])
async def test_a_number_of_the_account_is_found_in_any_format(displayed: str, number: dict[str, Any]) -> None:
    async with serving() as (sandbox, client):
        sandbox.add_waba(EMPTY_WABA, [{"display_phone_number": displayed, "verified_name": "Older"}])
        ensured = await client.ensure_phone_number(EMPTY_WABA, **{"verified_name": "Newer", **number})
        assert ensured.outcome == "found"
        assert ensured.phone_number.verified_name == "Older"
        assert methods(sandbox) == "G"


@pytest.mark.parametrize("links", [True, False])
async def test_all_pages_of_the_list_are_searched(links: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    others = [{"display_phone_number": f"+1 631-555-{2000 + index}"} for index in range(205)]
    async with Sandbox(links=links) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        sandbox.add_waba(EMPTY_WABA, [{"display_phone_number": "+1 631-555-1000"}, *others])
        ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER, follow="next" if links else "after")
        assert ensured.outcome == "found"
        assert "P" not in methods(sandbox)


@pytest.mark.parametrize("mode", ["live", "reference"])
@pytest.mark.parametrize("fields", ["id,status", ["status", "display_phone_number"], ALL_FIELDS])
async def test_the_number_has_the_requested_fields_and_those_needed_to_compare(mode: Any, fields: Any) -> None:
    async with Sandbox(mode=mode) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        created = await client.ensure_phone_number(EMPTY_WABA, **NUMBER, fields=fields)
        found = await client.ensure_phone_number(EMPTY_WABA, **NUMBER, fields=fields)
        assert [created.outcome, found.outcome] == ["created", "found"]
        assert found.phone_number == created.phone_number
        assert (found.phone_number.status, found.phone_number.display_phone_number) == ("PENDING", DIGITS)


async def test_all_arguments_of_a_create_are_sent() -> None:
    async with serving() as (sandbox, client):
        await client.ensure_phone_number(
            EMPTY_WABA, phone_number=DIGITS, cc="1", migrate_phone_number=True, preverified_id="77"
        )
        [request] = [request for request in sandbox.requests if request.method == "POST"]
        assert request.json() == {
            "phone_number": DIGITS,
            "cc": "1",
            "migrate_phone_number": True,
            "preverified_id": "77",
        }


def test_a_new_number_that_is_not_listed_in_time_has_only_an_id(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, get=[NO_FAULT, *[Fault.raw('{"data":[]}')] * 4])
            ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            [created] = sandbox.created
            assert ensured == EnsuredPhoneNumber(PhoneNumber(id=created.id), "created")
            assert at(sandbox) == [0, 0, 0, 1, 3, 7]

    run(main)


async def test_a_new_number_whose_list_fails_has_only_an_id() -> None:
    async with serving() as (sandbox, client):
        plan(sandbox, get=[NO_FAULT, Fault.error(10)])
        ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
        [created] = sandbox.created
        assert ensured == EnsuredPhoneNumber(PhoneNumber(id=created.id), "created")


# Similar numbers


async def test_a_number_shown_without_its_ninth_digit_is_found() -> None:
    async with serving() as (sandbox, client):
        sandbox.add_waba(EMPTY_WABA, [{"id": "7", "display_phone_number": "+55 11 9876-5432"}])
        ensured = await client.ensure_phone_number(
            EMPTY_WABA, phone_number="11998765432", verified_name="Acme", cc="55"
        )
        assert (ensured.outcome, ensured.phone_number.id) == ("found", "7")


async def test_an_exact_match_wins_over_a_loose_one() -> None:
    async with serving() as (sandbox, client):
        rows = [
            {"id": "7", "display_phone_number": "+55 11 9876-5432"},
            {"id": "8", "display_phone_number": "+55 11 99876-5432"},
        ]
        sandbox.add_waba(EMPTY_WABA, rows)
        for digits, number_id in (("5511998765432", "8"), ("551198765432", "7")):
            ensured = await client.ensure_phone_number(EMPTY_WABA, phone_number=digits, verified_name="Acme")
            assert (ensured.outcome, ensured.phone_number.id) == ("found", number_id)


async def test_two_candidates_are_an_error_and_never_a_guess() -> None:
    async with serving() as (sandbox, client):
        rows = [{"id": "7", "display_phone_number": "+1 631-555-1000"}, {"id": "8", "display_phone_number": DIGITS}]
        sandbox.add_waba(EMPTY_WABA, rows)
        with pytest.raises(AmbiguousNumberError) as caught:
            await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
        assert methods(sandbox) == "G"
    error = caught.value
    assert (error.waba_id, error.phone_number) == (EMPTY_WABA, DIGITS)
    assert set(error.phone_number_ids) == {"7", "8"}
    assert f"2 numbers of {EMPTY_WABA} match {DIGITS}: continue with one of the ids " in str(error)


async def test_without_its_country_code_a_number_that_may_exist_is_not_created() -> None:
    async with serving() as (sandbox, client):
        rows = [{"id": "8"}, {"id": "7", "display_phone_number": "+1 631-555-3000"}]
        sandbox.add_waba(EMPTY_WABA, rows)
        with pytest.raises(AmbiguousNumberError) as caught:
            await client.ensure_phone_number(EMPTY_WABA, phone_number="6315553000", verified_name="Acme")
        assert methods(sandbox) == "G"
        error = caught.value
        assert (error.waba_id, error.phone_number, error.phone_number_ids) == (EMPTY_WABA, "6315553000", ("7",))
        assert str(error) == (
            f"6315553000 may be +1 631-555-3000 of {EMPTY_WABA} without its country code: "
            "pass cc='1' if it is that number, or the country code that it really has"
        )
        found = await client.ensure_phone_number(EMPTY_WABA, phone_number="6315553000", verified_name="Acme", cc="1")
        assert (found.outcome, found.phone_number.id) == ("found", "7")
        other = await client.ensure_phone_number(EMPTY_WABA, phone_number="6315553000", verified_name="Acme", cc="63")
        assert other.outcome == "created"


async def test_without_a_country_code_a_number_with_equal_digits_is_found() -> None:
    async with serving() as (sandbox, client):
        rows = [
            {"id": "7", "display_phone_number": "+1 631-555-3000"},
            {"id": "8", "display_phone_number": "6315553000"},
        ]
        sandbox.add_waba(EMPTY_WABA, rows)
        found = await client.ensure_phone_number(EMPTY_WABA, phone_number="6315553000", verified_name="Acme")
        assert (found.outcome, found.phone_number.id) == ("found", "8")


async def test_a_lost_create_without_a_country_code_is_not_sent_twice_if_one_with_a_code_is_listed() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(NO_FAULT, method="GET")
        sandbox.plan(Fault.raw('{"data":[{"id":"7","display_phone_number":"+1 631-555-3000"}]}'), method="GET")
        sandbox.plan(NOT_DONE, method="POST")
        with pytest.raises(AmbiguousNumberError):
            await client.ensure_phone_number(EMPTY_WABA, phone_number="6315553000", verified_name="Acme")
        assert methods(sandbox) == "GPG"


@pytest.mark.parametrize("fault", [LOST, EXISTS], ids=["lost", "rejected"])
async def test_two_candidates_are_an_error_in_a_recheck_too(fault: Fault) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(NO_FAULT, method="GET")
        twice = '{"data":[{"id":"7","display_phone_number":"%s"},{"id":"8","display_phone_number":"%s"}]}'
        plan(sandbox, get=[Fault.raw(twice % (DIGITS, DIGITS))], post=[fault])
        with pytest.raises(AmbiguousNumberError):
            await client.ensure_phone_number(EMPTY_WABA, **NUMBER)


# A number that begins with its own country code

BOTH_WAYS = [  # digits that are a number without and with the country code
    ("9123456789", "91"),
    ("7012345678", "7"),
    ("55987654321", "55"),
    ("47123456", "47"),
    ("492112345", "49"),
    ("3912345678", "39"),
    ("6612345678", "66"),
]
INDIAN: dict[str, Any] = {"phone_number": "9123456789", "cc": "91", "verified_name": "Acme"}
INDIAN_WITH_PLUS: dict[str, Any] = {**INDIAN, "phone_number": "+91 91234 56789"}


@pytest.mark.parametrize(("digits", "cc"), BOTH_WAYS)
async def test_with_cc_a_number_is_found_with_and_without_its_country_code(digits: str, cc: str) -> None:
    for listed in (f"+{cc} {digits}", f"+{digits}"):
        async with serving() as (sandbox, client):
            sandbox.add_waba(EMPTY_WABA, [{"id": "7", "display_phone_number": listed}])
            ensured = await client.ensure_phone_number(EMPTY_WABA, phone_number=digits, cc=cc, verified_name="Acme")
            assert (ensured.outcome, ensured.phone_number.id) == ("found", "7")
            assert methods(sandbox) == "G"


@pytest.mark.parametrize(("digits", "cc"), BOTH_WAYS)
async def test_two_listed_readings_are_an_error_and_a_plus_chooses_one(digits: str, cc: str) -> None:
    async with serving() as (sandbox, client):
        rows = [
            {"id": "7", "display_phone_number": f"+{cc} {digits}"},
            {"id": "8", "display_phone_number": f"+{digits}"},
        ]
        sandbox.add_waba(EMPTY_WABA, rows)
        number: dict[str, Any] = {"cc": cc, "verified_name": "Acme"}
        with pytest.raises(AmbiguousNumberError) as caught:
            await client.ensure_phone_number(EMPTY_WABA, phone_number=digits, **number)
        assert set(caught.value.phone_number_ids) == {"7", "8"}
        assert str(caught.value) == (
            f"2 numbers of {EMPTY_WABA} match {digits}: continue with one of the ids "
            f"{', '.join(caught.value.phone_number_ids)}, or pass the number with + and its country code"
        )
        for text, number_id in ((f"+{cc}{digits}", "7"), (f"+{digits}", "8")):
            ensured = await client.ensure_phone_number(EMPTY_WABA, phone_number=text, **number)
            assert (ensured.outcome, ensured.phone_number.id) == ("found", number_id)
        assert methods(sandbox) == "GGG"


@pytest.mark.parametrize(("digits", "cc"), BOTH_WAYS)
@pytest.mark.parametrize("fault", [NO_FAULT, LOST, EXISTS], ids=["created", "lost", "rejected"])
async def test_such_a_number_is_sent_as_it_was_given_with_cc_and_only_once(digits: str, cc: str, fault: Fault) -> None:
    async with serving() as (sandbox, client):
        plan(sandbox, post=[fault])
        if fault is EXISTS:  # somebody else creates it meanwhile
            listed = json.dumps({"data": [{"id": "7", "display_phone_number": f"+{cc}{digits}"}]})
            plan(sandbox, get=[NO_FAULT, Fault.raw(listed)])
        ensured = await client.ensure_phone_number(EMPTY_WABA, phone_number=digits, cc=cc, verified_name="Acme")
        [create] = [request.json() for request in sandbox.requests if request.method == "POST"]
        assert create == {"phone_number": digits, "cc": cc, "verified_name": "Acme"}
        assert len(sandbox.created) == (fault is not EXISTS)
        assert ensured.phone_number.id == (sandbox.created[0].id if sandbox.created else "7")


async def test_a_plus_number_is_created_beside_the_other_reading() -> None:
    async with serving() as (sandbox, client):
        sandbox.add_waba(EMPTY_WABA, [{"display_phone_number": "+91 23456789"}])
        ensured = await client.ensure_phone_number(EMPTY_WABA, **INDIAN_WITH_PLUS)
        assert ensured.outcome == "created"
        assert [created.phone_number for created in sandbox.created] == ["919123456789"]


@pytest.mark.parametrize(
    ("number", "displayed"),
    [
        ({"phone_number": "5512345678", "cc": "52"}, "+52 1 55 1234 5678"),
        ({"phone_number": "15512345678", "cc": "52"}, "+52 55 1234 5678"),
        ({"phone_number": "+52 1 55 1234 5678"}, "+52 55 1234 5678"),
        ({"phone_number": "525512345678", "cc": "+52"}, "+52 1 55 1234 5678"),
        ({"phone_number": "1123456789", "cc": "54"}, "+54 9 11 2345-6789"),
        ({"phone_number": "91123456789", "cc": "54"}, "+54 11 2345-6789"),
        ({"phone_number": "+54 9 351 423 4567"}, "+54 351 423-4567"),
        ({"phone_number": "0612345678", "cc": "39"}, "+39 06 1234 5678"),
        ({"phone_number": "+39 06 1234 5678"}, "390612345678"),
        ({"phone_number": "0102030405", "cc": "225"}, "+225 01 02 03 04 05"),
    ],
)
async def test_a_number_is_found_as_its_country_writes_it(number: dict[str, Any], displayed: str) -> None:
    async with serving() as (sandbox, client):
        sandbox.add_waba(EMPTY_WABA, [{"id": "7", "display_phone_number": displayed}])
        ensured = await client.ensure_phone_number(EMPTY_WABA, verified_name="Acme", **number)
        assert (ensured.outcome, ensured.phone_number.id) == ("found", "7")
        assert methods(sandbox) == "G"


@attrs.define
class Account:
    """An account that takes a number in one of its readings, and loses responses."""

    numbers: list[str]
    effect: str
    """The reading that a create makes."""
    faults: list[str]
    """What becomes of each create: `done`, `lost before` its effect or `lost after` it."""
    creates: int = 0

    async def list_numbers(self, seconds: float | None) -> list[PhoneNumber]:
        del seconds
        return [PhoneNumber(id=digits, display_phone_number=f"+{digits}") for digits in self.numbers]

    async def create(self, seconds: float | None) -> CreatedPhoneNumber:
        del seconds
        self.creates += 1
        fault = self.faults.pop(0) if self.faults else "done"
        if fault != "lost before":
            assert self.effect not in self.numbers  # or the API would reject it
            self.numbers.append(self.effect)
        if fault != "done":
            raise OutcomeUnknownError("lost", waba_id="1", phone_number="", reason="lost")
        return CreatedPhoneNumber(id=self.effect)


@st.composite
def given_numbers(draw: st.DrawFn) -> GivenNumber:
    """Numbers with and without `+`, of which many begin with their own country code."""
    cc = draw(st.sampled_from(["1", "7", "39", "47", "49", "52", "54", "55", "62", "91", "225", "354", "880"]))
    digits = draw(st.sampled_from(["", cc])) + draw(st.from_regex(r"[1-9][0-9]{6,8}", fullmatch=True))
    return read_phone_number(draw(st.sampled_from([digits, f"+{cc}{digits}"])), cc)


@given(
    given_numbers(),
    st.lists(st.sampled_from(["lost before", "lost after", "done"]), max_size=3),
    st.sets(st.integers(0, 1)),
    st.integers(0, 1),
)
def test_whatever_reading_the_api_takes_the_number_is_there_once(
    number: GivenNumber, faults: list[str], listed: set[int], effect: int
) -> None:
    readings = number.readings
    there = [readings[index] for index in sorted(listed) if index < len(readings)]
    account = Account(list(there), readings[effect % len(readings)], list(faults))
    plan = EnsurePlan(
        waba_id="1",
        phone_number=number.digits,
        readings=readings,
        has_code=number.has_code,
        write=Write(path="1/phone_numbers", body={}),
        list_numbers=account.list_numbers,
        create=account.create,
        recheck_delays=(),
    )
    try:
        ensured = asyncio.run(Ensurer().ensure(plan, total_timeout=None))
    except AmbiguousNumberError:
        assert len(there) == 2
    except OutcomeUnknownError:
        assert faults[:2] == ["lost before", "lost before"]
        assert account.creates == 2
        assert account.numbers == []
    else:
        assert [ensured.phone_number.id] == account.numbers
        assert account.creates == (0 if there else 2 if faults[:1] == ["lost before"] else 1)
    assert account.creates == 0 or not there


# After a lost response


async def test_a_create_whose_response_was_lost_is_recovered_by_a_recheck() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(LOST, method="POST")
        ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
        assert ensured.outcome == "recovered"
        assert [effect.id for effect in sandbox.created] == [ensured.phone_number.id]
        assert methods(sandbox) == "GPG"


def test_a_create_that_was_lost_before_its_effect_is_sent_again_after_four_rechecks(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(NOT_DONE, method="POST")
            ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert ensured.outcome == "created"
            assert [effect.id for effect in sandbox.created] == [ensured.phone_number.id]
            assert methods(sandbox) == "GPGGGGPG"
            assert at(sandbox) == [0, 0, 0, 1, 3, 7, 7, 7]

    run(main)


@pytest.mark.parametrize(("recheck_delays", "rechecks"), [((), 1), ([0], 2), (iter([5, 0.5]), 3)])
def test_recheck_delays_set_the_number_of_rechecks(run: Run, recheck_delays: Any, rechecks: int) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(NOT_DONE, method="POST")
            await client.ensure_phone_number(EMPTY_WABA, **NUMBER, recheck_delays=recheck_delays)
            assert methods(sandbox) == f"GP{'G' * rechecks}PG"

    run(main)


@pytest.mark.parametrize("mode", ["live", "reference"])
def test_after_a_conflict_of_the_second_create_the_number_is_recovered(run: Run, mode: Any) -> None:
    async def main() -> None:
        async with Sandbox(mode=mode) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            await client.list_phone_numbers(EMPTY_WABA)  # the client now knows which fields the server has
            sandbox.requests.clear()
            plan(sandbox, post=[LOST], get=[NO_FAULT])
            sandbox.plan(Fault.raw('{"data":[]}'), times=4, method="GET")  # a list that lags
            ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert ensured.outcome == "recovered"
            assert [effect.id for effect in sandbox.created] == [ensured.phone_number.id]
            assert methods(sandbox) == "GPGGGGPG"

    run(main)


def test_a_second_create_that_is_lost_too_is_recovered_by_a_recheck(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, post=[NOT_DONE, LOST])
            ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert ensured.outcome == "recovered"
            assert methods(sandbox) == "GPGGGGPG"

    run(main)


def test_two_lost_creates_without_a_match_are_an_unknown_outcome(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(NOT_DONE, times=2, method="POST")
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert methods(sandbox) == "GPGGGGPGGGG"
            error = caught.value
            assert (error.waba_id, error.phone_number) == (EMPTY_WABA, DIGITS)
            assert error.reason == "the connection broke before the response"
            assert f"{DIGITS} may have been created. List the numbers of {EMPTY_WABA}" in str(error)
            assert isinstance(error.__cause__, OutcomeUnknownError)
            assert (await client.ensure_phone_number(EMPTY_WABA, **NUMBER)).outcome == "created"

    run(main)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (EXISTS, ConflictError),  # and the list does not show it
        (Fault.error(10), PermissionDeniedError),
        (Fault.error(131048), RateLimitError),
        (Fault.error(100), BadRequestError),
        (Fault.error(100, status=500), ServerError),
    ],
    ids=["conflict", "permission", "limit", "request", "server"],
)
def test_after_a_lost_response_no_rejection_says_that_nothing_happened(
    run: Run, fault: Fault, kind: type[WaPhoneError]
) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, post=[NOT_DONE, fault])
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert type(caught.value.__cause__) is kind

    run(main)


def test_without_a_successful_recheck_it_does_not_create_again(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, post=[NOT_DONE], get=[NO_FAULT, *[Fault.status(503)] * 99])
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert isinstance(caught.value.__cause__, ServerError)
            assert methods(sandbox) == "GP" + "G" * 12  # four rechecks of three attempts each

    run(main)


def test_after_a_recheck_that_fails_a_later_one_finds_the_number(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, post=[LOST], get=[NO_FAULT, *[Fault.status(503)] * 4])
            ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert ensured.outcome == "recovered"
            assert methods(sandbox) == "GPGGGGG"

    run(main)


async def test_a_lasting_error_of_the_list_ends_the_rechecks() -> None:
    async with serving() as (sandbox, client):
        plan(sandbox, post=[LOST], get=[NO_FAULT, Fault.error(10)])
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
        assert isinstance(caught.value.__cause__, PermissionDeniedError)
        assert methods(sandbox) == "GPG"


@pytest.mark.parametrize(("method", "outcome"), [("POST", "unknown"), (None, "created")])
async def test_a_token_provider_that_fails_after_the_create_loses_no_result(method: str | None, outcome: str) -> None:
    calls = 0

    def provide(*_: object) -> str:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise LookupError("no token left")
        return TOKEN

    async with Sandbox() as sandbox, PhoneNumberClient(provide, base_url=sandbox.url) as client:
        if method is not None:
            sandbox.plan(LOST, method=method)
        [ended] = await asyncio.gather(client.ensure_phone_number(EMPTY_WABA, **NUMBER), return_exceptions=True)
        [created] = sandbox.created
    if outcome == "created":
        assert ended == EnsuredPhoneNumber(PhoneNumber(id=created.id), "created")
    else:
        assert isinstance(ended, OutcomeUnknownError)
        assert isinstance(ended.__cause__, LookupError)


@pytest.mark.parametrize("first", [EXISTS, NOT_DONE], ids=["conflict", "lost"])
@pytest.mark.parametrize("second", [EXISTS, NOT_DONE], ids=["conflict", "lost"])
@pytest.mark.parametrize("reads", [Fault.error(10), Fault.status(503), Fault.raw('{"data":[]}')], ids=str)
def test_no_error_has_itself_in_its_chain(run: Run, first: Fault, second: Fault, reads: Fault) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, post=[first, second], get=[NO_FAULT])
            if first is not EXISTS:
                sandbox.plan(NO_FAULT, method="GET", times=4)
            sandbox.plan(reads, method="GET", times=99)
            with pytest.raises(WaPhoneError) as caught:
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            error: BaseException | None = caught.value
            seen = list[BaseException]()
            while error is not None:
                assert error not in seen
                seen.append(error)
                error = error.__cause__ or error.__context__

    run(main)


# Rejections without a lost response


@pytest.mark.parametrize("fault", [EXISTS, Fault.error(2388012)], ids=["reference", "live"])
def test_a_conflict_of_the_first_create_is_raised_if_the_number_is_not_listed(run: Run, fault: Fault) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(fault, method="POST")
            with pytest.raises(ConflictError) as caught:
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert caught.value.__cause__ is None
            assert methods(sandbox) == "GPGGGG"

    run(main)


def test_after_a_conflict_of_the_first_create_a_number_that_is_listed_late_is_found(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            await client.create_phone_number(EMPTY_WABA, **NUMBER)
            sandbox.plan(Fault.raw('{"data":[]}'), times=3, method="GET")
            ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
            assert ensured.outcome == "found"
            assert methods(sandbox) == "PGPGGG"

    run(main)


async def test_a_conflict_of_the_first_create_says_why_the_recheck_failed() -> None:
    async with serving() as (sandbox, client):
        plan(sandbox, post=[EXISTS], get=[NO_FAULT, Fault.error(10)])
        with pytest.raises(ConflictError) as caught:
            await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
        assert isinstance(caught.value.__cause__, PermissionDeniedError)


@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.error(10), PermissionDeniedError), (Fault.error(100), BadRequestError)]
)
@pytest.mark.parametrize(("method", "calls"), [("GET", "G"), ("POST", "GP")])
async def test_any_other_rejection_is_raised_unchanged(
    fault: Fault, kind: type[WaPhoneError], method: str, calls: str
) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(fault, method=method)
        with pytest.raises(WaPhoneError) as caught:
            await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
        assert type(caught.value) is kind
        assert (methods(sandbox), sandbox.created) == (calls, [])


async def test_without_a_server_it_is_a_transport_error() -> None:
    async with RawServer([hang]) as server:
        url = server.url
    async with PhoneNumberClient(TOKEN, base_url=url, retry=QUICK) as client:
        with pytest.raises(TransportError, match="cannot connect"):
            await client.ensure_phone_number("1234", **NUMBER)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phone_number": "16315551000 x5"}, "phone_number must be 7 to 15 digits"),
        ({"verified_name": None}, "verified_name must be 2 to 75 characters long: only a migration"),
        ({"cc": "US"}, "cc must be a country's dial code"),
        (
            {"phone_number": "163155510001234", "cc": "44"},
            "phone_number must be at most 15 digits long together with cc, not 17",
        ),
        ({"fields": "a b"}, "fields must be names"),
        ({"follow": "before"}, "follow must be 'next' or 'after'"),
        ({"recheck_delays": 3}, r"recheck_delays must be seconds to wait, such as \(1, 2, 4\), not 3"),
        ({"recheck_delays": "123"}, "recheck_delays must be"),
        ({"recheck_delays": [True]}, "recheck_delays must be"),
        ({"recheck_delays": [-1]}, "recheck_delays must be"),
        ({"recheck_delays": [float("inf")]}, "recheck_delays must be"),
        ({"recheck_delays": [float("nan")]}, "recheck_delays must be"),
        ({"total_timeout": 0}, "total_timeout must be a number of seconds above 0"),
    ],
)
async def test_an_invalid_argument_is_an_error_before_any_request(arguments: dict[str, Any], message: str) -> None:
    async with serving() as (sandbox, client):
        with pytest.raises(InvalidArgumentError, match=message):
            await client.ensure_phone_number(EMPTY_WABA, **{**NUMBER, **arguments})
        with pytest.raises(InvalidArgumentError, match="waba_id must be"):
            await client.ensure_phone_number("me", **NUMBER)
        assert sandbox.requests == []


# Concurrent callers


async def test_concurrent_callers_create_one_number_and_one_of_them_gets_created() -> None:
    async with serving() as (sandbox, client):
        ensured = await asyncio.gather(
            *(client.ensure_phone_number(EMPTY_WABA, **NUMBER) for _ in range(20)),
            client.ensure_phone_number(EMPTY_WABA, phone_number="6315551000", cc="1", verified_name="Another name"),
        )
        assert Counter(each.outcome for each in ensured) == {"created": 1, "found": 20}
        assert ensured[0].outcome == "created"
        assert len({each.phone_number for each in ensured}) == 1
        assert ensured[-1].phone_number.verified_name == "Acme"  # from the arguments of the first call
        assert methods(sandbox) == "GPG"


async def test_callers_with_both_forms_of_a_number_create_one() -> None:
    async with serving() as (sandbox, client):
        one, other = await asyncio.gather(
            client.ensure_phone_number(EMPTY_WABA, phone_number="5511998765432", verified_name="Acme"),
            client.ensure_phone_number(EMPTY_WABA, phone_number="551198765432", verified_name="Acme"),
        )
        assert (one.outcome, other.outcome) == ("created", "found")
        assert len(sandbox.created) == 1


@pytest.mark.parametrize("phone_number", ["+91 91234 56789", "919123456789"])
async def test_callers_with_a_reading_in_common_create_one_number(phone_number: str) -> None:
    for order in (1, -1):
        async with serving() as (sandbox, client):
            numbers = [INDIAN, {**INDIAN, "phone_number": phone_number}][::order]
            ensured = await asyncio.gather(*(client.ensure_phone_number(EMPTY_WABA, **number) for number in numbers))
            assert Counter(each.outcome for each in ensured) == {"created": 1, "found": 1}
            assert [created.phone_number for created in sandbox.created] == ["919123456789"]
            assert methods(sandbox).count("P") == 1


async def test_callers_who_share_a_reading_but_not_the_number_get_one_each() -> None:
    async with serving() as (sandbox, client):
        sandbox.add_waba(EMPTY_WABA, [{"id": "7", "display_phone_number": "+91 91234 56789"}])
        given, short = await asyncio.gather(
            client.ensure_phone_number(EMPTY_WABA, **INDIAN),
            client.ensure_phone_number(EMPTY_WABA, phone_number="+9123456789", verified_name="Acme"),
        )
        assert (given.outcome, given.phone_number.id) == ("found", "7")
        assert short.outcome == "created"
        assert [created.phone_number for created in sandbox.created] == ["9123456789"]


async def test_an_error_for_a_reading_is_not_that_of_a_caller_without_it() -> None:
    async with serving() as (sandbox, client):
        rows = [
            {"id": "7", "display_phone_number": "+9123456789"},
            {"id": "8", "display_phone_number": "+919123456789"},
        ]
        sandbox.add_waba(EMPTY_WABA, rows)
        error, found = await asyncio.gather(
            client.ensure_phone_number(EMPTY_WABA, **INDIAN),
            client.ensure_phone_number(EMPTY_WABA, **INDIAN_WITH_PLUS),
            return_exceptions=True,
        )
        assert isinstance(error, AmbiguousNumberError)
        assert isinstance(found, EnsuredPhoneNumber)
        assert (found.outcome, found.phone_number.id) == ("found", "8")


def test_a_caller_runs_out_of_time_while_it_waits_for_another_ones_work(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, get=[Fault.delay(20)])
            slow = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **INDIAN))
            await until(lambda: sandbox.requests)
            with pytest.raises(RequestTimeoutError):
                await client.ensure_phone_number(EMPTY_WABA, **INDIAN_WITH_PLUS, total_timeout=2)
            assert (await slow).outcome == "created"
            assert methods(sandbox).count("P") == 1

    run(main)


def test_a_new_number_that_may_be_another_one_does_not_count_as_found(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, get=[NO_FAULT, Fault.raw('{"data":[]}')], post=[Fault.delay(1)])
            slow = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **INDIAN, recheck_delays=()))
            await until(lambda: methods(sandbox) == "GP")
            assert (await client.ensure_phone_number(EMPTY_WABA, **INDIAN_WITH_PLUS)).outcome == "found"
            assert (await slow).phone_number == PhoneNumber(id=sandbox.created[0].id)
            assert methods(sandbox) == "GPGG"

    run(main)


def test_a_new_number_that_may_be_another_one_is_a_timeout_when_no_time_is_left(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, get=[NO_FAULT, Fault.delay(20)])
            slow = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **INDIAN))
            await until(lambda: methods(sandbox) == "GPG")
            with pytest.raises(RequestTimeoutError):
                await client.ensure_phone_number(EMPTY_WABA, **INDIAN_WITH_PLUS, total_timeout=2)
            assert (await slow).outcome == "created"
            assert methods(sandbox).count("P") == 1

    run(main)


async def test_other_numbers_and_accounts_share_no_work() -> None:
    async with serving() as (sandbox, client):
        other = {**NUMBER, "phone_number": "16315551001"}
        ensured = await asyncio.gather(
            client.ensure_phone_number(EMPTY_WABA, **NUMBER),
            client.ensure_phone_number(EMPTY_WABA, **other),
            client.ensure_phone_number(SMALL_WABA, **NUMBER),
        )
        assert [each.outcome for each in ensured] == ["created"] * 3
        assert len(sandbox.created) == 3


async def test_two_clients_at_once_create_one_number_since_the_api_rejects_the_second() -> None:
    async with Sandbox(latency=0.01) as sandbox:
        session = GraphSession(TOKEN, base_url=sandbox.url)
        async with session, PhoneNumberClient(session=session) as one, PhoneNumberClient(session=session) as other:
            ensured = await asyncio.gather(
                one.ensure_phone_number(EMPTY_WABA, **NUMBER), other.ensure_phone_number(EMPTY_WABA, **NUMBER)
            )
        assert sorted(each.outcome for each in ensured) == ["created", "found"]
        assert len(sandbox.created) == 1
        assert methods(sandbox).count("P") == 2


async def test_an_error_is_raised_to_all_callers_and_not_kept() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.error(190), method="POST")
        failed = await asyncio.gather(
            *(client.ensure_phone_number(EMPTY_WABA, **NUMBER) for _ in range(3)), return_exceptions=True
        )
        assert [type(each) for each in failed] == [AuthenticationError] * 3
        assert (await client.ensure_phone_number(EMPTY_WABA, **NUMBER)).outcome == "created"


# Cancelling


async def test_cancelling_one_caller_does_not_affect_the_others() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.delay(0.05), method="POST")
        first, *others = (asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER)) for _ in range(3))
        await until(lambda: methods(sandbox) == "GP")
        first.cancel()
        ensured = await asyncio.gather(*others)
        assert first.cancelled()
        assert [each.outcome for each in ensured] == ["created", "found"]
        assert methods(sandbox) == "GPG"


async def test_cancelling_all_callers_cancels_the_work(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.delay(0.05), method="POST")
        callers = [asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER)) for _ in range(3)]
        await until(lambda: methods(sandbox) == "GP")
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        assert all(caller.cancelled() for caller in callers)
        assert client._ensurer._works.get() == {}
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "it may have happened" in caplog.text
        ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER)  # while the first create is still going on
        assert ensured.outcome in {"created", "found"}
        await until(lambda: all(request.status or request.method == "GET" for request in sandbox.requests))
        assert len(sandbox.created) == 1


async def test_a_cancellation_at_any_step_leaves_no_task_and_the_next_call_settles_it() -> None:
    async with serving() as (sandbox, client):
        outcomes = Counter[str]()
        for moment in range(60):
            waba_id = str(900_000 + moment)
            sandbox.add_waba(waba_id)
            caller = asyncio.create_task(client.ensure_phone_number(waba_id, **NUMBER))
            for _ in range(moment):
                await asyncio.sleep(0)
            caller.cancel()
            await asyncio.gather(caller, return_exceptions=True)
            assert shared_tasks() == []
            ensured = await client.ensure_phone_number(waba_id, **NUMBER)
            outcomes[ensured.outcome] += 1
            assert [row["id"] for row in sandbox.numbers(waba_id)] == [ensured.phone_number.id]
        assert outcomes["created"] > 0


async def test_a_caller_that_is_cancelled_twice_leaves_no_task_either() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.delay(5), method="GET")
        caller = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER))
        await until(lambda: sandbox.requests)
        [task] = shared_tasks()
        caller.cancel()
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await asyncio.wait({task})
        assert task.cancelled()


async def test_a_foreign_cancellation_of_the_work_is_raised_to_the_caller() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.delay(5), method="GET")
        caller = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER))
        await until(lambda: sandbox.requests)
        [task] = shared_tasks()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller


# Time


def test_total_timeout_limits_the_check_and_then_nothing_was_sent(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(Fault.delay(60), times=9, method="GET")
            with pytest.raises(RequestTimeoutError):
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=3)
            assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.2)

    run(main)


def test_total_timeout_limits_a_create_and_then_its_outcome_is_unknown(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(Fault.delay_response(60), method="POST")
            with pytest.raises(OutcomeUnknownError, match="no response in time") as caught:
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=3)
            assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.2)
            assert isinstance(caught.value.__cause__, RequestTimeoutError)
            assert len(sandbox.created) == 1

    run(main)


def test_a_delay_longer_than_the_time_left_is_never_started(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(NOT_DONE, method="POST")
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=3)
            assert isinstance(caught.value.__cause__, RequestTimeoutError)
            assert at(sandbox) == [0, 0, 0, 1]  # the next recheck would be at 3, when time is up
            assert asyncio.get_running_loop().time() == pytest.approx(1, abs=0.1)

    run(main)


def test_a_cooldown_longer_than_the_time_left_is_an_error_at_once(run: Run) -> None:
    async def main() -> None:
        async with serving(retry=RetryPolicy.batch()) as (sandbox, client):
            sandbox.plan(Fault.error(80008, headers={"Retry-After": "600"}), method="GET")
            with pytest.raises(RateLimitError) as caught:
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=60)
            assert caught.value.retry_after == pytest.approx(600, abs=1)
            assert asyncio.get_running_loop().time() < 1

    run(main)


def test_a_number_that_was_created_is_returned_although_time_is_up(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, get=[NO_FAULT, *[Fault.delay(60)] * 9])
            ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=3)
            [created] = sandbox.created
            assert ensured == EnsuredPhoneNumber(PhoneNumber(id=created.id), "created")
            assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.2)

    run(main)


def test_total_timeout_limits_a_list_of_many_pages_too(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.add_waba(EMPTY_WABA, 900)
            sandbox.plan(Fault.delay(1), times=9, method="GET")
            with pytest.raises(RequestTimeoutError, match="total_timeout ran out"):
                await client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=3)
            assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.2)

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start eagerly from Python 3.12 on")
@pytest.mark.parametrize("total_timeout", [None, 20.0])
def test_with_eager_tasks_the_first_list_has_all_its_time(run: Run, total_timeout: float | None) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - not in 3.11
        async with serving() as (sandbox, client):
            sandbox.plan(Fault.delay(5), times=1, method="GET")
            ensured = await client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=total_timeout)
            assert (ensured.outcome, methods(sandbox)) == ("created", "GPG")

    run(main)


@pytest.mark.parametrize(
    ("method", "kind"), [("GET", RequestTimeoutError), ("POST", OutcomeUnknownError)], ids=["checking", "creating"]
)
@pytest.mark.parametrize("patient_one_first", [True, False])
def test_each_caller_has_its_own_deadline(
    run: Run,
    method: str,
    kind: type[WaPhoneError],
    patient_one_first: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            # With eager tasks, the first list has the time of the first caller alone. It is then listed once more.
            sandbox.plan(Fault.delay(5), times=2 if method == "GET" else 1, method=method)
            times = [None, 2.0] if patient_one_first else [2.0, 20.0]
            ensured = await asyncio.gather(
                *(client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=time) for time in times),
                return_exceptions=True,
            )
            patient, hasty = ensured if patient_one_first else ensured[::-1]
            assert isinstance(patient, EnsuredPhoneNumber)
            assert patient.outcome in {"created", "recovered"}
            assert type(hasty) is kind
            assert len(sandbox.created) == 1

    run(main)


def test_a_call_that_times_out_for_one_caller_is_retried_for_one_with_more_time(run: Run) -> None:
    async def main() -> None:
        async with serving() as (sandbox, client):
            plan(sandbox, get=[Fault.delay(60), Fault.delay(1)])
            hasty = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=2))
            await until(lambda: sandbox.requests)
            patient = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER, total_timeout=20))
            with pytest.raises(RequestTimeoutError):
                await hasty
            assert (await patient).outcome == "created"
            assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.2)

    run(main)


# Closing


async def test_closing_the_client_ends_the_check() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.delay(5), method="GET")
        callers = [asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER)) for _ in range(2)]
        await until(lambda: sandbox.requests)
        await client.aclose()
        for caller in callers:
            with pytest.raises(RuntimeError, match="this client is closed"):
                await caller
        with pytest.raises(RuntimeError, match="this client is closed"):
            await client.ensure_phone_number(EMPTY_WABA, **NUMBER)
        async with client:
            assert (await client.ensure_phone_number(EMPTY_WABA, **NUMBER)).outcome == "created"


async def test_closing_the_client_while_it_creates_is_an_unknown_outcome() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.delay_response(5), method="POST")
        caller = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER))
        await until(lambda: sandbox.created)
        await client.aclose()
        with pytest.raises(OutcomeUnknownError):
            await caller


async def test_closing_the_client_after_the_create_returns_the_number() -> None:
    async with serving() as (sandbox, client):
        plan(sandbox, get=[NO_FAULT, Fault.delay(5)])
        caller = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER))
        await until(lambda: methods(sandbox) == "GPG")
        await client.aclose()
        assert await caller == EnsuredPhoneNumber(PhoneNumber(id=sandbox.created[0].id), "created")


async def test_closing_a_borrowed_session_is_an_unknown_outcome_too() -> None:
    async with Sandbox() as sandbox:
        session = GraphSession(TOKEN, base_url=sandbox.url)
        client = PhoneNumberClient(session=session)
        sandbox.plan(NOT_DONE, method="POST")
        caller = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER, recheck_delays=(0.05,)))
        await until(lambda: methods(sandbox) == "GPG" and sandbox.requests[-1].status)
        await session.aclose()
        with pytest.raises(OutcomeUnknownError) as caught:
            await caller
        assert isinstance(caught.value.__cause__, RuntimeError)
        await client.aclose()


def test_a_client_can_be_used_by_one_loop_after_another() -> None:
    with Sandbox() as sandbox:
        client = PhoneNumberClient(TOKEN, base_url=sandbox.url)

        async def leave_unfinished() -> None:
            sandbox.plan(Fault.delay(5), method="GET")
            caller = asyncio.create_task(client.ensure_phone_number(EMPTY_WABA, **NUMBER))
            await until(lambda: sandbox.requests)
            assert not caller.done()

        async def finish() -> str:
            async with client:
                return (await client.ensure_phone_number(EMPTY_WABA, **NUMBER)).outcome

        asyncio.run(leave_unfinished())
        assert asyncio.run(finish()) == "created"


# Why a second create is safe


@attrs.define
class World:
    """An account whose creates take effect late. It rejects duplicates, or it does not."""

    rejects_duplicates: bool
    numbers: list[PhoneNumber] = attrs.field(factory=list)

    async def list_numbers(self, seconds: float | None) -> list[PhoneNumber]:
        del seconds
        return list(self.numbers)

    async def create(self, seconds: float | None) -> CreatedPhoneNumber:
        del seconds
        asyncio.get_running_loop().call_later(60, self._take_effect)
        raise OutcomeUnknownError("lost", waba_id="1", phone_number=DIGITS, reason="lost")

    def _take_effect(self) -> None:
        if not (self.rejects_duplicates and self.numbers):
            self.numbers.append(PhoneNumber(id=str(len(self.numbers)), display_phone_number=DIGITS))


@pytest.mark.parametrize(("rejects_duplicates", "numbers"), [(True, 1), (False, 2)])
def test_only_the_rejection_of_duplicates_prevents_a_second_number_from_a_late_effect(
    run: Run,
    rejects_duplicates: bool,  # noqa: FBT001 - pytest passes it by name
    numbers: int,
) -> None:
    async def main() -> None:
        world = World(rejects_duplicates)
        plan = EnsurePlan(
            waba_id="1",
            phone_number=DIGITS,
            readings=(DIGITS,),
            write=Write(path="1/phone_numbers", body={}),
            list_numbers=world.list_numbers,
            create=world.create,
        )
        with pytest.raises(OutcomeUnknownError):
            await Ensurer().ensure(plan, total_timeout=None)
        await asyncio.sleep(120)
        assert len(world.numbers) == numbers

    run(main)


# The law

DROPS = (Fault.drop_before(), Fault.drop_after(), Fault.drop_before(reset=True), Fault.drop_after(reset=True))
FAULTS = (
    *DROPS,
    Fault.delay(45),  # beyond the timeout: the effect comes after the rechecks
    Fault.delay(33),
    Fault.delay_response(45),
    Fault.cut(),
    Fault.status(500),
    Fault.html(),
    Fault.error(2, status=500, takes_effect=True),
    Fault.error(None, status=502, takes_effect=True),
)
NO_ID = Fault.raw("{}", takes_effect=True)
PATIENT = RetryPolicy(max_attempts=12, first_wait=1e-9)  # so short that the clock does not jump for each wait
RUNS = 1000
AT_ONCE = 50


def single_drop(draw: random.Random) -> tuple[Sequence[Fault], Sequence[Fault]]:
    """At most one drop, of one of the first lists or creates."""
    reads, writes = [NO_FAULT] * 3, [NO_FAULT] * 2
    faults = draw.choice([reads, writes])
    faults[draw.randrange(len(faults))] = draw.choice((*DROPS, NO_FAULT))
    return reads, writes


def many_faults(draw: random.Random) -> tuple[Sequence[Fault], Sequence[Fault]]:
    """Faults of about a third of the lists and two thirds of the creates."""
    reads = [draw.choice(FAULTS) if draw.random() < 1 / 3 else NO_FAULT for _ in range(10)]
    writes = [draw.choice((*FAULTS, NO_ID)) if draw.random() < 2 / 3 else NO_FAULT for _ in range(4)]
    return reads, writes


@pytest.mark.unmeasured
@pytest.mark.timeout(240)  # seconds, for a busy machine that measures coverage
@pytest.mark.parametrize(
    ("draw_faults", "expected"),
    [(single_drop, {"created", "found", "recovered"}), (many_faults, {"created", "found", "recovered", "unknown"})],
    ids=["at most one drop", "many faults"],
)
def test_under_random_drops_no_run_leaves_two_numbers_and_each_result_is_the_one(
    run: Run,
    draw_faults: Callable[[random.Random], tuple[Sequence[Fault], Sequence[Fault]]],
    expected: set[str],
) -> None:
    draw = random.Random(20_261_122)
    seen = Counter[str]()

    async def ensure(sandbox: Sandbox, clients: Sequence[PhoneNumberClient], waba_id: str) -> list[Any]:
        """One run: up to three callers. In every fourth run, they have two clients."""
        sandbox.add_waba(waba_id)
        for method, faults in zip(("GET", "POST"), draw_faults(draw), strict=True):
            for fault in faults:
                sandbox.plan(fault, method=method, node=waba_id)
        names = ["Acme", "Acme Shoes", "Bloom"][: draw.randint(1, 3)]
        several = draw.random() < 1 / 4
        callers = [draw.choice(clients if several else clients[:1]) for _ in names]
        calls = (
            client.ensure_phone_number(waba_id, **{**NUMBER, "verified_name": name})
            for client, name in zip(callers, names, strict=True)
        )
        return await asyncio.gather(*calls, return_exceptions=True)

    def judge(ended: list[Any], left: list[str]) -> None:
        """Check how the calls of a run ended against the ids of the numbers that the account has after it."""
        returned = [each for each in ended if isinstance(each, EnsuredPhoneNumber)]
        assert len(left) <= 1
        assert all([each.phone_number.id] == left for each in returned)
        assert {type(each) for each in ended} <= {EnsuredPhoneNumber, OutcomeUnknownError}
        seen[returned[0].outcome if returned else "unknown"] += 1

    async def main() -> None:
        for first in range(0, RUNS, AT_ONCE):
            waba_ids = [f"9{number:08}" for number in range(first, first + AT_ONCE)]
            async with (
                serving(retry=PATIENT) as (sandbox, client),
                PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=PATIENT) as other,
            ):
                ends = await asyncio.gather(*(ensure(sandbox, (client, other), waba_id) for waba_id in waba_ids))
                await asyncio.sleep(300)  # all late effects have come
                for waba_id, ended in zip(waba_ids, ends, strict=True):
                    judge(ended, [row["id"] for row in sandbox.numbers(waba_id)])

    run(main)
    assert (seen.total(), set(seen)) == (RUNS, expected)
