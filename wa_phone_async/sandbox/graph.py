"""The Graph API as a function: a request and a time in, an answer out. It knows no socket."""

import contextlib
import functools
import re
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import attrs

from .access import Access
from .budget import Meter
from .data import BUSINESS, BUSINESS_ID, account_row
from .messages import JSON_TYPE, Answer, GraphError, Refusal, Request, dumps, invalid, is_object
from .modes import Mode, Sort
from .numbers import read_new_number
from .onboarding import Onboarding
from .pages import LINK_HOST, Ordered, Page, make_page, order_rows, project, write_page
from .query import (
    ACCOUNT_TYPE,
    BUSINESS_TYPE,
    NUMBER_TYPE,
    no_such_member,
    read_account_fields,
    read_account_query,
    read_business_fields,
    read_node_fields,
    read_query,
)
from .reviews import Reviews
from .store import Account, AccountKind, Store

Version: TypeAlias = tuple[int, int]

DEFAULT_VERSION: Version = (23, 0)
OLDEST_VERSION: Version = (21, 0)
NEWEST_VERSION: Version = (26, 0)
"""Newest version known to answer (measured by others on 2026-09-09)."""

BUSINESS_EDGES: Mapping[str, AccountKind] = {
    "owned_whatsapp_business_accounts": "owned",
    "client_whatsapp_business_accounts": "client",
}
"""The lists of accounts of a business."""


@attrs.frozen
class Target:
    """What a path names."""

    version: str
    """The version that serves, `v23.0`."""
    node: str
    edge: str


class Graph:
    """The API over a store: who may call, what a call costs, what it does."""

    def __init__(
        self, store: Store, mode: Mode, access: Access, meter: Meter, reviews: Reviews, *, with_links: bool
    ) -> None:
        self._store = store
        self._temper = mode
        self._access = access
        self._meter = meter
        self._reviews = reviews
        self.onboarding: Onboarding = Onboarding(mode, reviews)
        self._with_links = with_links
        self._answers = 0
        # Repeated walks and benchmarks ask for the same pages; a change of the account makes a new key.
        self._ordered = functools.lru_cache(maxsize=32)(_order)
        self._page = functools.lru_cache(maxsize=256)(self._make_page)

    def answer(self, request: Request, now: float) -> Answer:
        """Answer a request that came at `now`, in seconds."""
        headers = self._common_headers()
        try:
            target = read_target(request.path)
            headers["facebook-api-version"] = target.version
            return Answer(200, self._serve(request, target, now, headers), headers)
        except Refusal as refusal:
            return _error_answer(refusal.error, headers)

    def refuse(self, request: Request, error: GraphError) -> Answer:
        """Answer with this error, whatever the request says; it costs nothing and does nothing."""
        headers = self._common_headers()
        with contextlib.suppress(Refusal):
            headers["facebook-api-version"] = read_target(request.path).version
        return _error_answer(error, headers)

    def _serve(self, request: Request, target: Target, now: float, headers: dict[str, str]) -> bytes:
        token = self._access.check(request, self._temper.no_token)
        if owner := self._owner(target):
            self._charge(owner, now, headers)
            return self._serve_number(request, target, owner, now)
        of_business = target.node == BUSINESS_ID and target.edge in {"", *BUSINESS_EDGES}
        account = None if of_business else self._account(request, target)
        self._charge(account, now, headers)
        if request.method == "GET":
            return self._list(request, target, account, token) if target.edge else _node(request, account)
        if request.method == "POST" and target.edge and account is not None:
            return self._create(request, account, now)
        raise invalid(f"Unsupported {request.method.lower()} request", type="GraphMethodException")

    def _owner(self, target: Target) -> Account | None:
        """Find the account of the number that a path names, where it names a number's node or one of its edges."""
        is_number = target.node.isascii() and target.node.isdigit() and target.edge != "phone_numbers"
        return self._store.find(target.node) if is_number else None

    def _serve_number(self, request: Request, target: Target, owner: Account, now: float) -> bytes:
        row = owner.row(target.node) or {}
        if request.method == "GET" and not target.edge:
            return dumps(project(row, read_node_fields(request.query, self._temper)))
        if request.method == "POST" and self.onboarding.has(target.edge):
            return dumps(self.onboarding.write(target.edge, row, read_members(request), now))
        raise no_such_member(target.edge, NUMBER_TYPE)

    def _account(self, request: Request, target: Target) -> Account:
        """Find the WABA of a path, or refuse what else its id may be."""
        node, edge = target.node, target.edge
        if not (node.isascii() and node.isdigit()):
            raise invalid(f"Some of the aliases you requested do not exist: {node}", status=404, code=803)
        account = self._store.account(node)
        if account is not None and edge in {"", "phone_numbers"}:
            return account
        if account is not None:
            raise no_such_member(edge, ACCOUNT_TYPE)
        if node == BUSINESS_ID:
            raise no_such_member(edge, BUSINESS_TYPE)
        if edge == "phone_numbers" and self._store.is_number(node):
            raise no_such_member(edge, NUMBER_TYPE)
        raise self._temper.missing(request.method, node)

    def _charge(self, account: Account | None, now: float, headers: dict[str, str]) -> None:
        """Count the call, refused or not, and refuse it when it is one too many. A business has no quota."""
        app, charge = self._meter.charge_app(now), None
        if account is not None:
            charge = self._meter.charge(account.id, now, is_registered=account.is_registered)
        headers |= self._meter.headers(BUSINESS_ID if account is None else account.id, charge, app)
        if app is not None and app.is_refused:
            raise Refusal(self._temper.app_throttled)
        if charge is not None and charge.is_refused:
            raise Refusal(self._temper.throttled)

    def _list(self, request: Request, target: Target, account: Account | None, token: str) -> bytes:
        """List the numbers of an account, or without one the accounts of the business."""
        query = {name: value for name, value in request.query.items() if name != "access_token"}
        if account is None:
            rows = self._store.accounts(BUSINESS_EDGES[target.edge])
            page = make_page(rows, read_account_query(query, self._temper))
        else:
            page = self._page(account, account.version, tuple(query.items()))
        link = f"{LINK_HOST}/{target.version}/{target.node}/{target.edge}"
        return write_page(page, link, {"access_token": token, **query}, with_links=self._with_links)

    def _make_page(self, account: Account, version: int, query: tuple[tuple[str, str], ...]) -> Page:
        asked = read_query(dict(query), self._temper)
        return make_page(self._ordered(account, version, asked.sort), asked)

    def _create(self, request: Request, account: Account, now: float) -> bytes:
        number = read_new_number(read_members(request))
        if account.has(number.digits):
            raise Refusal(self._temper.duplicate)
        created = self._store.create(account, number.digits, number.verified_name, preverified=number.is_preverified)
        self._reviews.begin(created, now)
        return dumps({"id": created})

    def _common_headers(self) -> dict[str, str]:
        self._answers += 1
        trace_id = f"Sandbox{self._answers:016}"
        return {
            "Content-Type": JSON_TYPE,
            "facebook-api-version": _written(DEFAULT_VERSION),
            "x-fb-trace-id": trace_id,
            "x-fb-request-id": trace_id[::-1],
            "x-fb-rev": "1000000000",
            "Cache-Control": "private, no-cache, no-store, must-revalidate",
            "Expires": "Sat, 01 Jan 2000 00:00:00 GMT",
            "Pragma": "no-cache",
            "Vary": "Accept-Encoding",
        }


