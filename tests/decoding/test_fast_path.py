"""The fast path: whatever the bytes of a page are, it gives what the core path gives, or leaves the page to it."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs
import pytest
from decoding_paths import by_both, by_core, outcome
from hypothesis import example, given
from hypothesis import strategies as st
from readers import fresh_readers, read_plain_page

from wa_phone_async import BadRequestError, PhoneNumberClient
from wa_phone_async.call import attempt
from wa_phone_async.decoding import converter as decoding
from wa_phone_async.decoding.builders import LONGEST_LEARNED, MAX_LEARNED
from wa_phone_async.decoding.converter import FAST_PATH_SWITCH, to_dict
from wa_phone_async.decoding.plain_page import LARGE_PAGE, LONGEST_LINK
from wa_phone_async.models import (
    ALL_FIELDS,
    NO_EXTRA,
    CreatedPhoneNumber,
    Extra,
    PhoneNumber,
    PhoneNumberStatus,
    Throughput,
    ThroughputLevel,
)
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox

msgspec = pytest.importorskip("msgspec", reason="msgspec is not installed")

TOKEN = "EAAGsecretsecretsecretsecret"
FIELDS_OF_ENUMS = ["status", "quality_rating", "account_mode", "host_platform", "platform_type", "name_status"]

# JSON is written by hand here: no `dict` has a key twice, and `json` writes no lone surrogates as bytes.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map(json.dumps)
junk = st.sampled_from(
    [
        *("NaN", "-Infinity", "1e999", "9" * 40, "9" * 5000, "-0", "1.5", "01", "nul", "", "[1,]", '{"a":1,"a":2}'),
        *('"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\x01"', '"\\x"', '""', '{"\\u0069d":"1"}'),
        *("1738690807", '"1738690807"', "1738690807000", '"2001013111223"', '"true"', '"False"', "55", "-55"),
        "[" * 3000 + "]" * 3000,
    ]
)
scalars = st.sampled_from(["null", "true", "false", "0", "1", "123456789012345678901234567890"]) | texts


def objects(members: st.SearchStrategy[tuple[str, str]], max_size: int = 8) -> st.SearchStrategy[str]:
    return st.lists(members, max_size=max_size).map(
        lambda pairs: "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"
    )


def arrays(items: st.SearchStrategy[str], max_size: int = 4) -> st.SearchStrategy[str]:
    return st.lists(items, max_size=max_size).map(lambda items: f"[{','.join(items)}]")


nested = st.recursive(
    scalars,
    lambda inner: (
        arrays(inner) | objects(st.tuples(st.sampled_from(["a", "b", "paging", "next", "cursors"]), inner), max_size=3)
    ),
    max_leaves=6,
)
words = st.sampled_from(["", "CONNECTED", "CLOUD_API", "GREEN", "HIGH", "TOMORROW'S", "2025-02-04T17:40:07+0000"])
OBJECTS = ["health_status", "official_business_account", "webhook_configuration"]
FLAGS = [name for name in ALL_FIELDS if name.startswith("is_")]
strings = st.sampled_from(sorted({*ALL_FIELDS} - {"throughput", "id", *OBJECTS, *FLAGS}))
unknown = st.sampled_from(["search_visibility", "extra", "level", "paging", "certificate", "a-b", "ñ", "_", "", "id "])
fitting_members = st.one_of(
    st.tuples(strings | st.sampled_from(FIELDS_OF_ENUMS), words.map(json.dumps) | st.just("null")),
    st.tuples(st.sampled_from(FLAGS), st.sampled_from(["true", "false"])),
    st.tuples(
        st.sampled_from(OBJECTS),
        objects(st.tuples(st.sampled_from(["a", "paging", "application"]), nested), max_size=3),
    ),
    st.tuples(
        st.just("throughput"),
        objects(st.tuples(st.sampled_from(["level", "more"]), words.map(json.dumps)), max_size=2),
    ),
    st.tuples(unknown, nested),
)
any_members = fitting_members | st.tuples(st.sampled_from([*ALL_FIELDS, "platform_type"]) | unknown, nested | junk)


def rows_of(members: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[str]:
    return arrays(
        st.builds(lambda row, id_: f'{{"id":{id_}{row[1:] if row == "{}" else "," + row[1:]}', objects(members), texts)
    )


pagings = (
    objects(
        st.tuples(st.sampled_from(["next", "previous"]), texts)
        | st.tuples(
            st.just("cursors"),
            objects(st.tuples(st.sampled_from(["before", "after"]), texts | st.just("null")), max_size=2),
        ),
        max_size=3,
    )
    | nested
)
pages = st.builds(
    lambda data, paging, more: f'{{"data":{data},"paging":{paging}{more}}}',
    rows_of(fitting_members) | rows_of(any_members) | nested | junk,
    pagings,
    st.just("")
    | st.sampled_from(["summary", "error", "data", "paging"]).flatmap(
        lambda name: nested.map(lambda value: f',"{name}":{value}')
    ),
)


@pytest.fixture(autouse=True)
def _fast_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fast path that has learned nothing yet."""
    monkeypatch.delenv(FAST_PATH_SWITCH, raising=False)
    with fresh_readers():
        yield


