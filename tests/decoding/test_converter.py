"""Decoding: any JSON gives a value or an error with its path. Nothing is guessed, and nothing is lost."""

import contextlib
import importlib.util
import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from readers import fresh_readers, read_plain_page

from wa_phone_async.decoding import converter as decoding
from wa_phone_async.decoding.converter import FAST_PATH_SWITCH, Json, read_json, to_dict, without_links
from wa_phone_async.errors import DecodeError
from wa_phone_async.models import (
    ALL_FIELDS,
    NO_EXTRA,
    AccountMode,
    BusinessAccount,
    CodeVerificationStatus,
    CreatedPhoneNumber,
    Cursors,
    Extra,
    HostPlatform,
    MessagingLimitTier,
    NameStatus,
    Page,
    PhoneNumber,
    PhoneNumberStatus,
    QualityRating,
    Throughput,
    ThroughputLevel,
    UnifiedCertStatus,
)

PATHS = [
    "core",
    pytest.param(
        "fast", marks=pytest.mark.skipif(not importlib.util.find_spec("msgspec"), reason="msgspec is not installed")
    ),
]


@pytest.fixture(scope="module", params=PATHS, autouse=True)
def _path(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run all tests of this module on the core path and on the fast path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FAST_PATH_SWITCH, "off" if request.param == "core" else "on")
        with fresh_readers():
            yield


def read_model(payload: Any, model: type[Any], **details: Any) -> Any:
    """Read a payload as a value of a model, by the fast path if that reads it."""
    with contextlib.suppress(RecursionError, ValueError):  # `json` cannot write some payloads
        page = read_plain_page(json.dumps({"data": [payload]}).encode(), model)
        if page is not None:
            return page.rows[0]
    return decoding.read_model(payload, model, **details)


def from_dict(model: type[Any], data: Any) -> Any:
    return read_model(data, model)


SECRET = "EAAGsecretsecretsecret"

any_text = st.lists(st.characters(exclude_categories=["Cs"]) | st.just("\ud800"), max_size=20).map(
    "".join
)  # with lone surrogates, which JSON can escape
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
)
any_json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4), max_leaves=10
)
names = st.sampled_from([*ALL_FIELDS, "platform_type", "extra", "paging", "level", "next"]) | any_text
words = st.sampled_from(
    ["", "CONNECTED", "GREEN", "EXPIRED", "HIGH", "CLOUD_API", "2025-02-04T17:40:07+0000", "2025-02-04"]
)
members = st.dictionaries(names, words | any_json)
fitting = st.fixed_dictionaries(
    {"id": any_text},
    optional={
        **dict.fromkeys(set(ALL_FIELDS) - {"id"}, st.none() | words | any_text),
        **dict.fromkeys([name for name in ALL_FIELDS if "is_" in name], st.none() | st.booleans() | st.just("")),
        **dict.fromkeys(["health_status", "official_business_account"], st.dictionaries(any_text, any_json)),
        "throughput": st.fixed_dictionaries({}, optional={"level": st.none() | words, "more": any_json}) | any_json,
        "last_onboarded_time": st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | words | any_text,
        "platform_type": st.none() | words,
        "webhook_configuration": any_json,
    },
)
pages = st.fixed_dictionaries(
    {},
    optional={
        "data": st.lists(fitting, max_size=3),
        "cursors": st.fixed_dictionaries({}, optional={"before": st.none() | any_text, "after": any_text}),
        "has_next": st.booleans(),
        "extra": st.dictionaries(any_text, any_json),
    },
)
# On a stack of 8 MB, CPython 3.14 and 3.15 follow some 65,000 levels.
DEEP = "[" * 200_000 + "]" * 200_000

MODELS = (PhoneNumber, CreatedPhoneNumber, Throughput, Cursors, Page, Page[PhoneNumber], list[PhoneNumber], dict)


# --- bytes → JSON


@given(st.binary() | any_json.map(lambda value: json.dumps(value).encode()))
@example(b"\xff")
@example(DEEP.encode())
@example(DEEP.replace("[", '{"a":').replace("]", "}").encode())
@example(b"9" * 5000)
@example(b'"\\ud800"')
def test_any_bytes_are_json_or_a_documented_error(body: bytes) -> None:
    with contextlib.suppress(DecodeError):
        read_json(body)


