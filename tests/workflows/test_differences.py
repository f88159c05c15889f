"""Differences of two lists: all of them, each once, whatever the order, the format and the size of the lists."""

import asyncio
import random
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest
from clients import serving
from exports import FORMATS
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_phone_async import (
    DEFAULT_FIELDS,
    AuthenticationError,
    Change,
    DiffSummary,
    ExportError,
    Extra,
    InvalidArgumentError,
    NotFoundError,
    PhoneNumber,
    Throughput,
    WabaListing,
    diff_listings,
)
from wa_phone_async.export import Writer
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault
from wa_phone_async.workflows import differences as differences_module
from wa_phone_async.workflows import spooled_rows
from wa_phone_async.workflows.differences import ListingSource
from wa_phone_async.workflows.watch import members

Fleet = dict[str, tuple[frozenset[str], PhoneNumber]]
"""The accounts of each number, and the number itself."""

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GONE = NotFoundError("no such account", http_status=400, code=100)
NUMBERS = st.builds(
    PhoneNumber,
    id=st.just(""),
    verified_name=st.sampled_from([None, "Acme", '=1+1\r\n"|`\x1b[31m\u202e']),
    status=st.sampled_from(["CONNECTED", "BANNED", "ON_HOLIDAY"]),
    is_pin_enabled=st.sampled_from([None, False, True]),
    last_onboarded_time=st.sampled_from(
        [None, NOON, NOON.astimezone(timezone(timedelta(hours=2))), NOON.replace(hour=9)]
    ),
    throughput=st.sampled_from([None, Throughput("HIGH"), Throughput("LOW", extra=Extra({"a": 1}))]),
    extra=st.sampled_from([Extra(), Extra({"owner": {"id": "7"}}), Extra({"owner": {"id": "8"}, "b": [1.5, None]})]),
)
FLEETS = st.dictionaries(
    st.sampled_from("123456"), st.tuples(st.frozensets(st.sampled_from(["70", "80", "90"]), min_size=1), NUMBERS)
).map(lambda fleet: {each: (homes, attrs.evolve(number, id=each)) for each, (homes, number) in fleet.items()})


def source_of(fleet: Fleet, form: str, path: Path, order: random.Random) -> ListingSource:
    """The rows of a fleet in any order: in a file, or as listings."""
    rows = [WabaListing(waba_id=home, phone_numbers=(number,)) for homes, number in fleet.values() for home in homes]
    order.shuffle(rows)
    if form == "listings":
        return rows
    with Writer(path.with_suffix(f".{form}")) as writer:
        writer.write(rows)
    return path.with_suffix(f".{form}")


def naive(old: Fleet, new: Fleet) -> Iterator[tuple[str, str, Any, Any]]:
    for each in old.keys() - new.keys():
        yield each, "id", each, None
    for each, (homes, number) in new.items():
        if each not in old:
            yield each, "id", None, each
            if len(homes) > 1:
                yield each, "also_in", None, tuple(sorted(homes))[1:]
            continue
        before, was = old[each]
        kept = min(before & homes, default="")
        if not kept:
            yield each, "waba_id", min(before), min(homes)
        others = tuple(sorted(before - {kept or min(before)})), tuple(sorted(homes - {kept or min(homes)}))
        if others[0] != others[1]:
            yield each, "also_in", others[0] or None, others[1] or None
        for name in members(was).keys() | members(number).keys():
            if members(was).get(name) != members(number).get(name):
                yield each, name, members(was).get(name), members(number).get(name)


def applied(fleet: Fleet, changes: Iterable[Change]) -> dict[str, tuple[set[str], dict[str, Any]]]:
    """The accounts and the members of each number after changes."""
    found = {each: (set(homes), members(number)) for each, (homes, number) in fleet.items()}
    for change in changes:
        if change.field == "id" and change.new is None:
            del found[change.phone_number_id]
        elif change.field == "id":
            found[change.phone_number_id] = ({change.waba_id}, members(change.number))
        elif change.field == "waba_id":
            homes = found[change.phone_number_id][0]
            homes.remove(change.old)
            homes.add(change.new)
        elif change.field == "also_in":
            homes = found[change.phone_number_id][0]
            homes.intersection_update({change.waba_id})
            homes.update(change.new or ())
        else:
            values = found[change.phone_number_id][1]
            assert values.pop(change.field, None) == change.old
            values.update({} if change.new is None else {change.field: change.new})
    return found