def read_target(path: str) -> Target:
    """Read a path. An expired version is served by the oldest, a missing one by the app's, as Meta's guide says."""
    parts = re.fullmatch(r"/(?:v(\d+)\.(\d+)/)?([^/]+)(?:/([^/]+))?", path)
    if parts is None:
        raise invalid(f"Unknown path components: {path}", code=2500)
    version: Version = (int(parts[1]), int(parts[2])) if parts[1] else DEFAULT_VERSION
    if version > NEWEST_VERSION:
        raise invalid(f"Unknown path components: {path}", code=2500)
    return Target(_written(max(version, OLDEST_VERSION)), parts[3], parts[4] or "")


def read_members(request: Request) -> dict[str, Any]:
    """Read what a POST says, in JSON, in a form or in the URL: Graph takes all three."""
    members: dict[str, Any] = dict(request.query)
    if "json" in request.headers.get("Content-Type", ""):
        try:
            sent = request.json()
        except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested without end
            sent = None
        if not is_object(sent):
            raise invalid("The body is not a JSON object")
        return members | sent
    return members | dict(parse_qsl(request.body.decode("utf-8", "replace")))


def _written(version: Version) -> str:
    return "v{}.{}".format(*version)


def _error_answer(error: GraphError, headers: dict[str, str]) -> Answer:
    body = error.body(headers["x-fb-trace-id"])
    return Answer(error.status, body, {**headers, **_challenge(error), **error.headers})


def _node(request: Request, account: Account | None) -> bytes:
    """Give what is told of an account, or without one of the business."""
    if account is None:
        return dumps(project(BUSINESS, read_business_fields(request.query)))
    return dumps(project(account_row(account.id, account.ordinal), read_account_fields(request.query)))


def _order(account: Account, version: int, sort: Sort) -> Ordered:  # noqa: ARG001 - the version is a cache key
    return order_rows(account.rows(), sort)


def _challenge(error: GraphError) -> dict[str, str]:
    """Repeat the message in a header, as Graph does for its 400 and 401."""
    if error.status not in {400, 401}:
        return {}
    message = error.message.encode("ascii", "replace").decode().replace('"', "'")
    message = " ".join(message.split())
    return {"WWW-Authenticate": f'OAuth "Facebook Platform" "invalid_request" "{message}"'}