@given(any_json)
def test_json_is_read_as_it_was_written(value: Json) -> None:
    assert read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("body", "why", "garbled"),
    [
        (b"", "the response is empty (0 bytes)", True),
        (b"<html>Sorry</html>", "the response is not JSON (18 bytes)", True),
        (b'{"data": [{"id"', "the response is not JSON (15 bytes)", True),
        (b'{"a": 1} {"b"', "the response is not JSON (13 bytes)", True),
        (b'"\xff"', "the response is not JSON (3 bytes)", True),
        ('"\u00e9"'.encode("latin-1"), "the response is not JSON (3 bytes)", True),
        (b"NaN", "the response is not JSON (3 bytes)", True),
        (b"[-Infinity]", "the response is not JSON (11 bytes)", True),
        (DEEP.encode(), "the response is nested too deeply (400000 bytes)", False),
    ],
    ids=["empty", "html", "cut", "more than one", "not utf-8", "latin-1", "NaN", "infinity", "deep"],
)
def test_the_error_of_an_invalid_body_says_why(body: bytes, why: str, *, garbled: bool) -> None:
    with pytest.raises(DecodeError) as caught:
        read_json(body, http_status=502)
    assert str(caught.value) == why
    assert (caught.value.http_status, caught.value.garbled) == (502, garbled)
    assert caught.value.__context__ is None  # json's error holds the whole body


# --- JSON → values


@given(any_json | members | st.lists(members) | pages)
def test_any_json_is_a_value_or_a_documented_error(value: Json) -> None:
    for model in MODELS:
        with contextlib.suppress(DecodeError):
            read_model(value, model)


@given(fitting)
def test_a_number_goes_to_plain_json_and_back_exactly(sent: dict[str, Any]) -> None:
    number = from_dict(PhoneNumber, sent)
    plain = json.loads(json.dumps(to_dict(number)))
    assert plain == to_dict(number)
    assert from_dict(PhoneNumber, plain) == number
    assert repr(from_dict(PhoneNumber, plain)) == repr(number)  # enums are enums again


@given(pages)
def test_a_page_goes_to_plain_json_and_back_exactly(sent: dict[str, Any]) -> None:
    page = from_dict(Page[PhoneNumber], sent)
    plain = json.loads(json.dumps(to_dict(page)))
    assert plain == to_dict(page)
    assert from_dict(Page[PhoneNumber], plain) == page
    assert from_dict(Page, plain) == page


@given(fitting)
def test_no_member_of_a_number_is_lost(sent: dict[str, Any]) -> None:
    number = from_dict(PhoneNumber, sent)
    plain = to_dict(number)
    for name in sent.keys() - {"platform_type"}:
        assert name in plain or sent[name] is None or (name == "host_platform" and "platform_type" in sent)


def test_the_live_default_response_is_read_completely() -> None:
    number = from_dict(
        PhoneNumber,
        {
            "verified_name": "Jasper's Market",
            "code_verification_status": "EXPIRED",
            "display_phone_number": "+1 631-555-5555",
            "quality_rating": "GREEN",
            "platform_type": "CLOUD_API",
            "throughput": {"level": "STANDARD"},
            "webhook_configuration": {"application": "https://www.example.com/webhook"},
            "last_onboarded_time": "2025-02-04T17:40:07+0000",
            "id": "106540352242922",
        },
    )
    assert number == PhoneNumber(
        id="106540352242922",
        display_phone_number="+1 631-555-5555",
        verified_name="Jasper's Market",
        quality_rating=QualityRating.GREEN,
        code_verification_status=CodeVerificationStatus.EXPIRED,
        host_platform=HostPlatform.CLOUD_API,
        throughput=Throughput(ThroughputLevel.STANDARD),
        last_onboarded_time=datetime(2025, 2, 4, 17, 40, 7, tzinfo=UTC),
        webhook_configuration=Extra({"application": "https://www.example.com/webhook"}),
    )
    assert number.extra is NO_EXTRA


