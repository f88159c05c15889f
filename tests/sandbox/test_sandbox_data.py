import re
import tracemalloc
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA
from wa_phone_async.sandbox.business import FIRST_WABA_ID, WabaIds
from wa_phone_async.sandbox.data import account_ordinal, digits_of, number_id, seeded_rows
from wa_phone_async.sandbox.store import Created, Store, StoredAccount

EVERY_VALUE = {
    "status": "PENDING LINKED UNLINKED CONNECTED DISCONNECTED DELETED MIGRATED BANNED RESTRICTED RATE_LIMITED "
    "FLAGGED UNVERIFIED UNKNOWN",
    "quality_rating": "GREEN YELLOW RED UNKNOWN NA",
    "code_verification_status": "VERIFIED NOT_VERIFIED UNVERIFIED EXPIRED",
    "unified_cert_status": "APPROVED NAME_PENDING_REVIEW NAME_NOT_APPROVED ACCOUNT_REVIEW_NOT_STARTED LIMITED_ACCESS",
    "name_status": "APPROVED AVAILABLE_WITHOUT_REVIEW DECLINED EXPIRED PENDING_REVIEW NONE NON_EXISTS",
    "account_mode": "LIVE SANDBOX",
    "platform_type": "CLOUD_API ON_PREMISE NOT_APPLICABLE",
    "messaging_limit_tier": "TIER_50 TIER_250 TIER_1K TIER_10K TIER_100K TIER_UNLIMITED",
    "whatsapp_business_manager_messaging_limit": "TIER_50 TIER_250 TIER_2K TIER_10K TIER_100K TIER_UNLIMITED UNTIERED",
    "new_name_status": "APPROVED AVAILABLE_WITHOUT_REVIEW PENDING_REVIEW DECLINED EXPIRED NONE NON_EXISTS",
    "search_visibility": "VISIBLE NON_VISIBLE",
    "is_on_biz_app": [True, False],
    "is_preverified_number": [True, False],
    "is_official_business_account": [True, False],
}


@pytest.fixture
def store() -> Store:
    return Store()


def test_three_accounts_of_0_3_and_250_numbers(store: Store) -> None:
    assert [len(store.numbers(waba_id)) for waba_id in (EMPTY_WABA, SMALL_WABA, LARGE_WABA)] == [0, 3, 250]


def test_the_seed_is_the_same_on_every_machine(store: Store) -> None:
    assert store.numbers(SMALL_WABA)[0] == {
        "id": "300000001000000",
        "display_phone_number": "+1 203-555-0157",
        "verified_name": "Blue Bakery",
        "status": "CONNECTED",
        "country_code": "US",
        "country_dial_code": "1",
        "account_mode": "LIVE",
        "unified_cert_status": "APPROVED",
        "name_status": "APPROVED",
        "messaging_limit_tier": "TIER_250",
        "whatsapp_business_manager_messaging_limit": "TIER_250",
        "is_official_business_account": True,
        "official_business_account": {"oba_status": "NOT_STARTED"},
        "search_visibility": "VISIBLE",
        "health_status": {
            "can_send_message": "AVAILABLE",
            "entities": [
                {"entity_type": "PHONE_NUMBER", "id": "300000001000000", "can_send_message": "AVAILABLE"},
                {"entity_type": "BUSINESS", "id": "200300400500600", "can_send_message": "AVAILABLE"},
            ],
        },
        "webhook_configuration": {"application": "https://shop.example/webhooks"},
        "is_preverified_number": False,
        "is_on_biz_app": False,
        "creation_time": "2024-01-01T00:00:00+0000",
        "last_onboarded_time": "2024-01-01T00:00:00+0000",
        "owner": {"id": "200300400500600", "name": "Invented Shops Ltd"},
        "quality_rating": "GREEN",
        "quality_score": {"score": "GREEN", "date": 1700000000},
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "is_pin_enabled": True,
        "username": "shop.0",
    }


@pytest.mark.parametrize(("field", "values"), EVERY_VALUE.items())
def test_every_value_of_every_enum_occurs(store: Store, field: str, values: str | list[Any]) -> None:
    wanted = set(values.split() if isinstance(values, str) else values)
    assert {row.get(field) for row in store.numbers(LARGE_WABA)} - {None, ""} == wanted