def body_of(*rows: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"data": [{"id": "1", **row} for row in rows], **more}).encode()


def is_read(body: bytes, model: type[Any] = PhoneNumber) -> bool:
    return read_plain_page(body, model) is not None


# --- equality


@given(st.lists(pages.map(lambda text: text.encode("utf-8", "surrogatepass")), min_size=1, max_size=2))
@example([b'{"data":[{"id":"1","id":"2","status":"A","status":null}]}'])
@example([b'{"data":[{"id":"1"}],"data":[{"id":"2"}]}'])
@example([b'{"data":[{"id":"1"}],"paging":null}', b'{"data":[{"id":"1","paging":{"next":"https://x"}}]}'])
@example([b'{"data":[{"id":"1","a":1}]}', b'{"data":[{"id":"1","a":null},{"id":"1"},{"id":"1","a":{}}]}'])
@example([b'{"data":[{"id":"1","platform_type":"CLOUD_API","host_platform":"CLOUD_API"}]}'])
@example([b'{"data":[{"id":"1","platform_type":"X"},{"id":"1","host_platform":"Y"}]}'])
@example([b'{"data":[{"id":"1","platform_type":null,"host_platform":"CLOUD_API"}]}'])
@example([b'{"data":[{"id":"1","status":"`\\n - at `$.data[0].id`"}]}'])
@example([b'{"data":[{"id":"1","a` - at `$.data[0]`":1}]}'])
@example([b'\xef\xbb\xbf{"data":[{"id":"1"}]}'])
@example([b'{"data":[{"id":"\xed\xa0\x80"}]}', b'{"data":[{"id":"1"}]} 1'])
def test_both_paths_give_equal_values_or_the_same_error(bodies: list[bytes]) -> None:
    with fresh_readers():
        for body in [*bodies, *bodies]:  # what it learned from a page changes no other
            for model in (PhoneNumber, CreatedPhoneNumber, dict):
                assert outcome(by_both, body, model) == outcome(by_core, body, model)


@given(rows_of(fitting_members))
def test_builders_give_what_careful_readers_give(rows: str) -> None:
    with fresh_readers():
        payload = json.loads(rows)
        built = decoding.read_model(payload, list[PhoneNumber])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoding, "is_plain", lambda _: False)
            patch.setattr(decoding, "_converter", decoding._make_converter())
            careful = decoding.read_model(payload, list[PhoneNumber])
        assert (built, repr(built)) == (careful, repr(careful))


@given(rows_of(fitting_members))
def test_any_valid_page_without_odd_names_is_read(rows: str) -> None:
    with fresh_readers():
        usual = [{name: value for name, value in row.items() if name.isidentifier()} for row in json.loads(rows)]
        for row in usual:
            row.pop("last_onboarded_time", None)
            if "platform_type" in row:
                row.pop("host_platform", None)
        assert is_read(json.dumps({"data": [{**row, "ñ": 1} for row in usual]}).encode()) == (not usual)
        for row in usual:
            row.pop("ñ", None)
        assert is_read(json.dumps({"data": usual, "paging": {}}).encode())