def test_nested_objects_are_read_as_they_are() -> None:
    health = {"can_send_message": "LIMITED", "entities": [{"entity_type": "WABA", "errors": [{"error_code": 141010}]}]}
    sent = {"id": "1", "health_status": health, "official_business_account": {}, "webhook_configuration": {"a": None}}
    number = from_dict(PhoneNumber, sent)
    assert number.health_status == health
    assert number.official_business_account == {}
    assert {type(number.health_status), type(number.official_business_account)} == {Extra}
    assert to_dict(number) == sent
    assert hash(number) == hash(PhoneNumber("1"))
    assert pickle.loads(pickle.dumps(number)) == number


def test_a_nested_object_is_a_copy_of_what_the_caller_owns() -> None:
    webhooks = {"application": "https://a.example"}
    number = from_dict(PhoneNumber, {"id": "1", "webhook_configuration": webhooks, "status": 5})  # read with care
    webhooks["application"] = "https://b.example"
    assert number.webhook_configuration == {"application": "https://a.example"}


ENUM_FIELDS = {
    "status": PhoneNumberStatus,
    "quality_rating": QualityRating,
    "code_verification_status": CodeVerificationStatus,
    "unified_cert_status": UnifiedCertStatus,
    "account_mode": AccountMode,
    "host_platform": HostPlatform,
    "messaging_limit_tier": MessagingLimitTier,
    "name_status": NameStatus,
    "new_name_status": NameStatus,
    "whatsapp_business_manager_messaging_limit": MessagingLimitTier,
}


@pytest.mark.parametrize("name", ENUM_FIELDS)
def test_known_values_are_enums_and_unknown_ones_stay_strings(name: str) -> None:
    for member in ENUM_FIELDS[name]:
        assert getattr(from_dict(PhoneNumber, {"id": "1", name: member.value}), name) is member
    number = from_dict(PhoneNumber, {"id": "1", name: "TOMORROW'S"})
    value = getattr(number, name)
    assert type(value) is str
    assert f"{value}" == value == "TOMORROW'S"
    assert pickle.loads(pickle.dumps(number)) == number


@pytest.mark.parametrize("value", [None, ""], ids=["null", "empty text"])
@pytest.mark.parametrize("name", [name for name in ALL_FIELDS if name != "id"])
def test_null_and_an_empty_string_are_fine_in_every_field(name: str, value: str | None) -> None:
    number = from_dict(PhoneNumber, {"id": "1", name: value})
    assert getattr(number, name) in {None, ""}
    assert to_dict(number) == ({"id": "1"} if value is None else {"id": "1", name: ""})


@pytest.mark.parametrize(
    ("sent", "host_platform", "extra"),
    [
        ({"host_platform": "CLOUD_API"}, "CLOUD_API", {}),
        ({"platform_type": "CLOUD_API"}, "CLOUD_API", {}),
        ({"platform_type": "CLOUD_API", "host_platform": None}, "CLOUD_API", {}),
        ({"platform_type": None, "host_platform": "CLOUD_API"}, "CLOUD_API", {"platform_type": None}),
        ({"platform_type": None, "host_platform": None}, None, {}),
        ({"platform_type": "CLOUD_API", "host_platform": ""}, "", {"platform_type": "CLOUD_API"}),
        ({"platform_type": "ON_PREMISE", "host_platform": "CLOUD_API"}, "CLOUD_API", {"platform_type": "ON_PREMISE"}),
        ({"host_platform": "CLOUD_API", "platform_type": "ON_PREMISE"}, "CLOUD_API", {"platform_type": "ON_PREMISE"}),
    ],
    ids=["host", "type", "host null", "type null", "both null", "host empty", "both", "both, turned round"],
)
def test_host_platform_has_two_names(
    sent: dict[str, str | None], host_platform: str | None, extra: dict[str, str | None]
) -> None:
    number = from_dict(PhoneNumber, {"id": "1", **sent})
    assert number.host_platform == number.platform_type == host_platform
    assert number.extra == extra


def test_a_second_name_means_nothing_in_a_model_without_the_field() -> None:
    assert from_dict(CreatedPhoneNumber, {"id": "1", "platform_type": "CLOUD_API"}).extra == {
        "platform_type": "CLOUD_API"
    }