def test_what_breaks_strict_parsers_occurs(store: Store) -> None:
    rows = store.numbers(LARGE_WABA)
    assert {"", None, "shop.0"} <= {row.get("username") for row in rows}
    assert any("username" not in row for row in rows)
    assert any("last_onboarded_time" not in row for row in rows)
    assert any(row["verified_name"] == "" for row in rows)
    assert any(row["quality_rating"] is None for row in rows)
    assert [row["throughput"] for row in rows if row["throughput"] in ({}, 80)] == [{}, 80]
    assert {"", None} <= {row["messaging_limit_tier"] for row in rows}
    assert {type(row["webhook_configuration"]) for row in rows} == {dict, list}
    assert {"HIGH", "STANDARD", "NOT_APPLICABLE"} <= {level(row["throughput"]) for row in rows}


def test_the_health_of_a_number_says_what_stops_it(store: Store) -> None:
    for row in store.numbers(LARGE_WABA):
        if row["health_status"]:
            itself, business = row["health_status"]["entities"]
            assert itself["id"] == row["id"]
            assert business["can_send_message"] == row["health_status"]["can_send_message"]
            assert ("errors" in business) == (business["can_send_message"] != "AVAILABLE")


@pytest.mark.parametrize(("name", "value"), [("is_on_biz_app", True), ("verified_name", "Test Number")])
def test_numbers_in_use_without_a_code_occur(store: Store, name: str, value: object) -> None:
    rows = [row for row in store.numbers(LARGE_WABA) if row[name] == value]
    assert len(rows) > 2
    assert {row["status"] for row in rows} >= {"CONNECTED"}
    assert {(row["code_verification_status"], row["platform_type"]) for row in rows} == {("NOT_VERIFIED", "CLOUD_API")}
    assert {"APPROVED", "AVAILABLE_WITHOUT_REVIEW"} & {row["name_status"] for row in rows}


def level(throughput: Any) -> Any:
    return throughput.get("level") if isinstance(throughput, dict) else throughput


def test_no_two_accounts_share_an_id_and_no_two_rows_a_number() -> None:
    rows = [*seeded_rows(1, 400), *seeded_rows(2, 400)]
    ids = [row["id"] for row in rows]
    assert all(re.fullmatch(r"\d{15,16}", each) for each in ids)
    assert len(set(ids)) == 800
    for ordinal in (1, 2):
        assert is_distinct(digits_of(row["display_phone_number"]) for row in seeded_rows(ordinal, 1000))


def is_distinct(values: Iterable[str]) -> bool:
    every = list(values)
    return len(set(every)) == len(every)


def test_numbers_are_555_numbers_displayed_in_many_ways() -> None:
    shown = [row["display_phone_number"] for row in seeded_rows(2, 250)]
    assert all("555" in digits_of(number) and 7 <= len(digits_of(number)) <= 15 for number in shown)
    assert len({re.sub(r"\d", "#", number) for number in shown}) > 7
    assert any(number.isdigit() for number in shown)


def test_times_are_written_as_meta_writes_them() -> None:
    for row in seeded_rows(2, 250):
        assert re.fullmatch(r"2024-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", row["creation_time"])
        assert datetime.fromisoformat(row["creation_time"]).tzinfo is not None


def test_an_id_tells_its_account() -> None:
    assert account_ordinal(number_id(7, 999_999)) == 7
    assert account_ordinal("12") < 0


def test_a_created_number_is_unverified_and_counted(store: Store) -> None:
    account = store.account(EMPTY_WABA)
    assert account is not None
    number = store.create(account, "16315551000", "Acme", preverified=False)
    assert store.created == [Created(EMPTY_WABA, number, "16315551000")]
    (row,) = store.numbers(EMPTY_WABA)
    assert row["id"] == number
    assert (row["status"], row["code_verification_status"]) == ("PENDING", "NOT_VERIFIED")
    assert account.has("16315551000")
    assert not account.is_registered


