"""The Graph API as a function from a request and a time to a response, without sockets."""

import contextlib
import functools
import re
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import attrs

from .access import PORTFOLIO, Access
from .data import BUSINESS, BUSINESS_ID, OTHER_NODES, Row
from .log import LOG
from .messages import JSON_TYPE, GraphError, RejectedError, Request, Response, dumps, is_object, rejected
from .modes import Mode, SortOrder
from .nesting import Nesting
from .numbers import read_new_number
from .onboarding import Onboarding
from .pages import LINK_HOST, OrderedRows, list_members, make_page, order_rows, project
from .profiles import Profiles
from .query import (
    ACCOUNT_TYPE,
    BUSINESS_TYPE,
    NUMBER_TYPE,
    NUMBERS_EDGE,
    SUBSCRIPTIONS_EDGE,
    Field,
    NestedList,
    no_such_member,
    read_account_fields,
    read_account_query,
    read_business_fields,
    read_node_fields,
    read_other_fields,
    read_query,
)
from .quotas import Quotas
from .reviews import Reviews
from .store import AccountKind, Store, StoredAccount
from .subscriptions import Subscriptions
from .usernames import Usernames

Version: TypeAlias = tuple[int, int]

DEFAULT_VERSION: Version = (23, 0)
OLDEST_VERSION: Version = (21, 0)
NEWEST_VERSION: Version = (27, 0)
"""Meta's newest version, since 2026-11-04 (its changelog of versions, read 2026-11-28)."""

_LONGEST_VERSION = 8  # digits; `int` rejects texts of thousands of them

_LONGEST_CHALLENGE = 1_000  # characters; clients read no header of more than about 8,000

_FAULT = GraphError(400, 1, "(#1) The sandbox cannot serve this request. Its log says where it failed.")

BUSINESS_EDGES: Mapping[str, AccountKind] = {
    "owned_whatsapp_business_accounts": "owned",
    "client_whatsapp_business_accounts": "client",
}
"""The lists of accounts of a business, by their edges."""


@attrs.frozen
class Target:
    """The target of a path."""

    version: str
    """The version that responds, such as `v23.0`."""
    node: str
    edge: str