def test_reading_changes_nothing_in_the_payload() -> None:
    sent = {"id": "1", "platform_type": "CLOUD_API", "owner": {"paging": {"next": "https://…"}}}
    before = json.dumps(sent)
    from_dict(PhoneNumber, sent)
    assert json.dumps(sent) == before


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-02-04T17:40:07+0000", datetime(2025, 2, 4, 17, 40, 7, tzinfo=UTC)),
        ("2025-02-04T17:40:07-0330", datetime(2025, 2, 4, 17, 40, 7, tzinfo=timezone(-timedelta(hours=3, minutes=30)))),
        ("2025-02-04T17:40:07Z", datetime(2025, 2, 4, 17, 40, 7, tzinfo=UTC)),
        ("2025-02-04T17:40:07", datetime(2025, 2, 4, 17, 40, 7, tzinfo=UTC)),
    ],
    ids=["Meta's", "half hours", "Z", "no zone is UTC"],
)
def test_times_are_aware(text: str, time: datetime) -> None:
    read = from_dict(PhoneNumber, {"id": "1", "last_onboarded_time": text}).last_onboarded_time
    assert read == time
    assert read is not None
    assert read.utcoffset() == time.utcoffset()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("throughput", 80),
        ("throughput", "STANDARD"),
        ("throughput", []),
        ("last_onboarded_time", "soon"),
        ("last_onboarded_time", 0),
        ("last_onboarded_time", True),
        ("last_onboarded_time", 1738690807000),  # milliseconds
        ("last_onboarded_time", "1738690807000"),
        ("last_onboarded_time", "2001013111223"),  # Python would make 2001-01-31 12:23 of it
        ("last_onboarded_time", 20250204),
        ("last_onboarded_time", {"seconds": 1738690807}),
        ("is_pin_enabled", ""),
        ("is_pin_enabled", "yes"),
        ("is_pin_enabled", 0),
        ("is_pin_enabled", 1),
        ("is_pin_enabled", []),
        ("username", {}),
        ("username", ["a"]),
        ("username", True),
        ("country_dial_code", 5.5),
        ("country_dial_code", -55),
        ("verified_name", 10**640),
        ("status", 1),
        ("status", []),
        ("messaging_limit_tier", 250),
        ("quality_rating", {"score": "GREEN"}),
        ("platform_type", 1),
        ("health_status", "AVAILABLE"),
        ("webhook_configuration", []),
        ("webhook_configuration", "https://shop.example/webhooks"),
        ("official_business_account", False),
        ("new_display_name", {}),
        ("is_on_biz_app", 2),
        ("search_visibility", {"more": "VISIBLE"}),
    ],
    ids=repr,
)
def test_what_no_field_can_hold_stays_in_extra(name: str, value: Json) -> None:
    number = from_dict(PhoneNumber, {"id": "1", "status": "CONNECTED", name: value})
    assert number == PhoneNumber(
        "1", status=None if name == "status" else PhoneNumberStatus.CONNECTED, extra=Extra({name: value})
    )
    assert repr(number.extra) == repr({name: value})


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("id", 106540352242922, "106540352242922"),
        ("country_dial_code", 55, "55"),
        ("country_dial_code", 0, "0"),
        ("display_phone_number", 16315551000, "16315551000"),
        ("is_pin_enabled", "true", True),
        ("is_pin_enabled", "false", False),
        ("is_official_business_account", "False", False),
        ("last_onboarded_time", 1738690807, datetime(2025, 2, 4, 17, 40, 7, tzinfo=UTC)),
        ("last_onboarded_time", "1738690807", datetime(2025, 2, 4, 17, 40, 7, tzinfo=UTC)),
        ("last_onboarded_time", 1738690807.5, datetime(2025, 2, 4, 17, 40, 7, 500_000, tzinfo=UTC)),
        ("last_onboarded_time", "20250204", datetime(2025, 2, 4, tzinfo=UTC)),
    ],
    ids=repr,
)
def test_what_has_only_one_meaning_is_read(name: str, value: Json, read: object) -> None:
    number = from_dict(PhoneNumber, {"id": "1", name: value})
    assert (getattr(number, name), type(getattr(number, name))) == (read, type(read))
    assert number.extra is NO_EXTRA


