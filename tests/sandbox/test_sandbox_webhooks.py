"""The sandbox's webhooks: their values, their signature, their times and their delivery."""

import asyncio
import functools
import hashlib
import hmac
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import parse_webhook
from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Sandbox, VirtualTimeLoop, Webhook
from wa_phone_async.sandbox.schedule import Schedule
from wa_phone_async.sandbox.webhooks import EPOCH

NEW = {"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}
SECRET = "an-invented-secret"


def change_of(webhook: Webhook) -> tuple[str, dict[str, Any]]:
    """The account and the value of a webhook. Checks the envelope."""
    envelope = json.loads(webhook.body)
    assert envelope["object"] == "whatsapp_business_account"
    [entry] = envelope["entry"]
    assert entry["time"] == EPOCH + int(webhook.at)
    [change] = entry["changes"]
    assert change["field"] == webhook.field
    return entry["id"], change["value"]


def still() -> Sandbox:
    """A sandbox whose clock stands still. It needs no loop."""
    return Sandbox(clock=lambda: 5.5)


@asynccontextmanager
async def receiver(*statuses: int) -> AsyncIterator[tuple[str, list[tuple[bytes, str]]]]:
    """A receiver of webhooks: its URL and what it received. It responds with these statuses, then with 200."""
    received = list[tuple[bytes, str]]()
    left = list(statuses)

    async def handle(request: web.BaseRequest) -> web.Response:
        assert request.content_type == "application/json"
        received.append((await request.read(), request.headers["X-Hub-Signature-256"]))
        return web.Response(status=left.pop(0) if left else 200)

    server = web.Server(handle)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/webhooks", received
    listener.close()
    await server.shutdown(1)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.001)


def virtually(main: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


async def create(sandbox: Sandbox) -> str:
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer token"}) as http,
        http.post(f"{sandbox.url}/v23.0/{EMPTY_WABA}/phone_numbers", json=NEW) as response,
    ):
        number: str = (await response.json())["id"]
        return number


# Values


@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_webhook_is_signed_over_its_raw_body_with_the_app_secret(secret: str | None) -> None:
    sandbox = Sandbox(clock=lambda: 0.0, app_secret=secret)
    assert secret in {None, sandbox.app_secret}
    webhook = sandbox.notify(SMALL_WABA, "business_capability_update", {"max_phone_numbers_per_waba": 25, "ö": "ß"})
    assert sandbox.webhooks == [webhook]
    assert change_of(webhook) == (SMALL_WABA, {"max_phone_numbers_per_waba": 25, "ö": "ß"})
    digest = hmac.new(sandbox.app_secret.encode(), webhook.body, hashlib.sha256).hexdigest()
    assert webhook.signature == f"sha256={digest}"


DIGITS = "12035550157"


@attrs.frozen
class Case:
    act: Callable[[Sandbox, str], None]
    field: str
    value: dict[str, Any]
    changes: dict[str, Any]


CASES = [
    Case(
        lambda sandbox, number: sandbox.approve_name(number),
        "phone_number_name_update",
        {"decision": "APPROVED", "requested_verified_name": "Blue Bakery", "rejection_reason": None},
        {"name_status": "APPROVED", "unified_cert_status": "APPROVED"},
    ),
    Case(
        lambda sandbox, number: sandbox.decline_name(number, "NAME_FORMAT_UNACCEPTABLE"),
        "phone_number_name_update",
        {
            "decision": "REJECTED",
            "requested_verified_name": "Blue Bakery",
            "rejection_reason": "NAME_FORMAT_UNACCEPTABLE",
        },
        {"name_status": "DECLINED", "unified_cert_status": "NAME_NOT_APPROVED"},
    ),
    Case(
        lambda sandbox, number: sandbox.upgrade_throughput(number),
        "phone_number_quality_update",
        {"event": "THROUGHPUT_UPGRADE", "max_daily_conversations_per_business": "TIER_UNLIMITED"},
        {"throughput": {"level": "HIGH"}},
    ),
    Case(
        lambda sandbox, number: sandbox.set_username(number, "blue.bakery"),
        "business_username_updates",
        {"username": "blue.bakery", "status": "approved"},
        {"username": "blue.bakery"},
    ),
    Case(
        lambda sandbox, number: sandbox.set_username(number, None),
        "business_username_updates",
        {"status": "deleted"},
        {"username": ""},
    ),
    Case(
        lambda sandbox, number: sandbox.request_pin_reset(number),
        "security",
        {"event": "PIN_RESET_REQUEST", "requester": BUSINESS_ID},
        {},
    ),
    Case(
        lambda sandbox, number: sandbox.reset_pin(number),
        "security",
        {"event": "PIN_REQUEST_SUCCESS"},
        {"is_pin_enabled": False},
    ),
]