def test_a_created_id_is_new() -> None:
    account = StoredAccount("1", 5, 3)
    ids = {row["id"] for row in account.rows()}
    assert account.create("16315551000", "Acme", preverified=True) not in ids
    assert account.create("16315551001", "Acme", preverified=True) == number_id(5, 4)


def test_a_change_is_visible_and_makes_a_new_version() -> None:
    account = StoredAccount("1", 5, 3)
    first, second, _ = account.rows()
    account.update(second["id"], {"status": "BANNED"})
    account.remove(first["id"])
    assert [row["status"] for row in account.rows()] == ["BANNED", "CONNECTED"]
    assert account.version >= 2
    with pytest.raises(KeyError):
        account.remove(first["id"])


def test_a_change_clears_what_an_account_has_cached() -> None:
    account = StoredAccount("1", 5, 1)
    (row,) = account.rows()
    digits = digits_of(row["display_phone_number"])
    assert account.has(digits)
    assert account.is_registered
    account.update(row["id"], {"display_phone_number": "+1 2", "status": "BANNED"})
    assert not account.has(digits)
    assert account.has("12")
    assert not account.is_registered
    number = account.create("123", "Acme", preverified=False)
    assert account.has("123")
    account.remove(number)
    assert not account.has("123")


def test_a_number_is_added_with_its_members_and_an_id(store: Store) -> None:
    before = store.numbers(SMALL_WABA)
    assert not store.existing(EMPTY_WABA).is_registered
    added = store.add_number(EMPTY_WABA, {"display_phone_number": "+1 631-555-1000", "status": "CONNECTED"})
    assert store.numbers(EMPTY_WABA) == [added]
    assert store.existing(EMPTY_WABA).is_registered
    assert store.existing(EMPTY_WABA).has("16315551000")
    assert store.find_owner(added["id"]) is store.existing(EMPTY_WABA)

    added["status"] = "BANNED"  # a copy
    own = store.add_number(SMALL_WABA, {"id": "77", "status": "PENDING"})
    assert store.numbers(SMALL_WABA) == [*before, own]
    assert store.find_owner("77") is store.existing(SMALL_WABA)
    assert store.numbers(EMPTY_WABA)[0]["status"] == "CONNECTED"
    with pytest.raises(KeyError):
        store.add_number("404", {})


def test_given_numbers_are_served_as_they_are() -> None:
    account = StoredAccount("1", 5, [{"throughput": 80}, {"id": "77", "status": "CONNECTED"}])
    assert list(account.rows()) == [{"id": number_id(5, 0), "throughput": 80}, {"id": "77", "status": "CONNECTED"}]
    assert account.is_registered
    assert not account.has("1")


def test_an_account_that_replaces_another_keeps_its_ids(store: Store) -> None:
    before = [row["id"] for row in store.numbers(SMALL_WABA)]
    store.add(SMALL_WABA, 2)
    assert [row["id"] for row in store.numbers(SMALL_WABA)] == before[:2]


def test_changing_a_returned_copy_changes_nothing(store: Store) -> None:
    store.numbers(SMALL_WABA)[0]["throughput"]["level"] = "changed"
    assert store.numbers(SMALL_WABA)[0]["throughput"]["level"] == "STANDARD"


def test_many_accounts_cost_little(store: Store) -> None:
    for index in range(10_000):
        store.add(f"{10**15 + index}", 100)
    assert store.numbers(f"{10**15 + 9_999}")[99]["id"] == number_id(10_002, 99)


# The accounts of the business


@given(
    st.integers(0, 5),
    st.lists(st.from_regex(r"[0-9]{1,4}", fullmatch=True), unique=True, max_size=5),
    st.slices(12),
)
def test_waba_ids_behave_like_a_list(generated: int, others: list[str], cut: slice) -> None:
    ids = WabaIds(generated)
    for other in others:
        ids.add(other)
    plain = [*(str(FIRST_WABA_ID + position) for position in range(generated)), *others]
    assert list(ids) == plain
    assert len(ids) == len(plain)
    assert ids[cut] == plain[cut]
    assert [ids.position(waba_id) for waba_id in plain] == list(range(len(plain)))
    assert all(waba_id in ids for waba_id in plain)
    assert repr(ids) == f"<{len(plain)} ids of accounts>"
    if plain:
        assert ids[-1] == plain[-1]
    with pytest.raises(IndexError):
        ids[len(plain)]


