import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Answer, Request
from wa_phone_async.sandbox.access import Access
from wa_phone_async.sandbox.budget import HOUR, Meter, Quota
from wa_phone_async.sandbox.graph import Graph
from wa_phone_async.sandbox.modes import LIVE_DEFAULT_FIELDS, LIVE_FIELDS, REFERENCE_FIELDS, TEMPERS, ModeName
from wa_phone_async.sandbox.query import Field, read_fields
from wa_phone_async.sandbox.reviews import Reviews
from wa_phone_async.sandbox.store import Store
from wa_phone_async.sandbox.webhooks import Webhooks

TEMPER_NAMES: tuple[ModeName, ...] = ("live", "reference")


class World:
    """A graph, and short ways to ask it."""

    def __init__(
        self,
        mode: ModeName = "live",
        *,
        quota: Quota = None,
        app_quota: int | None = None,
        tokens: tuple[str, ...] | None = None,
        app_secret: str | None = None,
        links: bool = True,
        accounts: int | None = None,
    ) -> None:
        self.store = Store(accounts, 2)
        self.access = Access(tokens, app_secret)
        meter = Meter(quota, app_quota, 1, "floor")
        reviews = Reviews(self.store, Webhooks("secret", lambda _: None), None)
        self.graph = Graph(self.store, TEMPERS[mode], self.access, meter, reviews, with_links=links)
        self.now = 0.0

    def ask(
        self,
        path: str,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        sent = {"Authorization": "Bearer token"} if headers is None else headers
        request = Request(method, path, "", dict(query or {}), sent, body, 1, 0.0)
        return self.graph.answer(request, self.now)

    def get(self, waba_id: str = LARGE_WABA, **query: str) -> dict[str, Any]:
        answer = self.ask(f"/v23.0/{waba_id}/phone_numbers", query=query)
        assert answer.status == 200, answer.body
        return read(answer)

    def post(self, members: Any, waba_id: str = EMPTY_WABA) -> Answer:
        headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
        return self.ask(f"/v23.0/{waba_id}/phone_numbers", "POST", headers=headers, body=json.dumps(members).encode())

    def refused(self, **query: str) -> tuple[int, int, str]:
        return refusal(self.ask(f"/v23.0/{LARGE_WABA}/phone_numbers", query=query))

    def walk(self, waba_id: str, limit: int, *, backward: bool = False, **query: str) -> list[dict[str, Any]]:
        """Read all pages, by the cursors, until the link that way is absent."""
        link, name = ("previous", "before") if backward else ("next", "after")
        pages = [self.get(waba_id, limit=str(limit), **query)]
        while link in pages[-1].get("paging", {}):
            cursor = pages[-1]["paging"]["cursors"][name]
            query = {key: value for key, value in query.items() if key not in {"after", "before"}}
            pages.append(self.get(waba_id, limit=str(limit), **query, **{name: cursor}))
        return pages


def read(answer: Answer) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.body)
    return body


def refusal(answer: Answer) -> tuple[int, int, str]:
    error = read(answer)["error"]
    return answer.status, error["code"], error["message"]


def ids(pages: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for page in pages for row in page["data"]]


@pytest.fixture
def live() -> World:
    return World()


@pytest.fixture
def reference() -> World:
    return World("reference")


# Pages