class Graph:
    """The API over a store: checks access, counts calls against quotas, reads and writes."""

    def __init__(
        self,
        store: Store,
        mode: Mode,
        access: Access,
        quotas: Quotas,
        reviews: Reviews,
        *,
        nesting: Nesting,
        with_links: bool,
        nested_calls: int = 0,
    ) -> None:
        self._store = store
        self._mode = mode
        self._access = access
        self._quotas = quotas
        self._reviews = reviews
        self._nesting = nesting
        self.onboarding: Onboarding = Onboarding(mode, reviews)
        self.usernames: Usernames = Usernames(mode, reviews)
        self.subscriptions: Subscriptions = Subscriptions(store)
        self.profiles: Profiles = Profiles(mode)
        self._with_links = with_links
        self._nested_calls = nested_calls
        self._responses = 0
        # Benchmarks and repeated lists request the same pages. An account's version is in the key, so a change of the
        # account makes a new one. A page of accounts has the version of the whole store, since it may nest numbers.
        self._ordered = functools.lru_cache(maxsize=32)(_order)
        self._numbers = functools.lru_cache(maxsize=256)(self._list_numbers)
        self._accounts = functools.lru_cache(maxsize=128)(self._list_accounts)

    def respond(self, request: Request, now: float) -> Response:
        """Carry out a request that arrived at `now`, in seconds, and respond."""
        headers = self._common_headers()
        try:
            target = read_target(request.path)
            headers["facebook-api-version"] = target.version
            return Response(200, self._serve(request, target, now, headers), headers)
        except RejectedError as rejection:
            return _error_response(rejection.error, headers)
        except Exception as error:  # noqa: BLE001 - a fault of the sandbox: no caller should take it for one of Meta's
            LOG.error("the sandbox cannot serve a request", exc_info=error)
            return _error_response(_FAULT, headers)

    def nested_accounts(self, request: Request) -> tuple[AccountKind | None, list[str]]:
        """Return the accounts whose numbers a successful response to this request nests, and the kind of their list.

        The kind is `None` for the node of an account, and without nested lists.
        """
        target = read_target(request.path)
        nests = request.method == "GET" and NUMBERS_EDGE in request.query.get("fields", "")
        if target.edge == NUMBERS_EDGE or not nests:
            return None, []
        kind = BUSINESS_EDGES.get(target.edge)
        if kind is None:
            return None, [target.node]
        params = attrs.evolve(read_account_query(request.query, self._mode), fields=(Field("id"),))
        return kind, [row["id"] for row in make_page(self._store.accounts(kind), params).rows]

    def reject(self, request: Request, error: GraphError, headers: Mapping[str, str] | None = None) -> Response:
        """Respond with an API error, without any effect and without use of quota.

        Args:
            request: The request.
            error: The error.
            headers: The headers of the response that it replaces.
        """
        headers = self._common_headers() if headers is None else dict(headers)
        with contextlib.suppress(RejectedError):
            headers["facebook-api-version"] = read_target(request.path).version
        return _error_response(error, headers)

    def _serve(self, request: Request, target: Target, now: float, headers: dict[str, str]) -> bytes:
        # The order decides what uses quota: a call without a valid token or to an unknown node uses none, but a call
        # with a bad parameter does.
        token = self._access.check(request, self._mode.no_token)
        if target.node in {"debug_token", "me"} and not target.edge and request.method == "GET":
            self._count(None, now, headers)
            return dumps(self._access.owner() if target.node == "me" else self._access.inspect(request, token))
        if owner := self._owner(target):
            self._check_account(request, target, owner, token)
            self._count(owner, now, headers)
            return self._serve_number(request, target, owner, now)
        if target.node in OTHER_NODES:
            self._count(None, now, headers)
            return _serve_other(request, target)
        of_business = target.node == BUSINESS_ID and target.edge in {"", *BUSINESS_EDGES}
        account = None if of_business else self._account(request, target)
        if account is not None:
            self._check_account(request, target, account, token)
        elif target.edge and BUSINESS_EDGES[target.edge] == "owned":
            self._access.require(token, PORTFOLIO)
        self._count(account, now, headers, 1 + self._nested_calls * len(self._nested_ids(request)))
        if account is not None and target.edge == SUBSCRIPTIONS_EDGE:
            return self._serve_subscriptions(request, account)
        if request.method == "GET":
            return self._read(request, target, account, token)
        if request.method == "POST" and target.edge and account is not None:
            return self._create(request, account, now)
        raise rejected(f"Unsupported {request.method.lower()} request", type="GraphMethodException")

    def _check_account(self, request: Request, target: Target, account: StoredAccount, token: str) -> None:
        """Reject a token that lacks the permission, or names other accounts."""
        if not self._access.may_call(token, account.id):
            raise self._mode.missing(request.method, target.node)

    def _owner(self, target: Target) -> StoredAccount | None:
        """Return the account of the phone number that a path names, if it names one."""
        # `NUMBER/phone_numbers` is left to `_account`, which rejects it as Graph does.
        is_number = target.node.isascii() and target.node.isdigit() and target.edge != "phone_numbers"
        return self._store.find_owner(target.node) if is_number else None

    def _serve_number(self, request: Request, target: Target, owner: StoredAccount, now: float) -> bytes:
        row = owner.row(target.node) or {}
        response: object
        match request.method, target.edge:
            case "GET", "":
                response = project(row, read_node_fields(request.query, self._mode))
            case "GET", "username":
                response = self.usernames.get(row)
            case "GET", "username_suggestions":
                response = self.usernames.suggest(row)
            case "POST", "username":
                response = self.usernames.claim(row, read_members(request), now)
            case "DELETE", "username":
                response = self.usernames.release(row, now)
            case "GET", "whatsapp_business_profile":
                response = self.profiles.read(target.node, request.query)
            case "POST", "whatsapp_business_profile":
                response = self.profiles.write(target.node, read_members(request))
            case "POST", edge if self.onboarding.has(edge):
                members = read_members(request)
                if not edge and "webhook_configuration" in members:
                    response = self.subscriptions.override_number(owner, target.node, members["webhook_configuration"])
                else:
                    response = self.onboarding.write(edge, row, members, now)
            case _:
                raise no_such_member(target.edge, NUMBER_TYPE)
        return dumps(response)

    def _serve_subscriptions(self, request: Request, account: StoredAccount) -> bytes:
        match request.method:
            case "GET":
                return dumps(self.subscriptions.read(account.id))
            case "POST":
                return dumps(self.subscriptions.write(account.id, read_members(request)))
            case "DELETE":
                return dumps(self.subscriptions.delete(account.id))
            case method:
                raise rejected(f"Unsupported {method.lower()} request", type="GraphMethodException")

    def _account(self, request: Request, target: Target) -> StoredAccount:
        """Return the WABA that a path names, or reject the request as Graph does for an id of another kind."""
        node, edge = target.node, target.edge
        if not (node.isascii() and node.isdigit()):
            raise rejected(f"Some of the aliases you requested do not exist: {node}", status=404, code=803)
        account = self._store.account(node)
        if account is not None and edge in {"", NUMBERS_EDGE, SUBSCRIPTIONS_EDGE}:
            return account
        if account is not None:
            raise no_such_member(edge, ACCOUNT_TYPE)
        if node == BUSINESS_ID:
            raise no_such_member(edge, BUSINESS_TYPE)
        if edge == NUMBERS_EDGE and self._store.is_number(node):
            raise no_such_member(edge, NUMBER_TYPE)
        raise self._mode.missing(request.method, node)

    def _nested_ids(self, request: Request) -> list[str]:
        """Return the accounts that count as further calls. An invalid request has none, and is rejected later."""
        if self._nested_calls:
            with contextlib.suppress(RejectedError):
                return self.nested_accounts(request)[1]
        return []

    def _count(self, account: StoredAccount | None, now: float, headers: dict[str, str], app_calls: int = 1) -> None:
        """Count a call, as `app_calls` calls of the app, add the usage headers, and throttle it above a quota.

        A business has no quota of its own.
        """
        app_usage, usage = self._quotas.count_for_app(now, app_calls), None
        if account is not None:
            usage = self._quotas.count(account.id, now, is_registered=account.is_registered)
        # Before the errors: a throttled response carries its usage too.
        headers |= self._quotas.headers(BUSINESS_ID if account is None else account.id, usage, app_usage)
        if app_usage is not None and app_usage.is_throttled:
            raise RejectedError(self._mode.app_throttled)
        if usage is not None and usage.is_throttled:
            raise RejectedError(self._mode.throttled)

    def _read(self, request: Request, target: Target, account: StoredAccount | None, token: str) -> bytes:
        """Read an account or its numbers. If there is no account, read the business or its accounts."""
        query = tuple({**request.query, "access_token": token}.items())
        if account is None:
            if not target.edge:
                return dumps(project(BUSINESS, read_business_fields(request.query)))
            return self._accounts(target, query, (self._store.version, self._nesting.version))
        if target.edge:
            return self._numbers(account, target, query, account.version)
        fields, nested = read_account_fields(request.query, self._mode)
        row = self._store.row(account.id) | self._nest(account.id, nested, target, token)
        return dumps(project(row, fields))

    def _list_numbers(
        self, account: StoredAccount, target: Target, query: tuple[tuple[str, str], ...], version: int
    ) -> bytes:
        params = read_query(dict(query), self._mode)
        page = make_page(self._ordered(account, version, params.sort), params)
        return dumps(list_members(page, _link(target), dict(query), with_links=self._with_links))

    def _list_accounts(self, target: Target, query: tuple[tuple[str, str], ...], _version: object) -> bytes:
        named = dict(query)
        params = read_account_query(named, self._mode)

        def nest(waba_id: str) -> Row:
            return self._nest(waba_id, params.nested, target, named["access_token"])

        page = make_page(self._store.accounts(BUSINESS_EDGES[target.edge], nest), params)
        return dumps(list_members(page, _link(target), named, with_links=self._with_links))

    def _nest(self, waba_id: str, nested: NestedList | None, target: Target, token: str) -> Row:
        """Return the member of an account's row that nests its numbers, if they are requested."""
        if nested is None:
            return {}
        page = make_page(order_rows(self._store.existing(waba_id).rows(), nested.params.sort), nested.params)
        if not page.rows and self._mode.omits_empty_lists:
            return {}
        link = _link(Target(target.version, waba_id, NUMBERS_EDGE))
        query = {"access_token": token, **nested.query}
        return self._nesting.shape(waba_id, list_members(page, link, query, with_links=self._with_links))

    def _create(self, request: Request, account: StoredAccount, now: float) -> bytes:
        number = read_new_number(read_members(request))
        if any(map(account.has, number.readings)):  # either may be the number that is there
            raise RejectedError(self._mode.duplicate)
        created = self._store.create(account, number.digits, number.verified_name, preverified=number.is_preverified)
        self._reviews.start(created, now)
        return dumps({"id": created})

    def _common_headers(self) -> dict[str, str]:
        self._responses += 1
        trace_id = f"Sandbox{self._responses:016}"
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
    """Return the target of a path.

    The oldest version serves an expired one, and the app's version serves a path without one (Meta's guide, read
    2026-11-22).
    """
    parts = re.fullmatch(r"/(?:v([0-9]+)\.([0-9]+)/)?([^/]+)(?:/([^/]+))?", path)
    if parts is None or (parts[1] and len(parts[1] + parts[2]) > _LONGEST_VERSION):
        raise rejected(f"Unknown path components: {path}", code=2500)
    version: Version = (int(parts[1]), int(parts[2])) if parts[1] else DEFAULT_VERSION
    if version > NEWEST_VERSION:
        raise rejected(f"Unknown path components: {path}", code=2500)
    return Target(_written(max(version, OLDEST_VERSION)), parts[3], parts[4] or "")