def alert(severity: str, status: str) -> dict[str, str]:
    return {
        "alert_severity": severity,
        "alert_status": "ACTIVE",
        "alert_type": f"OBA_{status}",
        "alert_description": f"The request for an official business account was {status.lower()}.",
    }


CASES_BY_ID = [
    Case(
        lambda sandbox, number: sandbox.approve_badge(number),
        "account_alerts",
        {"entity_type": "PHONE_NUMBER", "entity_id": "ID", "alert_info": alert("INFORMATIONAL", "APPROVED")},
        {"is_official_business_account": True, "official_business_account": {"oba_status": "APPROVED"}},
    ),
    Case(
        lambda sandbox, number: sandbox.decline_badge(number),
        "account_alerts",
        {"entity_type": "PHONE_NUMBER", "entity_id": "ID", "alert_info": alert("CRITICAL", "REJECTED")},
        {"is_official_business_account": False, "official_business_account": {"oba_status": "REJECTED"}},
    ),
    *(
        Case(
            functools.partial(Sandbox.set_calling, is_enabled=is_enabled),
            "account_settings_update",
            {
                "messaging_product": "whatsapp",
                "timestamp": str(EPOCH + 5),
                "type": "PHONE_NUMBER_SETTINGS",
                "phone_number_settings": {"phone_number_id": "ID", "calling": {"status": status}},
            },
            {},
        )
        for is_enabled, status in ((True, "ENABLED"), (False, "DISABLED"))
    ),
]


@pytest.mark.parametrize("case", CASES_BY_ID, ids=lambda case: case.field)
def test_the_webhook_of_a_badge_or_a_setting_names_the_id(case: Case) -> None:
    sandbox = still()
    before = sandbox.numbers(SMALL_WABA)[0]
    case.act(sandbox, before["id"])
    assert sandbox.numbers(SMALL_WABA)[0] == before | case.changes
    [webhook] = sandbox.webhooks
    assert (webhook.field, webhook.at) == (case.field, 5.5)
    expected = json.loads(json.dumps(case.value).replace('"ID"', json.dumps(before["id"])))
    assert change_of(webhook) == (SMALL_WABA, expected)
    assert DIGITS not in webhook.body.decode()


@pytest.mark.parametrize("case", CASES + CASES_BY_ID, ids=lambda case: case.field)
def test_the_client_reads_from_a_webhook_which_number_and_members_have_changed(case: Case) -> None:
    sandbox = still()
    number = sandbox.numbers(SMALL_WABA)[0]["id"]
    case.act(sandbox, number)
    [notice] = parse_webhook(sandbox.webhooks[0].body)
    assert notice.waba_ids == {SMALL_WABA}
    assert (notice.digits or notice.phone_number_ids) == ({DIGITS} if case in CASES else {number})
    assert notice.time == datetime.fromtimestamp(EPOCH + 5, UTC)
    assert notice.members is None or case.changes.keys() <= notice.members
    assert notice.may_change_numbers


@pytest.mark.parametrize("rating", ["GREEN", "YELLOW", "RED"])
def test_a_changed_rating_makes_no_webhook(rating: str) -> None:
    sandbox = Sandbox()  # it needs no clock
    before = sandbox.numbers(SMALL_WABA)[0]
    sandbox.rate_quality(before["id"], rating)
    assert sandbox.numbers(SMALL_WABA)[0] == before | {"quality_rating": rating}
    assert sandbox.webhooks == []
    with pytest.raises(KeyError):
        sandbox.rate_quality("1", rating)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.field} {case.value}" for case in CASES])
