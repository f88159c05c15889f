"""A check reads any source, costs what the manual says, is used once, and ends cleanly."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from clients import TOKEN, serving
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    ALL_FIELDS,
    AuthenticationError,
    BusinessAccount,
    Extra,
    Finding,
    GraphAPIError,
    HealthCheck,
    InvalidArgumentError,
    PermissionDeniedError,
    PhoneNumber,
    PhoneNumberClient,
    Severity,
    WabaListing,
    from_dict,
)
from wa_phone_async.export import write
from wa_phone_async.health import diagnosis
from wa_phone_async.health.diagnosis import Diagnosis
from wa_phone_async.health.rules import RULES, choose_rules
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.demo import MISSING_WABA, RESTRICTED_WABA, SICK_WABA, add_troubles
from wa_phone_async.sandbox.modes import ModeName

BANNED = PhoneNumber("1", status="BANNED")
NODE = {"account_review_status": "APPROVED", "ownership_type": "SELF", "business_verification_status": "verified"}


def told(findings: Any) -> set[tuple[str, str]]:
    return {(finding.code, finding.subject.id) for finding in findings}


async def test_the_sandbox_has_one_trouble_of_each_kind() -> None:
    async with serving() as (sandbox, client):
        accounts = add_troubles(sandbox)
        report = await client.check_health(accounts)
    assert report.totals.by_code.keys() == RULES.keys()
    assert sum(report.totals.by_severity.values()) == len(report.findings)
    assert (report.accounts, report.not_checked) == (len(accounts), {})
    of_restricted = [finding for finding in report.findings if finding.subject.waba_id == RESTRICTED_WABA]
    assert [(finding.code, finding.numbers) for finding in of_restricted] == [("sending.account_blocked", 3)]


async def test_all_sources_say_the_same_of_numbers(tmp_path: Path) -> None:
    async with serving() as (sandbox, client):
        accounts = add_troubles(sandbox)[:-1]
        checks = ["sending", "status", "name", "quality", "limit", "webhook", "unknown", "coexistence"]
        expected = await client.check_health(accounts, checks=checks)
        sources: list[Any] = [
            map(int, accounts),
            (BusinessAccount(waba_id) for waba_id in accounts),
            client.list_many(accounts, fields=ALL_FIELDS),
            await client.list_many(accounts, fields=ALL_FIELDS),
            each(await client.list_many(accounts, fields=ALL_FIELDS)),
        ]
        for suffix in ("csv", "jsonl", "parquet"):
            path = tmp_path / f"numbers.{suffix}"
            async with client.list_many(accounts, fields=ALL_FIELDS) as listings:
                await write(listings, path)
            sources += [path, str(path)]
        sent = len(sandbox.requests)
        for index, source in enumerate(sources):
            report = await client.check_health(source, checks=checks)
            assert told(report.findings) == told(expected.findings)
            assert {f.code: f.numbers for f in report.findings} == {f.code: f.numbers for f in expected.findings}
            assert (report.calls == 0) == (index > 1)
            if index > 4:
                assert len(sandbox.requests) == sent, "a file costs no call"
            sent = len(sandbox.requests)


async def each(items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


@pytest.mark.parametrize("source", [SMALL_WABA, int(SMALL_WABA), BusinessAccount(SMALL_WABA), [SMALL_WABA]])
async def test_one_account_costs_a_call_for_its_numbers_and_one_for_its_node(source: Any) -> None:
    async with serving() as (sandbox, client):
        await client.check_health(SMALL_WABA)  # it learns which fields the server has
        sandbox.requests.clear()
        report = await client.check_health(source)
        assert report.calls == len(sandbox.requests) == 2
        assert {request.path for request in sandbox.requests} == {
            f"/v23.0/{SMALL_WABA}",
            f"/v23.0/{SMALL_WABA}/phone_numbers",
        }
        sandbox.requests.clear()
        assert (await client.check_health(source, checks="status")).calls == len(sandbox.requests) == 1
        assert (await client.check_health(source, checks="account.review_pending")).calls == 1


async def test_a_node_that_was_listed_costs_no_call() -> None:
    async with serving() as (sandbox, client):
        sandbox.update_waba(SMALL_WABA, account_review_status="REJECTED")
        accounts = await client.list_business_accounts(sandbox.business_id, fields=["id", "name", *NODE])
        sandbox.requests.clear()
        report = await client.check_health(accounts, checks="account.review_rejected")
        assert (report.calls, sandbox.requests) == (0, [])
        assert (report.findings[-1].code, report.not_checked) == ("account.review_rejected", {})
        partly = BusinessAccount(SMALL_WABA, extra=Extra({"ownership_type": "SELF"}))
        assert (await client.check_health([partly], checks="account.review_rejected")).calls == 1


@pytest.mark.parametrize("mode", ["live", "reference"])
async def test_both_modes_serve_the_node(mode: ModeName) -> None:
    async with serving(mode) as (_, client):
        report = await client.check_health([LARGE_WABA])
    assert "account.on_behalf_of" not in report.not_checked
    # The reference has no such field, and the check says so.
    assert ("sending.account_blocked" in report.not_checked) == (mode == "reference")
    assert ("name.register_again" in report.not_checked) == (mode == "reference")


async def test_what_did_not_come_is_not_checked_and_not_silently_fine() -> None:
    async with serving() as (_, client):
        listing = WabaListing(waba_id="1", phone_numbers=(PhoneNumber("1", quality_rating="RED"),))
        report = await client.check_health(listing)
        assert [finding.code for finding in report.findings] == ["quality.red"]
        assert report.not_checked.keys() == {
            code for code, rule in RULES.items() if rule.needs and not code.startswith(("quality.", "registration.un"))
        } | {"registration.unverified", "registration.unregistered"}
        assert (await client.check_health([listing], checks="quality")).not_checked == {}
        newer = WabaListing(waba_id="1", phone_numbers=(PhoneNumber("1", new_name_status="APPROVED"),))
        assert (await client.check_health([newer], checks="name.register_again")).not_checked == {}


@pytest.mark.parametrize("error", [PermissionDeniedError, AuthenticationError])
async def test_a_node_that_cannot_be_read_leaves_its_rules_unchecked(error: type[GraphAPIError]) -> None:
    async def list_numbers(_: str) -> list[PhoneNumber]:
        return [BANNED]

    async def read_node(_: str) -> BusinessAccount:
        raise failure

    failure = error("not yours", http_status=400)
    if isinstance(failure, AuthenticationError):
        failure.is_shared = True
    check = HealthCheck(
        ["1"], choose_rules(["status", "account"]), list_numbers, read_node, lambda _: None, concurrency=1
    )
    if error is AuthenticationError:  # all accounts share the token
        with pytest.raises(AuthenticationError):
            await check
        return
    report = await check
    assert [finding.code for finding in report.findings] == ["status.banned"]
    assert {"account.on_behalf_of": 1, "account.review_rejected": 1}.items() <= report.not_checked.items()


async def test_an_account_that_cannot_be_listed_is_told_whatever_is_checked() -> None:
    async with serving() as (_, client):
        odd: list[Any] = [MISSING_WABA, [], SMALL_WABA]
        for checks in ("status", "account.review_rejected"):
            report = await client.check_health(odd, checks=checks)
            assert [finding.code for finding in report.findings[:2]] == ["account.not_listed"] * 2
            assert report.not_checked == {}


async def test_a_rejected_token_ends_the_check() -> None:
    async with serving() as (sandbox, client):
        sandbox.revoke(TOKEN)
        with pytest.raises(AuthenticationError):
            await client.check_health([SMALL_WABA, LARGE_WABA])


@pytest.mark.parametrize(
    "source",
    [
        3.5,
        None,
        [WabaListing(waba_id="1"), "2"],
        ["100200300400003", WabaListing(waba_id="1")],
        "numbers.txt",
        "missing.csv",
    ],
)
async def test_a_source_that_is_none_is_an_error(source: Any) -> None:
    async with serving() as (_, client), client.check_health(source) as check:
        for _ in range(2):  # the same error again, and no silent end
            with pytest.raises(InvalidArgumentError, match="source must be"):
                _ = [finding async for finding in check]


async def test_an_empty_source_has_an_empty_report() -> None:
    async with serving() as (_, client):
        report = await client.check_health([])
    assert (report.findings, report.accounts, report.calls, report.not_checked) == ((), 0, 0, {})
    assert report.totals.by_severity == dict.fromkeys(Severity, 0)


async def test_a_check_is_used_once_and_inside_its_block() -> None:
    async with serving() as (_, client):
        check = client.check_health([SMALL_WABA])
        assert "await it" in repr(check)
        with pytest.raises(TypeError, match="pickle its report"):
            pickle.dumps(check)
        with pytest.raises(RuntimeError, match="iterate inside 'async with"):
            await anext(check)
        async with check:
            pass
        with pytest.raises(RuntimeError, match=r"call check_health\(\) again"):
            await check
        with pytest.raises(InvalidArgumentError, match="concurrency"):
            client.check_health([], concurrency=0)


async def test_listings_in_their_block_may_be_read_too() -> None:
    async with (
        serving() as (_, client),
        client.list_many([SMALL_WABA], fields=ALL_FIELDS) as listings,
        client.check_health(listings) as check,
    ):
        assert [finding async for finding in check]
    assert check.summary.numbers == 3


async def test_a_consumer_that_stops_waiting_loses_nothing() -> None:
    async with serving() as (sandbox, client):
        expected = await client.check_health([LARGE_WABA, SMALL_WABA])
        sandbox.plan(Fault.delay(0.2), node=LARGE_WABA)
        found = list[Finding]()
        async with client.check_health([LARGE_WABA, SMALL_WABA]) as check:
            while True:
                try:
                    async with asyncio.timeout(0.01):
                        found.append(await anext(check))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    break
        assert told(found) == told(expected.findings)


async def test_leaving_early_leaves_no_task(tmp_path: Path) -> None:
    path = tmp_path / "numbers.jsonl"
    path.write_text("".join(f'{{"waba_id": "{i}", "id": "{i}", "status": "BANNED"}}\n' for i in "12"))
    async with serving() as (_, client):
        for source in ([LARGE_WABA, SMALL_WABA], path):
            async with client.check_health(source) as check:
                await anext(check)
                check._ready.clear()  # then the next step has to read
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await anext(check)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_consumer_that_waits_when_the_block_ends_is_told() -> None:
    async with serving() as (sandbox, client):
        sandbox.plan(Fault.delay(60), node=SMALL_WABA)
        async with client.check_health([SMALL_WABA]) as check:
            consumer = asyncio.ensure_future(anext(check))
            while not sandbox.requests:
                await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match=r"^iterate inside 'async with client\.check_health"):
            await consumer


def listing(waba_id: str, *numbers: PhoneNumber) -> WabaListing:
    return WabaListing(waba_id=waba_id, phone_numbers=numbers)


def blocked(number: str, kind: str, node: str) -> PhoneNumber:
    entity = {"entity_type": kind, "id": node, "can_send_message": "BLOCKED"}
    return from_dict(PhoneNumber, {"id": number, "health_status": {"entities": [entity]}})


def test_a_number_is_checked_once_wherever_it_comes_again() -> None:
    work = Diagnosis(choose_rules(None))
    assert [f.code for f in work.add(listing("1", BANNED, BANNED))] == ["status.banned"]
    assert work.add(listing("1", BANNED)) == []
    (shared,) = work.add(listing("2", BANNED))
    assert (shared.code, [part.value for part in shared.evidence]) == ("account.shared_number", ["2", "1"])
    assert work.add(listing("3", BANNED)) == []
    assert work.add(listing("", PhoneNumber("2", status="BANNED")))[0].subject.waba_id is None
    assert work.add(listing("", PhoneNumber("2", status="BANNED"))) == []
    assert work.add(listing("4", PhoneNumber("2"))) == [], "the other account is not known"
    assert work.end() == []
    assert (work.summary(0).numbers, work.summary(0).accounts) == (2, 4)


def test_an_account_is_told_once_with_all_its_numbers() -> None:
    work = Diagnosis(choose_rules("sending"))
    assert work.add(listing("1", blocked("1", "WABA", "1"), blocked("2", "WABA", "1"))) == []
    assert work.add(listing("1", blocked("3", "WABA", "1"))) == []
    assert [(f.subject.id, f.numbers) for f in work.add(listing("2", blocked("4", "BUSINESS", "7")))] == [("1", 3)]
    assert work.add(listing("1", blocked("5", "WABA", "1"), blocked("6", "BUSINESS", "7"))) == []
    assert [(f.subject.id, f.numbers) for f in work.end()] == [("7", 2)]


def test_an_account_in_trouble_explains_what_its_numbers_have() -> None:
    work = Diagnosis(choose_rules(None))
    node = BusinessAccount("1", extra=Extra({"account_review_status": "REJECTED"}))
    assert work.add(listing("1", PhoneNumber("1", status="RESTRICTED")), node) == []
    assert [finding.code for finding in work.end()] == ["account.review_rejected"]


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "MAX_WAITING", 2)
    work = Diagnosis(choose_rules("sending"))
    found = [work.add(listing(str(i), blocked(str(i), "BUSINESS", str(i)))) for i in range(1, 5)]
    assert [[f.subject.id for f in some] for some in found] == [[], [], ["1"], ["2"]]
    assert work.add(listing("9", blocked("9", "BUSINESS", "1"))) == [], "it was told"
    assert [f.subject.id for f in work.end()] == ["3", "4"]


@given(st.lists(st.tuples(st.sampled_from("1234"), st.sampled_from("123456"), st.sampled_from("78")), max_size=20))
def test_a_subject_has_each_finding_once(rows: list[tuple[str, str, str]]) -> None:
    work = Diagnosis(choose_rules(None))
    found = [f for waba_id, number, node in rows for f in work.add(listing(waba_id, blocked(number, "BUSINESS", node)))]
    found += work.end()
    keys = [(finding.code, finding.subject.id) for finding in found]
    assert len(keys) == len(set(keys))
    assert sum(f.numbers for f in found if f.code.startswith("sending")) == len({number for _, number, _ in rows})


async def test_the_ids_of_the_demonstration_disturb_no_other_account() -> None:
    sandbox = Sandbox()
    before = sandbox.numbers(SMALL_WABA)
    assert add_troubles(sandbox)[0] == SICK_WABA
    assert sandbox.numbers(SMALL_WABA) == before
    with pytest.raises(KeyError):
        sandbox.update_waba(MISSING_WABA, name="nobody")
    async with sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        assert (await client.list_phone_numbers(SMALL_WABA, fields="id"))[0].id
