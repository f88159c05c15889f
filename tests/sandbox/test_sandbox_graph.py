import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.sandbox import APP_ID, BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, USER_ID, Request, Response
from wa_phone_async.sandbox.access import ALL_SCOPES, Access, Grant
from wa_phone_async.sandbox.durations import HOUR
from wa_phone_async.sandbox.graph import Graph
from wa_phone_async.sandbox.modes import LIVE_DEFAULT_FIELDS, LIVE_FIELDS, MODES, REFERENCE_FIELDS, ModeName
from wa_phone_async.sandbox.nesting import Nesting
from wa_phone_async.sandbox.query import Field, read_fields
from wa_phone_async.sandbox.quotas import Quota, Quotas
from wa_phone_async.sandbox.reviews import Reviews
from wa_phone_async.sandbox.store import Store
from wa_phone_async.sandbox.webhooks import Webhooks

MODE_NAMES: tuple[ModeName, ...] = ("live", "reference")


class World:
    """A graph, its store and its time, with short ways to call it."""

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
        quotas = Quotas(quota, app_quota, 1, "floor")
        reviews = Reviews(self.store, Webhooks("secret", lambda _: None), None)
        self.graph = Graph(
            self.store, MODES[mode], self.access, quotas, reviews, nesting=Nesting(MODES[mode]), with_links=links
        )
        self.now = 0.0

    def call(
        self,
        path: str,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        sent = {"Authorization": "Bearer token"} if headers is None else headers
        request = Request(method, path, "", dict(query or {}), sent, body, 1, 0.0)
        return self.graph.respond(request, self.now)

    def get(self, waba_id: str = LARGE_WABA, **query: str) -> dict[str, Any]:
        response = self.call(f"/v23.0/{waba_id}/phone_numbers", query=query)
        assert response.status == 200, response.body
        return read(response)

    def post(self, members: Any, waba_id: str = EMPTY_WABA) -> Response:
        headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
        return self.call(f"/v23.0/{waba_id}/phone_numbers", "POST", headers=headers, body=json.dumps(members).encode())

    def rejection(self, **query: str) -> tuple[int, int, str]:
        return error_of(self.call(f"/v23.0/{LARGE_WABA}/phone_numbers", query=query))

    def pages(self, waba_id: str, limit: int, *, backward: bool = False, **query: str) -> list[dict[str, Any]]:
        """Read all pages by their cursors, until the link in this direction is absent."""
        link, name = ("previous", "before") if backward else ("next", "after")
        pages = [self.get(waba_id, limit=str(limit), **query)]
        while link in pages[-1].get("paging", {}):
            cursor = pages[-1]["paging"]["cursors"][name]
            query = {key: value for key, value in query.items() if key not in {"after", "before"}}
            pages.append(self.get(waba_id, limit=str(limit), **query, **{name: cursor}))
        return pages


def read(response: Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response.body)
    return body


def error_of(response: Response) -> tuple[int, int, str]:
    error = read(response)["error"]
    return response.status, error["code"], error["message"]


def ids(pages: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for page in pages for row in page["data"]]


@pytest.fixture
def live() -> World:
    return World()


@pytest.fixture
def reference() -> World:
    return World("reference")


# Pages


@pytest.mark.parametrize("mode", MODE_NAMES)
@pytest.mark.parametrize("waba_id", [SMALL_WABA, LARGE_WABA])
def test_pages_of_any_size_have_every_number_once(mode: ModeName, waba_id: str) -> None:
    world = World(mode)
    everything = sorted(row["id"] for row in world.store.numbers(waba_id))
    for limit in range(1, 101):
        pages = world.pages(waba_id, limit, fields="id")
        assert sorted(ids(pages)) == everything
        assert len(pages) == -(-len(everything) // limit)  # no page too many


@pytest.mark.parametrize("limit", [1, 2, 7, 33, 100])
def test_pages_backward_have_the_same_rows(live: World, limit: int) -> None:
    forward = ids(live.pages(LARGE_WABA, limit, fields="id"))
    end = live.pages(LARGE_WABA, 100)[-1]["paging"]["cursors"]["after"]
    pages = live.pages(LARGE_WABA, limit, backward=True, fields="id", before=end)
    assert ids(pages[::-1]) == forward[:-1]


def test_an_empty_account_has_no_paging(live: World) -> None:
    assert live.get(EMPTY_WABA) == {"data": []}


def test_the_first_and_last_page_have_cursors_but_only_one_link(live: World) -> None:
    first, *_, last = live.pages(LARGE_WABA, 100)
    assert set(first["paging"]) == {"cursors", "next"}
    assert set(last["paging"]) == {"cursors", "previous"}
    assert set(live.get(SMALL_WABA)["paging"]) == {"cursors"}


def test_beyond_the_ends_there_are_no_rows(live: World) -> None:
    cursors = live.get(SMALL_WABA)["paging"]["cursors"]
    assert live.get(SMALL_WABA, after=cursors["after"]) == {"data": []}
    assert live.get(SMALL_WABA, before=cursors["before"]) == {"data": []}


def test_links_have_the_token_another_host_and_no_proof(live: World) -> None:
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


def test_without_links_there_are_only_cursors() -> None:
    world = World(links=False)
    first = world.get(limit="100")
    assert set(first["paging"]) == {"cursors"}
    second = world.get(limit="100", after=first["paging"]["cursors"]["after"])
    assert set(second["paging"]) == {"cursors"}


def test_a_page_has_25_numbers_by_default(live: World) -> None:
    assert len(live.get()["data"]) == 25


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "", "²"])
@pytest.mark.parametrize("mode", MODE_NAMES)
def test_an_invalid_limit_is_rejected(mode: ModeName, limit: str) -> None:
    assert World(mode).rejection(limit=limit)[:2] == (400, 100)


