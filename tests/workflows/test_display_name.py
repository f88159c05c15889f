"""Display names: what each state means, and the wait for the end of a review."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from clients import TOKEN
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    BadRequestError,
    DisplayName,
    NameStage,
    NameStageChanged,
    NameStatus,
    NotFoundError,
    OutcomeUnknownError,
    PhoneNumber,
    PhoneNumberClient,
    WaitError,
    WaitTimeoutError,
    read_display_name,
)
from wa_phone_async.sandbox import SEEDED_PIN, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.sandbox.modes import ModeName

ID = "300000001000000"  # registered, and named Blue Bakery
NAME = "Acme Shoes"

each_mode = pytest.mark.parametrize("mode", ["live", "reference"])


# What a number says


def number(**members: Any) -> PhoneNumber:
    return PhoneNumber(ID, **{"verified_name": "Blue Bakery", "name_status": "APPROVED", **members})


@pytest.mark.parametrize(
    ("members", "name", "stage"),
    [
        ({}, NAME, NameStage.NOT_REQUESTED),
        ({}, "Blue Bakery", NameStage.IN_USE),
        ({}, None, NameStage.IN_USE),
        ({"verified_name": None}, None, NameStage.NOT_REQUESTED),
        ({"verified_name": "  Blue \n Bakery"}, "Blue Bakery", NameStage.IN_USE),
        ({"verified_name": "Cafe\u0301"}, "Caf\xe9", NameStage.IN_USE),
        ({"verified_name": "blue bakery"}, "Blue Bakery", NameStage.NOT_REQUESTED),  # another name, for customers
        ({"name_status": "AVAILABLE_WITHOUT_REVIEW"}, None, NameStage.NOT_REVIEWED),
        ({"name_status": "DECLINED"}, None, NameStage.DECLINED),
        ({"name_status": "NONE"}, None, NameStage.UNKNOWN),
        ({"new_display_name": "", "new_name_status": "NONE"}, None, NameStage.IN_USE),
        *(
            ({"new_display_name": NAME, "new_name_status": status}, name, stage)
            for name in (NAME, None)
            for status, stage in (
                ("PENDING_REVIEW", NameStage.IN_REVIEW),
                ("APPROVED", NameStage.APPROVED),
                ("AVAILABLE_WITHOUT_REVIEW", NameStage.NOT_REVIEWED),
                ("DECLINED", NameStage.DECLINED),
                ("EXPIRED", NameStage.EXPIRED),
                ("NON_EXISTS", NameStage.UNKNOWN),
                ("ON_HOLD", NameStage.UNKNOWN),  # a value of tomorrow
                (None, NameStage.UNKNOWN),
            )
        ),
    ],
)
def test_the_stage_of_a_name(members: dict[str, Any], name: str | None, stage: NameStage) -> None:
    found = read_display_name(number(**members), name)
    assert found.stage is stage
    assert found.other is None
    assert found.sentence[0].isupper()
    assert found.sentence.endswith(".")
    assert found.remedy


def test_another_name_in_review_is_named() -> None:
    found = read_display_name(number(new_display_name="Acme", new_name_status="PENDING_REVIEW"), "Blue Bakery")
    assert (found.stage, found.other) == (NameStage.IN_USE, "Acme")
    assert found.sentence.endswith('is the name of the number. Another name, "Acme", is in review.')
    done = read_display_name(number(new_display_name="Acme", new_name_status="DECLINED"), NAME)
    assert (done.stage, done.other) == (NameStage.NOT_REQUESTED, None)


@given(
    new=st.sampled_from([None, NAME, "Other"]),
    new_status=st.sampled_from([None, *NameStatus, "X"]),
    current=st.sampled_from([None, NAME, "Old"]),
    status=st.sampled_from([None, *NameStatus, "X"]),
    name=st.sampled_from([None, NAME]),
)
def test_only_what_meta_has_approved_is_called_approved(
    new: str | None, new_status: str | None, current: str | None, status: str | None, name: str | None
) -> None:
    found = read_display_name(
        PhoneNumber(ID, verified_name=current, name_status=status, new_display_name=new, new_name_status=new_status),
        name,
    )
    is_newer = new is not None and found.name == new
    decided = new_status if is_newer else status
    says_approved = "approved" in found.sentence and found.stage is not NameStage.NOT_REVIEWED
    assert says_approved == (found.stage in {NameStage.APPROVED, NameStage.IN_USE})
    assert says_approved <= (decided == NameStatus.APPROVED)
    if decided == NameStatus.AVAILABLE_WITHOUT_REVIEW and found.stage is not NameStage.NOT_REQUESTED:
        assert "not reviewed yet" in found.sentence
    assert found.is_open == (found.stage in {NameStage.IN_REVIEW, NameStage.UNKNOWN})


# The whole way, in virtual time

Main = Callable[[Sandbox, PhoneNumberClient, list[NameStageChanged]], Awaitable[None]]


def play(main: Main, mode: ModeName = "live", review_after: float | None = 10_000) -> None:
    async def run() -> None:
        events = list[NameStageChanged]()
        async with (
            Sandbox(mode=mode, review_after=review_after) as sandbox,
            PhoneNumberClient(TOKEN, base_url=sandbox.url) as client,
        ):
            client.subscribe(lambda event: events.append(event) if isinstance(event, NameStageChanged) else None)
            await main(sandbox, client, events)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def row_of(sandbox: Sandbox) -> dict[str, Any]:
    return next(row for row in sandbox.numbers(SMALL_WABA) if row["id"] == ID)


@each_mode
def test_a_name_is_requested_approved_and_registered(mode: ModeName) -> None:
    async def main(sandbox: Sandbox, client: PhoneNumberClient, events: list[NameStageChanged]) -> None:
        await client.request_display_name(ID, NAME)
        await client.request_display_name(ID, NAME)  # no harm: it is in review
        assert row_of(sandbox)["verified_name"] == "Blue Bakery"
        with pytest.raises(BadRequestError, match="Another display name of this phone number is in review"):
            await client.request_display_name(ID, "Other")
        name = await client.wait_for_display_name(ID, NAME, waba_id=SMALL_WABA)
        ends = {"live": NameStage.APPROVED, "reference": NameStage.IN_USE}
        assert name.stage is ends[mode]
        assert [(event.stage, event.name, event.node_id, event.waba_id) for event in events] == [
            (stage, NAME, ID, SMALL_WABA) for stage in ("in-review", ends[mode])
        ]
        assert (row_of(sandbox)["verified_name"] == NAME) == (mode == "reference")
        await client.register(ID, pin=SEEDED_PIN)
        after = await client.wait_for_display_name(ID)
        assert (after.name, after.stage) == (NAME, NameStage.IN_USE)
        row = row_of(sandbox)
        assert (row["verified_name"], row["name_status"], row["new_display_name"]) == (NAME, "APPROVED", None)
        [webhook] = sandbox.webhooks
        assert (NAME.encode() in webhook.body, b"APPROVED" in webhook.body) == (True, True)

    play(main, mode)


def test_a_registration_before_the_approval_changes_nothing() -> None:
    async def main(sandbox: Sandbox, client: PhoneNumberClient, _: list[NameStageChanged]) -> None:
        await client.request_display_name(ID, NAME)
        await client.register(ID, pin=SEEDED_PIN)
        row = row_of(sandbox)
        assert (row["verified_name"], row["new_name_status"]) == ("Blue Bakery", "PENDING_REVIEW")

    play(main, review_after=None)


@each_mode
@pytest.mark.parametrize(
    ("decide", "text"),
    [
        (lambda sandbox: sandbox.decline_name(ID), 'Meta has declined the name "Acme Shoes". Compare it with'),
        (
            lambda sandbox: sandbox.update_number(SMALL_WABA, ID, new_name_status="EXPIRED"),
            'The certificate of the name "Acme Shoes" has expired: the number cannot be registered with it. Request',
        ),
    ],
    ids=["declined", "expired"],
)
def test_a_name_that_failed_ends_the_wait(decide: Callable[[Sandbox], None], text: str, mode: ModeName) -> None:
    async def main(sandbox: Sandbox, client: PhoneNumberClient, _: list[NameStageChanged]) -> None:
        await client.request_display_name(ID, NAME)
        sandbox.schedule(500, decide, sandbox)
        with pytest.raises(WaitError) as caught:
            await client.wait_for_display_name(ID)
        assert str(caught.value).startswith(f"{ID} cannot reach the state that you wait for: {text}")
        assert caught.value.last_seen is not None
        await client.request_display_name(ID, "Better")  # the way on
        assert (await client.wait_for_display_name(ID)).name == "Better"

    play(main, mode)


def test_a_name_without_a_review_ends_the_wait_and_is_not_called_approved() -> None:
    async def main(sandbox: Sandbox, client: PhoneNumberClient, events: list[NameStageChanged]) -> None:
        await client.request_display_name(ID, NAME)
        sandbox.defer_name(ID)
        assert (await client.wait_for_display_name(ID, NAME)).stage is NameStage.NOT_REVIEWED
        assert "is not reviewed yet" in events[-1].sentence
        sandbox.update_number(SMALL_WABA, ID, new_display_name=None, new_name_status=None)
        sandbox.defer_name(ID)
        assert (await client.wait_for_display_name(ID)).stage is NameStage.NOT_REVIEWED

    play(main, review_after=None)


def test_a_name_that_nobody_has_requested_ends_the_wait_after_three_polls() -> None:
    async def main(sandbox: Sandbox, client: PhoneNumberClient, _: list[NameStageChanged]) -> None:
        with pytest.raises(WaitError, match=r'The name "Acme Shoes" is not requested\. Request it\.'):
            await client.wait_for_display_name(ID, NAME)
        assert len(sandbox.requests) == 3
        sandbox.update_number(SMALL_WABA, ID, verified_name="")
        with pytest.raises(WaitError, match="is not requested"):
            await client.wait_for_display_name(ID)
        assert len(sandbox.requests) == 4

    play(main)


def test_a_read_may_be_older_than_the_request() -> None:
    async def main(sandbox: Sandbox, client: PhoneNumberClient, events: list[NameStageChanged]) -> None:
        def appear() -> None:
            sandbox.update_number(SMALL_WABA, ID, new_display_name=NAME, new_name_status="PENDING_REVIEW")

        sandbox.schedule(70, appear)
        sandbox.schedule(700, sandbox.approve_name, ID)
        assert (await client.wait_for_display_name(ID, NAME)).stage is NameStage.APPROVED
        assert [event.stage for event in events] == ["not-requested", "in-review", "approved"]

    play(main)


def test_the_wait_has_a_limit_outlives_outages_and_can_be_cancelled() -> None:
    async def main(sandbox: Sandbox, client: PhoneNumberClient, _: list[NameStageChanged]) -> None:
        await client.request_display_name(ID, NAME)
        sandbox.plan(Fault.status(503), times=2)
        with pytest.raises(WaitTimeoutError, match=r'The name "Acme Shoes" is in review\.'):
            await client.wait_for_display_name(ID, NAME, total_timeout=500)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await client.wait_for_display_name(ID, NAME)
        with pytest.raises(NotFoundError):
            await client.wait_for_display_name("300000001000009", NAME)

    play(main, review_after=None)


def test_a_request_whose_response_is_lost_is_sent_once() -> None:
    async def main(sandbox: Sandbox, client: PhoneNumberClient, _: list[NameStageChanged]) -> None:
        sandbox.plan(Fault.drop_after(), method="POST")
        with pytest.raises(OutcomeUnknownError, match="read it before you request it again") as caught:
            await client.request_display_name(ID, NAME)
        assert caught.value.field == "new_display_name"
        assert [request.method for request in sandbox.requests] == ["POST"]
        number = await client.get_phone_number(ID, fields=["new_display_name", "new_name_status"])
        assert read_display_name(number, NAME) == DisplayName(name=NAME, stage=NameStage.IN_REVIEW, number=number)

    play(main)
