"""The report of a check: what it counts, what it keeps, and what has changed since an older list."""

from pathlib import Path

import attrs
import pytest
from clients import serving
from reports import fleet, report_of, some_usage

from wa_phone_async import (
    DEFAULT_FIELDS,
    AuthenticationError,
    BusinessAccount,
    Extra,
    InvalidArgumentError,
    PhoneNumber,
    Severity,
    WabaListing,
    diff_listings,
)
from wa_phone_async.export import write
from wa_phone_async.health import check as check_module
from wa_phone_async.health import report as report_module
from wa_phone_async.health.report import Worst, written_at
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault
from wa_phone_async.sandbox.demo import SICK_WABA, add_troubles, change_overnight


async def test_a_report_counts_all_and_has_a_line_for_each() -> None:
    async with serving() as (sandbox, client):
        accounts = add_troubles(sandbox)
        report = await client.check_health([*accounts, SMALL_WABA])
        numbers = {
            number["id"]: number for waba_id in (*accounts[:-1], SMALL_WABA) for number in sandbox.numbers(waba_id)
        }
    overview = report.overview
    assert {number.id for number in overview.numbers} == numbers.keys()
    assert sum(overview.status.values()) == sum(overview.quality.values()) == report.numbers == len(numbers)
    assert sum(overview.limits.values()) == report.numbers
    of_id = {account.waba_id: account for account in overview.accounts}
    assert of_id.keys() == {*accounts, SMALL_WABA}
    assert of_id[SICK_WABA].status["BANNED"] == 1
    assert of_id[SICK_WABA].names_in_review == 1
    assert of_id[SICK_WABA].name == "Golden Bakery 3"
    assert of_id[SICK_WABA].usage is not None
    assert overview.app_usage is None or overview.app_usage.percent < 100
    failed = of_id[accounts[-1]]
    assert "does not exist" in str(failed.error)
    assert (failed.numbers, failed.severity) == (0, Severity.ERROR)
    worst = next(number for number in overview.numbers if number.status == "BANNED" and number.waba_id == SICK_WABA)
    assert (worst.severity, worst.codes) == (Severity.ERROR, ("status.banned",))
    assert report.source == f"{len(accounts) + 1} accounts"
    assert (report.source_time, report.changes) == (None, None)
    assert report.made_at.utcoffset() is not None


async def test_a_number_in_two_accounts_is_one_number_and_counts_in_both() -> None:
    number = PhoneNumber("1", status="CONNECTED")
    report = report_of([WabaListing(waba_id=each, phone_numbers=(number,)) for each in ("5", "5", "6")])
    assert report.overview.status == {"CONNECTED": 1}
    assert [account.numbers for account in report.overview.accounts] == [1, 1]
    assert [line.waba_id for line in report.overview.numbers] == ["5"]


async def test_a_finding_about_an_account_counts_once_there() -> None:
    blocked = {
        "can_send_message": "BLOCKED",
        "entities": [{"entity_type": "WABA", "id": "5", "can_send_message": "BLOCKED"}],
    }
    numbers = tuple(PhoneNumber(str(place), health_status=Extra(blocked)) for place in range(1, 4))
    report = report_of([WabaListing(waba_id="5", phone_numbers=numbers)])
    [line] = report.overview.accounts
    assert line.findings[Severity.ERROR] == 1
    assert {number.codes for number in report.overview.numbers} == {("sending.account_blocked",)}


def test_beyond_a_bound_what_needs_attention_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MAX_NUMBERS", 12)
    monkeypatch.setattr(report_module, "MAX_ACCOUNTS", 2)
    report = report_of(fleet(60), some_usage)
    assert len(report.overview.numbers) == 12
    assert {number.severity for number in report.overview.numbers} == {Severity.ERROR}
    assert len(report.overview.accounts) == 2
    assert (report.numbers, report.accounts, sum(report.overview.status.values())) == (60, 6, 60)


def test_what_is_kept_stays_in_its_order() -> None:
    worst = Worst[int](3)
    levels = [Severity.ERROR, None, Severity.INFO, Severity.WARNING, None, Severity.ERROR]
    for place, level in enumerate(levels):
        worst.add(place, level)
    assert worst.all() == (0, 3, 5)
    everything = Worst[int](None)
    for place, level in enumerate(levels):
        everything.add(place, level)
    assert everything.all() == tuple(range(6))