@pytest.mark.parametrize("mode", TEMPER_NAMES)
@pytest.mark.parametrize("waba_id", [SMALL_WABA, LARGE_WABA])
def test_a_walk_gives_every_number_once_whatever_the_page_size(mode: ModeName, waba_id: str) -> None:
    world = World(mode)
    everything = sorted(row["id"] for row in world.store.numbers(waba_id))
    for limit in range(1, 101):
        pages = world.walk(waba_id, limit, fields="id")
        assert sorted(ids(pages)) == everything
        assert len(pages) == -(-len(everything) // limit)  # no page too many


@pytest.mark.parametrize("limit", [1, 2, 7, 33, 100])
def test_a_walk_backward_gives_the_same_pages_of_rows(live: World, limit: int) -> None:
    forward = ids(live.walk(LARGE_WABA, limit, fields="id"))
    end = live.walk(LARGE_WABA, 100)[-1]["paging"]["cursors"]["after"]
    pages = live.walk(LARGE_WABA, limit, backward=True, fields="id", before=end)
    assert ids(pages[::-1]) == forward[:-1]


def test_an_empty_account_has_no_paging(live: World) -> None:
    assert live.get(EMPTY_WABA) == {"data": []}


def test_the_ends_keep_their_cursors_and_lose_one_link(live: World) -> None:
    first, *_, last = live.walk(LARGE_WABA, 100)
    assert set(first["paging"]) == {"cursors", "next"}
    assert set(last["paging"]) == {"cursors", "previous"}
    assert set(live.get(SMALL_WABA)["paging"]) == {"cursors"}


def test_behind_the_ends_is_nothing(live: World) -> None:
    cursors = live.get(SMALL_WABA)["paging"]["cursors"]
    assert live.get(SMALL_WABA, after=cursors["after"]) == {"data": []}
    assert live.get(SMALL_WABA, before=cursors["before"]) == {"data": []}


def test_links_carry_the_token_another_host_and_no_proof(live: World) -> None:
    link = urlsplit(live.get(limit="10", fields="id", appsecret_proof="x", sort="creation_time")["paging"]["next"])
    assert link.netloc == "graph.intern.facebook.com"
    assert link.path == f"/v23.0/{LARGE_WABA}/phone_numbers"
    query = dict(parse_qsl(link.query))
    assert query.pop("after")
    assert query == {
        "access_token": "token",
        "fields": "id",
        "limit": "10",
        "sort": "creation_time",
        "pretty": "0",
    }


def test_without_links_there_are_cursors_alone() -> None:
    world = World(links=False)
    first = world.get(limit="100")
    assert set(first["paging"]) == {"cursors"}
    second = world.get(limit="100", after=first["paging"]["cursors"]["after"])
    assert set(second["paging"]) == {"cursors"}


def test_25_numbers_unless_told(live: World) -> None:
    assert len(live.get()["data"]) == 25


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "", "²"])
@pytest.mark.parametrize("mode", TEMPER_NAMES)
def test_a_limit_that_is_none_is_refused(mode: ModeName, limit: str) -> None:
    assert World(mode).refused(limit=limit)[:2] == (400, 100)


def test_a_large_limit_is_refused_by_the_reference_and_cut_live(live: World, reference: World) -> None:
    assert reference.refused(limit="101")[:2] == (400, 100)
    assert len(live.get(limit="1000")["data"]) == 100


@pytest.mark.parametrize("cursor", ["x", "QVFIOjk5", "ÿ", "////"])
def test_a_cursor_that_names_nothing_is_refused(live: World, cursor: str) -> None:
    assert live.refused(after=cursor)[:2] == (400, 100)
    assert live.refused(before=cursor)[:2] == (400, 100)


def test_a_cursor_dies_with_its_number(live: World) -> None:
    page = live.get(limit="1")
    live.store.remove(LARGE_WABA, page["data"][0]["id"])
    assert live.refused(after=page["paging"]["cursors"]["after"])[:2] == (400, 100)


def test_two_cursors_at_once_are_refused(live: World) -> None:
    assert live.refused(after="x", before="y")[:2] == (400, 100)


# Accounts and the business


@pytest.mark.parametrize("mode", TEMPER_NAMES)
def test_the_node_of_an_account_is_the_row_of_the_list(mode: ModeName) -> None:
    world = World(mode, accounts=2)
    rows = read(world.ask(OWNED))["data"] + read(world.ask(CLIENT))["data"]
    assert [read(world.ask(f"/v23.0/{row['id']}")) for row in rows] == rows
    assert read(world.ask(f"/v23.0/{SMALL_WABA}", query={"fields": "name"})).keys() == {"id", "name"}


def test_the_node_of_the_business_has_its_name(live: World) -> None:
    node = {"id": BUSINESS_ID, "name": "Invented Shops Ltd"}
    assert read(live.ask(f"/v23.0/{BUSINESS_ID}")) == node
    assert read(live.ask(f"/v23.0/{BUSINESS_ID}", query={"fields": "name,id"})) == node


@pytest.mark.parametrize(
    ("node", "kind"), [(SMALL_WABA, "WhatsAppBusinessAccount"), (BUSINESS_ID, "Business")], ids=["account", "business"]
)
def test_a_field_that_a_node_does_not_have_is_named_with_its_type(live: World, node: str, kind: str) -> None:
    message = f"(#100) Tried accessing nonexisting field (owner) on node type ({kind}); the sandbox does not serve it"
    assert refusal(live.ask(f"/v23.0/{node}", query={"fields": "id,owner"})) == (400, 100, message)


@pytest.mark.parametrize("node", [SMALL_WABA, BUSINESS_ID])
def test_nothing_is_written_to_a_node_of_these(live: World, node: str) -> None:
    assert refusal(live.ask(f"/v23.0/{node}", "POST")) == (400, 100, "(#100) Unsupported post request")