@attrs.frozen
class Plan:
    """Two fleets, and how each of them is passed."""

    old: Fleet
    new: Fleet
    forms: tuple[str, str] = ("listings", "listings")
    order: random.Random = attrs.field(factory=lambda: random.Random(1))
    is_large: bool = False


async def check(plan: Plan, path: Path) -> None:
    old, new = plan.old, plan.new
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spooled_rows, "MAX_BUFFERED_BYTES", 1_000 if plan.is_large else 1_000_000)
        differences = diff_listings(
            source_of(old, plan.forms[0], path / "old", plan.order),
            source_of(new, plan.forms[1], path / "new", plan.order),
        )
        changes = await differences
    found = [(each.phone_number_id, each.field, each.old, each.new) for each in changes]
    expected = list(naive(old, new))
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert applied(old, changes) == {each: (set(homes), members(number)) for each, (homes, number) in new.items()}
    for change in changes:
        _, number = new.get(change.phone_number_id) or old[change.phone_number_id]
        assert members(change.number) == members(number)
    assert differences.summary == DiffSummary(
        old_numbers=len(old),
        new_numbers=len(new),
        came=len(new.keys() - old.keys()),
        gone=len(old.keys() - new.keys()),
        moved=sum(new[each][0] != old[each][0] for each in old.keys() & new.keys()),
        changed=len({each for each, *_ in expected} & old.keys() & new.keys()),
        changes=len(expected),
    )


ORDERS = st.randoms(use_true_random=False)


@given(st.builds(Plan, old=FLEETS, new=FLEETS, order=ORDERS, is_large=st.booleans()))
@settings(max_examples=50)
async def test_changes_are_those_of_a_naive_comparison_and_lead_from_old_to_new(plan: Plan) -> None:
    await check(plan, Path())


FORMS = st.sampled_from(["listings", "jsonl", "csv"])