def test_a_large_limit_is_rejected_by_the_reference_and_lowered_live(live: World, reference: World) -> None:
    assert reference.rejection(limit="101")[:2] == (400, 100)
    assert len(live.get(limit="1000")["data"]) == 100


@pytest.mark.parametrize("cursor", ["x", "QVFIOjk5", "ÿ", "////"])
def test_an_unknown_cursor_is_rejected(live: World, cursor: str) -> None:
    assert live.rejection(after=cursor)[:2] == (400, 100)
    assert live.rejection(before=cursor)[:2] == (400, 100)


def test_a_cursor_is_invalid_once_its_number_is_removed(live: World) -> None:
    page = live.get(limit="1")
    live.store.remove(LARGE_WABA, page["data"][0]["id"])
    assert live.rejection(after=page["paging"]["cursors"]["after"])[:2] == (400, 100)


def test_two_cursors_at_once_are_rejected(live: World) -> None:
    assert live.rejection(after="x", before="y")[:2] == (400, 100)


# Accounts and the business


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_the_node_of_an_account_is_its_row_in_the_list(mode: ModeName) -> None:
    world = World(mode, accounts=2)
    rows = read(world.call(OWNED))["data"] + read(world.call(CLIENT))["data"]
    assert [read(world.call(f"/v23.0/{row['id']}")) for row in rows] == rows
    assert read(world.call(f"/v23.0/{SMALL_WABA}", query={"fields": "name"})).keys() == {"id", "name"}


def test_the_node_of_the_business_has_its_name(live: World) -> None:
    node = {"id": BUSINESS_ID, "name": "Invented Shops Ltd"}
    assert read(live.call(f"/v23.0/{BUSINESS_ID}")) == node
    assert read(live.call(f"/v23.0/{BUSINESS_ID}", query={"fields": "name,id"})) == node


@pytest.mark.parametrize(
    ("node", "kind"), [(SMALL_WABA, "WhatsAppBusinessAccount"), (BUSINESS_ID, "Business")], ids=["account", "business"]
)
def test_the_error_for_an_unknown_field_of_a_node_names_its_type(live: World, node: str, kind: str) -> None:
    message = f"(#100) Tried accessing nonexisting field (owner) on node type ({kind}); the sandbox does not serve it"
    assert error_of(live.call(f"/v23.0/{node}", query={"fields": "id,owner"})) == (400, 100, message)


@pytest.mark.parametrize(
    ("node", "kind", "name"),
    [(USER_ID, "User", "Invented System User"), (APP_ID, "Application", "Invented App")],
    ids=["user", "app"],
)
def test_a_user_and_an_app_have_a_name_and_no_edges(live: World, node: str, kind: str, name: str) -> None:
    assert read(live.call(f"/v23.0/{node}")) == {"id": node, "name": name}
    message = f"(#100) Tried accessing nonexisting field ({{}}) on node type ({kind})"
    for query in ({"fields": "status"}, {"fields": "id,status"}):
        assert error_of(live.call(f"/v23.0/{node}", query=query)) == (400, 100, message.format("status"))
    for method, edge in (("GET", "phone_numbers"), ("POST", "phone_numbers"), ("POST", "register")):
        assert error_of(live.call(f"/v23.0/{node}/{edge}", method)) == (400, 100, message.format(edge))