def test_the_node_of_an_account_takes_its_budget() -> None:
    headers = World(quota=2).ask(f"/v23.0/{SMALL_WABA}").headers
    assert SMALL_WABA in headers["X-Business-Use-Case-Usage"]


OWNED, CLIENT = (f"/v23.0/{BUSINESS_ID}/{kind}_whatsapp_business_accounts" for kind in ("owned", "client"))
DEFAULT = {"id", "name", "currency", "timezone_id", "message_template_namespace"}


@pytest.mark.parametrize("mode", TEMPER_NAMES)
def test_the_accounts_of_the_business_are_listed(mode: ModeName) -> None:
    page = read(World(mode).ask(OWNED))
    assert [row["id"] for row in page["data"]] == [EMPTY_WABA, SMALL_WABA, LARGE_WABA]
    assert all(set(row) == DEFAULT for row in page["data"])
    assert set(page["paging"]) == {"cursors"}
    assert read(World(mode).ask(CLIENT)) == {"data": []}


@pytest.mark.parametrize("mode", TEMPER_NAMES)
@pytest.mark.parametrize("limit", [1, 3, 25, 100])
def test_a_walk_over_accounts_gives_each_once_forward_and_backward(mode: ModeName, limit: int) -> None:
    world = World(mode, accounts=100)
    world.store.add("77", 0)
    wanted, found, query = list(world.store.waba_ids), list[str](), {"limit": str(limit)}
    for link, cursor, rest in (("next", "after", wanted), ("previous", "before", wanted[:-1])):
        found.clear()
        while True:
            page = read(world.ask(OWNED, query=query))
            rows = [row["id"] for row in page["data"]]
            found = [*found, *rows] if cursor == "after" else [*rows, *found]
            if link not in page["paging"]:
                break
            query = {"limit": str(limit), cursor: page["paging"]["cursors"][cursor]}
        assert found == rest
        query = {"limit": str(limit), "before": page["paging"]["cursors"]["after"]}


def test_links_of_accounts_carry_the_token_and_another_host() -> None:
    page = read(World(accounts=2).ask(OWNED, query={"limit": "1", "fields": "name", "appsecret_proof": "x"}))
    link = urlsplit(page["paging"]["next"])
    assert (link.netloc, link.path) == ("graph.intern.facebook.com", OWNED)
    query = dict(parse_qsl(link.query))
    assert query.pop("after")
    assert query == {"access_token": "token", "fields": "name", "limit": "1", "pretty": "0"}
    page = read(World(accounts=2, links=False).ask(OWNED, query={"limit": "1"}))
    assert set(page["paging"]) == {"cursors"}


def test_fields_of_accounts_are_their_own(live: World) -> None:
    page = read(live.ask(OWNED, query={"fields": "account_review_status", "limit": "1"}))
    assert page["data"] == [{"account_review_status": "APPROVED", "id": EMPTY_WABA}]
    assert refusal(live.ask(OWNED, query={"fields": "id,verified_name"})) == (
        400,
        100,
        "(#100) Tried accessing nonexisting field (verified_name)",
    )


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"fields": "id,,name"}, 2500),
        ({"limit": "0"}, 100),
        ({"after": "x"}, 100),
        ({"before": "QVFIOjk5"}, 100),
        ({"after": "x", "before": "y"}, 100),
    ],
    ids=str,
)
def test_a_bad_list_of_accounts_is_refused(query: dict[str, str], code: int) -> None:
    for mode in TEMPER_NAMES:
        assert refusal(World(mode, accounts=2).ask(OWNED, query=query))[:2] == (400, code)


def test_a_large_page_of_accounts_is_refused_by_the_reference_and_cut_live() -> None:
    query = {"limit": "101"}
    assert refusal(World("reference", accounts=200).ask(OWNED, query=query))[:2] == (400, 100)
    assert len(read(World("live", accounts=200).ask(OWNED, query=query))["data"]) == 100


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_accounts_can_only_be_listed(live: World, method: str) -> None:
    assert refusal(live.ask(OWNED, method)) == (400, 100, f"(#100) Unsupported {method.lower()} request")


def test_a_call_on_the_business_counts_for_the_app_alone() -> None:
    world = World(quota=1, app_quota=3)
    answers = [world.ask(OWNED) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 400]
    assert refusal(answers[-1])[1] == 4
    assert [json.loads(answer.headers["X-App-Usage"])["call_count"] for answer in answers] == [33, 66, 100, 133]
    assert not any("X-Business-Use-Case-Usage" in answer.headers for answer in answers)
    world.now = HOUR
    assert world.ask(f"/v23.0/{SMALL_WABA}/phone_numbers").status == 200