@given(st.builds(Plan, old=FLEETS, new=FLEETS, forms=st.tuples(FORMS, FORMS), order=ORDERS, is_large=st.booleans()))
@settings(max_examples=15)
async def test_so_are_those_of_files(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    await check(plan, tmp_path_factory.mktemp("diff"))


@pytest.mark.parametrize("form", FORMATS)
async def test_rows_that_are_the_same_in_another_format_are_no_change(form: str, tmp_path: Path) -> None:
    first = PhoneNumber("7", is_pin_enabled=True, last_onboarded_time=NOON, username="")
    rows = [listing("1", first), listing("1", PhoneNumber("8", throughput=Throughput("HIGH"), extra=Extra({"a": 1})))]
    for name in ("old.jsonl", f"new.{form}"):
        with Writer(tmp_path / name) as writer:
            writer.write(rows if name.startswith("old") else rows[::-1])
    assert await diff_listings(tmp_path / "old.jsonl", tmp_path / f"new.{form}") == []
    assert await diff_listings(str(tmp_path / f"new.{form}"), rows) == []
    [change] = await diff_listings(tmp_path / f"new.{form}", rows[0])
    assert (change.waba_id, change.field, change.old, change.number) == ("1", "id", "8", rows[1].phone_numbers[0])


async def changes_of(old: Any, new: Any, **options: Any) -> list[tuple[str, str, str, Any, Any]]:
    found = await diff_listings(old, new, **options)
    return [(each.waba_id, each.phone_number_id, each.field, each.old, each.new) for each in found]


def listing(waba_id: str, *numbers: PhoneNumber, error: Any = None) -> WabaListing:
    return WabaListing(waba_id=waba_id, phone_numbers=numbers, error=error)


async def test_accounts_may_see_a_number_differently() -> None:
    def seen(first: str, second: str) -> list[WabaListing]:
        return [
            listing("1", PhoneNumber("7", status="CONNECTED", webhook_configuration=Extra({"url": first}))),
            listing("2", PhoneNumber("7", status="CONNECTED", webhook_configuration=Extra({"url": second}))),
        ]

    assert await changes_of(seen("a", "b"), seen("a", "b")) == []
    field = "webhook_configuration"
    assert await changes_of(seen("a", "b"), seen("a", "c")) == [("2", "7", field, {"url": "b"}, {"url": "c"})]
    assert await changes_of(seen("a", "a"), seen("b", "b")) == [("1", "7", field, {"url": "a"}, {"url": "b"})]
    # Who stays in one of its accounts is compared there.
    assert await changes_of(seen("a", "b"), seen("a", "b")[1:]) == [("2", "7", "also_in", ("1",), None)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("id,status\n7,BANNED\n", "id,quality_rating\n7,RED\n", []),
        (
            "id,status\n7,BANNED\n",
            "id,status,quality_rating\n7,CONNECTED,RED\n",
            [("", "status", "BANNED", "CONNECTED")],
        ),
        ("id,status\n7,\n", "id,status\n7,BANNED\n", [("", "status", None, "BANNED")]),
        ("id\n7\n", "waba_id,id\n1,7\n", []),
        ("waba_id,id\n1,7\n", "waba_id,id\n2,7\n", [("2", "waba_id", "1", "2")]),
        ('waba_id,id,also_in\n1,7,"[""2""]"\n', "waba_id,id\n1,7\n2,7\n", []),
        ('waba_id,id,also_in\n1,7,"[""2""]"\n', "waba_id,id\n2,7\n", [("2", "also_in", ("1",), None)]),
        ("id,extra\n7,\n", 'id,extra\n7,"{""a"": 1}"\n', [("", "a", None, 1)]),
        ("id\n7\n", 'id,extra\n7,"{""a"": 1}"\n', []),
        ("id,owner,extra\n7,1,\n", 'id,extra\n7,"{""owner"": 2}"\n', []),
        (
            "id,platform_type\n7,ON_PREMISE\n",
            "id,host_platform\n7,CLOUD_API\n",
            [("", "host_platform", "ON_PREMISE", "CLOUD_API")],
        ),
    ],
)
async def test_a_column_that_one_file_lacks_is_no_change(
    old: str, new: str, expected: list[tuple[str, str, Any, Any]], tmp_path: Path
) -> None:
    for name, text in (("old.csv", old), ("new.csv", new)):
        (tmp_path / name).write_text(text)
    found = await changes_of(tmp_path / "old.csv", tmp_path / "new.csv")
    assert found == [(waba_id, "7", *change) for waba_id, *change in expected]


async def test_only_the_fields_that_are_named_are_compared(tmp_path: Path) -> None:
    old = [PhoneNumber("7", status="CONNECTED", quality_rating="RED"), PhoneNumber("8")]
    new = [PhoneNumber("7", status="BANNED", quality_rating="GREEN", host_platform="CLOUD_API")]
    gone = ("", "8", "id", "8", None)
    assert await changes_of(old, new, fields="status") == [("", "7", "status", "CONNECTED", "BANNED"), gone]
    platform = ("", "7", "host_platform", None, "CLOUD_API")
    assert await changes_of(old, new, fields=["platform_type"]) == [platform, gone]
    (tmp_path / "old.jsonl").write_text('{"id": "7", "status": "A"}\n{"id": "8"}\n')
    assert await changes_of(tmp_path / "old.jsonl", new) == [("", "7", "status", "A", "BANNED"), gone]
    with pytest.raises(InvalidArgumentError, match="fields must be"):
        diff_listings(old, new, fields="stauts")


async def test_an_account_that_could_not_be_listed_is_no_change() -> None:
    first, second = PhoneNumber("7", status="CONNECTED"), PhoneNumber("8")
    whole = [listing("1", first), listing("2", first, second), listing("3", PhoneNumber("9"))]
    for failed in ("1", "2", "3"):
        part = [listing(each.waba_id, error=GONE) if each.waba_id == failed else each for each in whole]
        for old, new in ((whole, part), (part, whole)):
            differences = diff_listings(old, new)
            assert await differences == []
            assert (differences.summary.not_compared, differences.summary.old_numbers) == (1, 3)
    banned = [listing("1", attrs.evolve(first, status="BANNED")), *whole[1:2], listing("3", error=GONE)]
    assert await changes_of(whole, banned) == [("1", "7", "status", "CONNECTED", "BANNED")]