@pytest.mark.parametrize(
    "stranger",
    ["", "x", "１" * 15, "110000000000003", "109999999999999", "0110000000000001", "9" * 5000, 110000000000000],  # noqa: RUF001 - digits, but not ASCII
    ids=lambda stranger: ascii(stranger)[:20],
)
def test_other_ids_are_not_in_waba_ids(stranger: Any) -> None:
    ids = WabaIds(3, ["77"])
    assert stranger not in ids
    if isinstance(stranger, str):
        with pytest.raises(KeyError):
            ids.position(stranger)


def test_the_business_owns_the_three_accounts_and_added_ones(store: Store) -> None:
    store.add("77", 1)
    store.add(SMALL_WABA, 2)  # replaces the one that exists
    assert list(store.waba_ids) == [EMPTY_WABA, SMALL_WABA, LARGE_WABA, "77"]
    assert list(store.accounts("client").slice(0, 9)) == []


def test_with_generated_accounts_the_three_are_shared() -> None:
    store = Store(2, 4)
    store.add("77", 1)
    assert list(store.waba_ids) == ["110000000000000", "110000000000001", "77"]
    assert [row["id"] for row in store.accounts("client").slice(0, 9)] == [EMPTY_WABA, SMALL_WABA, LARGE_WABA]
    assert len(store.numbers(LARGE_WABA)) == 250
    assert [len(store.numbers(waba_id)) for waba_id in store.waba_ids] == [4, 4, 1]
    assert store.account("110000000000002") is None
    with pytest.raises(KeyError):
        store.numbers("110000000000002")


def test_generated_accounts_share_no_ids_and_no_names() -> None:
    store = Store(50, 20)
    store.add("77", 20)
    ids = [row["id"] for waba_id in (*store.waba_ids, LARGE_WABA) for row in store.numbers(waba_id)]
    assert len(ids) == 51 * 20 + 250
    assert is_distinct(ids)
    assert is_distinct(row["name"] for row in store.accounts("owned").slice(0, 99))
    assert all(store.is_number(each) for each in ids)
    assert not any(store.is_number(waba_id) for waba_id in store.waba_ids)


def test_a_generated_account_is_always_the_same_and_keeps_its_changes() -> None:
    store, other = Store(3_000, 2), Store(3_000, 2)
    first, last = store.waba_ids[0], store.waba_ids[-1]
    for change in (
        lambda: store.update(first, store.numbers(first)[0]["id"], {"status": "BANNED"}),
        lambda: store.remove(first, store.numbers(first)[1]["id"]),
        lambda: store.create(account_of(store, last), "16315551000", "Acme", preverified=False),
    ):
        change()
        for waba_id in store.waba_ids[1:-1]:  # more than the cache keeps
            assert store.account(waba_id) is not None
    assert [row["status"] for row in store.numbers(first)] == ["BANNED"]
    assert [row["display_phone_number"] for row in store.numbers(last)][2:] == ["16315551000"]
    assert store.numbers(store.waba_ids[1500]) == other.numbers(store.waba_ids[1500])
    assert store.account(first) is store.account(first)


def account_of(store: Store, waba_id: str) -> StoredAccount:
    account = store.account(waba_id)
    assert account is not None
    return account


def test_a_generated_account_can_be_replaced() -> None:
    store = Store(3, 2)
    store.add(store.waba_ids[1], 5)
    assert [len(store.numbers(waba_id)) for waba_id in store.waba_ids] == [2, 5, 2]
    assert store.numbers(store.waba_ids[1])[0]["id"] == number_id(4, 0)


def test_a_million_accounts_cost_little_until_they_are_changed() -> None:
    tracemalloc.start()
    try:
        store = Store(1_000_000, 100)
        rows = store.accounts("owned")
        for start in range(0, 1_000_000, 10_000):
            assert len(rows.slice(start, start + 100)) == 100
            assert len(store.numbers(store.waba_ids[start])) == 100
        assert rows.position("110000000999999") == 999_999
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