def test_the_numbers_of_a_generated_account_are_listed_and_added_to() -> None:
    world = World(accounts=10)
    waba_id = world.store.waba_ids[-1]
    assert len(world.get(waba_id)["data"]) == 2
    assert world.post({"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}, waba_id).status == 200
    assert len(world.get(waba_id)["data"]) == 3


# Fields


def test_the_default_answer_is_the_tempers_own(live: World, reference: World) -> None:
    row = live.get(SMALL_WABA)["data"][0]
    assert list(row) == list(LIVE_DEFAULT_FIELDS)
    assert "status" not in row
    assert list(reference.get(SMALL_WABA)["data"][-1]) == list(REFERENCE_FIELDS)


def test_fields_replace_the_default_and_the_id_always_comes(live: World) -> None:
    row = live.get(SMALL_WABA, fields="status,throughput{level},owner{id,name}")["data"][0]
    assert row == {
        "status": "CONNECTED",
        "throughput": {"level": "STANDARD"},
        "owner": {"id": BUSINESS_ID, "name": "Invented Shops Ltd"},
        "id": "300000001000002",
    }
    assert list(live.get(SMALL_WABA, fields="id,status")["data"][0]) == ["id", "status"]


def test_an_absent_member_stays_absent_and_a_bare_one_bare(live: World) -> None:
    live.store.add("77", [{"throughput": 80}, {}])
    assert [row.get("throughput") for row in live.get("77", fields="throughput{level}")["data"]] == [None, 80]


def test_two_names_of_one_thing(live: World) -> None:
    row = live.get(SMALL_WABA, fields="host_platform,platform_type")["data"][0]
    assert row["host_platform"] == row["platform_type"] == "CLOUD_API"


def test_one_unknown_field_fails_the_whole_request(live: World, reference: World) -> None:
    assert live.refused(fields="id,unified_cert_status") == (
        400,
        100,
        "(#100) Tried accessing nonexisting field (unified_cert_status)",
    )
    assert live.refused(fields="creation_time")[:2] == (400, 100)
    assert reference.get(SMALL_WABA, fields="unified_cert_status")["data"][0]["unified_cert_status"]
    assert reference.refused(fields="name_status")[:2] == (400, 100)


def test_every_field_of_a_temper_can_be_asked_for(live: World, reference: World) -> None:
    live.get(fields=",".join(LIVE_FIELDS))
    reference.get(fields=",".join(REFERENCE_FIELDS))


def test_fields_are_read_with_their_braces() -> None:
    assert read_fields("a,b{c,d{e}},f") == (
        Field("a"),
        Field("b", (Field("c"), Field("d", (Field("e"),)))),
        Field("f"),
    )


@pytest.mark.parametrize("fields", ["", ",", "id,", "id,,status", "owner{id", "owner{}", "id}", "id status", "a{b}c"])
def test_fields_that_cannot_be_parsed_are_refused(live: World, fields: str) -> None:
    assert live.refused(fields=fields)[:2] == (400, 2500)


# Order


@pytest.mark.parametrize(
    ("mode", "sort", "field", "is_descending"),
    [
        ("live", "", "last_onboarded_time", True),
        ("live", "creation_time", "creation_time", False),
        ("live", "creation_time_descending", "creation_time", True),
        ("live", "['last_onboarded_time_ascending']", "last_onboarded_time", False),
        ("live", '["creation_time_descending"]', "creation_time", True),
        ("reference", "", "last_onboarded_time", True),
        ("reference", "creation_time.asc", "creation_time", False),
        ("reference", "creation_time.desc", "creation_time", True),
        ("reference", "last_onboarded_time.asc", "last_onboarded_time", False),
        ("reference", "last_onboarded_time.desc", "last_onboarded_time", True),
    ],
)
def test_the_order_asked_for(mode: ModeName, sort: str, field: str, is_descending: bool) -> None:  # noqa: FBT001 - a table
    world = World(mode)
    values = {row["id"]: row.get(field, "") for row in world.store.numbers(LARGE_WABA)}
    pages = world.walk(LARGE_WABA, 100, sort=sort) if sort else world.walk(LARGE_WABA, 100)
    shown = [values[each] for each in ids(pages)]
    assert shown == sorted(values.values(), reverse=is_descending)


@pytest.mark.parametrize("field", ["creation_time", "last_onboarded_time"])
@pytest.mark.parametrize("way", ["asc", "desc"])
def test_the_spellings_of_the_reference_are_refused_live(live: World, field: str, way: str) -> None:
    assert live.refused(sort=f"{field}.{way}") == (400, 100, f"(#100) Cannot sort by {field}.{way}_ascending")


@pytest.mark.parametrize("sort", ["creation_time", "creation_time_descending", "['creation_time.asc']", "name.asc"])
def test_other_spellings_are_refused_by_the_reference(reference: World, sort: str) -> None:
    assert reference.refused(sort=sort)[:2] == (400, 100)


# Filters


def filtering(field: str, value: Any, operator: str = "EQUAL") -> str:
    return json.dumps([{"field": field, "operator": operator, "value": value}])


@pytest.mark.parametrize("mode", TEMPER_NAMES)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_mode", "SANDBOX"),
        ("messaging_limit_tier", "TIER_1K"),
        ("is_official_business_account", True),
    ],
)
def test_a_filter_keeps_what_matches(mode: ModeName, field: str, value: Any) -> None:
    world = World(mode)
    wanted = {row["id"] for row in world.store.numbers(LARGE_WABA) if row.get(field) == value}
    found = ids(world.walk(LARGE_WABA, 100, filtering=filtering(field, value)))
    assert len(found) == len(wanted) > 10
    assert set(found) == wanted