@pytest.mark.parametrize(
    ("node", "path"),
    [(SMALL_WABA, "?fields=display_phone_number"), (SMALL_WABA, "/register"), (BUSINESS_ID, "?fields=quality_rating")],
)
def test_the_sandbox_takes_no_blame_for_what_meta_lacks_too(live: World, node: str, path: str) -> None:
    edge, _, fields = path.partition("?fields=")
    _, _, message = error_of(live.call(f"/v23.0/{node}{edge}", query={"fields": fields} if fields else {}))
    assert re.search(r"nonexisting field \(\w+\) on node type \(\w+\)$", message)


@pytest.mark.parametrize("node", [SMALL_WABA, BUSINESS_ID, USER_ID, APP_ID])
def test_accounts_and_the_business_accept_no_post(live: World, node: str) -> None:
    assert error_of(live.call(f"/v23.0/{node}", "POST")) == (400, 100, "(#100) Unsupported post request")


def test_reading_the_node_of_an_account_uses_its_quota() -> None:
    headers = World(quota=2).call(f"/v23.0/{SMALL_WABA}").headers
    assert SMALL_WABA in headers["X-Business-Use-Case-Usage"]


OWNED, CLIENT = (f"/v23.0/{BUSINESS_ID}/{kind}_whatsapp_business_accounts" for kind in ("owned", "client"))
DEFAULT = {"id", "name", "currency", "timezone_id", "message_template_namespace"}


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_the_accounts_of_the_business_are_listed(mode: ModeName) -> None:
    page = read(World(mode).call(OWNED))
    assert [row["id"] for row in page["data"]] == [EMPTY_WABA, SMALL_WABA, LARGE_WABA]
    assert all(set(row) == DEFAULT for row in page["data"])
    assert set(page["paging"]) == {"cursors"}
    assert read(World(mode).call(CLIENT)) == {"data": []}


@pytest.mark.parametrize("mode", MODE_NAMES)
@pytest.mark.parametrize("limit", [1, 3, 25, 100])
def test_pages_of_accounts_have_each_account_once_forward_and_backward(mode: ModeName, limit: int) -> None:
    world = World(mode, accounts=100)
    world.store.add("77", 0)
    wanted, found, query = list(world.store.waba_ids), list[str](), {"limit": str(limit)}
    for link, cursor, rest in (("next", "after", wanted), ("previous", "before", wanted[:-1])):
        found.clear()
        while True:
            page = read(world.call(OWNED, query=query))
            rows = [row["id"] for row in page["data"]]
            found = [*found, *rows] if cursor == "after" else [*rows, *found]
            if link not in page["paging"]:
                break
            query = {"limit": str(limit), cursor: page["paging"]["cursors"][cursor]}
        assert found == rest
        query = {"limit": str(limit), "before": page["paging"]["cursors"]["after"]}


def test_links_of_accounts_have_the_token_and_another_host() -> None:
    page = read(World(accounts=2).call(OWNED, query={"limit": "1", "fields": "name", "appsecret_proof": "x"}))
    link = urlsplit(page["paging"]["next"])
    assert (link.netloc, link.path) == ("graph.intern.facebook.com", OWNED)
    query = dict(parse_qsl(link.query))
    assert query.pop("after")
    assert query == {"access_token": "token", "fields": "name", "limit": "1", "pretty": "0"}
    page = read(World(accounts=2, links=False).call(OWNED, query={"limit": "1"}))
    assert set(page["paging"]) == {"cursors"}