async def test_the_most_findings_are_kept_and_all_are_counted() -> None:
    async with serving() as (_, client):
        whole = await client.check_health(LARGE_WABA)
        report = await client.check_health(LARGE_WABA).report(max_findings=10)
        with pytest.raises(InvalidArgumentError, match="max_findings must be"):
            await client.check_health(LARGE_WABA).report(max_findings=0)
    assert report.totals == whole.totals
    assert len(report.findings) == 10
    assert {finding.severity for finding in report.findings} == {Severity.ERROR}
    assert [finding for finding in whole.findings if finding in report.findings] == list(report.findings)
    assert repr(report).count("Finding(") == 0


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
async def test_a_file_and_its_changes(tmp_path: Path, suffix: str) -> None:
    old, new = tmp_path / f"old.{suffix}", tmp_path / "new.jsonl"
    async with serving() as (sandbox, client):
        for path in (old, new):
            async with client.list_many([SMALL_WABA, LARGE_WABA], fields=DEFAULT_FIELDS) as listings:
                await write(listings, path)
            change_overnight(sandbox)
        sent = len(sandbox.requests)
        report = await client.check_health(new).report(since=old)
        expected = diff_listings(old, new)
        changes = await expected
        assert len(sandbox.requests) == sent
    assert report.changes is not None
    assert report.changes.summary == expected.summary
    assert [attrs.astuple(each) for each in report.changes.changes] == [attrs.astuple(each) for each in changes]
    assert (report.source, report.source_time) == ("new.jsonl", written_at(new))
    assert (report.changes.since, report.changes.since_time) == (old.name, written_at(old))
    assert {account.usage for account in report.overview.accounts} == {None}


async def test_live_numbers_are_compared_in_the_fields_of_the_checks(tmp_path: Path) -> None:
    old = tmp_path / "old.csv"
    accounts = [SMALL_WABA, LARGE_WABA]
    async with serving() as (sandbox, client):
        async with client.list_many(accounts, fields=DEFAULT_FIELDS) as listings:
            await write(listings, old, fields=DEFAULT_FIELDS)
        nothing = await client.check_health(accounts).report(since=old)
        change_overnight(sandbox)
        report = await client.check_health(map(BusinessAccount, accounts)).report(since=str(old), source="our shops")
        before = await client.list_many([SMALL_WABA])
        same = await client.check_health(client.list_many([SMALL_WABA])).report(since=before)
    assert nothing.changes is not None
    assert nothing.changes.changes == ()
    assert report.source == "our shops"
    assert report.changes is not None
    assert {"id", "status", "quality_rating", "verified_name"} <= {change.field for change in report.changes.changes}
    assert {change.field for change in report.changes.changes}.isdisjoint({"last_onboarded_time", "account_mode"})
    assert same.changes is not None
    assert (same.changes.since, same.changes.since_time, same.changes.changes) == ("an older list", None, ())


async def test_the_changes_that_cause_findings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "MAX_CHANGES", 2)
    was = [WabaListing(waba_id="5", phone_numbers=tuple(PhoneNumber(str(n), verified_name="A") for n in range(1, 9)))]
    now = [
        WabaListing(
            waba_id="5",
            phone_numbers=tuple(
                PhoneNumber(str(n), verified_name="B", status="BANNED" if n > 6 else None) for n in range(1, 9)
            ),
        )
    ]
    async with serving() as (_, client):
        report = await client.check_health(now).report(since=was)
    assert report.changes is not None
    assert [change.number.id for change in report.changes.changes] == ["7", "8"]
    assert report.changes.summary.changes == 10


async def test_a_source_is_named() -> None:
    async with serving() as (_, client):
        single = (SMALL_WABA, int(SMALL_WABA), BusinessAccount(SMALL_WABA), WabaListing(waba_id=SMALL_WABA))
        names = [(await client.check_health(source)).source for source in single]
        assert names == [f"account {SMALL_WABA}"] * 4
        assert (await client.check_health([SMALL_WABA])).source == "1 account"
        assert (await client.check_health(client.list_many([SMALL_WABA, LARGE_WABA]))).source == "2 accounts"


async def test_wrong_files_are_named_by_their_argument(tmp_path: Path) -> None:
    fine, damaged = tmp_path / "fine.jsonl", tmp_path / "damaged.jsonl"
    fine.write_text('{"id": "1"}\n', encoding="utf-8")
    damaged.write_text("{\n", encoding="utf-8")
    async with serving() as (_, client):
        with pytest.raises(InvalidArgumentError, match=r"^since must be a file .* line 1") as failure:
            await client.check_health(fine).report(since=damaged)
        assert failure.value.argument == "since"
        with pytest.raises(InvalidArgumentError, match=r"^source must be a file"):
            await client.check_health(damaged).report(since=fine)
        with pytest.raises(InvalidArgumentError, match=r"^since must be"):
            await client.check_health(fine).report(since=5)  # type: ignore[arg-type]  # it is rejected


async def test_a_rejected_token_ends_a_report(tmp_path: Path) -> None:
    old = tmp_path / "old.jsonl"
    old.write_text('{"id": "1"}\n', encoding="utf-8")
    async with serving() as (sandbox, client):
        for since in (None, old):
            sandbox.plan(Fault.error(190))
            with pytest.raises(AuthenticationError):
                await client.check_health([SMALL_WABA]).report(since=since)


def test_a_file_that_is_gone_has_no_time(tmp_path: Path) -> None:
    assert written_at(tmp_path / "gone.csv") is None


async def test_a_check_makes_one_report() -> None:
    async with serving() as (_, client):
        check = client.check_health([SMALL_WABA])
        await check.report()
        with pytest.raises(RuntimeError, match="used already"):
            await check.report()