def test_filtered_pages_are_short_or_empty_with_more_behind_them(live: World) -> None:
    pages = live.walk(LARGE_WABA, 5, filtering=filtering("account_mode", "SANDBOX"))
    lengths = [len(page["data"]) for page in pages]
    assert len(pages) == 50
    assert 0 in lengths[:-1]
    assert all(length < 5 for length in lengths)
    empty = pages[lengths.index(0)]
    assert set(empty["paging"]["cursors"]) == {"before", "after"}


def test_an_empty_page_at_the_end_has_no_cursors(live: World) -> None:
    live.store.add("77", [{"account_mode": "LIVE"}, {"account_mode": "SANDBOX"}])
    first, last = live.walk("77", 1, filtering=filtering("account_mode", "SANDBOX"))
    assert len(first["data"]) == 1
    assert last == {"data": []}


def test_an_empty_page_on_the_way_back_keeps_what_leads_on(live: World) -> None:
    live.store.add("77", [{"account_mode": mode} for mode in ("LIVE", "SANDBOX", "SANDBOX")])
    cursor = live.get("77")["paging"]["cursors"]["after"]
    query = {"before": cursor, "limit": "1", "filtering": filtering("account_mode", "LIVE")}
    assert set(live.get("77", **query)["paging"]) == {"cursors", "previous", "next"}


def test_conditions_hold_together(live: World) -> None:
    both = [*json.loads(filtering("account_mode", "LIVE")), *json.loads(filtering("messaging_limit_tier", "TIER_1K"))]
    found = ids(live.walk(LARGE_WABA, 100, filtering=json.dumps(both)))
    rows = {row["id"]: row for row in live.store.numbers(LARGE_WABA)}
    assert {(rows[each]["account_mode"], rows[each]["messaging_limit_tier"]) for each in found} == {("LIVE", "TIER_1K")}


def test_a_boolean_sent_as_text_misleads_live_and_passes_the_reference(live: World, reference: World) -> None:
    text = filtering("is_official_business_account", "false")
    assert "with operation 'equal' is not supported" in live.refused(filtering=text)[2]
    assert reference.get(filtering=text)["data"]


@pytest.mark.parametrize("mode", TEMPER_NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "{}",
        "[1]",
        "[" * 50_000,
        '[{"field":"account_mode","operator":"EQUAL"}]',
        filtering("status", "CONNECTED"),
        filtering("account_mode", "LIVE", "IN"),
        filtering("is_official_business_account", "no"),
        filtering("account_mode", None),
    ],
)
def test_a_filter_that_is_none_is_refused(mode: ModeName, text: str) -> None:
    assert World(mode).refused(filtering=text)[:2] == (400, 100)


# Creating


@pytest.mark.parametrize("mode", TEMPER_NAMES)
def test_a_created_number_is_in_the_list(mode: ModeName) -> None:
    world = World(mode)
    answer = world.post({"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"})
    assert answer.status == 200
    (row,) = world.get(EMPTY_WABA, fields="id,display_phone_number,verified_name,status,code_verification_status")[
        "data"
    ]
    assert row == {
        "id": read(answer)["id"],
        "display_phone_number": "16315551000",
        "verified_name": "Acme",
        "status": "PENDING",
        "code_verification_status": "NOT_VERIFIED",
    }