def test_accounts_have_fields_of_their_own(live: World) -> None:
    page = read(live.call(OWNED, query={"fields": "account_review_status", "limit": "1"}))
    assert page["data"] == [{"account_review_status": "APPROVED", "id": EMPTY_WABA}]
    assert error_of(live.call(OWNED, query={"fields": "id,verified_name"})) == (
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
def test_an_invalid_list_of_accounts_is_rejected(query: dict[str, str], code: int) -> None:
    for mode in MODE_NAMES:
        assert error_of(World(mode, accounts=2).call(OWNED, query=query))[:2] == (400, code)


def test_a_large_page_of_accounts_is_rejected_by_the_reference_and_smaller_live() -> None:
    query = {"limit": "101"}
    assert error_of(World("reference", accounts=200).call(OWNED, query=query))[:2] == (400, 100)
    assert len(read(World("live", accounts=200).call(OWNED, query=query))["data"]) == 100


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_accounts_can_only_be_listed(live: World, method: str) -> None:
    assert error_of(live.call(OWNED, method)) == (400, 100, f"(#100) Unsupported {method.lower()} request")


def test_a_call_on_the_business_uses_the_quota_of_the_app_only() -> None:
    world = World(quota=1, app_quota=3)
    responses = [world.call(OWNED) for _ in range(4)]
    assert [response.status for response in responses] == [200, 200, 200, 400]
    assert error_of(responses[-1])[1] == 4
    assert [json.loads(response.headers["X-App-Usage"])["call_count"] for response in responses] == [33, 66, 100, 133]
    assert not any("X-Business-Use-Case-Usage" in response.headers for response in responses)
    world.now = HOUR
    assert world.call(f"/v23.0/{SMALL_WABA}/phone_numbers").status == 200


def test_a_generated_account_lists_and_creates_numbers() -> None:
    world = World(accounts=10)
    waba_id = world.store.waba_ids[-1]
    assert len(world.get(waba_id)["data"]) == 2
    assert world.post({"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"}, waba_id).status == 200
    assert len(world.get(waba_id)["data"]) == 3


# Fields


def test_each_mode_has_its_own_default_fields(live: World, reference: World) -> None:
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


def test_an_absent_member_stays_absent_and_a_bare_number_stays_bare(live: World) -> None:
    live.store.add("77", [{"throughput": 80}, {}])
    assert [row.get("throughput") for row in live.get("77", fields="throughput{level}")["data"]] == [None, 80]


def test_one_value_has_two_names(live: World) -> None:
    row = live.get(SMALL_WABA, fields="host_platform,platform_type")["data"][0]
    assert row["host_platform"] == row["platform_type"] == "CLOUD_API"


def test_one_unknown_field_rejects_the_whole_request(live: World, reference: World) -> None:
    assert live.rejection(fields="id,unified_cert_status") == (
        400,
        100,
        "(#100) Tried accessing nonexisting field (unified_cert_status)",
    )
    assert live.rejection(fields="creation_time")[:2] == (400, 100)
    assert reference.get(SMALL_WABA, fields="unified_cert_status")["data"][0]["unified_cert_status"]
    assert reference.rejection(fields="name_status")[:2] == (400, 100)


def test_every_field_of_a_mode_can_be_requested(live: World, reference: World) -> None:
    live.get(fields=",".join(LIVE_FIELDS))
    reference.get(fields=",".join(REFERENCE_FIELDS))


def test_fields_are_read_with_their_braces() -> None:
    assert read_fields("a,b{c,d{e}},f") == (
        Field("a"),
        Field("b", (Field("c"), Field("d", (Field("e"),)))),
        Field("f"),
    )


@pytest.mark.parametrize("fields", ["", ",", "id,", "id,,status", "owner{id", "owner{}", "id}", "id status", "a{b}c"])
def test_invalid_fields_are_rejected(live: World, fields: str) -> None:
    assert live.rejection(fields=fields)[:2] == (400, 2500)


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
def test_the_requested_order(mode: ModeName, sort: str, field: str, is_descending: bool) -> None:  # noqa: FBT001 - a table
    world = World(mode)
    values = {row["id"]: row.get(field, "") for row in world.store.numbers(LARGE_WABA)}
    pages = world.pages(LARGE_WABA, 100, sort=sort) if sort else world.pages(LARGE_WABA, 100)
    shown = [values[each] for each in ids(pages)]
    assert shown == sorted(values.values(), reverse=is_descending)


@pytest.mark.parametrize("field", ["creation_time", "last_onboarded_time"])
@pytest.mark.parametrize("way", ["asc", "desc"])
def test_the_spellings_of_the_reference_are_rejected_live(live: World, field: str, way: str) -> None:
    assert live.rejection(sort=f"{field}.{way}") == (400, 100, f"(#100) Cannot sort by {field}.{way}_ascending")


@pytest.mark.parametrize("sort", ["creation_time", "creation_time_descending", "['creation_time.asc']", "name.asc"])
def test_other_spellings_are_rejected_by_the_reference(reference: World, sort: str) -> None:
    assert reference.rejection(sort=sort)[:2] == (400, 100)


# Filters


def filtering(field: str, value: Any, operator: str = "EQUAL") -> str:
    return json.dumps([{"field": field, "operator": operator, "value": value}])


@pytest.mark.parametrize("mode", MODE_NAMES)
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
    found = ids(world.pages(LARGE_WABA, 100, filtering=filtering(field, value)))
    assert len(found) == len(wanted) > 10
    assert set(found) == wanted


def test_filtered_pages_are_short_or_empty_with_more_behind_them(live: World) -> None:
    pages = live.pages(LARGE_WABA, 5, filtering=filtering("account_mode", "SANDBOX"))
    lengths = [len(page["data"]) for page in pages]
    assert len(pages) == 50
    assert 0 in lengths[:-1]
    assert all(length < 5 for length in lengths)
    empty = pages[lengths.index(0)]
    assert set(empty["paging"]["cursors"]) == {"before", "after"}


def test_an_empty_page_at_the_end_has_no_cursors(live: World) -> None:
    live.store.add("77", [{"account_mode": "LIVE"}, {"account_mode": "SANDBOX"}])
    first, last = live.pages("77", 1, filtering=filtering("account_mode", "SANDBOX"))
    assert len(first["data"]) == 1
    assert last == {"data": []}


def test_an_empty_page_backward_keeps_its_cursors_and_links(live: World) -> None:
    live.store.add("77", [{"account_mode": mode} for mode in ("LIVE", "SANDBOX", "SANDBOX")])
    cursor = live.get("77")["paging"]["cursors"]["after"]
    query = {"before": cursor, "limit": "1", "filtering": filtering("account_mode", "LIVE")}
    assert set(live.get("77", **query)["paging"]) == {"cursors", "previous", "next"}


def test_a_row_must_match_all_conditions(live: World) -> None:
    both = [*json.loads(filtering("account_mode", "LIVE")), *json.loads(filtering("messaging_limit_tier", "TIER_1K"))]
    found = ids(live.pages(LARGE_WABA, 100, filtering=json.dumps(both)))
    rows = {row["id"]: row for row in live.store.numbers(LARGE_WABA)}
    assert {(rows[each]["account_mode"], rows[each]["messaging_limit_tier"]) for each in found} == {("LIVE", "TIER_1K")}


def test_a_boolean_as_text_is_rejected_live_and_accepted_by_the_reference(live: World, reference: World) -> None:
    text = filtering("is_official_business_account", "false")
    assert "with operation 'equal' is not supported" in live.rejection(filtering=text)[2]
    assert reference.get(filtering=text)["data"]


@pytest.mark.parametrize("mode", MODE_NAMES)
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
def test_an_invalid_filter_is_rejected(mode: ModeName, text: str) -> None:
    assert World(mode).rejection(filtering=text)[:2] == (400, 100)


# Creating


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_a_created_number_is_in_the_list(mode: ModeName) -> None:
    world = World(mode)
    response = world.post({"phone_number": "16315551000", "verified_name": "Acme", "cc": "1"})
    assert response.status == 200
    (row,) = world.get(EMPTY_WABA, fields="id,display_phone_number,verified_name,status,code_verification_status")[
        "data"
    ]
    assert row == {
        "id": read(response)["id"],
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
        ({"phone_number": "9123456789", "verified_name": "Acme", "cc": "91"}, "919123456789"),
        ({"phone_number": "919123456789", "verified_name": "Acme", "cc": "91"}, "919123456789"),
        ({"phone_number": "7012345678", "verified_name": "Acme", "cc": "7"}, "77012345678"),
        ({"phone_number": "55987654321", "verified_name": "Acme", "cc": "55"}, "5555987654321"),
        ({"phone_number": "47123456", "verified_name": "Acme", "cc": "47"}, "4747123456"),
        ({"phone_number": "4747123456", "verified_name": "Acme", "cc": "47"}, "4747123456"),
        ({"phone_number": "3912345678", "verified_name": "Acme", "cc": "39"}, "393912345678"),
        ({"phone_number": "390612345678", "verified_name": "Acme", "cc": "39"}, "390612345678"),
        (
            {"phone_number": "3542345678", "verified_name": "Acme", "cc": "354"},
            "3542345678",
        ),  # not in its table
        ({"phone_number": "491234567890123", "verified_name": "Acme", "cc": "49"}, "491234567890123"),
    ],
)
def test_a_number_may_have_its_country_code_or_not(live: World, members: Any, digits: str) -> None:
    assert live.post(members).status == 200
    assert [each.phone_number for each in live.store.created] == [digits]