def test_an_event_changes_a_number_and_its_webhook_names_the_digits(case: Case) -> None:
    sandbox = still()
    before = sandbox.numbers(SMALL_WABA)[0]
    case.act(sandbox, before["id"])
    assert sandbox.numbers(SMALL_WABA)[0] == before | case.changes
    [webhook] = sandbox.webhooks
    assert (webhook.field, webhook.at) == (case.field, 5.5)
    assert change_of(webhook) == (SMALL_WABA, {"display_phone_number": DIGITS, **case.value})
    assert before["id"] not in webhook.body.decode()


def test_a_restricted_account_has_no_connected_number() -> None:
    sandbox = still()
    before = sandbox.numbers(LARGE_WABA)
    sandbox.restrict_account(LARGE_WABA)
    for old, new in zip(before, sandbox.numbers(LARGE_WABA), strict=True):
        assert new["status"] == ("RESTRICTED" if old["status"] == "CONNECTED" else old["status"])
    [webhook] = sandbox.webhooks
    waba_id, value = change_of(webhook)
    assert (webhook.field, waba_id, value["event"]) == ("account_update", LARGE_WABA, "ACCOUNT_RESTRICTION")
    assert value["restriction_info"] == [
        {"restriction_type": "RESTRICTED_ADD_PHONE_NUMBER_ACTION", "expiration": EPOCH + 5 + 604_800}
    ]


def test_invalid_events_raise() -> None:
    sandbox = still()
    with pytest.raises(KeyError):
        sandbox.approve_name("1")
    with pytest.raises(KeyError):
        sandbox.restrict_account("1")
    with pytest.raises(ValueError, match=r"reason must be one of NAME_EMPLOYEE_ISSUE, .*, not 'BAD'"):
        sandbox.decline_name("1", "BAD")
    with pytest.raises(ValueError, match="copies must be 1 or more, not 0"):
        sandbox.deliver_to(None, copies=0)
    assert sandbox.webhooks == []


# Times


def test_the_name_of_a_new_number_is_approved_after_a_time() -> None:
    async def main() -> None:
        async with Sandbox(review_after=3600) as sandbox:
            number = await create(sandbox)
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(3599)
            assert sandbox.numbers(EMPTY_WABA)[0]["name_status"] == "PENDING_REVIEW"
            assert sandbox.webhooks == []
            await asyncio.sleep(2)
            assert sandbox.numbers(EMPTY_WABA)[0]["name_status"] == "APPROVED"
            [webhook] = sandbox.webhooks
            assert webhook.at == pytest.approx(began + 3600, abs=0.1)
            assert sandbox.numbers(EMPTY_WABA)[0]["id"] == number

    virtually(main)


def test_a_decided_or_removed_number_is_not_reviewed_again() -> None:
    async def main() -> None:
        async with Sandbox(review_after=60) as sandbox:
            sandbox.decline_name(await create(sandbox))
            await asyncio.sleep(61)
            assert sandbox.numbers(EMPTY_WABA)[0]["name_status"] == "DECLINED"
            assert len(sandbox.webhooks) == 1
            sandbox.remove_number(EMPTY_WABA, sandbox.created[0].id)
            number = await create(sandbox)
            sandbox.remove_number(EMPTY_WABA, number)
            await asyncio.sleep(61)
            assert len(sandbox.webhooks) == 1

    virtually(main)


def test_any_function_can_be_scheduled_and_a_failure_stops_no_other() -> None:
    async def main() -> None:
        happened, failures = list[str](), list[Any]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
        async with Sandbox() as sandbox:
            number = sandbox.numbers(SMALL_WABA)[0]["id"]
            sandbox.schedule(30, happened.append, "late")
            sandbox.schedule(20, sandbox.approve_name, "1")
            sandbox.schedule(10, sandbox.decline_name, number, reason="UNKNOWN")
            sandbox.schedule(30, happened.append, "later")
            sandbox.schedule(9000, happened.append, "never")
            await asyncio.sleep(40)
            assert happened == ["late", "later"]
            assert [type(failure) for failure in failures] == [KeyError]
            assert sandbox.numbers(SMALL_WABA)[0]["name_status"] == "DECLINED"
            assert [webhook.at for webhook in sandbox.webhooks] == [pytest.approx(10, abs=0.01)]
        await asyncio.sleep(10_000)
        assert len(happened) == 2

    virtually(main)