@pytest.mark.parametrize(
    ("members", "digits"),
    [
        ({"phone_number": "6315551000", "verified_name": "Acme", "cc": "1"}, "16315551000"),
        ({"phone_number": "16315551000", "verified_name": "Acme"}, "16315551000"),
        ({"phone_number": 16315551000, "verified_name": "Acme", "cc": None}, "16315551000"),
        ({"phone_number": "16315551000", "cc": "1", "migrate_phone_number": True}, "16315551000"),
    ],
)
def test_a_number_is_given_whole_or_without_its_country_code(live: World, members: Any, digits: str) -> None:
    assert live.post(members).status == 200
    assert [each.phone_number for each in live.store.created] == [digits]


def test_a_form_and_the_query_say_the_same_as_json(live: World) -> None:
    path = f"/v23.0/{EMPTY_WABA}/phone_numbers"
    headers = {"Authorization": "Bearer x", "Content-Type": "application/x-www-form-urlencoded"}
    form = b"phone_number=16315551000&verified_name=Acme%20Ltd&cc=1&migrate_phone_number=false"
    assert live.ask(path, "POST", headers=headers, body=form).status == 200
    query = {"phone_number": "16315551001", "verified_name": "Acme", "preverified_id": "5"}
    assert live.ask(path, "POST", query=query).status == 200
    rows = live.store.numbers(EMPTY_WABA)
    assert [row["verified_name"] for row in rows] == ["Acme Ltd", "Acme"]
    assert [row["is_preverified_number"] for row in rows] == [False, True]


@pytest.mark.parametrize(
    "members",
    [
        {},
        [],
        None,
        {"verified_name": "Acme", "cc": "1"},
        {"phone_number": "+16315551000", "verified_name": "Acme"},
        {"phone_number": "0631555100", "verified_name": "Acme"},
        {"phone_number": "123456", "verified_name": "Acme"},
        {"phone_number": "16315551000", "cc": "1"},
        {"phone_number": "16315551000", "verified_name": "A"},
        {"phone_number": "16315551000", "verified_name": "A" * 76},
        {"phone_number": "16315551000", "verified_name": "A", "migrate_phone_number": True},
        {"phone_number": "16315551000", "verified_name": "Acme", "cc": "+1"},
        {"phone_number": "16315551000", "verified_name": "Acme", "cc": ""},
    ],
)
def test_a_create_that_lacks_something_is_refused(live: World, members: Any) -> None:
    assert refusal(live.post(members))[:2] == (400, 100)
    assert live.store.created == []


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(live: World, body: bytes) -> None:
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    answer = live.ask(f"/v23.0/{EMPTY_WABA}/phone_numbers", "POST", headers=headers, body=body)
    assert refusal(answer)[:2] == (400, 100)


def test_a_number_that_is_there_is_refused(live: World, reference: World) -> None:
    again = {"phone_number": "12035550157", "verified_name": "Acme", "cc": "1"}
    answer = live.post(again, SMALL_WABA)
    assert refusal(answer)[:2] == (400, 100)
    assert read(answer)["error"]["error_subcode"] == 2388012
    assert refusal(reference.post(again, SMALL_WABA))[:2] == (409, 100)
    assert len(live.store.numbers(SMALL_WABA)) == 3


# Addresses


@pytest.mark.parametrize(
    ("mode", "path", "status", "code", "part"),
    [
        ("live", "/v23.0/999/phone_numbers", 400, 100, "Unsupported get request. Object with ID '999'"),
        ("reference", "/v23.0/999/phone_numbers", 404, 803, "999 was not found"),
        ("live", "/v23.0/me/phone_numbers", 404, 803, "aliases you requested do not exist: me"),
        ("live", f"/v23.0/{BUSINESS_ID}/phone_numbers", 400, 100, "(phone_numbers) on node type (Business)"),
        (
            "live",
            f"/v23.0/{BUSINESS_ID}/owned_pixels",
            400,
            100,
            "(owned_pixels) on node type (Business); the sandbox does not serve it",
        ),
        (
            "live",
            f"/v23.0/{SMALL_WABA}/owned_whatsapp_business_accounts",
            400,
            100,
            "(owned_whatsapp_business_accounts) on node type (WhatsAppBusinessAccount)",
        ),
        ("live", "/v23.0/999/owned_whatsapp_business_accounts", 400, 100, "Object with ID '999' does not exist"),
        ("reference", "/v23.0/999/client_whatsapp_business_accounts", 404, 803, "999 was not found"),
        (
            "live",
            "/v23.0/300000001000000/phone_numbers",
            400,
            100,
            "(phone_numbers) on node type (WhatsAppBusinessPhoneNumber)",
        ),
        (
            "live",
            f"/v23.0/{SMALL_WABA}/message_templates",
            400,
            100,
            "(message_templates) on node type (WhatsAppBusinessAccount); the sandbox does not serve it",
        ),
        ("live", f"/v99.0/{SMALL_WABA}/phone_numbers", 400, 2500, "Unknown path components"),
        ("live", f"/23.0/{SMALL_WABA}/phone_numbers", 400, 2500, "Unknown path components"),
        ("live", "/", 400, 2500, "Unknown path components"),
    ],
)
def test_a_wrong_address(mode: ModeName, path: str, status: int, code: int, part: str) -> None:
    found_status, found_code, message = refusal(World(mode).ask(path))
    assert (found_status, found_code) == (status, code)
    assert part in message