# --- what it reads, and what it leaves


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"status": "CONNECTED", "quality_rating": None, "username": ""},
        {"platform_type": "CLOUD_API"},
        {"status": "TOMORROW'S", "platform_type": "MOON"},
        {"throughput": {}, "last_onboarded_time": "2025-02-04T17:40:07+0000", "is_pin_enabled": True},
        {"throughput": {"level": "HIGHER", "more": 1}},
        {"webhook_configuration": {"application": "https://shop.example/"}, "search_visibility": "VISIBLE"},
        {"health_status": {"can_send_message": "LIMITED", "entities": [{"errors": [{"error_code": 1}]}]}},
        {"official_business_account": {}, "webhook_configuration": None},
    ],
    ids=str,
)
def test_what_is_usual_is_read(row: dict[str, Any]) -> None:
    assert is_read(body_of(row, {}, paging={"cursors": {"before": None, "after": "a"}, "next": "https://x"}))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"null", b"{", b'{"data": null}', b'{"data": {}}', b'{"data": [1]}', b'{"data": [{}]}'),
        *(b"\xff", b'{"data": [{"id": "\\ud800"}]}', b'{"data": [{"id": NaN}]}', b'{"data": [{"id": 1}]}'),
        body_of({"webhook_configuration": []}),
        body_of({"health_status": "AVAILABLE"}),
        body_of({"throughput": 80}),
        body_of({"throughput": {"level": 80}}),
        body_of({"last_onboarded_time": "soon"}),
        body_of({"is_pin_enabled": ""}),
        body_of({"last_onboarded_time": 1738690807}),
        body_of({"last_onboarded_time": "1738690807"}),
        body_of({"country_dial_code": 55}),
        body_of({"is_pin_enabled": "false"}),
        body_of({"a-b": 1}),
        body_of({"platform_type": "CLOUD_API", "host_platform": "CLOUD_API"}),
        body_of({}, error={"code": 4}),
        body_of({}, error=None),
        body_of({}, summary={"total_count": 1}),
        body_of({}, paging={"cursors": []}),
        body_of({}, paging={"next": 1}),
        body_of({}, paging={"more": 1}),
        b'{"data": [{"id": "1", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}]}",
    ],
)
def test_what_is_unusual_is_left_to_the_core_path(body: bytes) -> None:
    assert not is_read(body)


def test_the_values_are_the_models_own() -> None:
    row = {"status": "CONNECTED", "platform_type": "MOON", "throughput": {"level": "HIGH"}, "owner": {"id": "2"}}
    page = read_plain_page(body_of(row, {}), PhoneNumber)
    assert page is not None
    number, bare = page.rows
    assert (type(number), type(number.throughput), type(number.extra)) == (PhoneNumber, Throughput, Extra)
    assert number.status is PhoneNumberStatus.CONNECTED
    assert number == PhoneNumber(
        "1",
        status=PhoneNumberStatus.CONNECTED,
        host_platform="MOON",
        throughput=Throughput(ThroughputLevel.HIGH),
        extra=Extra({"owner": {"id": "2"}}),
    )
    assert type(number.host_platform) is str
    assert bare.extra is NO_EXTRA
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        number.id = "2"


def test_equal_parts_of_numbers_in_a_row_are_the_same_objects() -> None:
    webhooks = {"application": "https://shop.example"}
    row = {"throughput": {"level": "HIGH"}, "webhook_configuration": webhooks, "search_visibility": "VISIBLE"}
    page = read_plain_page(body_of(row, row, {"throughput": {"level": "HIGH", "more": 1}}), PhoneNumber)
    assert page is not None
    first, second, other = page.rows
    assert second.throughput is first.throughput
    assert second.webhook_configuration is first.webhook_configuration
    assert second.extra is first.extra
    assert repr(other.throughput) == "Throughput(level=<ThroughputLevel.HIGH: 'HIGH'>, extra={'more': 1})"


def test_the_links_of_nested_lists_are_removed_and_those_of_the_page_are_not_shown() -> None:
    link = f"https://graph.example/?access_token={TOKEN}"
    paging = {"next": link, "cursors": {"after": "a"}}
    row = {"owner": {"paging": paging}, "paging": paging, "health_status": {"entities": [{"paging": paging}]}}
    page = read_plain_page(body_of(row, paging=paging), PhoneNumber)
    assert page is not None
    assert TOKEN not in f"{page}{[*map(to_dict, page.rows)]}"
    assert page.rows[0].extra == {
        "owner": {"paging": {"cursors": {"after": "a"}}},
        "paging": {"cursors": paging["cursors"]},
    }


# --- what it learns


def test_a_name_is_learned_once_and_only_some_names_are_learned() -> None:
    for index in range(MAX_LEARNED):
        assert is_read(body_of({f"name_{index}": index}))
    assert not is_read(body_of({"one_more": 1}))
    assert is_read(body_of({"name_0": 1, "name_9": 2}, {}))
    assert by_both(body_of({"one_more": 1}), PhoneNumber).rows == [PhoneNumber("1", extra=Extra({"one_more": 1}))]


@pytest.mark.parametrize(
    "paging", ['{"next":"#"}', '{"previous":"#"}', '{"cursors":{"before":"#"}}', '{"cursors":{"after":"#"}}']
)
def test_a_link_or_cursor_that_is_too_long_is_left_to_the_core_path(paging: str) -> None:
    for length in (LONGEST_LINK, LONGEST_LINK + 1):
        body = body_of({}, paging=json.loads(paging.replace("#", "é" * length)))
        assert is_read(body) == (length == LONGEST_LINK)


def test_no_long_name_is_learned() -> None:
    assert is_read(body_of({"n" * LONGEST_LEARNED: 1}))
    assert not is_read(body_of({"n" * (LONGEST_LEARNED + 1): 1}))
    assert is_read(body_of({"n" * LONGEST_LEARNED: 2}))