async def findings_of(old: Any, new: Any) -> list[tuple[str, str, list[str]]]:
    changes = await diff_listings(old, new)
    return [(each.phone_number_id, each.field, [finding.code for finding in each.findings]) for each in changes]


async def test_a_change_has_the_findings_that_it_causes() -> None:
    fine = PhoneNumber("7", status="CONNECTED", quality_rating="GREEN", verified_name="A")
    bad = attrs.evolve(fine, status="BANNED", quality_rating="RED", verified_name="B")
    assert await findings_of([fine], [bad]) == [
        ("7", "verified_name", []),
        ("7", "status", ["status.banned"]),
        ("7", "quality_rating", ["quality.red"]),
    ]
    assert await findings_of([bad], [attrs.evolve(bad, verified_name="C")]) == [("7", "verified_name", [])]
    assert await findings_of([], [bad]) == [("7", "id", ["status.banned", "quality.red"])]
    assert await findings_of([bad], []) == [("7", "id", [])]
    moved = await findings_of([listing("1", bad)], [listing("2", bad)])
    assert moved == [("7", "waba_id", [])]
    shared = await findings_of([listing("1", fine)], [listing("1", fine), listing("2", fine)])
    assert shared == [("7", "also_in", ["account.shared_number"])]
    came = await findings_of([], [listing("1", fine), listing("2", fine)])
    assert came == [("7", "id", []), ("7", "also_in", ["account.shared_number"])]


async def test_a_cause_of_many_numbers_is_told_once() -> None:
    def numbers(level: str) -> list[PhoneNumber]:
        entity = {"entity_type": "WABA", "id": "1", "can_send_message": level}
        health = Extra({"can_send_message": level, "entities": [entity]})
        return [PhoneNumber(each, status="CONNECTED", health_status=health) for each in "789"]

    found = await findings_of(listing("1", *numbers("AVAILABLE")), listing("1", *numbers("BLOCKED")))
    assert [codes for _, _, codes in found] == [["sending.account_blocked"], [], []]


async def test_an_export_is_compared_with_the_live_fleet(tmp_path: Path) -> None:
    async with serving() as (sandbox, client):
        ids = [SMALL_WABA, LARGE_WABA]
        with Writer(tmp_path / "old.csv", fields=DEFAULT_FIELDS) as writer:
            writer.write(await client.list_many(ids))
        assert await changes_of(tmp_path / "old.csv", client.list_many(ids)) == []
        number = sandbox.numbers(SMALL_WABA)[0]["id"]
        sandbox.update_number(SMALL_WABA, number, status="BANNED")
        expected = [(SMALL_WABA, number, "status", "CONNECTED", "BANNED")]
        async with client.list_many(ids) as listings:
            assert await changes_of(tmp_path / "old.csv", listings) == expected
        assert await changes_of(tmp_path / "old.csv", (each for each in await client.list_many(ids))) == expected
        sandbox.requests.clear()
        sandbox.revoke("an-invented-token")
        (tmp_path / "bad.csv").write_bytes(b"\r\n")
        with pytest.raises(InvalidArgumentError, match=r"^old must be a file .*: line 1: it names no column id$"):
            await diff_listings(tmp_path / "bad.csv", client.list_many(ids))
        assert sandbox.requests == []
        with pytest.raises(AuthenticationError):
            await diff_listings(tmp_path / "old.csv", client.list_many(ids))


async def test_a_fleet_gives_a_number_of_two_accounts_once() -> None:
    async with serving() as (sandbox, client):
        sandbox.add_waba("100200300400960", sandbox.numbers(SMALL_WABA))
        listings = await client.list_fleet(sandbox.business_id, unique=True, ordered=True)
        assert {each.waba_id: len(each.phone_numbers) for each in listings}["100200300400960"] == 0
        found = await changes_of([], client.list_fleet(sandbox.business_id))
        assert [field for *_, field, _, _ in found].count("also_in") == 3