def test_an_object_that_is_missing_has_its_subcode_live(live: World) -> None:
    error = read(live.ask("/v23.0/999/phone_numbers"))["error"]
    assert (error["error_subcode"], error["type"]) == (33, "GraphMethodException")


def test_a_method_that_is_none(live: World) -> None:
    answer = live.ask(f"/v23.0/{SMALL_WABA}/phone_numbers", "DELETE")
    assert refusal(answer) == (400, 100, "(#100) Unsupported delete request")


@pytest.mark.parametrize(
    ("asked", "served"), [("/v23.0", "v23.0"), ("/v25.0", "v25.0"), ("/v2.12", "v21.0"), ("", "v23.0")]
)
def test_the_version_that_serves_is_in_a_header(live: World, asked: str, served: str) -> None:
    answer = live.ask(f"{asked}/{SMALL_WABA}/phone_numbers")
    assert answer.headers["facebook-api-version"] == served


def test_answers_have_a_trace_id_that_only_counts(live: World) -> None:
    first, second = live.ask("/v23.0/999/phone_numbers"), live.ask(f"/v23.0/{SMALL_WABA}/phone_numbers")
    assert read(first)["error"]["fbtrace_id"] == first.headers["x-fb-trace-id"] == "Sandbox0000000000000001"
    assert second.headers["x-fb-trace-id"] == "Sandbox0000000000000002"


def test_a_refusal_repeats_its_message_in_a_header_in_plain_ascii(live: World) -> None:
    answer = live.ask('/v23.0/mé\n"/phone_numbers', headers={"Authorization": "Bearer x"})
    assert "WWW-Authenticate" not in answer.headers  # a 404
    answer = live.ask(f"/v23.0/{SMALL_WABA}/phone_numbers", query={"fields": 'é\r\n"'})
    assert answer.headers["WWW-Authenticate"] == (
        'OAuth "Facebook Platform" "invalid_request" "(#2500) Syntax error \'Expected name.\' in fields: ? \'"'
    )


# Access


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic abc", "Bearer two words"])
def test_no_token(live: World, reference: World, authorization: str) -> None:
    path, headers = f"/v23.0/{SMALL_WABA}/phone_numbers", {"Authorization": authorization}
    assert refusal(live.ask(path, headers=headers))[:2] == (400, 104)
    assert refusal(reference.ask(path, headers=headers))[:2] == (401, 104)


def test_a_token_in_the_query_is_taken(live: World) -> None:
    answer = live.ask(f"/v23.0/{SMALL_WABA}/phone_numbers", query={"access_token": "x"}, headers={})
    assert answer.status == 200


def test_only_the_tokens_named_are_accepted_and_others_are_echoed() -> None:
    world, path = World(tokens=("good",)), f"/v23.0/{SMALL_WABA}/phone_numbers"
    bad = {"Authorization": "Bearer canary"}
    assert refusal(world.ask(path, headers=bad)) == (401, 190, "Malformed access token canary")
    assert world.ask(path, headers={"Authorization": "OAuth good"}).status == 200
    world.access.accept("canary")
    assert world.ask(path, headers=bad).status == 200


@pytest.mark.parametrize("tokens", [None, ("token",)])
def test_a_token_can_be_revoked_and_taken_again(tokens: tuple[str, ...] | None) -> None:
    world, path = World(tokens=tokens), f"/v23.0/{SMALL_WABA}/phone_numbers"
    world.access.revoke("token")
    assert read(world.ask(path))["error"]["error_subcode"] == 467
    world.access.accept("token")
    assert world.ask(path).status == 200