def test_members_may_come_in_a_form_or_the_query(live: World) -> None:
    path = f"/v23.0/{EMPTY_WABA}/phone_numbers"
    headers = {"Authorization": "Bearer x", "Content-Type": "application/x-www-form-urlencoded"}
    form = b"phone_number=16315551000&verified_name=Acme%20Ltd&cc=1&migrate_phone_number=false"
    assert live.call(path, "POST", headers=headers, body=form).status == 200
    query = {"phone_number": "16315551001", "verified_name": "Acme", "preverified_id": "5"}
    assert live.call(path, "POST", query=query).status == 200
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
def test_a_create_with_missing_or_invalid_members_is_rejected(live: World, members: Any) -> None:
    assert error_of(live.post(members))[:2] == (400, 100)
    assert live.store.created == []


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_not_json_is_rejected(live: World, body: bytes) -> None:
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    response = live.call(f"/v23.0/{EMPTY_WABA}/phone_numbers", "POST", headers=headers, body=body)
    assert error_of(response)[:2] == (400, 100)


def test_a_number_that_exists_is_rejected(live: World, reference: World) -> None:
    again = {"phone_number": "12035550157", "verified_name": "Acme", "cc": "1"}
    response = live.post(again, SMALL_WABA)
    assert error_of(response)[:2] == (400, 100)
    assert read(response)["error"]["error_subcode"] == 2388012
    assert error_of(reference.post(again, SMALL_WABA))[:2] == (409, 100)
    assert len(live.store.numbers(SMALL_WABA)) == 3


