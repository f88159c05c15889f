"""A request as a value, and the one function that says how a refused one may be asked differently.

The reference and the live service part in places (`Dialect`), and some refusals name their own remedy. `amend`
knows those; it is no retry: what it returns is another request, and each cause is remedied once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import Final, Literal
from urllib.parse import quote

import attrs

from wa_phone_async.errors import AuthenticationError, GraphAPIError
from wa_phone_async.query import DEFAULT_PAGE_SIZE, Sort, without_fields
from wa_phone_async.redaction import Secret

from .error_codes import INVALID_PARAMETER, needs_smaller_page
from .writes import Write


@attrs.frozen
class Dialect:
    """What a client has learned about the server that it talks to."""

    sort_spelling: Literal["live", "reference"] = "live"
    """How a `Sort` is spelled: live `creation_time_descending`, in the reference `creation_time.desc`."""
    missing_fields: frozenset[str] = frozenset()
    """Fields of `ALL_FIELDS` that it does not have."""

    def spell(self, sort: str) -> str:
        """The wire form of a sort order. Only a `Sort` is spelled; any other text is the caller's own."""
        if self.sort_spelling == "reference" or not isinstance(sort, Sort):
            return str(sort)
        field, _, direction = sort.partition(".")
        return f"{field}_{direction}ending"

    def learn(self, request: Request) -> Dialect:
        """The dialect after a request that was amended has succeeded."""
        spelling = request.dialect.sort_spelling if "sort" in request.amended else self.sort_spelling
        return Dialect(spelling, self.missing_fields | request.dialect.missing_fields)


@attrs.define(kw_only=True, on_setattr=attrs.setters.NO_OP)  # made for each page; frozen takes three times as long
class Request:
    """One question to the API, independent of token, host and version."""

    path: str
    """Below the version: `1234/phone_numbers`."""
    params: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Query parameters; a `Sort` among them is spelled in the dialect."""
    write: Write | None = None
    """What it writes; `None` reads."""
    waba_id: str | EllipsisType | None = ...
    """The account whose token and budget it takes: `...` is the id at the head of the path; with `None` the token is
    that of this id, and no account's budget counts."""
    dialect: Dialect = Dialect()
    optional_fields: frozenset[str] = frozenset()
    """Those of the fields asked for that may be left out where the API does not have them."""
    amended: frozenset[str] = frozenset()
    """The causes that were remedied already."""

    @property
    def method(self) -> Literal["GET", "POST"]:
        """The HTTP method."""
        return "GET" if self.write is None else "POST"

    @property
    def node_id(self) -> str:
        """The id at the head of the path."""
        return self.path.partition("/")[0]

    @property
    def token_id(self) -> str:
        """The id whose token it carries: that of the account, where one was named."""
        return self.waba_id if isinstance(self.waba_id, str) else self.node_id

    @property
    def budget_id(self) -> str | None:
        """The account whose budget it takes beside the app's; `None` where only the app's counts."""
        return self.node_id if self.waba_id is ... else self.waba_id

    @property
    def is_write(self) -> bool:
        """Whether it changes something, so that repeating it may do it twice."""
        return self.write is not None

    @property
    def is_counted(self) -> bool:
        """Whether the API counts each try, as it counts guesses."""
        return self.write is not None and self.write.is_counted

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What stands in its body and must stand in no error, should the API echo it."""
        return () if self.write is None else tuple(v for v in self.write.body.values() if isinstance(v, Secret))

    @property
    def has_reduced_limit(self) -> bool:
        """Whether the API refused the page size that was asked for first."""
        return any(cause.startswith("limit") for cause in self.amended)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def query_string(self) -> str:
        """The parameters as they stand in the URL, percent-encoded."""
        params = self.params
        if "sort" in params:
            params = {**params, "sort": self.dialect.spell(params["sort"])}
        if left_out := self.optional_fields & self.dialect.missing_fields:
            params = {**params, "fields": without_fields(params["fields"], left_out)}
        return "&".join([f"{_encoded(name)}={_encoded(str(value))}" for name, value in params.items()])


@functools.lru_cache
def _encoded(text: str) -> str:
    """A name or a value, percent-encoded. From page to page only the cursor is new, which takes a third of the time."""
    return quote(text, safe="", errors="surrogatepass")  # JSON allows half a character in a cursor


def amend(request: Request, error: GraphAPIError) -> Request | None:
    """The request that would be refused for another reason than this one, or `None` where there is none."""
    for rule in _RULES:
        if remedy := rule(request, error):
            cause, amended = remedy
            if cause not in request.amended:
                return attrs.evolve(amended, amended=request.amended | {cause})
    return None


_Remedy = tuple[str, Request] | None


def _renew_token(request: Request, error: GraphAPIError) -> _Remedy:
    """A rejected token is asked for anew; the same one again is an error, which the session sees."""
    return ("token", request) if isinstance(error, AuthenticationError) else None


def _respell_sort(request: Request, error: GraphAPIError) -> _Remedy:
    """`Cannot sort by last_onboarded_time.desc_ascending`: the other spelling is meant (measured 2026-09-09)."""
    refused = error.code == INVALID_PARAMETER and "sort" in error.message.lower()
    if not (refused and isinstance(request.params.get("sort"), Sort)):
        return None
    other: Literal["live", "reference"] = "reference" if request.dialect.sort_spelling == "live" else "live"
    return "sort", attrs.evolve(request, dialect=attrs.evolve(request.dialect, sort_spelling=other))


def _leave_out_field(request: Request, error: GraphAPIError) -> _Remedy:
    """`Tried accessing nonexisting field (X)`: one unknown field fails the whole request (measured 2026-09-09)."""
    named = re.search(r"nonexisting field \((\w+)\)", error.message)
    if error.code != INVALID_PARAMETER or not named or named[1] not in request.optional_fields:
        return None
    missing = request.dialect.missing_fields | {named[1]}
    return f"field {named[1]}", attrs.evolve(request, dialect=attrs.evolve(request.dialect, missing_fields=missing))


def _ask_for_less(request: Request, error: GraphAPIError) -> _Remedy:
    """`Please reduce the amount of data`: only a smaller page helps."""
    limit = str(request.params.get("limit", DEFAULT_PAGE_SIZE))
    if request.is_write or not needs_smaller_page(error) or not limit.isdecimal() or int(limit) < 2:
        return None
    return f"limit {limit}", attrs.evolve(request, params={**request.params, "limit": str(int(limit) // 2)})


_RULES: Final[tuple[Callable[[Request, GraphAPIError], _Remedy], ...]] = (
    _renew_token,
    _respell_sort,
    _leave_out_field,
    _ask_for_less,
)