@pytest.mark.parametrize(
    ("proof", "message"),
    [
        (None, "(#100) API calls from the server require an appsecret_proof argument"),
        ("é", "(#100) Invalid appsecret_proof provided in the API argument"),
        (hmac.new(b"secret", b"token", hashlib.sha256).hexdigest(), None),
    ],
)
def test_the_app_secret_must_be_proven(proof: str | None, message: str | None) -> None:
    query = {} if proof is None else {"appsecret_proof": proof}
    answer = World(app_secret="secret").ask(f"/v23.0/{SMALL_WABA}/phone_numbers", query=query)
    assert read(answer).get("error", {}).get("message") == message
    assert answer.status == (200 if message is None else 400)


# Budget


@pytest.mark.parametrize(
    ("mode", "status", "code", "subcode"), [("live", 400, 80008, None), ("reference", 429, 80007, 2446079)]
)
def test_calls_beyond_the_quota_are_refused_and_count(
    mode: ModeName, status: int, code: int, subcode: int | None
) -> None:
    world, path = World(mode, quota=2), f"/v23.0/{SMALL_WABA}/phone_numbers"
    answers = [world.ask(path) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, status, status]
    error = read(answers[-1])["error"]
    assert (error["code"], error.get("error_subcode")) == (code, subcode)
    assert [percent(answer) for answer in answers] == [50, 100, 150, 200]
    world.now = HOUR
    assert world.ask(path).status == 200


def percent(answer: Answer) -> int:
    usage = json.loads(answer.headers["X-Business-Use-Case-Usage"])
    return max(int(entry["call_count"]) for entry in usage[SMALL_WABA])


def test_bad_parameters_and_creates_count_and_strangers_do_not() -> None:
    world, path = World(quota=4), f"/v23.0/{SMALL_WABA}/phone_numbers"
    world.ask(path, query={"fields": "nonsense"})
    world.ask(path, "DELETE")
    world.post({}, SMALL_WABA)
    world.ask(path, headers={})
    assert percent(world.ask(path)) == 100


def test_200_calls_an_hour_and_5000_once_a_number_is_registered() -> None:
    world, path = World(quota="meta"), f"/v23.0/{EMPTY_WABA}/phone_numbers"
    assert [world.ask(path).status for _ in range(201)] == [200] * 200 + [400]
    account = world.store.account(EMPTY_WABA)
    assert account is not None
    account.update(account.create("16315551000", "Acme", preverified=False), {"status": "CONNECTED"})
    assert world.ask(path).status == 200


@pytest.mark.parametrize(("mode", "status"), [("live", 400), ("reference", 429)])
def test_the_app_has_a_limit_of_its_own(mode: ModeName, status: int) -> None:
    world = World(mode, app_quota=2)
    world.get(SMALL_WABA)
    world.get(LARGE_WABA)
    answer = world.ask(f"/v23.0/{EMPTY_WABA}/phone_numbers")
    assert refusal(answer)[:2] == (status, 4)
    assert json.loads(answer.headers["X-App-Usage"])["call_count"] == 150


# Whatever is asked


WORDS: st.SearchStrategy[str] = st.sampled_from(
    ["", "id", "status", "owner{id}", "100", "0", "creation_time", "['creation_time']", "[]", '[{"a":1}]']
) | st.text(max_size=20)


@given(
    mode=st.sampled_from(TEMPER_NAMES),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    query=st.dictionaries(
        st.sampled_from(["fields", "filtering", "sort", "limit", "after", "before", "phone_number"]), WORDS
    ),
    content_type=st.sampled_from(["application/json", "", "application/x-www-form-urlencoded"]),
    body=st.binary(max_size=30) | st.just(b"{}"),
)
def test_any_request_has_an_answer_in_json(
    mode: ModeName, method: str, query: dict[str, str], content_type: str, body: bytes
) -> None:
    headers = {"Authorization": "Bearer x", "Content-Type": content_type}
    answer = World(mode).ask(f"/v23.0/{SMALL_WABA}/phone_numbers", method, query, headers, body)
    assert read(answer)
    assert answer.status in {200, 400}
    assert all(value.isascii() and "\n" not in value for value in answer.headers.values())


def test_a_printed_request_shows_no_secret() -> None:
    query = {"access_token": "canary", "appsecret_proof": "canary", "fields": "id"}
    request = Request("GET", "/", "", query, {"Authorization": "Bearer canary"}, b"", 1, 0.0)
    assert "canary" not in repr(request)
    assert "'fields': 'id'" in repr(request)
    assert attrs.evolve(request, status=200).status == 200