@pytest.mark.parametrize(("phone_number", "cc"), [("9123456789", "91"), ("7012345678", "7"), ("492112345", "49")])
def test_a_number_that_exists_in_either_reading_is_rejected(live: World, phone_number: str, cc: str) -> None:
    for listed in (f"+{cc} {phone_number}", f"+{phone_number}"):
        live.store.add("555", [{"display_phone_number": listed}])
        response = live.post({"phone_number": phone_number, "verified_name": "Acme", "cc": cc}, "555")
        assert read(response)["error"]["error_subcode"] == 2388012
        assert len(live.store.numbers("555")) == 1


# Paths


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
def test_an_unknown_path_is_rejected(mode: ModeName, path: str, status: int, code: int, part: str) -> None:
    found_status, found_code, message = error_of(World(mode).call(path))
    assert (found_status, found_code) == (status, code)
    assert part in message


def test_a_missing_object_has_a_subcode_live(live: World) -> None:
    error = read(live.call("/v23.0/999/phone_numbers"))["error"]
    assert (error["error_subcode"], error["type"]) == (33, "GraphMethodException")


def test_an_unsupported_method_is_rejected(live: World) -> None:
    response = live.call(f"/v23.0/{SMALL_WABA}/phone_numbers", "DELETE")
    assert error_of(response) == (400, 100, "(#100) Unsupported delete request")


@pytest.mark.parametrize(
    ("requested", "responding"), [("/v23.0", "v23.0"), ("/v25.0", "v25.0"), ("/v2.12", "v21.0"), ("", "v23.0")]
)
def test_a_header_has_the_version_that_responds(live: World, requested: str, responding: str) -> None:
    response = live.call(f"{requested}/{SMALL_WABA}/phone_numbers")
    assert response.headers["facebook-api-version"] == responding


def test_responses_have_a_trace_id_that_counts(live: World) -> None:
    first, second = live.call("/v23.0/999/phone_numbers"), live.call(f"/v23.0/{SMALL_WABA}/phone_numbers")
    assert read(first)["error"]["fbtrace_id"] == first.headers["x-fb-trace-id"] == "Sandbox0000000000000001"
    assert second.headers["x-fb-trace-id"] == "Sandbox0000000000000002"


def test_an_error_repeats_its_message_in_a_header_in_ascii(live: World) -> None:
    response = live.call('/v23.0/mé\n"/phone_numbers', headers={"Authorization": "Bearer x"})
    assert "WWW-Authenticate" not in response.headers  # a 404
    response = live.call(f"/v23.0/{SMALL_WABA}/phone_numbers", query={"fields": 'é\r\n"'})
    assert response.headers["WWW-Authenticate"] == (
        'OAuth "Facebook Platform" "invalid_request" "(#2500) Syntax error \'Expected name.\' in fields: ? \'"'
    )