def read_members(request: Request) -> dict[str, Any]:
    """Return the members of a POST. Graph accepts them in JSON, in a form and in the URL."""
    members: dict[str, Any] = dict(request.query)
    if "json" in request.headers.get("Content-Type", ""):
        try:
            sent = request.json()
        except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested too deeply
            sent = None
        if not is_object(sent):
            raise rejected("The body is not a JSON object")
        return members | sent
    return members | dict(parse_qsl(request.body.decode("utf-8", "replace")))


def _written(version: Version) -> str:
    return "v{}.{}".format(*version)


def _error_response(error: GraphError, headers: dict[str, str]) -> Response:
    body = error.body(headers["x-fb-trace-id"])
    return Response(error.status, body, {**headers, **_challenge(error), **error.headers})


def _link(target: Target) -> str:
    """Return the URL of a list in links, without parameters."""
    return f"{LINK_HOST}/{target.version}/{target.node}/{target.edge}"


def _serve_other(request: Request, target: Target) -> bytes:
    """Read the node of a user or of an app, which have no edges here."""
    of, members = OTHER_NODES[target.node]
    if target.edge:
        raise no_such_member(target.edge, of)
    if request.method == "GET":
        return dumps(project(members, read_other_fields(request.query, of)))
    raise rejected(f"Unsupported {request.method.lower()} request", type="GraphMethodException")


def _order(account: StoredAccount, version: int, sort: SortOrder) -> OrderedRows:  # noqa: ARG001 - the version is a cache key
    return order_rows(account.rows(), sort)


def _challenge(error: GraphError) -> dict[str, str]:
    """Return the header with which Graph repeats the message of a 400 or 401."""
    if error.status not in {400, 401}:
        return {}
    message = re.sub("[^ -~]", "?", " ".join(error.message.split())).replace('"', "'")[:_LONGEST_CHALLENGE]
    return {"WWW-Authenticate": f'OAuth "Facebook Platform" "invalid_request" "{message}"'}