async def test_with_another_clock_actions_run_before_the_next_response() -> None:
    now = 0.0
    async with Sandbox(review_after=60, clock=lambda: now) as sandbox:
        await create(sandbox)
        now = 100.0
        sandbox.schedule(0, list[str]().append, "at once")
        assert sandbox.numbers(EMPTY_WABA)[0]["name_status"] == "PENDING_REVIEW"
        async with aiohttp.ClientSession() as http, http.get(f"{sandbox.url}/v23.0/{EMPTY_WABA}"):
            assert sandbox.numbers(EMPTY_WABA)[0]["name_status"] == "APPROVED"
        assert [webhook.at for webhook in sandbox.webhooks] == [60.0]


def test_what_is_scheduled_until_then_happens_when_time_is_put_forward() -> None:
    happened = list[str]()
    with Sandbox() as sandbox:
        sandbox.schedule(3600, happened.append, "in an hour")
        sandbox.schedule(7200, happened.append, "in two hours")
        sandbox.advance(3600)
        assert happened == ["in an hour"]
        sandbox.schedule(3599, happened.append, "before that")
        sandbox.advance(3600)
        assert happened == ["in an hour", "before that", "in two hours"]
        with pytest.raises(ValueError, match=r"^seconds must be 0 or more, not -1$"):
            sandbox.advance(-1)


async def test_a_timer_is_due_earlier_when_time_is_put_forward() -> None:
    happened = asyncio.Event()
    async with Sandbox() as sandbox:
        sandbox.schedule(3600, happened.set)
        sandbox.advance(3599.99)
        await happened.wait()


def test_without_a_clock_nothing_can_be_scheduled_or_sent() -> None:
    with pytest.raises(RuntimeError, match="the sandbox has no clock"):
        Sandbox().advance(1)
    with pytest.raises(RuntimeError, match="no clock before it serves: open it first"):
        Sandbox().schedule(1, list[str]().append, "")
    with pytest.raises(RuntimeError, match="no clock before it serves: open it first"):
        Sandbox().notify(SMALL_WABA, "security", {})


@given(st.lists(st.integers(0, 5)), st.integers(0, 5))
def test_due_actions_come_by_time_and_then_in_the_order_added(times: list[int], now: int) -> None:
    schedule, happened = Schedule(), list[tuple[int, int]]()
    for order, at in enumerate(times):
        schedule.add(at, functools.partial(happened.append, (at, order)))
    while action := schedule.pop_due(now):
        action()
    planned = sorted((at, order) for order, at in enumerate(times))
    assert happened == [each for each in planned if each[0] <= now]
    assert schedule.next_at == min((at for at in times if at > now), default=None)


# Delivery


async def test_webhooks_are_delivered_in_order() -> None:
    async with receiver() as (url, received), Sandbox(webhook_url=url) as sandbox:
        for serial in range(20):
            sandbox.notify(SMALL_WABA, "security", {"serial": serial})
        await until(lambda: len(sandbox.deliveries) == 20)
        assert received == [(webhook.body, webhook.signature) for webhook in sandbox.webhooks]
        assert [each.webhook for each in sandbox.deliveries] == sandbox.webhooks
        assert {each.status for each in sandbox.deliveries} == {200}
        sandbox.send_again(reversed(sandbox.webhooks))
        await until(lambda: len(received) == 40)
        assert received[20:] == received[19::-1]


async def test_without_a_url_no_webhook_is_sent() -> None:
    async with receiver() as (url, received), Sandbox() as sandbox:
        first = sandbox.notify(SMALL_WABA, "security", {})
        sandbox.deliver_to(url)
        second = sandbox.notify(SMALL_WABA, "security", {"second": True})
        await until(lambda: len(sandbox.deliveries) == 1)
        sandbox.deliver_to(None)
        sandbox.notify(SMALL_WABA, "security", {"third": True})
        sandbox.deliver_to(url)
        sandbox.send_again([first])
        await until(lambda: len(sandbox.deliveries) == 2)
        assert received == [(each.body, each.signature) for each in (second, first)]