# Access


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic abc", "Bearer two words"])
def test_no_token(live: World, reference: World, authorization: str) -> None:
    path, headers = f"/v23.0/{SMALL_WABA}/phone_numbers", {"Authorization": authorization}
    assert error_of(live.call(path, headers=headers))[:2] == (400, 104)
    assert error_of(reference.call(path, headers=headers))[:2] == (401, 104)


def test_a_token_in_the_query_is_accepted(live: World) -> None:
    response = live.call(f"/v23.0/{SMALL_WABA}/phone_numbers", query={"access_token": "x"}, headers={})
    assert response.status == 200


def test_other_tokens_are_rejected_and_shown_in_the_message() -> None:
    world, path = World(tokens=("good",)), f"/v23.0/{SMALL_WABA}/phone_numbers"
    bad = {"Authorization": "Bearer canary"}
    assert error_of(world.call(path, headers=bad)) == (401, 190, "Malformed access token canary")
    assert world.call(path, headers={"Authorization": "OAuth good"}).status == 200
    world.access.accept("canary")
    assert world.call(path, headers=bad).status == 200


@pytest.mark.parametrize("tokens", [None, ("token",)])
def test_a_token_can_be_revoked_and_accepted_again(tokens: tuple[str, ...] | None) -> None:
    world, path = World(tokens=tokens), f"/v23.0/{SMALL_WABA}/phone_numbers"
    world.access.revoke("token")
    assert read(world.call(path))["error"]["error_subcode"] == 467
    world.access.accept("token")
    assert world.call(path).status == 200


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
    response = World(app_secret="secret").call(f"/v23.0/{SMALL_WABA}/phone_numbers", query=query)
    assert read(response).get("error", {}).get("message") == message
    assert response.status == (200 if message is None else 400)


# Quotas


@pytest.mark.parametrize(
    ("mode", "status", "code", "subcode"), [("live", 400, 80008, None), ("reference", 429, 80007, 2446079)]
)
def test_calls_above_the_quota_are_throttled_and_count(
    mode: ModeName, status: int, code: int, subcode: int | None
) -> None:
    world, path = World(mode, quota=2), f"/v23.0/{SMALL_WABA}/phone_numbers"
    responses = [world.call(path) for _ in range(4)]
    assert [response.status for response in responses] == [200, 200, status, status]
    error = read(responses[-1])["error"]
    assert (error["code"], error.get("error_subcode")) == (code, subcode)
    assert [percent(response) for response in responses] == [50, 100, 150, 200]
    world.now = HOUR
    assert world.call(path).status == 200


def percent(response: Response) -> int:
    usage = json.loads(response.headers["X-Business-Use-Case-Usage"])
    return max(int(entry["call_count"]) for entry in usage[SMALL_WABA])


def test_invalid_parameters_and_creates_use_quota_and_calls_without_a_token_do_not() -> None:
    world, path = World(quota=4), f"/v23.0/{SMALL_WABA}/phone_numbers"
    world.call(path, query={"fields": "nonsense"})
    world.call(path, "DELETE")
    world.post({}, SMALL_WABA)
    world.call(path, headers={})
    assert percent(world.call(path)) == 100


def test_200_calls_an_hour_and_5000_once_a_number_is_registered() -> None:
    world, path = World(quota="meta"), f"/v23.0/{EMPTY_WABA}/phone_numbers"
    assert [world.call(path).status for _ in range(201)] == [200] * 200 + [400]
    account = world.store.account(EMPTY_WABA)
    assert account is not None
    account.update(account.create("16315551000", "Acme", preverified=False), {"status": "CONNECTED"})
    assert world.call(path).status == 200


@pytest.mark.parametrize(("mode", "status"), [("live", 400), ("reference", 429)])
def test_the_app_has_a_quota_of_its_own(mode: ModeName, status: int) -> None:
    world = World(mode, app_quota=2)
    world.get(SMALL_WABA)
    world.get(LARGE_WABA)
    response = world.call(f"/v23.0/{EMPTY_WABA}/phone_numbers")
    assert error_of(response)[:2] == (status, 4)
    assert json.loads(response.headers["X-App-Usage"])["call_count"] == 150