async def test_a_change_was_seen_when_the_new_list_was_complete(tmp_path: Path) -> None:
    with Writer(tmp_path / "new.jsonl") as writer:
        writer.write([PhoneNumber("7")])
    [change] = await diff_listings([], tmp_path / "new.jsonl")
    assert change.seen_at == datetime.fromtimestamp((tmp_path / "new.jsonl").stat().st_mtime, UTC)
    before = datetime.now(UTC)
    [change] = await diff_listings(tmp_path / "new.jsonl", [])
    assert change.seen_at >= before


@pytest.mark.parametrize("wrong", [5, None, ["1"], [object()]])
async def test_nothing_else_can_be_compared(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^new must be the path of an export, or listings"):
        await diff_listings([], wrong)


async def test_it_is_used_once_and_inside_its_block() -> None:
    differences = diff_listings([], [])
    for step in (aiter, anext):
        with pytest.raises(RuntimeError, match="iterate inside 'async with diff_listings"):
            await step(differences)
    assert await differences == []
    with pytest.raises(RuntimeError, match="used already"):
        await differences
    with pytest.raises(TypeError, match="pickle the changes"):
        differences.__reduce__()
    async with diff_listings([], []):
        pass  # nothing is read
    assert repr(differences).startswith("<Differences: await it for a list of all")


async def test_a_consumer_that_stops_waiting_loses_nothing() -> None:
    go = asyncio.Event()

    async def slowly() -> Any:
        yield PhoneNumber("7")
        await go.wait()
        yield PhoneNumber("8")

    async with diff_listings([], slowly()) as differences:
        waiting = asyncio.create_task(anext(differences))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        go.set()
        assert [change.phone_number_id async for change in differences] == ["7", "8"]
    async with diff_listings([], slowly()) as differences:
        go.clear()
        waiting = asyncio.create_task(anext(differences))
        await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="iterate inside"):
        await waiting


async def test_a_failure_comes_again_to_who_goes_on(tmp_path: Path) -> None:
    async with diff_listings(tmp_path / "none.jsonl", []) as differences:
        for _ in range(2):
            with pytest.raises(InvalidArgumentError, match="No such file"):
                await anext(differences)


async def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spooled_rows, "MAX_BUFFERED_BYTES", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    with pytest.raises(ExportError, match=r"^cannot keep rows in .*: No space left on device; TMPDIR names another"):
        await diff_listings([PhoneNumber("7")], [])


@pytest.mark.parametrize("step", [1, 2, 3, 1_000])
async def test_lists_that_are_read_in_steps_lose_no_change(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(differences_module, "_STEP", step)
    old, new = (
        [WabaListing(waba_id=str(each), phone_numbers=(PhoneNumber(str(each), status=status),)) for each in range(7)]
        for status in ("CONNECTED", "BANNED")
    )
    changes = await diff_listings(old, new)
    assert {(change.phone_number_id, change.old, change.new) for change in changes} == {
        (str(each), "CONNECTED", "BANNED") for each in range(7)
    }
    assert len(changes) == 7


@pytest.mark.unmeasured
async def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_rows, "MAX_BUFFERED_BYTES", 30_000)
    monkeypatch.setattr(spooled_rows, "BUCKETS", 16)
    monkeypatch.setattr(differences_module, "_STEP", 25)

    def numbers(count: int, status: str) -> Iterator[PhoneNumber]:
        return (PhoneNumber(str(each), status=status, verified_name=f"Shop {each}" * 10) for each in range(count))

    async def peak(count: int) -> int:
        tracemalloc.start()
        try:
            async with diff_listings(numbers(count, "CONNECTED"), numbers(count, "PENDING")) as differences:
                assert sum([1 async for _ in differences]) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(10)
    assert await peak(600) < 1.3 * await peak(200)


async def test_a_fault_of_one_account_is_counted() -> None:
    async with serving() as (sandbox, client):
        old = await client.list_many([SMALL_WABA])
        sandbox.plan(Fault.error(code=10, status=403))
        differences = diff_listings(old, client.list_many([SMALL_WABA]))
        assert await differences == []
        assert differences.summary.not_compared == 1