def test_a_webhook_is_retried_with_growing_waits_for_7_days() -> None:
    async def main() -> None:
        async with receiver(*[500] * 1000) as (url, received), Sandbox(webhook_url=url) as sandbox:
            sandbox.notify(SMALL_WABA, "security", {})
            await asyncio.sleep(8 * 86_400)
            times = [each.at for each in sandbox.deliveries]
            assert times[:5] == pytest.approx([0, 1, 3, 7, 15], abs=0.5)
            assert times[-1] - times[-2] == pytest.approx(3600, abs=0.5)
            assert 7 * 86_400 - 3600 <= times[-1] <= 7 * 86_400
            assert len(received) == len(times)
            assert {each.status for each in sandbox.deliveries} == {500}

    virtually(main)


def test_an_unreachable_receiver_gets_the_webhook_later() -> None:
    async def main() -> None:
        async with receiver() as (url, _):
            pass
        async with Sandbox(webhook_url=url) as sandbox:
            sandbox.notify(SMALL_WABA, "security", {})
            await until_virtually(lambda: bool(sandbox.deliveries))
            assert sandbox.deliveries[0].status is None
            async with receiver(307) as (other, received):
                sandbox.deliver_to(other)
                await asyncio.sleep(60)
                assert len(received) == 2
                assert [each.status for each in sandbox.deliveries][-2:] == [307, 200]
            sandbox.deliver_to(None)
            await asyncio.sleep(0)

    virtually(main)


async def until_virtually(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


def test_a_webhook_without_a_receiver_waits_for_another() -> None:
    async def main() -> None:
        async with receiver(503) as (url, received), Sandbox(webhook_url=url) as sandbox:
            sandbox.notify(SMALL_WABA, "security", {})
            await until_virtually(lambda: bool(sandbox.deliveries))
            sandbox.deliver_to(None)
            await asyncio.sleep(5)
            assert [each.status for each in sandbox.deliveries] == [503, None, None]
            sandbox.deliver_to(url)
            await asyncio.sleep(60)
            assert len(received) == 2

    virtually(main)


def test_copies_come_out_of_order_the_same_for_the_same_seed() -> None:
    async def main() -> None:
        orders = []
        for seed in (1, 1, 2):
            async with receiver() as (url, received), Sandbox() as sandbox:
                sandbox.deliver_to(url, copies=3, seed=seed)
                for serial in range(10):
                    sandbox.notify(SMALL_WABA, "security", {"serial": serial})
                await asyncio.sleep(70)
                assert Counter(received) == {(each.body, each.signature): 3 for each in sandbox.webhooks}
                orders.append([json.loads(body)["entry"][0]["changes"][0]["value"]["serial"] for body, _ in received])
        assert orders[0] == orders[1] != orders[2]
        assert orders[0] != sorted(orders[0])

    virtually(main)


async def test_closing_stops_the_delivery() -> None:
    async with receiver(*[500] * 9) as (url, received):
        async with Sandbox(webhook_url=url) as sandbox:
            sandbox.notify(SMALL_WABA, "security", {})
            await until(lambda: bool(received))
            sandbox.notify(SMALL_WABA, "security", {})  # the sandbox closes before this one is queued
        sandbox.notify(SMALL_WABA, "security", {})
        count = len(received)
        await asyncio.sleep(0.01)
        assert len(received) == count
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_sandbox_in_a_thread_schedules_and_delivers_too() -> None:
    async with receiver() as (url, received):
        with Sandbox(webhook_url=url) as sandbox:
            number = sandbox.numbers(SMALL_WABA)[0]["id"]
            sandbox.schedule(0.01, sandbox.approve_name, number)
            thread = threading.Thread(target=sandbox.upgrade_throughput, args=(number,))
            thread.start()
            await until(lambda: len(received) == 2)
            thread.join()
        assert sandbox.numbers(SMALL_WABA)[0]["name_status"] == "APPROVED"


async def test_what_was_scheduled_before_serving_runs_once_it_serves() -> None:
    sandbox = Sandbox(clock=lambda: 7.0)
    happened = list[str]()
    sandbox.schedule(-1, happened.append, "late")
    async with sandbox:
        await create(sandbox)
    assert happened == ["late"]