# Any request


WORDS: st.SearchStrategy[str] = st.sampled_from(
    ["", "id", "status", "owner{id}", "100", "0", "creation_time", "['creation_time']", "[]", '[{"a":1}]']
) | st.text(max_size=20)


@given(
    mode=st.sampled_from(MODE_NAMES),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    query=st.dictionaries(
        st.sampled_from(["fields", "filtering", "sort", "limit", "after", "before", "phone_number"]), WORDS
    ),
    content_type=st.sampled_from(["application/json", "", "application/x-www-form-urlencoded"]),
    body=st.binary(max_size=30) | st.just(b"{}"),
)
def test_any_request_gets_a_response_in_json(
    mode: ModeName, method: str, query: dict[str, str], content_type: str, body: bytes
) -> None:
    headers = {"Authorization": "Bearer x", "Content-Type": content_type}
    response = World(mode).call(f"/v23.0/{SMALL_WABA}/phone_numbers", method, query, headers, body)
    assert read(response)
    assert response.status in {200, 400}
    assert all(value.isascii() and "\n" not in value for value in response.headers.values())


def test_a_printed_request_hides_the_token_and_the_proof() -> None:
    query = {"access_token": "canary", "appsecret_proof": "canary", "fields": "id"}
    request = Request("GET", "/", "", query, {"Authorization": "Bearer canary"}, b"", 1, 0.0)
    assert "canary" not in repr(request)
    assert "'fields': 'id'" in repr(request)
    assert attrs.evolve(request, status=200).status == 200


# Tokens


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_debug_token_describes_any_token(mode: ModeName) -> None:
    world = World(mode, tokens=("token", "other"))
    world.access.accept("old", Grant(scopes=(), expires_at=1))

    def inspect(token: str) -> dict[str, Any]:
        data: dict[str, Any] = read(world.call("/v23.0/debug_token", query={"input_token": token}))["data"]
        return data

    assert inspect("other") == {
        "app_id": "500600700800900",
        "type": "SYSTEM_USER",
        "application": "Invented App",
        "data_access_expires_at": 0,
        "expires_at": 0,
        "is_valid": True,
        "issued_at": 1_700_000_000,
        "scopes": list(ALL_SCOPES),
        "granular_scopes": [
            {"scope": scope, "target_ids": [LARGE_WABA, SMALL_WABA, EMPTY_WABA]} for scope in ALL_SCOPES[:2]
        ],
        "user_id": "600700800900100",
    }
    assert (inspect("old")["is_valid"], inspect("old")["expires_at"]) == (False, 1)
    assert inspect("old")["error"]["subcode"] == 463
    assert inspect("unknown")["error"] == {"code": 190, "message": "Malformed access token unknown"}
    assert error_of(world.call("/v23.0/debug_token"))[1:] == (100, "(#100) The parameter input_token is required")
    assert error_of(world.call("/v23.0/debug_token", "POST"))[1] == 803
    assert error_of(world.call("/v23.0/me", headers={"Authorization": "Bearer old"}))[:2] == (401, 190)
    assert read(world.call("/v23.0/me")) == {"id": "600700800900100", "name": "Invented System User"}
    request = Request("GET", "/v23.0/debug_token", "", {"input_token": "canary"}, {}, b"", 1, 0.0)
    assert "canary" not in repr(request)


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_a_token_may_call_what_it_was_granted(mode: ModeName) -> None:
    world = World(mode)
    number, path = read(world.call(f"/v23.0/{LARGE_WABA}/phone_numbers"))["data"][0]["id"], "/v23.0/{}/phone_numbers"
    world.access.accept("token", Grant(waba_ids=(SMALL_WABA,)))
    assert world.call(path.format(SMALL_WABA)).status == 200
    missing = world.call("/v23.0/99")
    for target in (path.format(LARGE_WABA), f"/v23.0/{number}"):
        assert error_of(world.call(target))[:2] == error_of(missing)[:2]
    world.access.accept("token", Grant(scopes=()))
    for target in (
        path.format(SMALL_WABA),
        f"/v23.0/{number}",
        f"/v23.0/{BUSINESS_ID}/owned_whatsapp_business_accounts",
    ):
        assert error_of(world.call(target))[:2] == (403, 200)
    assert world.call(f"/v23.0/{BUSINESS_ID}/client_whatsapp_business_accounts").status == 200