def test_a_field_that_is_nested_too_deeply_is_an_error_of_its_row() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    with pytest.raises(DecodeError, match=r"^nested too deeply @ "):
        from_dict(PhoneNumber, {"id": "1", "health_status": deep})


def test_an_odd_member_of_a_nested_object_stays_in_its_extra() -> None:
    number = from_dict(PhoneNumber, {"id": "1", "throughput": {"level": 80, "more": 1}})
    assert number == PhoneNumber("1", throughput=Throughput(extra=Extra({"level": 80, "more": 1})))


@pytest.mark.parametrize("model", [PhoneNumber, CreatedPhoneNumber, BusinessAccount], ids=lambda model: model.__name__)
def test_a_whole_number_is_an_id_in_every_response(model: type[Any]) -> None:
    assert from_dict(model, {"id": 106540352242922}) == model("106540352242922")


@given(st.dictionaries(names, words | any_json), st.text(min_size=1) | st.integers(min_value=0))
def test_no_odd_member_costs_a_row(sent: dict[str, Any], id_: str | int) -> None:
    number = from_dict(PhoneNumber, {**sent, "id": id_})
    assert number.id == str(id_)
    for name, value in sent.items():
        field = "host_platform" if name == "platform_type" and sent.get("host_platform") is None else name
        if name in number.extra:
            assert number.extra[name] == without_links(value)
        elif name != "id" and value is not None:
            assert getattr(number, field) is not None