def test_a_large_page_is_parsed_once_and_teaches_one_name() -> None:
    large = body_of({"name_1": 1, "name_2": 2}, *[{"verified_name": "Acme"}] * 5_000)
    assert len(large) > LARGE_PAGE
    assert [is_read(large) for _ in range(3)] == [False, False, True]


def test_an_enum_takes_any_string_once_it_had_an_unknown_value() -> None:
    assert is_read(body_of({"status": "TOMORROW'S"}))
    page = read_plain_page(body_of({"status": "NEXT WEEK'S"}, {"status": "CONNECTED"}, {"status": None}), PhoneNumber)
    assert page is not None
    assert [number.status for number in page.rows] == ["NEXT WEEK'S", PhoneNumberStatus.CONNECTED, None]
    assert page.rows[1].status is PhoneNumberStatus.CONNECTED


# --- models of the caller's own


class Moody(StrEnum):
    GOOD = "GOOD"

    @classmethod
    def _missing_(cls, value: object) -> "Moody":  # noqa: ARG003  # its signature is the enum module's
        return cls.GOOD


class Empty(StrEnum):
    pass


@attrs.frozen
class Template:
    id: str
    mood: Moody | str | None = None
    at: datetime | None = None
    extra: Extra = NO_EXTRA


@attrs.frozen
class Tagged:
    id: str
    tags: list[str] | None = None
    extra: Extra = NO_EXTRA


@attrs.frozen
class Vague:
    id: str
    word: Empty | str | None = None
    extra: Extra = NO_EXTRA


@attrs.frozen
class Checked:
    id: str = attrs.field(validator=attrs.validators.instance_of(str))
    extra: Extra = NO_EXTRA


def test_a_plain_model_of_the_callers_own_is_read() -> None:
    body = body_of({"mood": "BAD", "at": "2025-02-04T17:40:07Z", "more": [1]})
    assert is_read(body, Template)
    assert outcome(by_both, body, Template) == outcome(by_core, body, Template)
    assert by_both(body, Template).rows[0].mood == "BAD"


@pytest.mark.parametrize("model", [Tagged, Vague, Checked, dict])
def test_other_models_are_left_to_the_core_path(model: type[Any]) -> None:
    body = body_of({"tags": ["a"], "word": ""})
    assert not is_read(body, model)
    assert by_both(body, model).rows[0] == by_core(body, model).rows[0]


# --- switched off, or not installed


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAST_PATH_SWITCH, "off")
    assert not is_read(body_of({}))


def test_an_older_msgspec_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wa_phone_async.decoding.fast_path", raising=False)
    monkeypatch.setattr(msgspec, "__version__", "0.21.1")
    assert not is_read(body_of({}))
    with pytest.raises(ImportError, match=r"^the fast path needs msgspec 0\.22 or newer, not 0\.21\.1$"):
        importlib.import_module("wa_phone_async.decoding.fast_path")


def test_without_msgspec_the_core_path_reads_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wa_phone_async.decoding.fast_path", raising=False)
    monkeypatch.setitem(sys.modules, "msgspec", None)
    assert not is_read(body_of({}))
    assert by_both(body_of({}), PhoneNumber).rows == [PhoneNumber("1")]


def test_it_is_not_loaded_before_a_page_is_read() -> None:
    program = "import sys, wa_phone_async; sys.exit('msgspec' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


# --- through a client


async def test_a_client_lists_the_same_numbers_on_both_paths(
    graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def numbers() -> list[PhoneNumber]:
        async with PhoneNumberClient(TOKEN, base_url=graph_sandbox.url) as client:
            return await client.list_phone_numbers(LARGE_WABA)

    fast = await numbers()
    monkeypatch.setenv(FAST_PATH_SWITCH, "off")
    with fresh_readers():
        core = await numbers()
    assert len(core) == 250
    assert (fast, repr(fast)) == (core, repr(core))


async def test_a_client_reads_a_usual_page_by_the_fast_path(
    graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(attempt, "read_response")
    async with PhoneNumberClient(TOKEN, base_url=graph_sandbox.url) as client:
        assert len(await client.list_phone_numbers(SMALL_WABA, fields=["id", "display_phone_number"])) == 3


async def test_an_api_error_is_raised_whatever_its_status(graph_sandbox: Sandbox) -> None:
    async with PhoneNumberClient(TOKEN, base_url=graph_sandbox.url) as client:
        for fault in (Fault.error(100, status=200), Fault.error(100)):
            graph_sandbox.plan(fault)
            with pytest.raises(BadRequestError):
                await client.list_phone_numbers(SMALL_WABA)
