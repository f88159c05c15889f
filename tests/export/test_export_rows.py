"""The columns come from the model, and a row is plain."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Optional

import attrs
import pytest
from exports import ACME, BARE, JSON, LISTINGS, NUMBERS, TEXTS, listings, rows_in, rows_of
from hypothesis import given

from wa_phone_async import (
    ALL_FIELDS,
    DecodeError,
    Extra,
    InvalidArgumentError,
    PhoneNumber,
    PhoneNumberStatus,
    RateLimitError,
    Throughput,
    ThroughputLevel,
    WabaListing,
    WaPhoneError,
    from_dict,
)
from wa_phone_async.export import COLUMNS, errors_row, plain_json, row_of, rows

FIRST = {"waba_id": str, "id": str, "also_in": dict}


def test_the_columns_are_the_account_the_fields_and_extra() -> None:
    assert tuple(COLUMNS) == ("waba_id", "id", "also_in", *ALL_FIELDS[1:], "extra")
    assert {name for name, kind in COLUMNS.items() if kind is dict} == {
        "also_in",
        "throughput",
        "health_status",
        "official_business_account",
        "webhook_configuration",
        "extra",
    }
    assert {name for name, kind in COLUMNS.items() if kind is datetime} == {"last_onboarded_time"}
    assert {name for name, kind in COLUMNS.items() if kind is bool} == {
        "is_official_business_account",
        "is_pin_enabled",
        "is_on_biz_app",
        "is_preverified_number",
    }


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (bool | None, bool),
        (int | None, int),
        (float, float),
        (str, str),
        (Optional[datetime], datetime),  # noqa: UP045 - a model may be written so
        (PhoneNumberStatus | str | None, str),
        (Throughput | None, dict),
        (Extra, dict),
        (list[str] | None, dict),
        (tuple[str, ...], dict),
    ],
)
def test_a_new_field_of_the_model_would_be_a_column_by_itself(annotation: Any, kind: type) -> None:
    assert rows._kind_of(annotation) is kind


def test_a_row_is_plain() -> None:
    row = row_of("100200300400003", attrs.evolve(ACME, status=PhoneNumberStatus.CONNECTED))
    assert list(row) == list(COLUMNS)
    assert (row["waba_id"], row["id"]) == ("100200300400003", "106540352242922")
    assert (row["status"], type(row["status"])) == ("CONNECTED", str)
    assert row["throughput"] == {"level": "HIGH"}
    assert row["last_onboarded_time"] == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert row["last_onboarded_time"].tzinfo is UTC
    assert (row["is_pin_enabled"], row["is_official_business_account"]) == (False, None)
    assert row["webhook_configuration"] == {"application": "https://acme.example/hook?key=of-acme"}
    assert row["extra"] == {"owner": {"id": "200300400500600"}}


def test_what_did_not_come_is_none() -> None:
    row = row_of(None, BARE)
    assert {name for name, value in row.items() if value is not None} == {"id"}


def test_an_object_without_members_is_not_nothing() -> None:
    assert row_of(None, PhoneNumber("1", throughput=Throughput()))["throughput"] == {}
    assert row_of(None, PhoneNumber("1", webhook_configuration=Extra()))["webhook_configuration"] == {}


def test_unknown_members_of_a_nested_object_are_kept_in_it() -> None:
    throughput = Throughput(ThroughputLevel.HIGH, Extra({"messages_per_second": 1000}))
    row = row_of(None, PhoneNumber("1", throughput=throughput))
    assert row["throughput"] == {"level": "HIGH", "messages_per_second": 1000}


@pytest.mark.parametrize(
    ("time", "in_utc"),
    [
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),  # noqa: DTZ001 - what is tested
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-3))), datetime(2026, 1, 1, 3, tzinfo=UTC)),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), datetime(1, 1, 1, tzinfo=UTC)),
        (
            datetime(9999, 12, 31, 23, 59, 59, 999999, timezone(timedelta(hours=-1))),
            datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        ),
    ],
    ids=["without a zone", "another zone", "before the first", "after the last"],
)
def test_times_are_in_utc(time: datetime, in_utc: datetime) -> None:
    assert row_of(None, PhoneNumber("1", last_onboarded_time=time))["last_onboarded_time"] == in_utc


@pytest.mark.parametrize(
    ("fields", "columns"),
    [
        (None, COLUMNS),
        (ALL_FIELDS, COLUMNS),
        ("status,id,status", {**FIRST, "status": str, "extra": dict}),
        (
            ["owner{id,name}", "is_pin_enabled", "phone_numbers.limit(5){id}"],
            {**FIRST, "owner": dict, "is_pin_enabled": bool, "phone_numbers": dict, "extra": dict},
        ),
        ("platform_type", {**FIRST, "platform_type": str, "extra": dict}),
    ],
    ids=str,
)
def test_the_columns_are_the_fields_that_were_requested(fields: Any, columns: dict[str, type]) -> None:
    assert list(rows.columns_of(fields).items()) == list(columns.items())


def test_fields_that_are_no_names_have_no_columns() -> None:
    with pytest.raises(InvalidArgumentError, match="fields must be names"):
        rows.columns_of("id;status")


def test_a_row_has_the_columns_that_were_requested_and_the_rest_in_extra() -> None:
    number = from_dict(
        PhoneNumber,
        {
            "id": "1",
            "status": "CONNECTED",
            "platform_type": "CLOUD_API",
            "last_onboarded_time": "yesterday",  # no time, so it stays in `extra`
            "owner": {"id": "7"},
            "shoe_size": 44,
        },
    )
    columns = rows.columns_of("platform_type,owner{id},last_onboarded_time,hat")
    assert rows_of(WabaListing(waba_id="9", phone_numbers=(number, BARE)), columns=columns) == [
        {
            "waba_id": "9",
            "id": "1",
            "also_in": None,
            "platform_type": "CLOUD_API",
            "owner": {"id": "7"},
            "last_onboarded_time": None,
            "hat": None,
            "extra": {"last_onboarded_time": "yesterday", "shoe_size": 44},
        },
        {**dict.fromkeys(columns), "waba_id": "9", "id": BARE.id},
    ]


def test_an_account_has_a_row_for_each_number_and_none_where_it_failed() -> None:
    assert [row["id"] for row in rows_of(LISTINGS[0])] == [ACME.id, BARE.id]
    failed = attrs.evolve(LISTINGS[2], phone_numbers=(ACME,))
    assert [rows_of(listing) for listing in (*LISTINGS[1:], failed)] == [[], [], []]


def test_nothing_else_can_be_exported() -> None:
    anything: Any = "106540352242922"
    with pytest.raises(InvalidArgumentError, match=r"^items must be WabaListing or PhoneNumber objects, not str$"):
        rows_of(anything)


def failed(error: WaPhoneError) -> WabaListing:
    return WabaListing(waba_id="100200300400009", error=error)


def test_an_error_is_a_row_with_all_that_the_api_said() -> None:
    error = RateLimitError(
        "Too many calls", http_status=400, code=80008, error_subcode=7, fbtrace_id="AbC", retry_after=90.0
    )
    assert errors_row(failed(error)) == {
        "waba_id": "100200300400009",
        "error": "RateLimitError",
        "message": "Too many calls",
        "code": 80008,
        "error_subcode": 7,
        "http_status": 400,
        "fbtrace_id": "AbC",
        "retry_after": 90.0,
    }


def test_the_rows_of_failed_accounts_are_in_their_order() -> None:
    items = [failed(RateLimitError("Too many calls", http_status=400, code=80008)), *LISTINGS]
    assert rows_in(rows.error_batches(items)) == [errors_row(items[0]), errors_row(LISTINGS[2])]
    assert tuple(rows.ERROR_COLUMNS) == tuple(errors_row(LISTINGS[2]))


def test_a_batch_has_rows_of_several_accounts_and_no_more_than_its_bound() -> None:
    many = listings(accounts=3, each=700)
    assert [len(batch["waba_id"]) for batch in rows.batches(many)] == [1_000, 1_000, 100]
    assert [row["id"] for row in rows_of(*many)] == [number.id for each in many for number in each.phone_numbers]


def test_an_error_that_is_no_api_error_says_what_it_knows() -> None:
    row = errors_row(failed(DecodeError("the response is empty", http_status=200)))
    assert (row["error"], row["message"], row["http_status"]) == ("DecodeError", "the response is empty", 200)
    assert (row["code"], row["fbtrace_id"], row["retry_after"]) == (None, None, None)


def test_a_listing_without_an_error_has_no_error_row() -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^listing must be one that failed: listing.error of 100200300400000 is None$"
    ):
        errors_row(LISTINGS[1])
    assert list(rows.error_batches([LISTINGS[1], ACME])) == []


@given(number=NUMBERS)
def test_writable_rows_hold_only_what_utf_8_and_json_can(number: PhoneNumber) -> None:
    row = rows.writable(row_of("1", number))
    assert list(row) == list(COLUMNS)
    json.dumps(row, ensure_ascii=False, allow_nan=False, default=str).encode()
    assert rows.writable(row) == row


@given(JSON | TEXTS)
def test_any_json_is_written_as_json_that_strict_readers_take(value: Any) -> None:
    text = rows.offer(value, plain_json.to_json)
    assert json.loads(text.encode(), parse_constant=pytest.fail) == rows.writable(value)
    assert "\n" not in text


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "\ud800", {"\udc00": 1}, ["a", {"b": ["\udfff\ud800"]}]])
def test_what_strict_readers_do_not_take_is_never_written(value: Any) -> None:
    with pytest.raises(ValueError, match=r"surrogates not allowed|not JSON compliant"):
        plain_json.to_json(value)


def test_writable_changes_nothing_else() -> None:
    value = {"a": ["é🏪", 1, 1.5, None, True, datetime(2026, 1, 1, tzinfo=UTC), {"b\ud800": "\udc00"}]}
    changed = {"a": [*value["a"][:-1], {"b\ufffd": "\ufffd"}]}
    assert rows.writable(value) == changed
    assert rows.writable([float("inf"), float("nan")]) == [None, None]