def test_numbers_without_unknown_members_share_one_empty_extra() -> None:
    assert from_dict(PhoneNumber, {"id": "1", "throughput": {}}) == PhoneNumber("1", throughput=Throughput())
    assert from_dict(PhoneNumber, {"id": "1"}).extra is NO_EXTRA
    assert from_dict(Page, {"extra": {}}).extra is NO_EXTRA


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "required field missing @ $.id"),
        ({"id": None}, "required field missing @ $.id"),
        ({"id": 1.5}, "expected a string, not a number @ $.id"),
        ({"id": True}, "expected a string, not a boolean @ $.id"),
        ({"id": -15}, "expected a string, not a number @ $.id"),
        ({"id": ["1"]}, "expected a string, not an array @ $.id"),
        ({"id": {}, "username": 2, "status": 3}, "expected a string, not an object @ $.id"),
    ],
    ids=str,
)
def test_a_row_without_an_id_is_an_error_with_its_path(members: dict[str, Any], text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read_model(members, PhoneNumber, http_status=200)
    assert str(caught.value) == text
    assert (caught.value.http_status, caught.value.garbled) == (200, False)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("model", "value", "text"),
    [
        (PhoneNumber, None, "expected an object, not null @ $"),
        (PhoneNumber, "id", "expected an object, not a string @ $"),
        (dict, [], "expected an object, not an array @ $"),
        (list[PhoneNumber], "ab", "expected an array, not a string @ $"),
        (list[PhoneNumber], {}, "expected an array, not an object @ $"),
        (list[PhoneNumber], [{"id": "1"}, {}, {}], "required field missing @ $[1].id (and 1 more)"),
        (Page, [], "expected an object, not an array @ $"),
        (Page, {"data": ""}, "expected an array, not a string @ $.data"),
        (Page, {"data": [{"id": 1.5}]}, "expected a string, not a number @ $.data[0].id"),
        (Page, {"cursors": None}, "expected an object, not null @ $.cursors"),
        (Page, {"cursors": {"after": 5}}, "expected a string, not a number @ $.cursors.after"),
        (Page, {"has_next": 1}, "expected a boolean, not a number @ $.has_next"),
        (Page, {"extra": 0}, "expected an object, not a number @ $.extra"),
    ],
    ids=str,
)
def test_invalid_values_of_any_model_are_errors_with_their_path(model: type[Any], value: Json, text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        from_dict(model, value)
    assert str(caught.value) == text


def test_a_path_begins_with_the_argument_path() -> None:
    with pytest.raises(DecodeError) as caught:
        read_model([{"id": "1"}, {"id": 2}, {"id": {}}, {}], list[PhoneNumber], path="$.data")
    assert str(caught.value) == "expected a string, not an object @ $.data[2].id (and 1 more)"


@pytest.mark.parametrize("model", [PhoneNumber, dict, Page], ids=str)
def test_json_that_is_nested_too_deeply_is_an_error(model: type[Any]) -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(DecodeError) as caught:
        from_dict(model, {"id": "1", "extra": {"a": deep}})
    assert str(caught.value).startswith("nested too deeply @ $")


@given(fitting, st.sampled_from(ALL_FIELDS))
def test_no_error_holds_a_value(sent: dict[str, Any], name: str) -> None:
    with pytest.raises(DecodeError) as caught:
        from_dict(list[PhoneNumber], [{**sent, name: [SECRET]}, SECRET])
    assert SECRET not in f"{caught.value!r} {caught.value}"


def test_a_model_of_the_callers_own_is_read_as_strictly() -> None:
    @attrs.frozen
    class Template:
        name: str
        parts: tuple[int, ...] = ()
        owner: PhoneNumber | None = None

    assert from_dict(Template, {"name": "a", "parts": [1], "more": 1}) == Template("a", (1,))
    assert from_dict(Template, {"name": "a", "owner": {"id": "1"}}).owner == PhoneNumber("1")
    for wrong in ({"name": 1}, {"name": "a", "parts": "12"}, {"name": "a", "parts": [True]}, {}, 5):
        with pytest.raises(DecodeError):
            from_dict(Template, wrong)


def test_a_model_with_extra_of_the_callers_own_raises_for_required_fields_only() -> None:
    @attrs.frozen
    class Order:
        id: str
        paid: bool
        at: datetime
        parts: tuple[int, ...] = ()
        number: PhoneNumber | None = None
        extra: Extra = NO_EXTRA

    sent = {"id": 1, "paid": "true", "at": 1738690807, "parts": "12", "number": {"status": "CONNECTED"}}
    order = from_dict(Order, sent)
    time = datetime(2025, 2, 4, 17, 40, 7, tzinfo=UTC)
    assert order == Order("1", True, time, extra=Extra({"parts": "12", "number": {"status": "CONNECTED"}}))  # noqa: FBT003 - it is what was sent
    with pytest.raises(DecodeError) as caught:
        from_dict(Order, {**sent, "paid": 2, "at": "soon"})
    assert str(caught.value) == "expected a boolean, not a number @ $.paid (and 1 more)"


# --- values → JSON


def test_plain_json_has_no_none_and_no_enum() -> None:
    number = PhoneNumber("1", status=PhoneNumberStatus.CONNECTED, throughput=Throughput(ThroughputLevel.HIGH))
    plain = to_dict(number)
    assert plain == {"id": "1", "status": "CONNECTED", "throughput": {"level": "HIGH"}}
    assert {type(plain["status"]), type(plain["throughput"]["level"])} == {str}
    page = Page(data=(number,), cursors=Cursors(after="a"))
    neighbours = {"has_next": False, "has_previous": False}
    assert to_dict(page) == {"data": [plain], "cursors": {"after": "a"}, **neighbours, "extra": {}}


def test_a_page_of_plain_rows_becomes_plain_json() -> None:
    assert to_dict(Page(data=({"id": "1"},)))["data"] == [{"id": "1"}]


# --- links


@given(any_json | members)
def test_no_link_of_a_nested_list_stays(value: Json) -> None:
    document = {"owner": {"numbers": [{"data": value, "paging": {"next": SECRET, "previous": SECRET, "cursors": {}}}]}}
    plain = without_links(document)
    assert SECRET not in json.dumps(plain)
    assert plain["owner"]["numbers"][0]["paging"] == {"cursors": {}}
    assert without_links(plain) == plain


@pytest.mark.parametrize(
    "value", [{"next": "a"}, {"paging": "a"}, {"paging": None}, [1, "next"], "next", None], ids=str
)
def test_without_links_json_stays_as_it_is(value: Json) -> None:
    assert without_links(value) == value


@pytest.mark.parametrize("model", [PhoneNumber, CreatedPhoneNumber, dict], ids=str)
def test_no_model_holds_a_link(model: type[Any]) -> None:
    paging = {"next": f"https://…?access_token={SECRET}"}
    for _ in range(2):  # the second time the names are known already
        value = read_model({"id": "1", "owner": {"paging": paging}, "paging": paging}, model)
        assert SECRET not in repr(value)
